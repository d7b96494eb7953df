"""Names of the atoms by the position of a source: the one place that spells them."""

from functools import cache

_UNIQUE = "unique"


@cache
def unique_key(position: int) -> str:
    """Return the name of what only the source at a position knows; positions are counted from 1.

    Examples
    --------
    >>> unique_key(2)
    'unique2'
    """
    return f"{_UNIQUE}{position}"


def position_of(atom: str) -> int | None:
    """Return the position, from 1, of the source that alone knows an atom; None for redundancy and synergy.

    Examples
    --------
    >>> position_of("unique2"), position_of("synergy")
    (2, None)
    """
    return int(atom.removeprefix(_UNIQUE)) if atom.startswith(_UNIQUE) else None


ATOMS = ("redundancy", unique_key(1), unique_key(2), "synergy")  # of two sources, in the order of every table

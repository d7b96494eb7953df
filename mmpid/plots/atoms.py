"""The four atoms of one decomposition, whether exact or estimated, as plain numbers."""

from dataclasses import dataclass

from mmpid.errors import InputError, ShapeError
from mmpid.plots.traces import ATOMS, SHORT_NAMES


@dataclass(frozen=True, kw_only=True)
class Atom:
    """One atom in bits; `interval` is its 95 % interval, `null` its range with shuffled labels, if known."""

    name: str
    value: float
    interval: tuple[float, float] | None = None
    null: tuple[float, float] | None = None
    identified: bool = True

    @property
    def short(self) -> str:
        """R, U1, U2 or S."""
        return SHORT_NAMES[self.name]


def atoms_of(result) -> list[Atom]:
    """Return the atoms of a `PIDResult` of one problem, or of a `PIDEstimate`.

    Raises
    ------
    InputError
        If `result` has no atoms.
    ShapeError
        If `result` is a batch.
    """
    pid = getattr(result, "pid", result)
    if not all(hasattr(pid, name) for name in ATOMS):
        raise InputError(
            f"`result` must be what `mmpid.decompose` or `mmpid.estimate_pid` returns; it was {type(result).__name__}."
        )
    return [_atom(result, pid, name) for name in ATOMS]


def names_of(modalities) -> tuple[str, str] | None:
    """Return the names of the two sources of a result, or None to use default names.

    Raises
    ------
    InputError
        If there are not exactly two names.
    """
    if modalities is None:
        return None
    if isinstance(modalities, str) or len(modalities) != 2:
        raise InputError(
            f'`modalities` must be the names of the two sources; it was {modalities!r}. Try ("audio", "image").'
        )
    return tuple(modalities)


def _atom(result, pid, name: str) -> Atom:
    value = getattr(pid, name)
    if getattr(value, "ndim", 0):
        raise ShapeError(
            f"`result` must hold one problem; its batch shape was {tuple(value.shape)}. Decompose one joint, or draw "
            "the results one by one."
        )
    interval, null = (_pair(getattr(result, part, None), name) for part in ("interval", "null"))
    identified = (getattr(result, "identified", None) or {}).get(name, True)
    return Atom(name=name, value=float(value), interval=interval, null=null, identified=bool(identified))


def _pair(table, name: str) -> tuple[float, float] | None:
    if not table or name not in table:
        return None
    low, high = table[name]
    return float(low), float(high)

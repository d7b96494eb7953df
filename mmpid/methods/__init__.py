"""The field's balance methods, each a callback in one file, and their list."""

from mmpid.methods.mla import MLA
from mmpid.methods.mmpareto import MMPareto
from mmpid.methods.ogm_ge import OGMGE
from mmpid.train.callbacks import Callback

__all__ = ["MLA", "OGMGE", "MMPareto", "available"]


def available() -> dict[str, str]:
    """Return the names of the methods, each with the first line of its description.

    Examples
    --------
    >>> from mmpid import methods
    >>> sorted(methods.available())
    ['MLA', 'MMPareto', 'OGMGE']
    """
    known = [thing for name in __all__ if isinstance(thing := globals()[name], type) and issubclass(thing, Callback)]
    return {method.__name__: (method.__doc__ or "").partition("\n")[0] for method in known}

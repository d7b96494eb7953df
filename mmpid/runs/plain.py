"""Values as JSON has them: what a record is made of, so that it can be saved and is the same when it is loaded."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from mmpid.errors import InputError

PLAIN = (bool, int, float, str, type(None))


def plain(value: Any, name: str) -> Any:
    """Return a value with numbers of NumPy and torch as Python's, sequences as lists and paths as text.

    Raises
    ------
    InputError
        It holds something that JSON cannot hold; the message says where.

    Examples
    --------
    >>> plain({"noise": np.float32(0.5), "sizes": (1, 2)}, "options")
    {'noise': 0.5, 'sizes': [1, 2]}
    """
    if type(value) in PLAIN:
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(x, f"{name}.{key}") for key, x in value.items()}
    if isinstance(value, np.ndarray | np.generic | Tensor):
        listed = value.tolist()
        return listed if type(listed) in PLAIN else plain(listed, name)
    if isinstance(value, list | tuple):
        return [plain(x, f"{name}[{i}]") for i, x in enumerate(value)]
    for kind in (str, bool, int, float):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    raise InputError(
        f"`{name}` must be a number, text, None, or a list or dict of these, as JSON holds them; it was "
        f"{type(value).__name__}. Describe it in words instead: str(value)."
    )

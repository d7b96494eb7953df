"""Read tables that a package stores as pickled pandas frames, without running anything that is in them.

The file may name a handful of classes and functions and no others; each is replaced by one of ours that only keeps what
it is given, or by NumPy's own constructor of arrays.
"""

import lzma
from pathlib import Path

import numpy as np

from mmpid.datasets.restricted import ARRAYS, load_restricted
from mmpid.errors import InputError


class _Kept:
    """Stands for a pandas object: keeps its arguments and its state, and does nothing."""

    def __init__(self, *arguments):
        self.arguments, self.state = arguments, None

    def __setstate__(self, state):
        self.state = state


KNOWN = ARRAYS | {
    ("pandas.core.frame", "DataFrame"): _Kept,
    ("pandas.core.internals.managers", "BlockManager"): _Kept,
    ("pandas.core.indexes.base", "Index"): _Kept,
    ("pandas.core.indexes.range", "RangeIndex"): _Kept,
    ("pandas._libs.internals", "_unpickle_block"): lambda values, placement, ndim: (values, placement),
    ("pandas.core.indexes.base", "_new_Index"): lambda kind, data: data,
    ("builtins", "slice"): slice,
}


def read_frame(path: Path) -> dict[str, np.ndarray]:
    """Return the columns of a frame that was stored with LZMA compression.

    Raises
    ------
    InputError
        The file names anything but the constructors of a plain frame, or cannot be read.
    """
    try:
        frame = load_restricted(lzma.decompress(path.read_bytes()), KNOWN, path.name)
        blocks, axes = frame.state["_mgr"].arguments
        names = list(axes[0]["data"])
        columns = {}
        for values, placement in blocks:
            places = range(*placement.indices(len(names))) if isinstance(placement, slice) else placement
            columns |= {names[place]: column for column, place in zip(values, places, strict=True)}
        return {name: np.asarray(columns[name]) for name in names}
    except Exception as problem:  # a damaged or hostile file may fail anywhere
        raise InputError(f"{path.name} is not a table that can be read safely: {problem}") from problem

"""Read tables that a package stores as pickled pandas frames, without running anything that is in them.

The file may name a handful of classes and functions and no others; each is replaced by one of ours that only keeps what
it is given, or by NumPy's own constructor of arrays.
"""

import io
import lzma
import pickle
from pathlib import Path

import numpy as np

from mmpid.errors import InputError


class _Kept:
    """Stands for a pandas object: keeps its arguments and its state, and does nothing."""

    def __init__(self, *arguments):
        self.arguments, self.state = arguments, None

    def __setstate__(self, state):
        self.state = state


def _from_buffer(buffer, dtype, shape, order) -> np.ndarray:
    return np.frombuffer(buffer, dtype=dtype).reshape(shape, order=order)


def _array(kind, shape, code) -> np.ndarray:
    if kind is not np.ndarray:
        raise pickle.UnpicklingError("refused an array of another kind")
    return np.ndarray.__new__(np.ndarray, shape, code)


KNOWN = {
    ("numpy", "dtype"): np.dtype,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy.core.numeric", "_frombuffer"): _from_buffer,
    ("numpy._core.numeric", "_frombuffer"): _from_buffer,
    ("numpy.core.multiarray", "_reconstruct"): _array,
    ("numpy._core.multiarray", "_reconstruct"): _array,
    ("pandas.core.frame", "DataFrame"): _Kept,
    ("pandas.core.internals.managers", "BlockManager"): _Kept,
    ("pandas.core.indexes.base", "Index"): _Kept,
    ("pandas.core.indexes.range", "RangeIndex"): _Kept,
    ("pandas._libs.internals", "_unpickle_block"): lambda values, placement, ndim: (values, placement),
    ("pandas.core.indexes.base", "_new_Index"): lambda kind, data: data,
    ("builtins", "slice"): slice,
}


class _Restricted(pickle.Unpickler):
    """The standard library's way to restrict what a file may name; no code of the file or of a package runs."""

    def find_class(self, module, name):
        if (module, name) not in KNOWN:
            raise pickle.UnpicklingError(f"refused {module}.{name}")
        return KNOWN[module, name]


def read_frame(path: Path) -> dict[str, np.ndarray]:
    """Return the columns of a frame that was stored with LZMA compression.

    Raises
    ------
    InputError
        The file names anything but the constructors of a plain frame, or cannot be read.
    """
    try:
        frame = _Restricted(io.BytesIO(lzma.decompress(path.read_bytes()))).load()
        blocks, axes = frame.state["_mgr"].arguments
        names = list(axes[0]["data"])
        columns = {}
        for values, placement in blocks:
            places = range(*placement.indices(len(names))) if isinstance(placement, slice) else placement
            columns |= {names[place]: column for column, place in zip(values, places, strict=True)}
        return {name: np.asarray(columns[name]) for name in names}
    except Exception as problem:  # a damaged or hostile file may fail anywhere
        raise InputError(f"{path.name} is not a table that can be read safely: {problem}") from problem

"""Read arrays that others stored with pickle, without running anything that is in the file.

A file may name the constructors of plain NumPy arrays and numbers and nothing else: Python's own way of restricting a
pickle ("Restricting Globals" in its documentation).
"""

import codecs
import io
import pickle
from pathlib import Path

import numpy as np

from mmpid.errors import InputError


def from_buffer(buffer, dtype, shape, order) -> np.ndarray:
    """Return an array of the bytes of a file."""
    return np.frombuffer(buffer, dtype=dtype).reshape(shape, order=order)


def plain_array(kind, shape, code) -> np.ndarray:
    """Return an empty array, whose content follows in the file."""
    if kind is not np.ndarray:
        raise pickle.UnpicklingError("refused an array of another kind")
    return np.ndarray.__new__(np.ndarray, shape, code)


def plain_number(dtype, content: bytes):
    """Return a NumPy number."""
    return np.frombuffer(content, dtype=dtype)[0]


def as_bytes(text: str, encoding: str) -> bytes:
    """Return bytes that an old protocol stored as text."""
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"refused the encoding {encoding!r}")
    return codecs.latin_1_encode(text)[0]


ARRAYS = {
    ("numpy", "dtype"): np.dtype,
    ("numpy", "ndarray"): np.ndarray,
    ("_codecs", "encode"): as_bytes,
} | {
    (f"numpy.{core}.{module}", name): made
    for core in ("core", "_core")
    for module, name, made in (
        ("numeric", "_frombuffer", from_buffer),
        ("multiarray", "_reconstruct", plain_array),
        ("multiarray", "scalar", plain_number),
    )
}


class Restricted(pickle.Unpickler):
    """Knows the names that it is given, and refuses every other."""

    def __init__(self, stream, known: dict):
        super().__init__(stream, encoding="latin1")
        self.known = known

    def find_class(self, module, name):
        """Return what stands for a name."""
        if (module, name) not in self.known:
            raise pickle.UnpicklingError(f"refused {module}.{name}")
        return self.known[module, name]

    def persistent_load(self, pid):
        """Refuse objects that are kept elsewhere."""
        raise pickle.UnpicklingError("refused a reference to another place")


def load_restricted(content: bytes, known: dict, name: str):
    """Return what a pickle holds, made of `known` constructors only; refuse any other file."""
    try:
        return Restricted(io.BytesIO(content), known).load()
    except Exception as problem:  # a damaged or hostile file may fail anywhere
        raise InputError(f"{name} cannot be read safely: {problem}") from problem


def read_pickled_array(path: Path) -> np.ndarray:
    """Return the numeric array that a file holds; refuse a file of anything else."""
    found = load_restricted(path.read_bytes(), ARRAYS, path.name)
    if not isinstance(found, np.ndarray) or found.dtype.kind not in "fiub":
        raise InputError(f"{path.name} must hold an array of numbers; it holds {type(found).__name__}.")
    return found

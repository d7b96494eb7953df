"""Decoded samples kept on disk: what was decoded once is read back, in later epochs, runs and processes."""

import hashlib
import os
import threading
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from mmpid import _validate
from mmpid.errors import InputError, MMPIDWarning, warn

MAX_BYTES = 20 * 2**30
_MARK = 8  # bytes: 1 << 32 plus the checksum of the sample; 0 where there is none
_LABEL = 8

Item = tuple[dict[str, Tensor], int]


class DecodeCache(Dataset):
    """A dataset whose samples are decoded once and then read from one file on disk.

    Parameters
    ----------
    dataset : Dataset
        Item i is ({modality: tensor or array}, label), the same at every call and of the same shapes for every i.
    folder : path
        Where samples are kept; made if it does not exist. Several processes may use it at once, and several datasets:
        each has a subfolder that is named by its samples, so a dataset that changed is decoded again. Delete the folder
        to free the space.
    max_bytes : int
        Largest size of the folder. The first samples are kept until it is full; the others are decoded every time.

    Raises
    ------
    InputError
        If an item has another form, or differs from call to call: a cache would freeze what is drawn at random.

    Notes
    -----
    A sample is written before its mark, which holds its checksum. Samples that a killed process left half-written, or
    that a disk damaged, are decoded again. If the disk is full, reading goes on without keeping more. Samples are
    compared with those of an earlier run by three of them and by `dataset.cache_key()`, where there is such a method;
    a change that neither shows goes unnoticed.

    Examples
    --------
    >>> import tempfile
    >>> import torch
    >>> class Squares(torch.utils.data.Dataset):
    ...     def __len__(self):
    ...         return 3
    ...     def __getitem__(self, i):
    ...         return {"a": torch.tensor([i * i]), "b": torch.zeros(2)}, i
    >>> cached = DecodeCache(Squares(), tempfile.mkdtemp())
    >>> cached[2], cached.is_kept(2)
    (({'a': tensor([4]), 'b': tensor([0., 0.])}, 2), True)
    """

    repeatable = True  # items are the same at every call, so nobody needs to seed anything for them

    def __init__(self, dataset: Any, folder: Any, *, max_bytes: int = MAX_BYTES):
        self.dataset, self._failed = dataset, False
        if len(dataset) == 0:
            raise InputError("`dataset` must hold samples; it was empty.")
        max_bytes = int(_validate.number(max_bytes, "max_bytes", low=0, integer=True))
        first = _arrays(dataset[0])[0]
        self.form = {name: (x.shape, x.dtype) for name, x in first.items()}
        self.item_bytes = _LABEL + sum(x.nbytes for x in first.values())
        root = Path(_validate.path(folder, "folder")).expanduser()
        self.folder = root / _key(dataset, self.form)
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in (self._samples, self._marks):
            path.open("ab").close()  # keeps what is there
        others = (p for p in root.glob("*/*") if p.parent != self.folder and p.is_file())
        free = max_bytes - sum(p.stat().st_size for p in others)
        self.capacity = max(0, min(len(dataset), free // (self.item_bytes + _MARK)))
        self._checked = np.zeros(self.capacity, dtype=bool)
        self._open: _OpenFiles | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave open files behind: another process opens its own."""
        return self.__dict__ | {"_open": None}

    @property
    def _samples(self) -> Path:
        return self.folder / "samples.bin"

    @property
    def _marks(self) -> Path:
        return self.folder / "marks.bin"

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, i: int) -> Item:
        i = range(len(self))[i]
        content = self._load(i) if i < self.capacity else None
        if content is not None:
            return self._unpacked(content)
        arrays, label = _arrays(self.dataset[i])
        if i < self.capacity and not self._failed:
            self._keep(i, arrays, label)
        return {name: torch.from_numpy(x) for name, x in arrays.items()}, label

    def is_kept(self, i: int) -> bool:
        """Whether sample i is on disk, sound."""
        return i < self.capacity and self._load(i) is not None

    def _load(self, i: int) -> bytearray | None:
        """Read sample i; None where it is not there, or not sound."""
        if self._open is None:
            self._open = _OpenFiles(self._samples, self._marks)
        checked, mark = self._checked[i], b""
        if not checked:  # once per process: a checksum takes as long as the reading
            mark = bytearray(_MARK)
            if self._open.read(self._open.marks, mark, i * _MARK) < _MARK or not any(mark):
                return None
        content = bytearray(self.item_bytes)
        if self._open.read(self._open.samples, content, i * self.item_bytes) != self.item_bytes:
            return None
        if not checked:
            if int.from_bytes(mark, "little") != _mark_of(content):
                return None
            self._checked[i] = True
        return content

    def _keep(self, i: int, arrays: dict[str, np.ndarray], label: int) -> None:
        """Write sample i, then its mark; processes that do so at the same time write the same bytes."""
        if {name: (x.shape, x.dtype) for name, x in arrays.items()} != self.form:
            return  # whoever reads the batch says what is wrong with this sample
        content = label.to_bytes(_LABEL, "little", signed=True) + b"".join(x.tobytes() for x in arrays.values())
        try:
            with self._samples.open("r+b") as samples:
                samples.seek(i * self.item_bytes)
                samples.write(content)
            with self._marks.open("r+b") as marks:
                marks.seek(i * _MARK)
                marks.write(_mark_of(content).to_bytes(_MARK, "little"))
        except OSError as problem:
            self._failed = True
            warn(f"decoded samples are no longer kept in {self.folder}: {problem}. Free some space.", MMPIDWarning)

    def _unpacked(self, content: bytearray) -> Item:
        """Return an item from its bytes."""
        inputs, start = {}, _LABEL
        for name, (shape, dtype) in self.form.items():
            count = int(np.prod(shape, dtype=np.int64))
            array = np.frombuffer(content, dtype=dtype, count=count, offset=start).reshape(shape)
            inputs[name] = torch.from_numpy(array)
            start += array.nbytes
        return inputs, int.from_bytes(content[:_LABEL], "little", signed=True)


class _OpenFiles:
    """Descriptors of a cache's two files, open as long as the cache is used in this process."""

    def __init__(self, samples: Path, marks: Path):
        how = os.O_RDONLY | getattr(os, "O_BINARY", 0)
        self.samples, self.marks = (os.open(path, how) for path in (samples, marks))
        self._lock = threading.Lock()

    def read(self, descriptor: int, content: bytearray, at: int) -> int:
        """Fill `content` from a place on; return how many bytes were there."""
        if hasattr(os, "preadv"):  # keeps no position, so threads and forked processes can share a descriptor
            return os.preadv(descriptor, [content], at)
        with self._lock:
            os.lseek(descriptor, at, os.SEEK_SET)
            found = os.read(descriptor, len(content))
        content[: len(found)] = found
        return len(found)

    def __del__(self):
        for descriptor in (self.samples, self.marks):
            os.close(descriptor)


def _mark_of(content: bytes | bytearray) -> int:
    return (1 << 32) + zlib.crc32(content)


def _arrays(item: Any) -> tuple[dict[str, np.ndarray], int]:
    """Return the arrays and the label of an item; refuse another form."""
    if not (isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], dict)):
        raise InputError(f"an item of `dataset` must be ({{modality: tensor}}, label); it was {type(item).__name__}.")
    arrays = {}
    for name, x in item[0].items():
        array = np.require(x.detach().cpu().numpy() if isinstance(x, Tensor) else x, requirements=["C", "W"])
        if array.dtype.kind not in "fiub":
            raise InputError(f"modality {name!r} of an item must hold numbers; it held {array.dtype}.")
        arrays[name] = array.reshape(np.shape(x))  # an array of no axes stays one
    return arrays, int(item[1])


def _key(dataset: Any, form: dict[str, tuple]) -> str:
    """Return a name for these samples: their number, form, three of them, and what the dataset says of its files."""
    digest = hashlib.sha256(repr((len(dataset), form, getattr(dataset, "cache_key", str)())).encode())
    for i in sorted({0, len(dataset) // 2, len(dataset) - 1}):
        (one, label), (again, _) = _arrays(dataset[i]), _arrays(dataset[i])
        if any(x.tobytes() != again[name].tobytes() for name, x in one.items()):
            raise InputError(
                f"`dataset[{i}]` must be the same at every call to be kept on disk; it was drawn at random. Cache the "
                "decoded samples, and draw in a dataset around the cache."
            )
        digest.update(repr(label).encode())
        for x in one.values():
            digest.update(x.tobytes())
    return digest.hexdigest()[:16]

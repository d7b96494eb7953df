"""Whether a file is what its name says and complete, from its first and last bytes: nothing is decoded."""

import os
import struct
import zipfile
from pathlib import Path

import numpy as np

JPEG, PNG = (b"\xff\xd8", b"\xff\xd9"), (b"\x89PNG\r\n\x1a\n", b"IEND")  # how they begin and end
IMAGES = {".jpg": JPEG, ".jpeg": JPEG, ".png": PNG}
TAIL = 64  # bytes at the end of an image in which its end mark is looked for; cameras append a few


def find_fault(path: Path) -> str:
    """Return what is wrong with a file, in one word or two; empty if nothing is seen to be."""
    try:
        size = os.stat(path).st_size
        if size == 0:
            return "empty"
        suffix = path.suffix.lower()
        if suffix in IMAGES:
            return _fault_of_image(path, size)
        if suffix == ".wav":
            return _fault_of_wav(path, size)
        if suffix == ".npy":
            return _fault_of_npy(path, size)
        if suffix == ".pt":
            return "" if zipfile.is_zipfile(path) else "cut short or not a saved tensor"
        if suffix == ".pkl":
            return _fault_of_pickle(path, size)
        if suffix == ".flv":
            return "" if _ends(path, size, 3, 1)[0] == b"FLV" else "not a video"
        if suffix == ".mp4":
            return "" if _ends(path, size, 8, 1)[0][4:] == b"ftyp" else "not a video"
    except OSError as problem:
        return f"unreadable ({problem.strerror})"
    return ""


def _ends(path: Path, size: int, head: int, tail: int) -> tuple[bytes, bytes]:
    with open(path, "rb") as stream:
        first = stream.read(head)
        stream.seek(max(0, size - tail))
        return first, stream.read(tail)


def _fault_of_image(path: Path, size: int) -> str:
    """Tell from the marks of JPEG and PNG; the mark counts, not the name, since decoders go by the mark."""
    first, last = _ends(path, size, 8, TAIL)
    kinds = [ends for head, ends in IMAGES.values() if first.startswith(head)]
    if not kinds:
        return "not an image"
    return "" if kinds[0] in last else "cut short"


def _fault_of_wav(path: Path, size: int) -> str:
    first, _ = _ends(path, size, 12, 1)
    if first[:4] != b"RIFF" or first[8:12] != b"WAVE":
        return "not a wav file"
    return "cut short" if struct.unpack("<I", first[4:8])[0] + 8 > size else ""


def _fault_of_npy(path: Path, size: int) -> str:
    with open(path, "rb") as stream:
        try:
            major, _ = np.lib.format.read_magic(stream)
            read = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(stream)
        except (ValueError, EOFError):
            return "not an array"
        if dtype.hasobject:
            return "pickled objects"
        return "cut short" if stream.tell() + int(np.prod(shape)) * dtype.itemsize > size else ""


def _fault_of_pickle(path: Path, size: int) -> str:
    first, last = _ends(path, size, 1, 1)
    if first != b"\x80":
        return "not a saved array"
    return "" if last == b"." else "cut short"

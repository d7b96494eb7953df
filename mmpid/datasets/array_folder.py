"""Our own layout on disk, one array per modality and one of labels, told from the headers of its files."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

LABELS = ("labels", "label", "target", "targets", "y")
BESIDE = ("split", "splits", "groups", "group", "class_names")


def read_headers(root: Path, paths: list[str]) -> dict[str, dict[str, tuple[tuple[int, ...], str]]]:
    """Return {folder or archive: {array name: (shape, kind)}}; kind "O" is an array of pickled objects.

    Only headers are read: no number is loaded and nothing is unpickled. A file that cannot be read has kind "?".
    """
    groups: dict[str, dict] = {}
    for path in paths:
        if path.endswith(".npy"):
            folder = path.rpartition("/")[0]
            with open(root / path, "rb") as stream:
                groups.setdefault(folder, {})[Path(path).stem] = _read_header(stream)
        elif path.endswith(".npz"):
            groups[path] = dict(_read_archive(root / path))
    return groups


def _read_archive(path: Path) -> Iterator[tuple[str, tuple[tuple[int, ...], str]]]:
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                with archive.open(member) as stream:
                    yield member.removesuffix(".npy"), _read_header(stream)
    except zipfile.BadZipFile:
        yield path.stem, ((), "?")


def _read_header(stream) -> tuple[tuple[int, ...], str]:
    try:
        major, _ = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
    except (ValueError, OSError, EOFError):
        return (), "?"
    return tuple(shape), dtype.kind


def inspect_arrays(groups: dict) -> tuple[list[dict], list[str]] | None:
    """Return (rows, problems) if some folder or archive holds labels beside arrays; None if none does."""
    rows, problems = [], []
    for place, arrays in groups.items():
        label = next((name for name in LABELS if name in arrays), None)
        others = [name for name in arrays if name != label and name not in BESIDE]
        if label is None or not others:
            continue
        split = Path(place).stem
        length = arrays[label][0][:1]
        for name in others:
            shape, kind = arrays[name]
            rows.append({"modality": name, "split": split, "samples": shape[0] if shape else 0, "files": 1})
            problems += _check_array(name, shape, kind, length, place)
        shape, kind = arrays[label]
        problems += _check_array(label, shape, kind, length, place)
        if len(others) < 2:
            problems.append(f"{place or 'the folder'} holds one modality, {others[0]}; two or more are needed.")
    return (rows, problems) if rows else None


def _check_array(name: str, shape, kind: str, length, place: str) -> list[str]:
    where = f"{place}: {name}" if place else name
    if kind == "?":
        return [f"{where} is not a readable NumPy array (cut short?)."]
    if kind == "O":
        return [f"{where} holds pickled Python objects, which are not opened. Save it as an array of numbers."]
    if kind not in "fiub":
        return [f"{where} does not hold numbers (kind {kind!r}). Save numbers, and labels as class indices."]
    if shape[:1] != length:
        return [f"{where} has {shape[0] if shape else 0} samples, the labels have {length[0] if length else 0}."]
    return []

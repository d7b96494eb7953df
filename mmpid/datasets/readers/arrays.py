"""Our own layout: one array per modality and one of labels, as .npy files in a folder or as members of an .npz."""

from pathlib import Path
from typing import Any

import numpy as np

from mmpid.datasets.array_folder import LABELS
from mmpid.datasets.multimodal import MultimodalData
from mmpid.datasets.splits import ALIASES, SPLITS
from mmpid.errors import InputError

BESIDE = {"split": "split", "splits": "split", "groups": "groups", "group": "groups", "class_names": "class_names"}
LABEL_NAMES = {name: "target" for name in LABELS}


def read_arrays(root: Path, **options) -> MultimodalData:
    """Open a folder of arrays, one archive, or one archive or folder per split (train.npz, test.npz)."""
    archives = sorted(root.glob("*.npz"))
    folders = [folder for folder in sorted(root.iterdir()) if folder.is_dir() and any(folder.glob("*.npy"))]
    sets = {path.stem: _load_archive(path) for path in archives} or {path.name: _load_folder(path) for path in folders}
    if any(root.glob("*.npy")):
        sets = {"": _load_folder(root)}
    sets = {name: _named(arrays, name) for name, arrays in sets.items()}
    sets = {name: arrays for name, arrays in sets.items() if "target" in arrays and len(arrays) > 2}
    splits = {name: ALIASES.get(name, name) for name in sets}
    if len(sets) > 1 and not set(splits.values()) <= set(SPLITS):
        raise InputError(
            f"`path` holds {len(sets)} sets of arrays, {', '.join(sets)}; their names must be those of splits "
            f"({', '.join(SPLITS)}). Give one of them, or rename them."
        )
    if not sets:
        raise InputError(f"{root.name!r} holds no arrays beside labels. Save audio.npy, image.npy and labels.npy.")
    arrays = next(iter(sets.values())) if len(sets) == 1 else _join(sets, splits)
    given: dict[str, Any] = {
        key: arrays.pop(key) for key in ("target", "split", "groups", "class_names") if key in arrays
    }
    if "class_names" in given:
        given["class_names"] = [str(name) for name in given["class_names"].tolist()]
    about: dict[str, Any] = {"name": root.name, "origin": "arrays in a folder"}
    return MultimodalData.from_arrays(arrays, **(about | given | options))


def _load_folder(folder: Path) -> dict[str, np.ndarray]:
    return {path.stem: _load(path) for path in sorted(folder.glob("*.npy"))}


def _load(path: Path) -> np.ndarray:
    try:
        return np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as problem:
        raise InputError(
            f"{path.name} is not a readable array of numbers or text: {problem}. Save it with numpy.save, and without "
            f"Python objects."
        ) from problem


def _load_archive(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except Exception as problem:  # zipfile, zlib and NumPy have errors of their own
        raise InputError(
            f"{path.name} is not a readable archive of arrays: {problem}. Save it with numpy.savez."
        ) from problem


def _named(arrays: dict[str, np.ndarray], place: str) -> dict[str, np.ndarray]:
    """Return the arrays with our names of labels, split and groups; two of one kind are an error."""
    out = {}
    for name, array in arrays.items():
        own = LABEL_NAMES.get(name) or BESIDE.get(name) or name
        if own in out:
            raise InputError(
                f"{place or 'the folder'} holds two arrays of {own}; one is {name!r}. Leave one of them out."
            )
        out[own] = array
    return out


def _join(sets: dict[str, dict], splits: dict[str, str]) -> dict[str, np.ndarray]:
    """Put one set of arrays per split one after the other."""
    names = [set(arrays) for arrays in sets.values()]
    if any(other != names[0] for other in names):
        listed = "; ".join(f"{place}: {', '.join(sorted(arrays))}" for place, arrays in sets.items())
        raise InputError(f"all splits must hold the same arrays; they hold {listed}.")
    joined = {}
    for name in next(iter(sets.values())):  # the order of modalities is that of the first archive
        parts = [arrays[name] for arrays in sets.values()]
        if name == "class_names":
            joined[name] = parts[0]
            continue
        if len({part.shape[1:] for part in parts}) > 1:
            shapes = ", ".join(f"{place} {part.shape}" for place, part in zip(sets, parts, strict=True))
            raise InputError(f"{name!r} must have one shape in all splits; it had {shapes}. Prepare them the same way.")
        joined[name] = np.concatenate(parts)
    sizes = [len(arrays["target"]) for arrays in sets.values()]
    joined["split"] = np.repeat([splits[place] for place in sets], sizes)
    return joined

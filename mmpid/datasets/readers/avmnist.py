"""AV-MNIST of MultiBench: written and spoken digits in whole arrays, 55,000 / 5,000 / 10,000."""

from pathlib import Path

import numpy as np

from mmpid.datasets.inspection import list_files
from mmpid.datasets.multimodal import MultimodalData
from mmpid.datasets.readers.describe import described
from mmpid.errors import InputError

TITLE = "AV-MNIST (MultiBench)"
HELD_OUT = 5_000  # training samples at the end that are the validation split, of 60,000


def read_avmnist(root: Path, *, split: str = "official", **options) -> MultimodalData:
    """Open `image`, `audio` and labels, divide both by 255, and take the last twelfth of training for validation.

    Two versions with this name circulate: image alone reaches about 65 % in one and 75 % in the other.
    """
    files, _ = list_files(root)
    kinds = ("image", "audio", "labels")
    arrays = {(part, kind): _load(root, files, kind, part) for part in ("train", "test") for kind in kinds}
    n_train, n_test = (len(arrays[part, "labels"]) for part in ("train", "test"))
    for (part, kind), array in arrays.items():
        if len(array) != len(arrays[part, "labels"]):
            raise InputError(f"{kind} has {len(array)} {part} samples, the labels have {len(arrays[part, 'labels'])}.")
    inputs = {kind: np.concatenate([arrays[part, kind] for part in ("train", "test")]) for kind in ("audio", "image")}
    inputs = {kind: x.astype(np.float32) / 255 for kind, x in inputs.items()}
    pixels = inputs["image"].reshape(len(inputs["image"]), -1).shape[1]
    side = int(pixels**0.5)
    if side * side == pixels:
        inputs["image"] = inputs["image"].reshape(-1, side, side)
    held = HELD_OUT * n_train // 60_000
    parts = {
        "train": np.arange(n_train - held), "validation": np.arange(n_train - held, n_train),
        "test": np.arange(n_train, n_train + n_test),
    }  # fmt: skip
    parts = {name: index for name, index in parts.items() if len(index)}
    labels = np.concatenate([arrays[part, "labels"] for part in ("train", "test")])
    origin = "AV-MNIST (Vielzeuf et al. 2018; MultiBench), from a folder"
    options = described(options, name="av-mnist", origin=origin, layout=TITLE)
    return MultimodalData.from_arrays(inputs, labels, split=parts if split == "official" else None, **options)


def _load(root: Path, files: list[str], kind: str, part: str) -> np.ndarray:
    """Return one array; all of a folder that lies beside those of other kinds."""
    wanted = f"{part}_labels.npy" if kind == "labels" else f"{kind}/{part}_data.npy"
    places = [name for name in files if name == wanted or name.endswith("/" + wanted)]
    if not places:
        raise InputError(f"{root} must hold {wanted}; it does not. Extract the whole archive.")
    try:
        return np.load(root / min(places, key=len), allow_pickle=False)
    except (ValueError, OSError, EOFError) as problem:
        name = min(places, key=len)
        raise InputError(f"{name} is not a readable array of numbers: {problem}. Copy it again.") from problem

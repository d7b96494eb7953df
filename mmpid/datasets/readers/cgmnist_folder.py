"""CG-MNIST as published: an array of colored digits beside MNIST, paired by index."""

import gzip
from pathlib import Path

import numpy as np

from mmpid.datasets.inspection import list_files
from mmpid.datasets.multimodal import MultimodalData
from mmpid.datasets.readers.describe import described
from mmpid.datasets.restricted import ARRAYS, load_restricted
from mmpid.errors import InputError

TITLE = "CG-MNIST, colored array beside MNIST (PMR, MMPareto)"
GRAY, COLOR = (0.1307, 0.3081), ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))


def read_cgmnist_folder(root: Path, *, split: str = "official", **options) -> MultimodalData:
    """Open `mnist_10color_jitter_var_*.npy` and MNIST's own files, normalized as the repositories do.

    Colors of the training split give the digit away, those of the test split are random; the probe and validation
    splits are cut out of training and are colored like it.
    """
    files, _ = list_files(root)
    colored = _read_colored(_place(root, files, "mnist_10color_jitter_var_", ".npy"))
    gray, digit = {}, {}
    for part, stem in (("train", "train"), ("test", "t10k")):
        gray[part] = _read_idx(_place(root, files, f"{stem}-images"), 3)
        digit[part] = _read_idx(_place(root, files, f"{stem}-labels"), 1)
        if not len(gray[part]) == len(digit[part]) == len(colored[f"{part}_image"]):
            raise InputError(
                f"{part}: MNIST has {len(gray[part])} images, the colored array {len(colored[f'{part}_image'])}."
            )
        if not np.array_equal(digit[part], colored[f"{part}_label"].reshape(-1)):
            raise InputError(
                f"the labels of the colored {part} images are not MNIST's: the files are of different orders."
            )
    both = {key: np.concatenate([part["train"], part["test"]]) for key, part in (("gray", gray), ("digit", digit))}
    color = np.concatenate([colored["train_image"], colored["test_image"]]).astype(np.float32) / 255
    inputs = {
        "gray": (both["gray"].astype(np.float32) / 255 - GRAY[0]) / GRAY[1],
        "color": ((color - np.array(COLOR[0], np.float32)) / np.array(COLOR[1], np.float32)).transpose(0, 3, 1, 2),
    }
    n = len(digit["train"])
    parts = {"train": np.arange(n), "test": np.arange(n, len(both["digit"]))} if split == "official" else None
    origin = "CG-MNIST (Kim et al. 2019), from a folder"
    options = described(options, name="cg-mnist-folder", origin=origin, layout=TITLE)
    return MultimodalData.from_arrays(inputs, both["digit"].astype(int), split=parts, **options)


def _place(root: Path, files: list[str], start: str, end: str = "") -> Path:
    names = [name for name in files if name.rpartition("/")[2].startswith(start) and name.endswith(end)]
    if not names:
        raise InputError(f"{root} must hold {start}*{end}; it does not. Extract the whole archive.")
    return root / min(names, key=len)


def _read_colored(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a dictionary that was stored with numpy.save, by the restricted reader."""
    with open(path, "rb") as stream:
        try:
            major, _ = np.lib.format.read_magic(stream)
            read = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
            read(stream)
        except (ValueError, EOFError) as problem:
            raise InputError(f"{path.name} is not a saved array: {problem}. Copy it again.") from problem
        found = load_restricted(stream.read(), ARRAYS, path.name)
    found = found.item() if isinstance(found, np.ndarray) and found.ndim == 0 else found
    wanted = [f"{part}_{kind}" for part in ("train", "test") for kind in ("image", "label")]
    if not isinstance(found, dict) or not all(isinstance(found.get(key), np.ndarray) for key in wanted):
        raise InputError(f"{path.name} must hold the arrays {', '.join(wanted)}; it does not.")
    for part in ("train", "test"):
        if found[f"{part}_image"].ndim != 4 or found[f"{part}_image"].shape[3] != 3:
            raise InputError(
                f"{part}_image of {path.name} must be (N, H, W, 3); it was {found[f'{part}_image'].shape}."
            )
    return found


def _read_idx(path: Path, axes: int) -> np.ndarray:
    """Return an array of MNIST's own format, compressed or not."""
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        shape = np.frombuffer(content, ">i4", axes, offset=4)
        if content[2] != 8 or content[3] != axes:
            raise ValueError(f"it has {content[3]} axes of type {content[2]}")
        return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)
    except (ValueError, OSError, EOFError, IndexError) as problem:
        raise InputError(f"{path.name} is not a file of MNIST: {problem}. Copy it again.") from problem

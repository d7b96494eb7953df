"""How the files of one modality become a tensor: frames, stored arrays, text; sound is in its own module."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from mmpid.datasets.restricted import read_pickled_array
from mmpid.errors import InputError, MissingDependencyError

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, which the field's loaders use
FLOW_MEAN, FLOW_STD = 0.5, 0.25


def require_pillow() -> None:
    """Refuse to go on without Pillow, which decodes images."""
    try:
        import PIL  # noqa: F401
    except ModuleNotFoundError as missing:
        raise MissingDependencyError(
            "reading and writing images needs Pillow, which is not installed. Try: pip install 'mmpid[data]'"
        ) from missing


@dataclass(frozen=True)
class Frames:
    """`count` frames at the middles of as many equal parts of a clip: (count, 3, size, size); one has no frame axis."""

    size: int
    count: int = 1

    def __call__(self, paths: Sequence[Path]) -> Tensor:
        """Return the frames of a clip, normalized as ImageNet is."""
        chosen = [paths[min(int((i + 0.5) * len(paths) / self.count), len(paths) - 1)] for i in range(self.count)]
        frames = normalized(torch.stack([read_image(path, self.size, "RGB") for path in chosen]))
        return frames[0] if self.count == 1 else frames


@dataclass(frozen=True)
class Flow:
    """Optical flow as gray images: the middle pair of `u` and `v`, (2, size, size)."""

    size: int

    def __call__(self, paths: Sequence[Path]) -> Tensor:
        """Return one pair of flow images."""
        half = len(paths) // 2  # u first, then v, in the same order
        pair = [paths[half // 2], paths[half + half // 2]]
        return (torch.cat([read_image(path, self.size, "L") for path in pair]) - FLOW_MEAN) / FLOW_STD


def normalized(frames: Tensor) -> Tensor:
    """Return frames (n, 3, h, w) of 0..1 with ImageNet's mean and deviation taken out."""
    return (frames - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


def read_image(path: Path, size: int, mode: str) -> Tensor:
    """Return an image as (channels, size, size) in 0..1."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert(mode).resize((size, size), Image.Resampling.BILINEAR), dtype=np.float32)
    except Exception as problem:  # decoders raise errors of many kinds
        raise InputError(f"{path} is not a readable image: {problem}. Leave it out, or extract it again.") from problem
    return torch.as_tensor(pixels / 255).reshape(size, size, -1).permute(2, 0, 1)


@dataclass(frozen=True)
class StoredArray:
    """An array as others computed it, from .npy, .pt (weights only) or .pkl (restricted): nothing of a file runs."""

    shift: float = 0.0
    scale: float = 1.0

    def __call__(self, paths: Sequence[Path]) -> Tensor:
        """Return the stored array as float32."""
        array = read_array(paths[0])
        return (array.to(torch.float32) - self.shift) / self.scale


def read_array(path: Path) -> Tensor:
    """Return a stored array of numbers."""
    try:
        if path.suffix == ".npy":
            return torch.as_tensor(np.load(path, allow_pickle=False))
        if path.suffix == ".pkl":
            return torch.as_tensor(read_pickled_array(path).copy())
        found = torch.load(path, map_location="cpu", weights_only=True)
    except InputError:
        raise
    except Exception as problem:
        raise InputError(f"{path} is not a readable array of numbers: {problem}. Leave the clip out.") from problem
    if not isinstance(found, Tensor):
        raise InputError(f"{path} must hold one tensor; it holds {type(found).__name__}.")
    return found.detach()


@dataclass(frozen=True)
class HashedText:
    """Text as counts of words in `size` hashed columns, mean square 1: no vocabulary, so nothing is fitted."""

    size: int = 512

    def __call__(self, text: str) -> Tensor:
        """Return the counts of a text's words."""
        from sklearn.feature_extraction.text import HashingVectorizer

        row = cast(Any, HashingVectorizer(n_features=self.size, alternate_sign=False).transform([text]))
        return torch.as_tensor((row.toarray()[0] * self.size**0.5).astype(np.float32))

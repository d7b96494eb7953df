"""av-digits: scikit-learn's handwritten digits, each paired with a synthetic spoken clip of the same digit."""

from importlib.resources import files
from typing import Any, cast

import numpy as np

from mmpid import _validate
from mmpid.datasets.multimodal import MultimodalData

# Pairs per class. Digit 8 has 174 images, which the four splits use up; no image and no clip is used twice.
SIZES = {"train": 100, "probe": 24, "validation": 10, "test": 40}
# Share of the 86 voices that each split alone may use, so that no voice is heard in two splits.
# They are no `groups` of the data: to resample whole voices changed no interval's width beyond noise (docs/data.md).
VOICE_SHARES = {"train": 0.50, "probe": 0.16, "validation": 0.09, "test": 0.25}


def load_avdigits(*, seed: int = 0, image_noise: float = 0.4, audio_noise: float = 0.3) -> MultimodalData:
    """Load pairs (spoken digit, written digit): 1000 train, 240 probe, 100 validation, 400 test.

    Parameters
    ----------
    seed : int
        Seed of the pairing, of the splits and of the noise.
    image_noise : float
        Standard deviation of Gaussian pixel noise (pixels run from 0 to 1).
    audio_noise : float
        Scale of multiplicative-gain Gamma noise added to the mel powers.
    """
    from sklearn.datasets import load_digits  # most of the time of `import mmpid`, if it came first

    image_noise = _validate.number(image_noise, "image_noise", low=0)
    audio_noise = _validate.number(audio_noise, "audio_noise", low=0)
    rng = np.random.default_rng([seed, 10])
    digits = cast(Any, load_digits())  # a Bunch: return_X_y is False
    with np.load(str(files("mmpid.datasets") / "files" / "avdigits_audio.npz"), allow_pickle=False) as stored:
        clips = {key: stored[key] for key in stored.files}
    voices = _deal_voices(clips["voice"], rng)
    pairs = {key: [] for key in SIZES}
    for digit in range(10):
        images = np.split(rng.permutation(np.flatnonzero(digits.target == digit)), np.cumsum(list(SIZES.values())))
        for (key, size), chosen in zip(SIZES.items(), images, strict=False):
            spoken = np.flatnonzero((clips["digit"] == digit) & np.isin(clips["voice"], voices[key]))
            pairs[key].append(np.stack([rng.choice(spoken, size, replace=False), chosen]))
    audio, image = np.concatenate([p for part in pairs.values() for p in part], axis=1)
    ends = np.cumsum([0, *(10 * size for size in SIZES.values())])
    level = clips["logmel_lo"] + (clips["logmel_hi"] - clips["logmel_lo"]) * clips["audio"][audio] / 255
    return MultimodalData.from_arrays(
        {
            "audio": _add_hiss(np.exp(level), audio_noise, rng),
            "image": _add_grain(digits.images[image] / 16, image_noise, rng),
        },
        digits.target[image],
        split={key: np.arange(a, b) for key, a, b in zip(SIZES, ends, ends[1:], strict=False)},
        seed=seed,
        name="av-digits",
        class_names=[str(digit) for digit in range(10)],
        options={"image_noise": image_noise, "audio_noise": audio_noise},
    )


def _deal_voices(voice, rng) -> dict[str, np.ndarray]:
    """Give each voice to one split."""
    order = rng.permutation(np.unique(voice))
    cuts = np.round(np.cumsum(list(VOICE_SHARES.values()))[:-1] * len(order)).astype(int)
    return dict(zip(VOICE_SHARES, np.split(order, cuts), strict=True))


def _add_hiss(power: np.ndarray, scale: float, rng) -> np.ndarray:
    """Add Gamma noise with one gain per clip to mel powers, then log and z-score each clip."""
    gain = np.exp(rng.normal(0.0, 0.5, size=(len(power), 1, 1)))
    hiss = 0.05 * rng.gamma(8.0, 1 / 8, size=power.shape) * gain
    log = np.log(power + scale * hiss + 1e-4)
    return (log - log.mean((1, 2), keepdims=True)) / log.std((1, 2), keepdims=True)


def _add_grain(image: np.ndarray, scale: float, rng) -> np.ndarray:
    """Add Gaussian noise to pixels and scale by the mean and spread of the clean images and the noise."""
    noisy = image + scale * rng.normal(size=image.shape)
    return (noisy - 0.3) / np.sqrt(0.37**2 + scale**2)

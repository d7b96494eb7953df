"""av-match: is the spoken digit the written one? Pairs of av-digits' samples in which neither alone tells anything."""

import numpy as np

from mmpid import _validate
from mmpid.datasets.avdigits import load_avdigits
from mmpid.datasets.cuts import SPLITS
from mmpid.datasets.multimodal import MultimodalData

CLASSES = ("different", "same")


def load_avmatch(
    *, seed: int = 0, image_noise: float = 0.0, audio_noise: float = 0.0, pairings: int = 3
) -> MultimodalData:
    """Load pairs (spoken digit, written digit) of the same digit or of two: 6000 train, 480 probe, 200, 800 test.

    Clips and images, splits and noise are those of "av-digits" with the same seed. They meet in blocks of two clips
    and two images of two digits, from which all four pairs are made, so that every single clip and every single image
    stands in as many pairs of one class as of the other.

    Parameters
    ----------
    seed : int
        Seed of av-digits and of the pairing.
    image_noise, audio_noise : float
        As in "av-digits"; a clip or an image has the same noise in all its pairs.
    pairings : int
        How often the training samples are put into blocks again; those of the other splits are put once.

    Notes
    -----
    A block is a group. Blocks of one split share nothing, but with several pairings those of training do.
    """
    pairings = _validate.number(pairings, "pairings", low=1, integer=True)
    digits = load_avdigits(seed=seed, image_noise=image_noise, audio_noise=audio_noise)
    rng = np.random.default_rng([seed, 20])
    blocks = {name: [] for name in SPLITS}
    for name in SPLITS:
        index = digits.splits[name].numpy()
        by_digit = np.stack([index[digits.target[index].numpy() == digit] for digit in range(digits.n_classes)])
        for _ in range(pairings if name == "train" else 1):
            blocks[name].append(_make_blocks(by_digit, rng))
    audio, image, same = (np.concatenate([b[i] for part in blocks.values() for b in part]) for i in range(3))
    sizes = [sum(len(b[2]) for b in part) for part in blocks.values()]
    return MultimodalData.from_arrays(
        {"audio": digits.inputs["audio"][audio], "image": digits.inputs["image"][image]},
        same,
        split=np.repeat(SPLITS, sizes),
        groups=np.arange(len(same)) // 4,
        seed=seed,
        name="av-match",
        class_names=CLASSES,
        options={"image_noise": image_noise, "audio_noise": audio_noise, "pairings": pairings},
    )


def _make_blocks(by_digit: np.ndarray, rng) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return clips, images and labels of all pairs, four a block, from the samples (digit, n) of one split.

    Each of n rounds takes one clip and one image of every digit and cuts the ten digits at random into five twos.
    """
    n_digits, n = by_digit.shape
    twos = rng.permuted(np.tile(np.arange(n_digits), (n, 1)), axis=1)
    rounds = np.arange(n)[:, None]
    clip, picture = (rng.permuted(by_digit, axis=1)[twos, rounds].reshape(-1, 2) for _ in range(2))
    audio, image = clip[:, [0, 1, 0, 1]].ravel(), picture[:, [0, 1, 1, 0]].ravel()
    return audio, image, np.tile([1, 1, 0, 0], len(clip))

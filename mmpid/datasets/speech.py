"""pd-speech and japanese-vowels: measurements of real voices, two sets with little to gain."""

from collections.abc import Sequence

import numpy as np

from mmpid import _validate
from mmpid.datasets.grouped import build_real, check_views, stored
from mmpid.datasets.multimodal import MultimodalData

VIEWS = ("voice", "mfcc", "wavelet", "tqwt")
CUT = 5.0  # interquartile ranges from the median; a few values lie far beyond
RUN = 5  # consecutive utterances of a speaker that stay together


def load_pdspeech(*, seed: int = 0, views: Sequence[str] = VIEWS) -> MultimodalData:
    """Load 252 persons, 188 of them with Parkinson's disease: features of a held vowel, mean of three recordings each.

    Parameters
    ----------
    seed : int
        Seed of the splits.
    views : sequence of str
        Two or more of "voice" (52 numbers), "mfcc" (84), "wavelet" (182) and "tqwt" (432).

    Notes
    -----
    Fifty persons in the test split: an accuracy is known to 11 points either way. Sex is a confounder (107 of 188
    against 23 of 64 are men). Nothing here tells how to diagnose anyone.
    """
    views = check_views(views, VIEWS)
    table = stored("pd_speech.npz")
    inputs = {view: np.clip(table[view].astype(np.float64), -CUT, CUT) for view in views}
    options = {"views": list(views)}
    return build_real(
        "pd-speech", inputs, table["label"], table["label_names"], groups=None, seed=seed, options=options
    )


def load_vowels(*, seed: int = 0, frames: int = 16) -> MultimodalData:
    """Load 640 utterances of one vowel by nine men: who speaks? `low` and `high`, six cepstra over time each.

    Parameters
    ----------
    seed : int
        Seed of the splits.
    frames : int
        Points of time to which an utterance of 7 to 29 frames is resampled.

    Notes
    -----
    Cepstra 1 to 6 and 7 to 12 are two parts of one description, not two sensors. Five consecutive utterances of a
    speaker are a group.
    """
    frames = _validate.number(frames, "frames", low=4, high=64, integer=True)
    table = stored("japanese_vowels.npz")
    speaker, offset = table["speaker"].astype(int), table["offset"]
    clips = [table["cepstra"][a:b].astype(np.float64) for a, b in zip(offset, offset[1:], strict=False)]
    time = np.linspace(0, 1, frames)
    cepstra = np.stack([[np.interp(time, np.linspace(0, 1, len(c)), c[:, d]) for d in range(12)] for c in clips])
    block = np.r_[0, np.cumsum(np.diff(speaker) != 0)]
    first = np.searchsorted(block, block)
    groups = block * 100 + (np.arange(len(speaker)) - first) // RUN
    names = [f"speaker {i + 1}" for i in range(9)]
    inputs = {"low": cepstra[:, :6], "high": cepstra[:, 6:]}
    return build_real("japanese-vowels", inputs, speaker, names, groups=groups, seed=seed, options={"frames": frames})

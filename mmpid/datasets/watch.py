"""watch: accelerometer and gyroscope of a smartwatch during seven shoulder exercises."""

from importlib.resources import files

import numpy as np

from mmpid import _validate
from mmpid.datasets.multimodal import MultimodalData

WINDOW = 50  # two seconds at 25 Hz
SUBJECTS = {"train": 5, "probe": 1, "validation": 1, "test": 3}


def load_watch(*, seed: int = 0, stride: int = 25) -> MultimodalData:
    """Load windows of 2 s, (3 axes, 50 samples) a sensor; the ten subjects are dealt 5 / 1 / 1 / 3 to the splits.

    Windows of one recording form a group. Each subject made 14 of them, an exercise with the left or the right arm.

    Parameters
    ----------
    seed : int
        Seed of the deal.
    stride : int
        Samples between the starts of neighboring windows; 25 overlaps them by half, 50 not at all.

    Notes
    -----
    The probe split is one subject: an interval that resamples its 14 recordings tells how the estimate would move with
    other recordings of that subject, not with another subject.
    """
    stride = _validate.number(stride, "stride", low=1, high=WINDOW, integer=True)
    with np.load(str(files("mmpid.datasets") / "files" / "watch_25hz.npz"), allow_pickle=False) as stored:
        raw = {key: stored[key] for key in stored.files}
    starts, recording = _window_starts(raw["offset"], stride)
    subject = raw["subject"][recording]
    split = _deal_subjects(subject, np.random.default_rng([seed, 20]))
    rows = starts[:, None] + np.arange(WINDOW)
    inputs = {}
    for sensor in ("accelerometer", "gyroscope"):
        signal = (raw[sensor] * raw[f"{sensor}_scale"])[rows].transpose(0, 2, 1)
        train = signal[split["train"]]
        inputs[sensor] = (signal - train.mean((0, 2), keepdims=True)) / train.std((0, 2), keepdims=True)
    return MultimodalData.from_arrays(
        inputs,
        raw["label"][recording].astype(np.int64),
        split=split,
        groups=recording,
        seed=seed,
        name="watch",
        class_names=raw["label_names"].tolist(),
        options={"stride": stride},
    )


def _window_starts(offset: np.ndarray, stride: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first row of each window and the recording that it is cut from."""
    starts = [np.arange(a, b - WINDOW + 1, stride) for a, b in zip(offset, offset[1:], strict=False)]
    return np.concatenate(starts), np.repeat(np.arange(len(starts)), [len(s) for s in starts])


def _deal_subjects(subject: np.ndarray, rng) -> dict[str, np.ndarray]:
    order = rng.permutation(np.unique(subject))
    parts = np.split(order, np.cumsum(list(SUBJECTS.values()))[:-1])
    return {key: np.flatnonzero(np.isin(subject, part)) for key, part in zip(SUBJECTS, parts, strict=True)}

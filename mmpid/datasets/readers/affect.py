"""MOSI, MOSEI, UR-FUNNY and MUStARD as feature files: one pickle with vision, audio and text of each split."""

from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np

from mmpid import _validate
from mmpid.datasets.inspection import list_files
from mmpid.datasets.layouts import SPLIT_NAMES
from mmpid.datasets.multimodal import MultimodalData
from mmpid.datasets.readers.clips import layout_of
from mmpid.datasets.readers.describe import described
from mmpid.datasets.restricted import ARRAYS, load_restricted
from mmpid.errors import InputError

TITLE = "affect features in one pickle (MultiBench, MulT, MMSA)"
MODALITIES = ("vision", "audio", "text")
LABELS = ("labels", "regression_labels", "label")


def read_affect(root: Path, *, positive: str = ">0", split: str = "official", **options) -> MultimodalData:
    """Open a feature file with a reader that makes arrays and nothing else, and call scores negative or positive.

    Parameters
    ----------
    root : Path
        The folder with one such file.
    positive : {">0", ">=0"}
        Which scores are positive: MultiBench says > 0, BalanceBenchmark >= 0. Labels 0 and 1 stay as they are.
    split : {"official", "random"}
        The split of the file, or one by seed.
    **options
        Passed on to :meth:`mmpid.MultimodalData.from_arrays`.

    Notes
    -----
    Samples are (time, features). Rows whose text is all zero are left out and infinite audio is set to 0, as MultiBench
    does; both are counted in `notes`.
    """
    _validate.choice(positive, "positive", (">0", ">=0"))
    _validate.choice(split, "split", ("official", "random"))
    files, _ = list_files(root)
    places = [name for name in files if layout_of(TITLE).match(name)]
    if len(places) != 1:
        raise InputError(
            f"{root} must hold one feature file; it holds {', '.join(places) or 'none'}. Put each into its own folder."
        )
    stored = load_restricted((root / places[0]).read_bytes(), ARRAYS, places[0])
    parts = _parts(stored, places[0])
    inputs = {m: np.concatenate([part[m] for part in parts.values()]) for m in MODALITIES}
    scores = np.concatenate([part["labels"] for part in parts.values()])
    names = np.repeat(list(parts), [len(part["labels"]) for part in parts.values()])
    inputs, kept, notes = _clean(inputs)
    binary = set(np.unique(scores)) <= {0.0, 1.0}
    label = scores > 0 if positive == ">0" or binary else scores >= 0
    if not binary:
        notes.append(f"scores from {scores.min():g} to {scores.max():g} are positive where {positive}; "
                     f"{int((scores[kept] == 0).sum())} are exactly 0.")  # fmt: skip
    options = described(
        options, name=Path(places[0]).stem, origin="affect features, from a folder", layout=TITLE,
        positive="labels are 0 and 1" if binary else positive,
    )  # fmt: skip
    data = MultimodalData.from_arrays(
        {m: x[kept] for m, x in inputs.items()}, label[kept].astype(int), class_names=["negative", "positive"],
        split=names[kept] if split == "official" else None, **options,
    )  # fmt: skip
    return replace(data, notes=tuple(notes) + data.notes)


def _parts(stored, name: str) -> dict[str, dict[str, np.ndarray]]:
    """Return the arrays of each split, with our names."""
    parts = {}
    for split, part in stored.items() if isinstance(stored, dict) else ():
        own = SPLIT_NAMES.get(split, split)
        label = next((key for key in LABELS if isinstance(part, dict) and key in part), None)
        if own not in ("train", "validation", "test") or label is None or not all(m in part for m in MODALITIES):
            continue
        arrays = {m: _numbers(part[m], f"{split}/{m} of {name}") for m in MODALITIES}
        scores = _numbers(part[label], f"{split}/{label} of {name}")
        parts[own] = arrays | {"labels": scores.reshape(len(scores), -1)[:, 0]}
        sizes = {key: len(x) for key, x in parts[own].items()}
        if len(set(sizes.values())) > 1:
            raise InputError(f"{split} of {name} must have the same number of samples in every array; it had {sizes}.")
    if not {"train", "test"} <= set(parts):
        raise InputError(f"{name} must map train and test to {', '.join(MODALITIES)} and labels; it does not.")
    return parts


def _numbers(value, what: str) -> np.ndarray:
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiub" or value.ndim == 0:
        raise InputError(f"{what} must be an array of numbers; it was {type(value).__name__}.")
    return value.astype(np.float32)


def _clean(inputs: dict[str, np.ndarray]) -> tuple[dict, np.ndarray, list[str]]:
    """Set infinite audio to 0, find rows without text, and count both."""
    notes = []
    infinite = np.isinf(inputs["audio"])
    if infinite.any():
        rows = int(infinite.reshape(len(infinite), -1).any(1).sum())
        notes.append(f"infinite audio in {rows:,} samples is set to 0.")
        inputs["audio"] = np.where(infinite, 0, inputs["audio"])
    kept = cast(np.ndarray, inputs["text"].reshape(len(inputs["text"]), -1).any(1))
    if not kept.all():
        notes.append(f"left out: {int((~kept).sum()):,} samples whose text is all zero.")
    return inputs, kept, notes

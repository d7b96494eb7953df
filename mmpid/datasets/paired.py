"""Datasets put beside each other, and labels and groups of several loaders put one after the other."""

from collections.abc import Mapping, Sized
from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from mmpid import _validate
from mmpid.datasets.groups import group_entries
from mmpid.datasets.splits import rename_splits
from mmpid.datasets.stream import Source
from mmpid.errors import InputError, ShapeError


class PairedDatasets(Dataset):
    """One map-style dataset per modality, sample by sample: item i is ({name: x_i}, y_i)."""

    def __init__(self, datasets: Mapping[str, Dataset], target: Tensor | None):
        self.datasets, self.target = dict(datasets), target

    def __len__(self) -> int:
        return len(cast(Sized, next(iter(self.datasets.values()))))

    def __getitem__(self, i: int):
        inputs, labels = {}, {}
        for name, dataset in self.datasets.items():
            item = dataset[i]
            inputs[name] = item
            if isinstance(item, (tuple, list)) and len(item) == 2:
                inputs[name], labels[name] = item[0], item[1]
        return inputs, self._label(i, labels)

    def _label(self, i: int, labels: dict) -> int:
        if self.target is not None:
            return int(self.target[i])
        if not labels:
            raise InputError("no dataset gives labels: items must be (x, label) in one of them. Or give `target`.")
        labels = {name: class_index(label, f"sample {i} of {name!r}") for name, label in labels.items()}
        if len(set(labels.values())) > 1:
            said = ", ".join(f"{name} {label}" for name, label in labels.items())
            raise InputError(
                f"the labels of sample {i} disagree between modalities: {said}. Are the datasets in the same order?"
            )
        return next(iter(labels.values()))


def class_index(label, where: str) -> int:
    """Return the label of one sample as an integer; refuse what would have to be rounded, and text."""
    if isinstance(label, str | bytes):
        raise InputError(
            f"the label of {where} is text, {label!r}. Give the labels of all samples as "
            f"`target=[label for _, label in dataset]`, where text is understood."
        )
    try:
        return int(_validate.labels(np.asarray(label).reshape(1) if np.ndim(label) == 0 else label, "label", 1))
    except InputError as problem:
        raise InputError(
            f"labels must be class indices, one integer per sample; that of {where} was {label!r:.60}. Return an int, "
            f"or give the classes as `target=`."
        ) from problem


def join_targets(target, sources: Mapping[str, Source]) -> tuple[object, int]:
    """Return the labels of all samples in the order of the sources, and how many there are."""
    target = rename_splits(target, "target", []) if isinstance(target, Mapping) else None
    if target is None or set(target) != set(sources):
        raise InputError(f"`target` must map each of {', '.join(sources)} to its labels, or be None to read them.")
    for name, source in sources.items():
        held = len(_validate.entries(target[name])) if np.ndim(target[name]) else 0
        if held != len(source):
            raise ShapeError(f"`target[{name!r}]` must have one entry per sample, {len(source)}; it had {held}.")
    parts = [target[name] for name in sources]
    total = sum(map(len, sources.values()))
    if any(str(getattr(part, "dtype", "")) == "category" for part in parts):
        return _join_categories(parts), total
    if any(map(_validate.is_text, parts)):
        return np.concatenate([_validate.entries(part).astype(object).reshape(-1) for part in parts]), total
    return torch.cat([_validate.labels(target[name], f"target[{name!r}]") for name in sources]), total


def _join_categories(parts):
    import pandas as pd

    columns = [pd.Series(part) for part in parts]
    joined = pd.concat(columns, ignore_index=True)
    if str(joined.dtype) != "category" and any(getattr(column.dtype, "ordered", False) for column in columns):
        raise InputError(
            "`target` must have the same ordered categories in every split, or their order is lost. Try "
            "`column.cat.set_categories(categories, ordered=True)` with one list for all."
        )
    return joined


def join_groups(groups, sources: Mapping[str, Source]) -> np.ndarray | None:
    """Return the groups of all samples in the order of the sources; a name in two of them is one group."""
    if groups is None:
        return None
    groups = rename_splits(groups, "groups", []) if isinstance(groups, Mapping) else None
    if groups is None or set(groups) != set(sources):
        raise InputError(f"`groups` must map each of {', '.join(sources)} to the groups of its samples, or be None.")
    parts = [group_entries(groups[name], len(source), f"groups[{name!r}]") for name, source in sources.items()]
    return group_entries(np.concatenate(parts), sum(map(len, parts)))

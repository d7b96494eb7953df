"""Samples that lack a modality: refuse them or leave them out, and say how many there were."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from mmpid import _validate
from mmpid.datasets.splits import SPLITS, are_fractions, as_index
from mmpid.errors import InputError, MissingDataWarning, warn


def find_complete(tensors: Mapping[str, Tensor], missing: str) -> Tensor | None:
    """Return the mask (N,) of samples without NaN if some are to be dropped, None if all are complete.

    NaN marks what is missing; infinity is a mistake and always refused.
    """
    _validate.choice(missing, "missing", ("refuse", "drop"))
    gaps = {name: torch.isnan(x.flatten(1)).any(1) for name, x in tensors.items()}
    for name, x in tensors.items():
        _validate.finite(x[~gaps[name]], f"inputs[{name!r}]")
    counts = {name: int(gap.sum()) for name, gap in gaps.items() if gap.any()}
    if not counts:
        return None
    length = len(next(iter(gaps.values())))
    listed = ", ".join(f"{count} in {name!r}" for name, count in counts.items())
    if missing == "refuse":
        name = next(iter(counts))
        first = int(gaps[name].nonzero()[0])
        raise InputError(
            f"`inputs[{name!r}]` must be finite; {counts[name]} of {length} samples hold NaN, the first is sample "
            f"{first} (all modalities: {listed}). Leave such samples out with missing='drop', or impute them first."
        )
    lost = torch.stack(list(gaps.values())).any(0)
    warn(
        f"{int(lost.sum())} of {length} samples hold NaN and are left out ({listed}). If they are not missing at "
        f"random, what is measured holds for the complete samples only.",
        MissingDataWarning,
    )
    if lost.all():
        raise InputError(f"every sample holds NaN in some modality ({listed}); nothing is left. Impute them first.")
    return (~lost).cpu()


def keep_of_each(values, kept: Tensor) -> np.ndarray | None:
    """Return the entries of the kept samples; what has not one entry a sample is left for others to refuse."""
    if values is None:
        return None
    entries = _validate.entries(values)
    return entries[kept.numpy()] if entries.shape == tuple(kept.shape) else entries


def keep_in_split(split, kept: Tensor):
    """Return `split` for the kept samples alone: index arrays are renumbered, names are selected."""
    keep = kept.numpy()
    if split is None:
        return None
    if not isinstance(split, Mapping):
        return keep_of_each(split, kept)
    if are_fractions(split):
        return split
    place = np.cumsum(keep) - 1
    out = dict(split)
    for name in SPLITS:
        index = as_index(split.get(name, []), name, len(keep))
        if index.ndim == 1 and len(index) and index.min() >= 0 and index.max() < len(keep):
            out[name] = place[index[keep[index]]]
    return out

"""Samples that lack a modality: refuse them or leave them out, and say how many there were."""

from collections.abc import Collection, Mapping

import numpy as np
import torch
from torch import Tensor

from mmpid import _validate
from mmpid.datasets.splits import are_fractions, as_index
from mmpid.errors import InputError, MissingDataWarning, warn


def find_complete(tensors: Mapping[str, Tensor], missing: str, imputed: Collection[str] = ()) -> Tensor | None:
    """Return the mask (N,) of samples without NaN if some are to be dropped, None if all are complete.

    NaN marks what is missing; infinity is a mistake and always refused. Modalities that will be `imputed` may hold NaN.
    """
    _validate.choice(missing, "missing", ("refuse", "drop"))
    gaps = {name: torch.isnan(x.flatten(1)).any(1) for name, x in tensors.items()}
    for name, x in tensors.items():
        _refuse_infinite(x, name)
    counts = {name: int(gap.sum()) for name, gap in gaps.items() if gap.any() and name not in imputed}
    if not counts:
        return None
    length = len(next(iter(gaps.values())))
    listed = ", ".join(f"{count} in {name!r}" for name, count in counts.items())
    if missing == "refuse":
        name = next(iter(counts))
        first = int(gaps[name].nonzero()[0])
        raise InputError(
            f"`inputs[{name!r}]` must be finite; {counts[name]} of {length} samples hold NaN, the first is sample "
            f"{first} (all modalities: {listed}). Leave such samples out with missing='drop', or fill the gaps with "
            f"impute={{{name!r}: 'median'}}."
        )
    lost = torch.stack([gaps[name] for name in counts]).any(0)
    warn(
        f"{int(lost.sum())} of {length} samples hold NaN and are left out ({listed}). If they are not missing at "
        f"random, the results hold for complete samples only.",
        MissingDataWarning,
    )
    if lost.all():
        raise InputError(
            f"every sample holds NaN in some modality ({listed}); nothing is left. Fill the gaps with impute='median'."
        )
    return (~lost).cpu()


def _refuse_infinite(x: Tensor, name: str) -> None:
    infinite = torch.isinf(x) if x.is_floating_point() else torch.zeros(1, dtype=torch.bool)
    if infinite.any():
        first = tuple(int(i) for i in infinite.nonzero()[0])
        raise InputError(
            f"`inputs[{name!r}]` must be finite; {int(infinite.sum())} of {x.numel()} entries are infinite, the first "
            f"at index {first}. If they stand for missing values, make them NaN: `x[numpy.isinf(x)] = numpy.nan`."
        )


def keep_of_each(values, kept: Tensor) -> np.ndarray | None:
    """Return the entries of the kept samples; what has not one entry per sample is left for others to refuse."""
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
    split = {key: value for key, value in split.items() if value is not None}
    place = np.cumsum(keep) - 1
    out = dict(split)
    for name in split:
        index = as_index(split[name], name, len(keep))
        if index.ndim == 1 and len(index) and index.min() >= 0 and index.max() < len(keep):
            out[name] = place[index[keep[index]]]
    return out

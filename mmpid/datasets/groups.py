"""Groups of samples that depend on each other, and samples that stand in more than one split."""

import hashlib

import numpy as np
import torch
from torch import Tensor

from mmpid import _validate
from mmpid.datasets.cuts import SPLITS
from mmpid.errors import InputError, LeakageWarning, ShapeError, warn


def group_entries(groups, length: int, name: str = "groups") -> np.ndarray:
    """Return the groups as an array of `length` numbers or texts; refuse gaps, which would count as one group."""
    from pandas import isna

    entries = _validate.entries(groups)
    if entries.shape != (length,):
        raise ShapeError(
            f"`{name}` must name the group of each of the {length} samples; its shape was {entries.shape}. "
            f"Give one entry per sample, in the order of the samples."
        )
    lacking = np.flatnonzero(isna(entries))
    if len(lacking):
        raise InputError(
            f"`{name}` must name a group for every sample; {len(lacking)} of {length} entries are None or NaN, the "
            f"first at index {lacking[0]}: they would count as one group. Leave those samples out, or give each a "
            f"group of its own."
        )
    try:
        np.unique(entries)
    except TypeError as problem:
        raise InputError(
            f"`{name}` must be numbers throughout, or text throughout; they cannot be compared: {problem}. Try "
            f"numpy.asarray({name}).astype(str)."
        ) from problem
    return entries


def read_groups(groups, length: int) -> Tensor | None:
    """Return the group of each sample, numbers or text, as int64 (N,) counted from 0, on the CPU."""
    if groups is None:
        return None
    return torch.as_tensor(np.unique(group_entries(groups, length), return_inverse=True)[1])


def check_groups(groups, splits) -> None:
    """Warn when a group (speaker, subject) has samples in more than one split."""
    if groups is None:
        return
    groups = np.asarray(groups)
    seen = {key: set(groups[index.cpu().numpy()].tolist()) for key, index in splits.items()}
    shared = {g for a in SPLITS for b in SPLITS if a < b for g in seen[a] & seen[b]}
    if shared:
        warn(
            f"{len(shared)} of {len(set(groups.tolist()))} groups have samples in more than one split: "
            f"accuracy then measures recognition of the group. Let `from_arrays` cut by `groups`.",
            LeakageWarning,
        )


def warn_duplicates(tensors, splits) -> None:
    """Warn when a sample of the training split stands again, bit for bit, in another split."""
    rows = [x.cpu().contiguous().numpy() for x in tensors.values()]

    def key(i: int) -> bytes:
        digest = hashlib.blake2b(digest_size=16)
        for x in rows:
            digest.update(x[i].tobytes())
        return digest.digest()

    train = {key(i) for i in splits["train"].tolist()}
    copies = sum(key(i) in train for name in SPLITS[1:] for i in splits[name].tolist())
    if copies:
        warn(
            f"{copies} samples outside the training split are exact copies of training samples: "
            f"held-out figures will be too good. Remove duplicates before splitting.",
            LeakageWarning,
        )

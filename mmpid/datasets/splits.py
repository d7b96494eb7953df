"""Cut samples into train / probe / validation / test, by seed, and without leakage."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from mmpid import _validate
from mmpid.errors import ConfigError, InputError, LeakageWarning, ShapeError, warn

SPLITS = ("train", "probe", "validation", "test")
DEFAULT_FRACTIONS = {"train": 0.60, "probe": 0.15, "validation": 0.10, "test": 0.15}


def make_splits(split, target: Tensor, *, groups=None, seed: int = 0) -> dict[str, Tensor]:
    """Return {split name: sample indices} from fractions, index arrays, one name a sample, or the default fractions.

    Fractions are cut class by class; with `groups`, whole groups are dealt out instead, largest first, each to the
    split that is furthest below its share.
    """
    if groups is not None:
        groups = group_entries(groups, len(target))
    if split is None:
        split = DEFAULT_FRACTIONS
    if not isinstance(split, Mapping):
        return _from_names(split, len(target))
    for key in split:
        _validate.choice(key, "split", SPLITS)
    if are_fractions(split):
        fractions = _check_fractions(split)
        rng = np.random.default_rng([seed, 0])
        cut = cut_groups(groups, fractions, rng) if groups is not None else cut_classes(target, fractions, rng)
        return {key: torch.as_tensor(np.sort(index)) for key, index in cut.items()}
    return _from_indices(split, len(target))


def are_fractions(split: Mapping) -> bool:
    """Whether a mapping gives single numbers, not samples."""
    return all(_validate.entries(value).ndim == 0 for value in split.values())


def _check_fractions(split) -> dict[str, float]:
    missing = [key for key in SPLITS if key not in split]
    shares = {key: _validate.number(np.asarray(share)[()], f"split[{key!r}]") for key, share in split.items()}
    total = sum(shares.values())
    if missing or min(shares.values()) <= 0 or total > 1 + 1e-9:
        raise ConfigError(
            f"`split` fractions must be positive for each of {', '.join(SPLITS)} and add up to at most 1; "
            f"they were {dict(split)} (sum {total:g}). For example {DEFAULT_FRACTIONS}."
        )
    return {key: shares[key] for key in SPLITS}


def cut_classes(target: Tensor, fractions, rng) -> dict[str, np.ndarray]:
    """Cut every class by the fractions; what rounding leaves goes to the last split if the fractions add up to 1."""
    parts = {key: [] for key in fractions}
    labels = target.cpu().numpy()
    bounds = np.cumsum(list(fractions.values()))
    for label in np.unique(labels):
        index = rng.permutation(np.flatnonzero(labels == label))
        cuts = np.floor(bounds * len(index) + 1e-9).astype(int)
        for key, part in zip(fractions, np.split(index, cuts)[: len(parts)], strict=True):
            if len(part) == 0:
                raise InputError(
                    f"class {label} has {len(index)} samples, too few to put one into each of {', '.join(parts)}. "
                    f"Add samples, drop the class, or give `split` as index arrays."
                )
            parts[key].append(part)
    return {key: np.concatenate(part) for key, part in parts.items()}


def cut_groups(groups, fractions, rng) -> dict[str, np.ndarray]:
    """Deal whole groups to the split that is furthest below its share of samples."""
    names, codes, sizes = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    if len(names) < len(fractions):
        raise InputError(
            f"`groups` must have at least {len(fractions)} groups, one for each split; it had {len(names)}. "
            f"Give `split` as index arrays, or group more finely."
        )
    order = rng.permutation(len(names))
    order = order[np.argsort(-sizes[order], kind="stable")]
    filled = dict.fromkeys(fractions, 0.0)
    home = {}
    for group in order:
        key = min(fractions, key=lambda k: filled[k] / fractions[k])
        home[group] = key
        filled[key] += sizes[group]
    owner = np.array([home[g] for g in range(len(names))])[codes]
    return {key: np.flatnonzero(owner == key) for key in fractions}


def _from_names(split, length: int) -> dict[str, Tensor]:
    names = np.asarray(split)
    if names.shape != (length,):
        raise ShapeError(f"`split` must name the split of each of the {length} samples; its shape was {names.shape}.")
    for name in sorted(set(map(str, names))):
        _validate.choice(name, "split", SPLITS)
    return _from_indices({key: np.flatnonzero(names == key) for key in SPLITS}, length)


def _from_indices(split, length: int) -> dict[str, Tensor]:
    out = {}
    for key in SPLITS:
        index = torch.as_tensor(as_index(split.get(key, []), key, length))
        if index.ndim != 1 or len(index) == 0:
            raise InputError(
                f"`split[{key!r}]` must hold sample indices; it was empty or missing. "
                f"Each of {', '.join(SPLITS)} is needed."
            )
        if int(index.min()) < 0 or int(index.max()) >= length:
            raise InputError(
                f"`split[{key!r}]` must hold indices 0..{length - 1}; "
                f"it ran from {int(index.min())} to {int(index.max())}. Count samples from 0."
            )
        if len(index.unique()) < len(index):
            raise InputError(
                f"`split[{key!r}]` must hold each sample once; {len(index) - len(index.unique())} of {len(index)} "
                f"indices stand there again, and would count as independent samples. Try numpy.unique; for rare "
                f"classes, class_weight='balanced'."
            )
        out[key] = index
    owners = torch.zeros(length, dtype=torch.int64)
    for index in out.values():
        owners[index.unique()] += 1
    if int(owners.max()) > 1:
        raise InputError(
            f"`split` must give each sample to one split; {int((owners > 1).sum())} samples are in more than one. "
            f"Remove the overlap."
        )
    return out


def as_index(value, name: str, length: int) -> np.ndarray:
    """Return sample indices as int64; a mask of all samples is one way to give them."""
    index = _validate.entries(value)
    if index.dtype == bool and index.shape == (length,):
        return np.flatnonzero(index)
    if index.dtype.kind not in "iu" and index.size:
        raise InputError(
            f"`split[{name!r}]` must hold whole numbers, or True and False for each of the {length} samples; it had "
            f"dtype {index.dtype} and shape {index.shape}. Fractions are single numbers: {DEFAULT_FRACTIONS}."
        )
    return index.astype(np.int64)


def group_entries(groups, length: int, name: str = "groups") -> np.ndarray:
    """Return the groups as an array of `length` numbers or texts; refuse gaps, which would count as one group."""
    from pandas import isna

    entries = _validate.entries(groups)
    if entries.shape != (length,):
        raise ShapeError(
            f"`{name}` must name the group of each of the {length} samples; its shape was {entries.shape}. "
            f"Give one entry a sample, in the order of the samples."
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
            f"`{name}` must be numbers throughout, or text throughout; they cannot be told apart: {problem}. Try "
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
    import hashlib

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

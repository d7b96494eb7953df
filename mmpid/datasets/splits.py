"""Cut samples into train / probe / validation / test, by seed, and without leakage."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from mmpid import _validate
from mmpid.datasets.cuts import CARVED, SPLITS, carve, cut_classes, cut_groups, say_carved
from mmpid.datasets.groups import group_entries
from mmpid.errors import ConfigError, InputError, ShapeError

DEFAULT_FRACTIONS = {"train": 0.60, "probe": 0.15, "validation": 0.10, "test": 0.15}
NEEDED = ("train", "test")  # splits that must be given; the others can be cut out of the training samples
ALIASES = {"val": "validation", "valid": "validation", "dev": "validation", "training": "train", "testing": "test"}


def make_splits(
    split, target: Tensor, *, groups=None, seed: int = 0, class_names: Sequence[str] = (), notes: list | None = None
) -> dict[str, Tensor]:
    """Return {split name: sample indices} from fractions, index arrays, one name per sample, or the default fractions.

    Fractions are cut class by class; with `groups`, whole groups are dealt out, with every class in mind. Where only
    train and test are given, probe and validation are cut out of the training samples. What was taken for granted is
    appended to `notes`.
    """
    notes = [] if notes is None else notes
    groups = None if groups is None else group_entries(groups, len(target))
    split = read_names(DEFAULT_FRACTIONS if split is None else split, len(target), notes)
    rng = np.random.default_rng([seed, 0])
    if are_fractions(split):
        fractions = _check_fractions(split, notes)
        if groups is None:
            cut = cut_classes(target, fractions, rng, class_names)
        else:
            cut = cut_groups(groups, target, fractions, rng)
        return {key: torch.as_tensor(np.sort(cut[key])) for key in SPLITS}
    missing = _missing(split)
    given = _from_indices(split, len(target))
    if missing:
        notes.append(say_carved(missing))
        given |= carve(given["train"], missing, target, groups, rng, class_names)
    return {key: torch.as_tensor(given[key]) for key in SPLITS}


def read_names(split, length: int, notes: list) -> Mapping:
    """Return `split` as a mapping from our own names; other usual names of a split are understood, and noted."""
    if not isinstance(split, Mapping):
        names = _validate.entries(split)
        if names.shape != (length,):
            raise ShapeError(
                f"`split` must name the split of each of the {length} samples; its shape was {names.shape}."
            )
        names = np.array([str(name) for name in names])
        split = {name: np.flatnonzero(names == name) for name in sorted(set(names.tolist()))}
    return rename_splits(split, "split", notes)


def rename_splits(split: Mapping, argument: str, notes: list) -> dict:
    """Return a mapping with the names of our splits; refuse unknown names, and two names of one split."""
    out = {}
    for key, value in split.items():
        name = ALIASES.get(key, key) if isinstance(key, str) else key
        _validate.choice(name, argument, SPLITS)
        if name in out:
            raise ConfigError(
                f"`{argument}` must hold each split once; {key!r} is another name of {name!r}. Join them."
            )
        if name != key:
            notes.append(f"the split named {key!r} is taken as {name!r}.")
        out[name] = value
    return out


def _missing(split: Mapping) -> list[str]:
    """Return the splits to be cut out of the training samples; refuse data without training or test samples."""
    missing = [key for key in SPLITS if split.get(key) is None]
    for key in missing:
        if key in NEEDED:
            raise InputError(_empty(key))
    return missing


def _empty(key: str) -> str:
    return (
        f"`split[{key!r}]` must hold sample indices; it was empty or missing. Give at least train and test: probe and "
        f"validation are then cut out of the training samples."
    )


def are_fractions(split: Mapping) -> bool:
    """Whether a mapping gives single numbers, not samples."""
    return bool(split) and all(_validate.entries(value).ndim == 0 and value is not None for value in split.values())


def _check_fractions(split, notes: list) -> dict[str, float]:
    """Return the fraction of each split; where only train and test are given, the training share is divided."""
    shares = {key: _validate.number(np.asarray(share)[()], f"split[{key!r}]") for key, share in split.items()}
    total = sum(shares.values())
    missing = [key for key in SPLITS if key not in shares]
    if missing and not set(missing) & set(NEEDED):
        carved = {key: CARVED[key] * shares["train"] for key in missing}
        shares |= carved | {"train": shares["train"] - sum(carved.values())}
        notes.append(say_carved(missing))
        missing = []
    if missing or min(shares.values()) <= 0 or total > 1 + 1e-9:
        raise ConfigError(
            f"`split` fractions must be positive for each of {', '.join(SPLITS)} and add up to at most 1; "
            f"they were {dict(split)} (sum {total:g}). For example {DEFAULT_FRACTIONS}."
        )
    return {key: shares[key] for key in SPLITS}


def _from_indices(split: Mapping, length: int) -> dict[str, np.ndarray]:
    out = {}
    for key in (key for key in SPLITS if split.get(key) is not None):
        index = as_index(split[key], key, length)
        if index.size == 0:
            raise InputError(_empty(key))
        if index.ndim != 1:
            raise InputError(f"`split[{key!r}]` must hold sample indices on one axis; its shape was {index.shape}.")
        if int(index.min()) < 0 or int(index.max()) >= length:
            raise InputError(
                f"`split[{key!r}]` must hold indices 0..{length - 1}; "
                f"it ran from {int(index.min())} to {int(index.max())}. Count samples from 0."
            )
        once = len(np.unique(index))
        if once < len(index):
            raise InputError(
                f"`split[{key!r}]` must hold each sample once; {len(index) - once} of {len(index)} "
                f"indices are repeated, and would count as independent samples. Try numpy.unique; for rare "
                f"classes, class_weight='balanced'."
            )
        out[key] = index
    owners = np.bincount(np.concatenate(list(out.values())), minlength=length)
    if int(owners.max()) > 1:
        raise InputError(
            f"`split` must give each sample to one split; {int((owners > 1).sum())} samples are in more than one. "
            f"Remove the overlap."
        )
    return out


def as_index(value, name: str, length: int) -> np.ndarray:
    """Return sample indices as int64; a mask of all samples is one way to give them."""
    index = _validate.entries(value)
    if index.dtype == object and index.size and all(isinstance(entry, int | np.integer) for entry in index.flat):
        index = index.astype(bool if all(isinstance(entry, bool | np.bool_) for entry in index.flat) else np.int64)
    if index.dtype == bool and index.shape == (length,):
        return np.flatnonzero(index)
    if index.dtype.kind not in "iu" and index.size:
        raise InputError(
            f"`split[{name!r}]` must hold whole numbers, or True and False for each of the {length} samples; it had "
            f"dtype {index.dtype} and shape {index.shape}. Fractions are single numbers: {DEFAULT_FRACTIONS}."
        )
    return index.astype(np.int64)

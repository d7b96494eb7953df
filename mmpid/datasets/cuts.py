"""Cut samples by fractions: class by class, or whole groups with every class in mind."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from mmpid.errors import InputError

SPLITS = ("train", "probe", "validation", "test")
CARVED = {"probe": 0.15, "validation": 0.10}  # shares of the training samples where only train and test are given
FIRST_SERVED = ("train", "test", "probe")  # splits that get a group of every class where there are enough groups


def cut_classes(target: Tensor, fractions, rng, class_names: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """Cut every class by the fractions; what rounding leaves goes to the last split if the fractions add up to 1."""
    parts = {key: [] for key in fractions}
    labels = target.cpu().numpy()
    bounds = np.cumsum(list(fractions.values()))
    rare = {}
    for label in np.unique(labels):
        index = rng.permutation(np.flatnonzero(labels == label))
        cuts = np.floor(bounds * len(index) + 1e-9).astype(int)
        for key, part in zip(fractions, np.split(index, cuts)[: len(parts)], strict=True):
            if len(part) == 0:
                rare[label] = len(index)
            parts[key].append(part)
    if rare:
        raise InputError(_too_rare(rare, class_names, bounds, list(parts)))
    return {key: np.concatenate(part) for key, part in parts.items()}


def _too_rare(rare: dict, class_names: Sequence[str], bounds: np.ndarray, splits: list[str]) -> str:
    """Say of all classes at once that they are too rare to be cut, and how many samples each class needs."""
    least = int(1 / np.diff(bounds, prepend=0).min())
    needed = next(
        n for n in range(least, 3 * least + 3) if (np.diff(np.floor(bounds * n + 1e-9), prepend=0) >= 1).all()
    )
    named = (f"{class_names[label] if len(class_names) > label else label} ({n})" for label, n in rare.items())
    several = len(rare) > 1
    return (
        f"{len(rare)} class{'es have' if several else ' has'} too few samples to put one into each of "
        f"{', '.join(splits)}: class {', '.join(named)}. These fractions need about {needed} samples per class. "
        f"Add samples, drop or merge rare classes, or give `split` as index arrays."
    )


def cut_groups(groups, target: Tensor, fractions, rng) -> dict[str, np.ndarray]:
    """Deal whole groups so that every split comes close to its share of every class, and of the samples.

    The class with the fewest groups left is dealt first, its largest group to the split that it brings closest to its
    shares. Where a class has just enough groups left, they go to the splits without it: train, test and probe, in that
    order. (Iterative stratification, Sechidis, Tsoumakas & Vlahavas 2011, with groups for samples.)
    """
    names, codes = np.unique(np.asarray(groups), return_inverse=True)
    if len(names) < len(fractions):
        raise InputError(
            f"`groups` must have at least {len(fractions)} groups, one for each split; it had {len(names)}. "
            f"Give `split` as index arrays, or group more finely."
        )
    keys = list(fractions)
    counts = np.zeros((len(names), int(target.max()) + 1))
    np.add.at(counts, (codes, target.cpu().numpy()), 1)
    home = _deal(counts, np.array([fractions[key] for key in keys]), keys, rng)
    owner = home[codes]
    return {key: np.flatnonzero(owner == i) for i, key in enumerate(keys)}


def _deal(counts: np.ndarray, shares: np.ndarray, keys: list[str], rng) -> np.ndarray:
    """Return the split of each group; `counts` is (groups, classes), `shares` one number per split."""
    wanted = shares[:, None] * counts.sum(0)
    held = np.zeros_like(wanted)
    home = np.full(len(counts), -1)
    order = rng.permutation(len(counts))
    queues = [iter(_largest_first(counts[order, label], order)) for label in range(counts.shape[1])]
    left = (counts > 0).sum(0).astype(float)
    first = [keys.index(key) for key in FIRST_SERVED if key in keys]
    empty, remaining = set(range(len(keys))), len(counts)
    while remaining:
        label = int(np.argmin(np.where(left > 0, left, np.inf)))
        group = next(i for i in queues[label] if home[i] < 0)
        lacking = [i for i in first if held[i, label] == 0]
        allowed = np.arange(len(keys))
        if remaining <= len(empty):
            allowed = np.array(sorted(empty))
        elif lacking and left[label] <= len(lacking):
            allowed = np.array(lacking if left[label] == len(lacking) else lacking[:1])
        best = allowed[np.argmin(_cost(counts[group], held[allowed], wanted[allowed]))]
        home[group] = best
        held[best] += counts[group]
        left -= counts[group] > 0
        remaining -= 1
        empty.discard(int(best))
    return home


def _cost(count: np.ndarray, held: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return by how much a group moves each split away from what is wanted: the change of chi squared over classes."""
    change = 2 * count * (held - wanted) + count**2
    return np.round((change / np.maximum(wanted, 1e-9)).sum(1), 9)


def _largest_first(count: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return the groups with samples of a class, the one with most of them first."""
    ranked = np.argsort(-count, kind="stable")
    return order[ranked[: int((count > 0).sum())]]


def carve(rows: np.ndarray, missing: Sequence[str], target: Tensor, groups, rng, class_names=()) -> dict:
    """Cut the splits that are missing out of the training samples `rows`: class by class, or in whole groups."""
    wanted = {name: CARVED[name] for name in missing}
    shares = {"train": 1 - sum(wanted.values()), **wanted}
    labels = target[rows]
    if groups is None:
        cut = cut_classes(labels, shares, rng, class_names)
    else:
        cut = cut_groups(np.asarray(groups)[rows], labels, shares, rng)
    return {name: np.sort(rows[index]) for name, index in cut.items()}


def say_carved(missing: Sequence[str]) -> str:
    """Say which splits were cut out of the training samples."""
    shares = " and ".join(f"{CARVED[name]:.0%} for {name}" for name in missing)
    return f"no {' or '.join(missing)} split was given: of the training samples, {shares} take its place."

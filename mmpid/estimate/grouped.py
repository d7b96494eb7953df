"""Samples in groups with a known answer: what an interval is worth with `groups=`, and without.

Everything in bits. Like `study`, this stands behind docs/estimation.md.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmpid.estimate.estimate import estimate_pid
from mmpid.estimate.results import PIDEstimate
from mmpid.estimate.study import truth
from mmpid.estimate.terms import ATOMS

Codes = NDArray[np.int64]


def confusion(accuracy: float, k: int) -> NDArray[np.float64]:
    """p(predicted class | class), (k, k): right with probability `accuracy`, else any other class."""
    table = np.full((k, k), (1 - accuracy) / (k - 1))
    np.fill_diagonal(table, accuracy)
    return table


def grouped_joint(accuracies: tuple[float, float], k: int) -> Tensor:
    """p(x1, x2, y) of two predictions that are independent given the class, over all groups that there could be."""
    one, two = (confusion(accuracy, k) for accuracy in accuracies)
    return torch.as_tensor(np.einsum("yi,yj->ijy", one, two) / k)


def draw_groups(
    accuracies: tuple[float, float], k: int, n_groups: int, size: int, likeness: float, rng: np.random.Generator
) -> tuple[Codes, Codes, Codes, Codes]:
    """Draw predictions of both sources, classes and groups, each int64 (n_groups * size,).

    A group has one class and, in each source, its own p(x | class) from a Dirichlet distribution around the common one;
    `likeness`, between 0 and 1, is the correlation of two samples of a group that this makes.
    """
    label, strength = np.arange(n_groups) % k, 1 / likeness - 1
    codes: list[Codes] = []
    for accuracy in accuracies:
        own = (rng.dirichlet(strength * confusion(accuracy, k)[y]) for y in label)
        codes.append(np.concatenate([rng.choice(k, size=size, p=p) for p in own]))
    return codes[0], codes[1], np.repeat(label, size), np.repeat(np.arange(n_groups), size)


def simulate_groups(
    n_groups: int,
    likeness: float,
    n_draws: int,
    *,
    accuracies: tuple[float, float] = (0.7, 0.5),
    k: int = 7,
    size: int = 20,
    seed: int = 0,
    **settings: Any,
) -> list[dict[str, float | str]]:
    """Estimate many drawn samples, once by sample and once by group; return a row for each of the two.

    A row has the root-mean-square error of each atom, and the coverage and mean width of its 95 % interval.

    Examples
    --------
    >>> rows = simulate_groups(14, 0.25, 2)
    >>> [row["units"] for row in rows]
    ['samples', 'groups']
    """
    rng, true = np.random.default_rng(seed), truth(grouped_joint(accuracies, k))
    found: dict[str, list[PIDEstimate]] = {"samples": [], "groups": []}
    for _ in range(n_draws):
        *sample, groups = draw_groups(accuracies, k, n_groups, size, likeness, rng)
        for name, given in (("samples", None), ("groups", groups)):
            options: dict[str, Any] = {"n_classes": k, "groups": given, "warn": False, **settings}
            found[name].append(estimate_pid(*sample, discretizer="codes", **options))
    about: dict[str, float | str] = {"n_groups": n_groups, "likeness": likeness, "n_draws": n_draws}
    return [about | {"units": name} | _summary(estimates, true) for name, estimates in found.items()]


def _summary(estimates: list[PIDEstimate], true: dict[str, float]) -> dict[str, float]:
    row: dict[str, float] = {}
    for atom in ATOMS:
        errors = np.array([float(getattr(e.pid, atom)) for e in estimates]) - true[atom]
        low, high = np.array([e.interval[atom] for e in estimates]).T
        row[f"{atom}_rmse"] = float(np.sqrt((errors**2).mean()))
        row[f"{atom}_coverage"] = float(((low <= true[atom]) & (true[atom] <= high)).mean())
        row[f"{atom}_width"] = float((high - low).mean())
    return row

"""Sweeps over the number of classes and the statistics that turn them into claims with intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import NamedTuple

import torch
from torch import Tensor

from mmpid.errors import InputError
from mmpid.theory.results import Simulation
from mmpid.theory.simulate import simulate

FIRST_STAGE = ("shaping_steps", "imbalance")  # settings of `simulate` that joint training refuses


class Interval(NamedTuple):
    """An estimate with its 95 % interval."""

    estimate: float
    low: float
    high: float

    def __repr__(self) -> str:
        return f"{self.estimate:.4g} [{self.low:.4g}, {self.high:.4g}]"


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Simulations over the number of classes: `runs[schedule][K]`."""

    runs: Mapping[str, Mapping[int, Simulation]]

    def errors(self, schedule: str) -> dict[int, Tensor]:
        """Test errors (S,) by number of classes."""
        return {k: run.error for k, run in self.runs[schedule].items()}

    def to_frame(self):
        """Return one row per schedule, K and seed, with the error, its strata and the steps, as a DataFrame."""
        import pandas as pd

        rows = []
        for schedule, by_classes in self.runs.items():
            for k, run in by_classes.items():
                for i, seed in enumerate(run.seeds):
                    e00, e01, e10, e11 = run.strata[i].flatten().tolist()
                    rows.append(
                        {"schedule": schedule, "n_classes": k, "seed": seed, "error": float(run.error[i])}
                        | {"e00": e00, "e01": e01, "e10": e10, "e11": e11}
                        | {"hand_over": int(run.hand_over[i]), "n_steps": int(run.n_steps[i])}
                    )
        return pd.DataFrame(rows)


def sweep(
    n_seeds: Mapping[int, int],
    schedules: Sequence[str] = ("two-stage", "joint"),
    *,
    seed: int = 0,
    workers: int = 1,
    **settings,
) -> Sweep:
    """Simulate every schedule at every number of classes, the joint one with the budget of the two-stage one.

    Parameters
    ----------
    n_seeds : dict of int to int
        Worlds for each number of classes.
    schedules : sequence of str
        Schedules; "two-stage" is always run, because it sets the number of steps of "joint".
    seed, workers, **settings
        As for `simulate`; what belongs to a first stage (`shaping_steps`, `imbalance`) is not for "joint".

    Returns
    -------
    Sweep
        One `Simulation` for each schedule and number of classes.

    Examples
    --------
    >>> sweep({4: 2}, n_test=40).errors("joint")[4].shape
    torch.Size([2])
    """
    runs: dict[str, dict[int, Simulation]] = {name: {} for name in dict.fromkeys(("two-stage", *schedules))}
    for k, count in n_seeds.items():
        common = {"seed": seed, "n_seeds": count, "workers": workers, **settings}
        for name, by_classes in runs.items():
            own = common
            if name == "joint":
                own = {key: x for key, x in common.items() if key not in FIRST_STAGE}
                own["n_steps"] = runs["two-stage"][k].n_steps.tolist()
            by_classes[k] = simulate(k, name, **own)
    return Sweep(runs=runs)


def slope(errors: Mapping[int, Tensor], n_boot: int = 2000, seed: int = 0) -> Interval:
    """Slope of log mean error on log K, least squares, with a percentile bootstrap over seeds at each K.

    Parameters
    ----------
    errors : dict of int to Tensor, shape (S,)
        Error of each seed by number of classes.
    n_boot : int
        Bootstrap replicates.
    seed : int
        Seed of the bootstrap.

    Raises
    ------
    InputError
        For fewer than two K, or a mean error of zero, which has no logarithm.

    Notes
    -----
    The interval covers the choice of worlds, not the choice of settings; with few seeds it is too narrow.

    Examples
    --------
    >>> import torch
    >>> slope({k: torch.full((3,), 1 / k) for k in (4, 8, 16)})
    -1 [-1, -1]
    """
    if len(errors) < 2:
        raise InputError(f"`errors` must hold at least two values of K for a slope; it held {list(errors)}.")
    free = [k for k, values in errors.items() if not float(values.mean()) > 0]
    if free:
        raise InputError(
            f"`errors` must have a positive mean at every K; at K = {free} no seed made an error. "
            "Leave these K out, or test on more samples."
        )
    generator = torch.Generator().manual_seed(seed)
    log_k = torch.tensor([float(k) for k in errors], dtype=torch.float64).log()
    means, draws = [], []
    for values in errors.values():
        values = values.double().cpu()
        index = torch.randint(len(values), (n_boot, len(values)), generator=generator)
        means.append(values.mean())
        draws.append(values[index].mean(1))
    return _interval(
        _least_squares(log_k, torch.stack(means).log()), _least_squares(log_k, torch.stack(draws, 1).log())
    )


def proportion(hits: int, total: int) -> Interval:
    """Share of hits with its 95 % Wilson interval; NaN without any trial.

    Examples
    --------
    >>> proportion(400, 400)
    1 [0.9905, 1]
    """
    if not total:
        return Interval(float("nan"), 0.0, 1.0)
    z, p = 1.959964, hits / total
    center = (p + z * z / (2 * total)) / (1 + z * z / total)
    half = z * sqrt(p * (1 - p) / total + z * z / (4 * total * total)) / (1 + z * z / total)
    return Interval(p, max(0.0, min(p, center - half)), min(1.0, max(p, center + half)))


class Prediction(NamedTuple):
    """How often ECS named the winner: among classes with a loser, and (which came first) among all classes."""

    with_loser: Interval
    all_classes: Interval
    clear: Interval
    n_with_loser: int
    both_learned: float


def winner_prediction(sim: Simulation, clear_gap: float = 0.1) -> Prediction:
    """Compare the larger ECS at the start with the winner at the end, and with the modality that was first.

    `clear` judges, of all classes, those whose ECS differ by more than `clear_gap` in logarithm.
    """
    lost, known = sim.winner >= 0, sim.first >= 0
    right = sim.first == sim.predicted_winner
    clear = known & (sim.ecs.log().diff(dim=-1).squeeze(-1).abs() > clear_gap)
    return Prediction(
        with_loser=proportion(int((sim.winner == sim.predicted_winner)[lost].sum()), int(lost.sum())),
        all_classes=proportion(int(right[known].sum()), int(known.sum())),
        clear=proportion(int(right[clear].sum()), int(clear.sum())),
        n_with_loser=int(lost.sum()),
        both_learned=float(sim.both_learned.double().mean()),
    )


def bootstrap_mean(values: Tensor, n_boot: int = 2000, seed: int = 0) -> Interval:
    """Mean over the first axis (seeds) of (S,) values with a percentile bootstrap interval."""
    values = values.double().cpu()
    generator = torch.Generator().manual_seed(seed)
    index = torch.randint(len(values), (n_boot, len(values)), generator=generator)
    return _interval(values.mean(), values[index].mean(1))


def peak(curves: Tensor, positions: Sequence[float], n_boot: int = 2000, seed: int = 0) -> Interval:
    """Position of the maximum of the mean curve; `curves` is (T, S), and the bootstrap resamples the S worlds.

    Examples
    --------
    >>> import torch
    >>> peak(torch.tensor([[0.0, 0.1], [1.0, 1.2], [0.5, 0.4]]), (0, 50, 100))
    50 [50, 50]
    """
    curves, where = curves.double().cpu(), torch.tensor(positions, dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    index = torch.randint(curves.shape[1], (n_boot, curves.shape[1]), generator=generator)
    return _interval(where[curves.mean(1).argmax()], where[curves[:, index].mean(2).argmax(0)])


def rank_correlation(x: Tensor, y: Tensor, n_boot: int = 500, seed: int = 0) -> Interval:
    """Spearman correlation of x and y, shape (S, ...), pooled, with a bootstrap that resamples whole seeds.

    Examples
    --------
    >>> import torch
    >>> x = torch.arange(12.0).view(4, 3)
    >>> rank_correlation(x, x.exp()).estimate
    1.0
    """
    x, y = (v.flatten(1).double().cpu() for v in (x, y))
    generator = torch.Generator().manual_seed(seed)
    index = torch.randint(len(x), (n_boot, len(x)), generator=generator)
    return _interval(_spearman(x.flatten(), y.flatten()), _spearman(x[index].flatten(1), y[index].flatten(1)))


def _spearman(x: Tensor, y: Tensor) -> Tensor:
    a, b = (_ranks(v) for v in (x, y))
    a, b = a - a.mean(-1, keepdim=True), b - b.mean(-1, keepdim=True)
    return (a * b).sum(-1) / (a.square().sum(-1) * b.square().sum(-1)).sqrt()


def _ranks(values: Tensor) -> Tensor:
    """Ranks on the last axis; ties share their mean rank."""
    ordered, values = values.sort(-1).values.contiguous(), values.contiguous()
    low = torch.searchsorted(ordered, values)
    high = torch.searchsorted(ordered, values, right=True)
    return (low + high).double() / 2


def _least_squares(x: Tensor, y: Tensor) -> Tensor:
    centered = x - x.mean()
    return (y * centered).sum(-1) / centered.square().sum()


def _interval(estimate: Tensor, draws: Tensor) -> Interval:
    low, high = torch.quantile(draws[~draws.isnan()], torch.tensor([0.025, 0.975], dtype=draws.dtype)).tolist()
    return Interval(round(float(estimate), 12), low, high)

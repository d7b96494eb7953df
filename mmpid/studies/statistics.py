"""Noise of seeds and of test samples: intervals, tests and ranks of paired runs. Arrays in, numbers out."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

Unit = tuple[str, int]  # fingerprint of the samples, and a group in them


class Interval(NamedTuple):
    """A mean with its 95 % interval, its two-sided p-value against zero, and the number of pairs."""

    mean: float
    low: float
    high: float
    p: float
    n: int


class Component(NamedTuple):
    """A part of the variance of a mean, with its degrees of freedom."""

    variance: float
    df: float


def paired_interval(differences: np.ndarray, level: float = 0.95) -> tuple[float, float, float]:
    """Return mean and Student-t interval of paired differences; the interval is infinite for a single pair.

    Examples
    --------
    >>> mean, low, high = paired_interval(np.array([0.02, 0.03, 0.04]))
    >>> f"{mean:.3f} [{low:.3f}, {high:.3f}]"
    '0.030 [0.005, 0.055]'
    """
    found = interval(float(np.mean(differences)), [seed_component(differences)], len(differences), level)
    return found.mean, found.low, found.high


def seed_component(differences: np.ndarray) -> Component:
    """Return the variance of the mean of differences by seed, infinite for a single one."""
    n = len(differences)
    return Component(float(np.var(differences, ddof=1)) / n, n - 1) if n > 1 else Component(np.inf, 1)


def interval(mean: float, parts: Sequence[Component], n: int, level: float = 0.95) -> Interval:
    """Return the t interval of a mean whose variance is a sum of parts, with Satterthwaite's degrees of freedom."""
    from scipy.stats import t

    variance = sum(part.variance for part in parts)
    if not np.isfinite(variance):
        return Interval(mean, -np.inf, np.inf, 1.0, n)
    if variance <= 0:
        return Interval(mean, mean, mean, 1.0 if mean == 0 else 0.0, n)
    df = variance**2 / sum(part.variance**2 / part.df for part in parts if part.variance > 0)
    error = float(np.sqrt(variance))
    half = float(t.ppf(0.5 + level / 2, df)) * error
    return Interval(mean, mean - half, mean + half, float(2 * t.sf(abs(mean) / error, df)), n)


def unit_component(deltas: Sequence[np.ndarray], units: Sequence[Sequence[Unit]]) -> Component:
    """Return what the choice of test samples adds to the variance of a mean of per-sample differences.

    `deltas` holds an array (n_s,) for each seed s, `units` the group of each sample. With weights 1 / (S n_s) and
    residuals from the mean, the sums over units and over units within a seed give cluster-robust variances V_g and
    V_sg; beside the variance over seeds, V_s, the mean has ``V_s + V_g - V_sg``. Where each seed has test samples of
    its own, V_g equals V_sg: the variance over seeds already holds their noise.

    References
    ----------
    Cameron, Gelbach and Miller (2011), Robust inference with multiway clustering, JBES 29, section 2.
    """
    mean = np.mean([d.mean() for d in deltas])
    parts = np.concatenate([(d - mean) / (len(d) * len(deltas)) for d in deltas])
    codes = code_units(units)
    flat = np.concatenate(codes)
    seeds = np.repeat(np.arange(len(codes)), [len(c) for c in codes])
    n_units = int(flat.max()) + 1
    by_unit = np.bincount(flat, parts, n_units)
    by_both = np.bincount(seeds * n_units + flat, parts)
    extra = float((by_unit**2).sum() - (by_both**2).sum())
    grow = n_units / max(n_units - 1, 1)
    return Component(max(extra * grow, 0.0), max(n_units - 1, 1))


def code_units(units: Sequence[Sequence[Unit]]) -> list[np.ndarray]:
    """Return units as whole numbers from 0, the same number for the same unit of any seed."""
    known: dict[Unit, int] = {}
    return [np.array([known.setdefault(unit, len(known)) for unit in each]) for each in units]


def resampled_component(
    metric: Callable[[int, np.ndarray], float], units: Sequence[Sequence[Unit]], n_boot: int = 200, seed: int = 0
) -> Component:
    """Return what :func:`unit_component` does, for a metric that is not a mean over samples, by the bootstrap.

    `metric` gives the difference of a seed's place on the test samples with some indices. Whole units are drawn, the
    same ones for all seeds.
    """
    rng, codes = np.random.default_rng(seed), code_units(units)
    n_units = 1 + max(int(code.max()) for code in codes)
    table = np.empty((n_boot, len(codes)))
    for b in range(n_boot):
        times = np.bincount(rng.integers(0, n_units, n_units), minlength=n_units)
        for s, code in enumerate(codes):
            index = np.repeat(np.arange(len(code)), times[code])
            table[b, s] = metric(s, index if len(index) else np.arange(len(code)))
    shared = float(table.mean(1).var(ddof=1))
    own = float(table.var(0, ddof=1).sum()) / len(codes) ** 2
    return Component(max(shared - own, 0.0), max(n_units - 1, 1))


def bootstrap(
    deltas: Sequence[np.ndarray], units: Sequence[Sequence[Unit]], n_boot: int, seed: int, level: float = 0.95
) -> Interval:
    """Return the percentile interval of a mean of per-sample differences: seeds and whole shared units drawn again."""
    rng, codes = np.random.default_rng(seed), code_units(units)
    n_units = 1 + max(int(code.max()) for code in codes)
    sums = np.stack([np.bincount(code, d, n_units) for code, d in zip(codes, deltas, strict=True)])
    counts = np.stack([np.bincount(code, minlength=n_units) for code in codes])
    means, once = np.empty(n_boot), np.ones(n_units, int)
    own = int((counts > 0).sum(0).max()) == 1  # test samples of its own for each seed: they come with it
    for b in range(n_boot):
        times = once if own else np.bincount(rng.integers(0, n_units, n_units), minlength=n_units)
        seeds = rng.integers(0, len(codes), len(codes))
        means[b] = ((sums @ times) / np.maximum(counts @ times, 1))[seeds].mean()
    low, high = np.quantile(means, [0.5 - level / 2, 0.5 + level / 2])
    tail = min((means <= 0).mean(), (means >= 0).mean())
    p = min(1.0, 2 * max(float(tail), 1 / n_boot)) if np.ptp(means) or means[0] else 1.0
    return Interval(float(np.mean([d.mean() for d in deltas])), float(low), float(high), p, len(codes))


def mcnemar(one: np.ndarray, two: np.ndarray) -> tuple[int, int, float]:
    """Return how many samples only the first answers rightly, only the second, and the exact two-sided p-value.

    Examples
    --------
    >>> mcnemar(np.array([1, 1, 1, 0, 0]), np.array([0, 0, 1, 1, 0]))
    (2, 1, 1.0)
    """
    from scipy.stats import binomtest

    first, second = int(((one > 0) & (two == 0)).sum()), int(((two > 0) & (one == 0)).sum())
    p = float(binomtest(first, first + second, 0.5).pvalue) if first + second else 1.0
    return first, second, p


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted by Holm's step-down rule: the family-wise error stays below the level.

    Examples
    --------
    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    adjusted, worst = [0.0] * len(order), 0.0
    for rank, place in enumerate(order):
        worst = max(worst, min(1.0, (len(order) - rank) * p_values[place]))
        adjusted[int(place)] = worst
    return adjusted


class Ranks(NamedTuple):
    """Mean ranks (k,) of k methods over data sets, Friedman's p-value, and Nemenyi's critical difference at 5 %."""

    mean: np.ndarray
    p: float
    critical_difference: float


def rank_methods(scores: np.ndarray) -> Ranks:
    """Rank methods on every data set; scores (n data sets, k methods), larger is better, rank 1 is best.

    The critical difference is ``q sqrt(k (k + 1) / (6 n))`` with q of the studentized range at infinite degrees of
    freedom, divided by sqrt(2).

    References
    ----------
    Demsar (2006), Statistical comparisons of classifiers over multiple data sets, JMLR 7, section 3.2.2.
    """
    from scipy.stats import friedmanchisquare, rankdata, studentized_range

    n, k = scores.shape
    ranks = rankdata(-scores, axis=1)
    p = float(friedmanchisquare(*scores.T).pvalue) if k > 2 and n > 1 and np.ptp(ranks) else 1.0
    q = float(studentized_range.ppf(0.95, k, np.inf)) / np.sqrt(2)
    return Ranks(ranks.mean(0), p if np.isfinite(p) else 1.0, float(q * np.sqrt(k * (k + 1) / (6 * n))))

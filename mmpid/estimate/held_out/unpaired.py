"""Held-out scores of two samples that are labeled, but not paired: one has source 1, the other source 2.

The predictor without synergy is a sum, lam(x1, y) + mu(x2, y). Its mean score needs no pairs: it is the mean of lam
over the first sample plus that of mu over the second, each class with the same weight p(y). So are all scores of which
R, U1 and U2 are made (see `intervals`); only S needs pairs.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from mmpid.estimate.held_out.folds import Folds
from mmpid.estimate.held_out.intervals import ALLOWANCE, FALSE_PROOF, LEVEL, RESOLUTION
from mmpid.estimate.held_out.multipliers import nearly_best, roughly
from mmpid.estimate.held_out.predictors import FINALISTS, candidates, marginals
from mmpid.estimate.held_out.readings import FoldCodes
from mmpid.estimate.held_out.smoothing import SourceFit, fit_source
from mmpid.estimate.libraries import student_quantile
from mmpid.pid.constants import LN2
from mmpid.pid.typed import floats_of, integers_of

SCORED = ("prior", "source1", "source2", "without_synergy")


@dataclass(frozen=True, kw_only=True)
class Half:
    """One of the two samples: codes of its source, classes, folds, and groups if there are any."""

    codes: FoldCodes
    target: Tensor
    folds: Folds
    groups: Tensor | None

    def weights(self, shares: Tensor) -> Tensor:
        """Return a weight for each sample, at which class y has p(y) in all; they add up to 1."""
        return (shares / torch.bincount(self.target, minlength=len(shares)))[self.target]


@dataclass(frozen=True, kw_only=True)
class UnpairedReading:
    """R, U1, U2 in bits with the ends of their intervals, each (3,); the largest synergy; mean scores by predictor."""

    points: Tensor
    low: Tensor
    high: Tensor
    most_synergy: float
    scores: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class _Scores:
    """Scores in nats of one predictor: at the samples of either half held out, and the mean when trained on all."""

    first: Tensor
    second: Tensor
    whole: float = 0.0

    def __sub__(self, other: "_Scores") -> "_Scores":
        return _Scores(first=self.first - other.first, second=self.second - other.second)

    def __add__(self, other: "_Scores") -> "_Scores":
        return _Scores(first=self.first + other.first, second=self.second + other.second)


def read_unpaired(halves: tuple[Half, Half], shares: Tensor, shares_known: bool) -> UnpairedReading:
    """Train and score the predictors, and compute points and intervals by the formulas of `intervals`."""
    weights = (halves[0].weights(shares), halves[1].weights(shares))
    one, two, union, both = _predictors(halves, weights, shares)
    prior = float((shares * shares.log()).sum())
    none = _Scores(first=torch.zeros_like(one.first), second=torch.zeros_like(one.second))
    held_out = [_mean(scores, weights) - prior for scores in (one, two, union)]
    whole = [scores.whole - prior for scores in (one, two, union)]
    c, r = (torch.tensor(values, dtype=torch.float64) / LN2 for values in (held_out, whole))
    m = (c + r) / 2
    most = m.max()
    up = most + ALLOWANCE * (r[2] - c[2]).clamp(min=0)
    # R contains the prior, whose mean follows the class shares
    differences = [(one + two - union, True), (union - two, False), (union - one, False), (union - none, True)]
    wider = [(one + two - both, True), (both - two, False), (both - one, False)]
    error, wide = (
        torch.tensor([_error(s, halves, weights, shares, shares_known, with_prior=p) for s, p in listed]) / LN2
        for listed in (differences, wider)
    )
    wide = torch.maximum(error[:3], wide)
    z, proof = (_quantile(level, halves) for level in ((1 + LEVEL) / 2, 1 - FALSE_PROOF))
    common = m[0] + m[1]
    low = torch.stack([common - up, c[2] - c[1], c[2] - c[0]]) - RESOLUTION
    low = low - torch.stack([z * wide[0], proof * error[1], proof * error[2]])
    high = torch.stack([common - c[2], up - m[1], up - m[0]]) + z * wide
    scores = [prior / LN2, *floats_of(c + prior / LN2)]
    return UnpairedReading(
        points=torch.stack([common - most, most - m[1], most - m[0]]),
        low=low,
        high=high,
        most_synergy=max(0.0, float(-prior / LN2 - c[2] + z * error[3])),
        scores=dict(zip(SCORED, scores, strict=True)),
    )


def _predictors(
    halves: tuple[Half, Half], weights: tuple[Tensor, Tensor], shares: Tensor
) -> tuple[_Scores, _Scores, _Scores, _Scores]:
    """Return the scores of source 1, source 2, both without synergy as chosen, and the best that uses both."""
    rows = shares.expand(halves[0].folds.count + 1, -1)
    fits = [
        fit_source(
            half.codes.counts(half.folds, half.target, len(shares)), rows, half.codes, half.folds, half.target, weight
        )
        for half, weight in zip(halves, weights, strict=True)
    ]
    lams, mus = _multipliers(fits, halves, weights, rows)
    one, two = (fit.log_posterior[fit.best][None] for fit in fits)
    zero = torch.zeros_like
    lams, mus = torch.cat([lams, one, zero(one)]), torch.cat([mus, zero(two), two])
    read1, read2 = (
        half.codes.read(tables, half.folds, half.target) for half, tables in zip(halves, (lams, mus), strict=True)
    )
    by_fold = _by_fold(read1, halves[0], weights[0]) + _by_fold(read2, halves[1], weights[1])
    total = by_fold.sum(1, keepdim=True)
    chosen = torch.cat([total - by_fold, total], dim=1).argmax(0)
    best, joint = int(chosen[-1]), int(total[:-2, 0].argmax())
    alone1, alone2 = torch.zeros_like(read1[0]), torch.zeros_like(read2[0])
    return (
        _Scores(first=read1[-2], second=alone2, whole=_whole(halves[0], weights[0], lams[-2, -1])),
        _Scores(first=alone1, second=read2[-1], whole=_whole(halves[1], weights[1], mus[-1, -1])),
        _Scores(
            first=read1.gather(0, chosen[halves[0].folds.index][None])[0],
            second=read2.gather(0, chosen[halves[1].folds.index][None])[0],
            whole=_whole(halves[0], weights[0], lams[best, -1]) + _whole(halves[1], weights[1], mus[best, -1]),
        ),
        _Scores(first=read1[joint], second=read2[joint]),
    )


def _multipliers(
    fits: list[SourceFit], halves: tuple[Half, Half], weights: tuple[Tensor, Tensor], rows: Tensor
) -> tuple[Tensor, Tensor]:
    """Return lam and mu of the finalists, in nats: pairs of ways to smooth that score best after a few alternations."""
    pairs = candidates(*fits)
    if len(pairs) > FINALISTS:
        tables = roughly(*marginals(fits, pairs, rows))
        means = torch.stack(
            [
                half.codes.read(table, half.folds, half.target) @ weight
                for half, table, weight in zip(halves, tables, weights, strict=True)
            ]
        ).sum(0)
        pairs = [pairs[i] for i in integers_of(means.topk(FINALISTS).indices)]
    return nearly_best(*marginals(fits, pairs, rows))


def _by_fold(scores: Tensor, half: Half, weights: Tensor) -> Tensor:
    """Sum weighted scores (m, N) by fold: (m, F)."""
    return scores.new_zeros(len(scores), half.folds.count).index_add_(1, half.folds.index, scores * weights)


def _whole(half: Half, weights: Tensor, table: Tensor) -> float:
    """Mean score of a table (n, k) that was trained on everything."""
    return float(half.codes.read_whole(table, half.folds, half.target) @ weights)


def _mean(scores: _Scores, weights: tuple[Tensor, Tensor]) -> float:
    return float(scores.first @ weights[0] + scores.second @ weights[1])


def _error(
    scores: _Scores,
    halves: tuple[Half, Half],
    weights: tuple[Tensor, Tensor],
    shares: Tensor,
    shares_known: bool,
    *,
    with_prior: bool,
) -> float:
    """Return the standard error of a mean score: within classes and, where p(y) is estimated, between them."""
    within, means = 0.0, -shares.log() if with_prior else torch.zeros_like(shares)
    for values, half, weight in zip((scores.first, scores.second), halves, weights, strict=True):
        variance, by_class = _within(values, half, weight, len(shares))
        within, means = within + variance, means + by_class
    if shares_known:
        return within**0.5
    between = (shares * (means - (shares * means).sum()).square()).sum()
    return float(within + between / sum(len(half.target) for half in halves)) ** 0.5


def _within(values: Tensor, half: Half, weights: Tensor, n_classes: int) -> tuple[float, Tensor]:
    """Return the variance of a mean of values (N,) within classes, by group where there are any, and class means."""
    counts = torch.bincount(half.target, minlength=n_classes).double()
    means = values.new_zeros(n_classes).index_add_(0, half.target, values) / counts
    freedom = (counts / (counts - 1).clamp(min=1)).sqrt()
    residuals = (values - means[half.target]) * weights * freedom[half.target]
    if half.groups is None:
        return float(residuals.square().sum()), means
    n_groups = int(half.groups.max()) + 1
    sums = residuals.new_zeros(n_groups).index_add_(0, half.groups.to(residuals.device), residuals)
    return float(sums.square().sum()) * n_groups / (n_groups - 1), means


def _quantile(level: float, halves: tuple[Half, Half]) -> float:
    """Quantile of Student's t for the smaller number of independent units."""
    units = [len(half.target) if half.groups is None else int(half.groups.max()) + 1 for half in halves]
    return student_quantile(level, min(units) - 1)

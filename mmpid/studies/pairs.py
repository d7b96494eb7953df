"""Two methods on one data set, paired by seed, and their difference over one or several data sets."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mmpid.studies.predictions import Predictions
from mmpid.studies.statistics import (
    Component,
    Interval,
    Unit,
    interval,
    resampled_component,
    seed_component,
    unit_component,
)
from mmpid.train.scores import metric_name, score


@dataclass(frozen=True)
class Pair:
    """Differences of a method and a reference on one data set, by seed."""

    data: str | None
    seeds: list[int]
    differences: np.ndarray
    method: str
    reference: str
    metric: str
    metrics: tuple[Any, ...]
    stored: Mapping[tuple[str, int], Predictions]

    @property
    def predictions(self) -> list[tuple[Predictions, Predictions]]:
        """Predictions of both, seed by seed; empty where any are missing or were made on other samples."""
        found = []
        for seed in self.seeds:
            one, two = self.stored.get((self.method, seed)), self.stored.get((self.reference, seed))
            if one is None or two is None or not np.array_equal(one.index, two.index):
                return []
            found.append((one, two))
        return found

    def correct(self) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Yield each seed with what both answered rightly."""
        for seed, (one, two) in zip(self.seeds, self.predictions, strict=True):
            yield seed, one.correct, two.correct

    def deltas(self) -> tuple[list[np.ndarray], list[list[Unit]]]:
        """Return per-sample differences in right answers, and the unit of each sample, seed by seed."""
        pairs = self.predictions
        return [one.correct - two.correct for one, two in pairs], [units_of(one) for one, _ in pairs]

    def components(self) -> list[Component]:
        """Return the parts of the variance of the mean difference: seeds, and test samples where they are known."""
        parts = [seed_component(self.differences)]
        pairs = self.predictions
        if len(self.seeds) < 2 or not pairs or self.method == self.reference:
            return parts
        if self.metric == "accuracy":
            return [*parts, unit_component(*self.deltas())]
        metric = next(m for m in self.metrics if metric_name(m) == self.metric)
        units = [units_of(one) for one, _ in pairs]
        return [*parts, resampled_component(lambda s, i: _gain(pairs[s], i, metric), units)]


def estimate(pairs: Sequence[Pair]) -> Interval:
    """Return the difference of two methods: the mean over these data sets, each the mean over its seeds."""
    n = sum(len(pair.seeds) for pair in pairs)
    if not n:
        return Interval(0.0, -np.inf, np.inf, 1.0, 0)
    share = 1 / len(pairs)
    parts = [Component(c.variance * share**2, c.df) for pair in pairs for c in pair.components()]
    return interval(float(np.mean([pair.differences.mean() for pair in pairs])), parts, n)


def units_of(one: Predictions) -> list[Unit]:
    """Return the unit of each test sample: its group, within the pool of samples that it is of."""
    return [(one.pool, group) for group in one.group.tolist()]


def _gain(pair: tuple[Predictions, Predictions], index: np.ndarray, metric: Any) -> float:
    one, two = (score(metric, torch.from_numpy(p.logits[index]), torch.from_numpy(p.target[index])) for p in pair)
    return one - two

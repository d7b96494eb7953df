"""The per-sample numbers behind the logit proxies, and one product that computes all requested means."""

from collections.abc import Callable
from functools import cached_property, lru_cache
from itertools import combinations
from math import factorial, log
from typing import cast

import torch
from torch import Tensor

from mmpid.ecs.batch import first_only, tiny
from mmpid.ecs.evidence import ProxyEvidence, ProxySettings
from mmpid.ecs.kmeans import closeness

_CHUNK = 4_000_000  # fused logits held at a time


class ClassMeans:
    """Means of numbers (R, N) over the samples of each class and, in the last column, over all: (R, K + 1).

    `rows` names what is averaged, see `ROWS`; `means[name]` is NaN for classes without samples.
    """

    def __init__(self, evidence: ProxyEvidence, settings: ProxySettings, rows: set[str]):
        self.n_classes, self.n_modalities = cast(int, evidence.n_classes), len(evidence.modalities)
        samples = _Samples(evidence, settings, with_coalitions="coalitions" in rows)
        self._codes = [name for name in _CODES if name in rows]
        numbers = {name: row(samples) for name, row in ROWS.items() if name in rows}
        self._places, first = {}, 0
        for name, part in numbers.items():
            self._places[name] = first, first + part.shape[0]
            first += part.shape[0]
        table = torch.cat(list(numbers.values()))
        if self._codes:
            self._settle(table)
        self._table = torch.mm(table, evidence.classes.columns)

    def __getitem__(self, row: str) -> Tensor:
        first, stop = self._places[row]
        return self._table[first:stop]

    def _settle(self, rows: Tensor) -> None:
        """For predictions and clusters, the first of equal scores counts."""
        first = self._places[self._codes[0]][0]  # they come last
        if float(rows[first:].sum()) > len(self._codes) * self.n_modalities * rows.shape[1]:
            for name in self._codes:
                first, stop = self._places[name]
                first_only(rows[first:stop].view(self.n_modalities, -1, rows.shape[1]))

    @cached_property
    def information_bounds(self) -> Tensor:
        """Mean log likelihood, in bits above guessing: of each modality, then of larger coalitions."""
        # the sum first: it is exact near guessing, where a cold network always is
        return (self["log_likelihood"] + log(self.n_classes)).div_(log(2))

    @cached_property
    def information(self) -> dict[str, Tensor]:
        """Specific information (M, K + 1) of codes on each class, and 0 in the last column, in bits, by name."""
        places = [self._places[name] for name in self._codes]
        given = self._table[places[0][0] :]  # p(c|j) and, in the last column, p(c)
        overall = given[:, -1:].clamp_min(tiny(given.dtype))
        sizes = tuple([stop - first for first, stop in places])
        sums = _sums_in_bits(sizes, self.n_modalities, given.dtype, given.device)
        bits = torch.mm(sums, torch.special.xlogy(given, given / overall))
        return {name: bits[i * self.n_modalities :][: self.n_modalities] for i, name in enumerate(self._codes)}


class _Samples:
    """Numbers (R, N) of each sample; shared intermediate results are computed once."""

    def __init__(self, evidence: ProxyEvidence, settings: ProxySettings, with_coalitions: bool):
        self.evidence, self.settings, self.with_coalitions = evidence, settings, with_coalitions
        self.scores, self.member = evidence.scores, evidence.classes.member

    def own(self) -> Tensor:
        """Unimodal logit of the true class."""
        return self._at_class(self.scores)

    def rival(self) -> Tensor:
        """Largest unimodal logit of another class."""
        lowest = torch.finfo(self.scores.dtype).min
        return torch.add(self.scores, self.member, alpha=lowest / 2).amax(1)

    def log_likelihood(self) -> Tensor:
        """Log-softmax at the true class, in nats, of the unimodal logits and, if requested, of those of coalitions."""
        return self._log_likelihood

    def confidence(self) -> Tensor:
        """Softmax of the unimodal logits at the true class."""
        return self._log_likelihood[: self.scores.shape[0]].exp()

    def predictions(self) -> Tensor:
        """Return the indicator of the predicted class, (M K, N); equal scores all count."""
        return torch.eq(self.scores, self.scores.amax(1, keepdim=True), out=torch.empty_like(self.scores)).flatten(0, 1)

    def clusters(self) -> Tensor:
        """Return the indicator of the cluster of the unimodal logits, (M C, N); equal scores all count."""
        n_clusters = min(self.settings.n_clusters or 2 * self.scores.shape[1], self.scores.shape[2])
        scores = closeness(self.scores, n_clusters, self.settings.seed)
        return scores.eq_(scores.amax(1, keepdim=True)).flatten(0, 1)

    def _at_class(self, scores: Tensor) -> Tensor:
        """Scores (R, K, N) of the true class, (R, N)."""
        return torch.linalg.vecdot(scores, self.member, dim=-2)

    @cached_property
    def _log_likelihood(self) -> Tensor:
        if not self.with_coalitions:
            return self._at_class(self.scores.log_softmax(1))
        flat = self.scores.flatten(1)
        members = coalitions(flat.shape[0], flat.dtype, flat.device)[0]
        if members.shape[0] * flat.shape[1] <= _CHUNK:
            return self._fused(members, flat)
        return torch.cat([self._fused(part, flat) for part in members.split(max(1, _CHUNK // flat.shape[1]))])

    def _fused(self, members: Tensor, flat: Tensor) -> Tensor:
        """Log likelihood (S, N) of sums of logits, flat (M, K N), over sets of modalities (S, M)."""
        fused = torch.mm(members, flat).view(-1, self.scores.shape[1], self.scores.shape[2])
        return self._at_class(fused.log_softmax(1))


#: Rows of numbers by name, codes last; "coalitions" adds rows to the log likelihood.
ROWS: dict[str, Callable[[_Samples], Tensor]] = {
    "own": _Samples.own,
    "rival": _Samples.rival,
    "log_likelihood": _Samples.log_likelihood,
    "confidence": _Samples.confidence,
    "predictions": _Samples.predictions,
    "clusters": _Samples.clusters,
}
_CODES = ("predictions", "clusters")


@lru_cache
def _sums_in_bits(sizes: tuple[int, ...], n_modalities: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Weights that add up nats over the codes of each modality, for several kinds of codes with `sizes` rows each."""
    one = torch.full((1, 1), 1 / log(2), dtype=torch.float64)
    per_code = [one.expand(-1, size // n_modalities) for size in sizes for _ in range(n_modalities)]
    return torch.block_diag(*per_code).to(device, dtype)


@lru_cache
def coalitions(n_modalities: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Members (2^M - 1, M) of every set of modalities, single ones first, and weights (M, 2^M - 1) in Shapley values.

    That of no modality is -1 / M.
    """
    sets = [members for size in range(1, n_modalities + 1) for members in combinations(range(n_modalities), size)]
    inside = torch.zeros(len(sets), n_modalities)
    weights = torch.empty(n_modalities, len(sets), dtype=torch.float64)
    total = factorial(n_modalities)
    for column, members in enumerate(sets):
        inside[column, list(members)] = 1
        for row in range(n_modalities):
            # the set with r, against the set without it, in the orders in which r comes right after the others
            sign, others = (1, len(members) - 1) if row in members else (-1, len(members))
            weights[row, column] = sign * factorial(others) * factorial(n_modalities - others - 1) / total
    return inside.to(device, dtype), weights.to(device, dtype)

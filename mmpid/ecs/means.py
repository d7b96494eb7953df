"""What the proxies of the logits are means of, and one product that takes all means that are asked for."""

from collections.abc import Callable, Iterable
from functools import cached_property, lru_cache
from itertools import combinations
from math import factorial, log

import torch
from torch import Tensor

from mmpid.ecs.batch import indicator
from mmpid.ecs.evidence import ProxyEvidence, ProxySettings
from mmpid.ecs.kmeans import kmeans

_CHUNK = 4_000_000  # fused logits held at a time


class ClassMeans:
    """Means of numbers (R, N) over the samples of each class and, in the last column, over all: (R, K + 1).

    `rows` names what is averaged, see `ROWS`; `means[name]` is NaN for classes without samples.
    """

    def __init__(self, evidence: ProxyEvidence, settings: ProxySettings, rows: Iterable[str]):
        self.n_classes, self.n_modalities = evidence.n_classes, len(evidence.modalities)
        self.share = evidence.classes.share
        asked = set(rows)
        samples = _Samples(evidence, settings, with_coalitions="coalitions" in asked)
        numbers = {name: row(samples) for name, row in ROWS.items() if name in asked}
        table = torch.cat(list(numbers.values())) @ evidence.classes.means.T
        sizes = [part.shape[0] for part in numbers.values()]
        self._table = dict(zip(numbers, table.split_with_sizes(sizes), strict=True))
        self._codes = [name for name in _CODES if name in asked]
        self._of_codes = table[sum(sizes[: len(sizes) - len(self._codes)]) :]  # they come last

    def __getitem__(self, row: str) -> Tensor:
        return self._table[row]

    def by_class(self, row: str) -> Tensor:
        """Means over each class (R, K)."""
        return self._table[row][:, :-1]

    @cached_property
    def information_bounds(self) -> Tensor:
        """Mean log likelihood over each class, in bits above guessing: of each modality, then of larger coalitions."""
        return (self.by_class("log_likelihood") + log(self.n_classes)).div_(log(2))

    @cached_property
    def information(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Specific information (M, K) of codes on each class, and its mean over the classes (M,), in bits, by name."""
        given = self._of_codes  # p(c|j) and, in the last column, p(c)
        overall = given[:, -1:].clamp_min(torch.finfo(given.dtype).tiny)
        sizes = tuple(self._table[name].shape[0] for name in self._codes)
        sums = _sums_in_bits(sizes, self.n_modalities, given.dtype, given.device)
        by_class = (sums @ torch.special.xlogy(given, given / overall)[:, :-1]).view(len(sizes), self.n_modalities, -1)
        return dict(zip(self._codes, zip(by_class, (by_class * self.share).nansum(2), strict=True), strict=True))


class _Samples:
    """Numbers (R, N) of each sample; what several of them need is computed once."""

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
        """Log-softmax at the true class, in nats, of the unimodal logits and, if asked for, of those of coalitions."""
        return self._log_likelihood

    def confidence(self) -> Tensor:
        """Softmax of the unimodal logits at the true class."""
        return self._log_likelihood[: self.scores.shape[0]].exp()

    def predictions(self) -> Tensor:
        """Return the indicator of the predicted class, (M K, N)."""
        return indicator(self.scores.clone()).flatten(0, 1)

    def clusters(self) -> Tensor:
        """Return the indicator of the cluster of the unimodal logits, (M C, N)."""
        n_clusters = min(self.settings.n_clusters or 2 * self.scores.shape[1], self.scores.shape[2])
        return kmeans(self.scores, n_clusters, self.settings.seed).flatten(0, 1)

    def _at_class(self, scores: Tensor) -> Tensor:
        """Scores (R, K, N) of the true class, (R, N)."""
        return torch.linalg.vecdot(scores, self.member, dim=-2)

    @cached_property
    def _log_likelihood(self) -> Tensor:
        if not self.with_coalitions:
            return self._at_class(self.scores.log_softmax(1))
        flat = self.scores.flatten(1)
        members, step = coalitions(flat.shape[0], flat.dtype, flat.device)[0], max(1, _CHUNK // flat.shape[1])
        parts = [members] if members.shape[0] <= step else members.split(step)
        fused = ((part @ flat).view(-1, *self.scores.shape[1:]) for part in parts)
        found = [self._at_class(one.log_softmax(1)) for one in fused]
        return found[0] if len(found) == 1 else torch.cat(found)


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
    per_code = [torch.full((1, size // n_modalities), 1 / log(2)) for size in sizes for _ in range(n_modalities)]
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

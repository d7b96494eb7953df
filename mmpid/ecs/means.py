"""What the proxies of the logits are means of, and one product that takes all means that are asked for."""

from collections.abc import Callable, Iterable
from functools import lru_cache
from itertools import combinations
from math import factorial

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
        numbers = {name: ROWS[name](evidence, settings) for name in dict.fromkeys(rows)}
        table = torch.cat(list(numbers.values())) @ evidence.classes.means.T
        sizes = [part.shape[0] for part in numbers.values()]
        self._table = dict(zip(numbers, torch.split_with_sizes(table, sizes), strict=True))

    def __getitem__(self, row: str) -> Tensor:
        return self._table[row]

    def by_class(self, row: str) -> Tensor:
        """Means over each class (R, K)."""
        return self._table[row][:, :-1]


def _own(evidence: ProxyEvidence, settings: ProxySettings) -> Tensor:
    """Unimodal logit of the true class."""
    return (evidence.scores * evidence.classes.member).sum(1)


def _rival(evidence: ProxyEvidence, settings: ProxySettings) -> Tensor:
    """Largest unimodal logit of another class."""
    lowest = torch.finfo(evidence.scores.dtype).min
    return torch.add(evidence.scores, evidence.classes.member, alpha=lowest / 2).amax(1)


def _log_likelihood(evidence: ProxyEvidence, settings: ProxySettings) -> Tensor:
    """Log-softmax of the unimodal logits at the true class, in nats."""
    return evidence.log_likelihood


def _confidence(evidence: ProxyEvidence, settings: ProxySettings) -> Tensor:
    """Softmax of the unimodal logits at the true class."""
    return evidence.log_likelihood.exp()


def _coalitions(evidence: ProxyEvidence, settings: ProxySettings) -> Tensor:
    """Log-softmax at the true class of the added logits of every set of two or more modalities, in nats."""
    scores = evidence.scores
    flat = scores.flatten(1)
    members, step = coalitions(scores.shape[0], scores.dtype, scores.device)[0], max(1, _CHUNK // flat.shape[1])
    parts = [members] if members.shape[0] <= step else members.split(step)
    fused = ((part @ flat).view(-1, *scores.shape[1:]) for part in parts)
    found = [(one.log_softmax(1) * evidence.classes.member).sum(1) for one in fused]
    return found[0] if len(found) == 1 else torch.cat(found)


def _predictions(evidence: ProxyEvidence, settings: ProxySettings) -> Tensor:
    """Return the indicator of the predicted class, (M K, N)."""
    return indicator(evidence.scores.clone()).flatten(0, 1)


def _clusters(evidence: ProxyEvidence, settings: ProxySettings) -> Tensor:
    """Return the indicator of the cluster of the unimodal logits, (M C, N)."""
    n_clusters = min(settings.n_clusters or 2 * evidence.n_classes, evidence.target.shape[0])
    return kmeans(evidence.scores, n_clusters, settings.seed).flatten(0, 1)


#: Rows of numbers (R, N) by name.
ROWS: dict[str, Callable[[ProxyEvidence, ProxySettings], Tensor]] = {
    "own": _own,
    "rival": _rival,
    "log_likelihood": _log_likelihood,
    "confidence": _confidence,
    "coalitions": _coalitions,
    "predictions": _predictions,
    "clusters": _clusters,
}


@lru_cache
def coalitions(n_modalities: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Members (2^M - M - 1, M) of every set of two or more modalities, and weights (M, 2^M - 1) in Shapley values.

    The weights are those of the single modalities and of the sets of two or more; that of no modality is -1 / M.
    """
    sets = [members for size in range(1, n_modalities + 1) for members in combinations(range(n_modalities), size)]
    weights = torch.empty(n_modalities, len(sets), dtype=torch.float64)
    total = factorial(n_modalities)
    for column, members in enumerate(sets):
        for row in range(n_modalities):
            # the set with r, against the set without it, in the orders in which r comes right after the others
            sign, others = (1, len(members) - 1) if row in members else (-1, len(members))
            weights[row, column] = sign * factorial(others) * factorial(n_modalities - others - 1) / total
    larger = sets[n_modalities:]
    inside = torch.zeros(len(larger), n_modalities)
    for row, members in enumerate(larger):
        inside[row, list(members)] = 1
    return inside.to(device, dtype), weights.to(device, dtype)

"""What several methods share: scores of one modality, ratios between them, one number per modality."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mmpid import _validate
from mmpid.errors import ConfigError
from mmpid.train.context import Context

SCORERS = ("auto", "split", "head", "ablation")
TINY = 1e-12  # lower scores count as this value in a ratio


def scorer(ctx: Context, how: str) -> str:
    """Return `how`, where "auto" is "split" if the fusion is a sum over modalities, else "ablation"."""
    return how if how != "auto" else "split" if getattr(ctx.model.fusion, "has_shares", False) else "ablation"


@torch.no_grad()
def right_probabilities(ctx: Context, how: str) -> list[float]:
    """Return for each modality the sum over the batch of the probability that it gives the right class.

    If several processes train together, the result is the mean of their sums.
    """
    logits = ctx.scores(scorer(ctx, how)).values()
    right = [z.softmax(1).gather(1, ctx.target[:, None]).sum() for z in logits]
    return ctx.mean(torch.stack(right)).tolist()


def ratios(scores: Sequence[float], rule: str) -> list[float]:
    """Return the lead of each score: the mean of ``s_m / s_j`` over the others ("pairs"), or ``s_m / sum_j s_j``."""
    rest = [[max(t, TINY) for j, t in enumerate(scores) if j != i] for i in range(len(scores))]
    if rule == "others":
        return [s / sum(others) for s, others in zip(scores, rest, strict=True)]
    return [sum(s / t for t in others) / len(others) for s, others in zip(scores, rest, strict=True)]


def numbers(value: float | Sequence[float], name: str, *, high: float | None = None) -> float | list[float]:
    """Return one finite number of at least 0, or a list of them; otherwise raise."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_validate.number(x, f"{name}[{i}]", low=0, high=high, finite=True) for i, x in enumerate(value)]
    return _validate.number(value, name, low=0, high=high, finite=True)


def by_modality(value: float | list[float], name: str, modalities: Sequence[str]) -> Mapping[str, float]:
    """Return one number per modality, from a single number for all or a list in their order."""
    if not isinstance(value, list):
        return dict.fromkeys(modalities, value)
    if len(value) != len(modalities):
        raise ConfigError(
            f"`{name}` must be one number, or {len(modalities)}, one for each of the modalities "
            f"{', '.join(modalities)}; it was {value}."
        )
    return dict(zip(modalities, value, strict=True))


def weighted_sum(terms: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Return the weighted sum of some tensors of one shape."""
    return torch.stack([weight * term for term, weight in zip(terms, weights, strict=True)]).sum(0)

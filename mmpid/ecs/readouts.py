"""A linear probe on the stored embeddings."""

from collections.abc import Mapping
from functools import lru_cache
from typing import cast

import torch
from torch import Tensor

from mmpid.ecs.batch import Folds, indicator, tiny
from mmpid.ecs.evidence import ProxyEvidence, ProxySettings


def linear_probe(evidence: ProxyEvidence, settings: ProxySettings) -> Tensor:
    """Recall of a ridge classifier on the embeddings, W = (Z'Z/n + a v I)^-1 Z'Y/n, fitted on the other half.

    Each half of the batch is classified by the probe of the other half; v is the mean variance of Z. By modality it is
    the mean over classes (balanced accuracy). Random features already separate many classes, so this does not follow
    ECS early in training.
    """
    folds = evidence.folds(settings.seed)
    widths = [z.shape[1] for z in cast("Mapping[str, Tensor]", evidence.embeddings).values()]
    scores = _class_scores(folds, folds.split(evidence.features), widths, settings.ridge)
    right = torch.linalg.vecdot(indicator(scores), folds.judged).view(2, len(widths), -1).sum(0)
    return right / folds.count


def _class_scores(folds: Folds, parts: Tensor, widths: list[int], ridge: float) -> Tensor:
    """Scores (2 M, K, h) of the second and third part of (3 M, h, d) by ridge classifiers of the first and second."""
    size = len(widths)
    fit, d = parts[:-size], parts.shape[2]
    products = torch.bmm(folds.fitted, fit)
    target, center = products[:, :-1].mT, products[:, -1:]
    centered = fit - center
    if folds.short:  # the second half ends in a row of zeros
        centered[size:, -1] = 0
    scatter = torch.baddbmm(_traces(d, parts.dtype, parts.device), centered.mT, centered)
    diagonal = scatter.diagonal(dim1=1, dim2=2)
    variance = diagonal.sum(1, keepdim=True)
    if len(set(widths)) > 1:  # not over the padding columns
        variance *= d / variance.new_tensor(widths).repeat(2).unsqueeze(1)
    diagonal.add_(variance, alpha=ridge / d)
    return torch.baddbmm(folds.share, _solved(scatter, target).mT, (parts[size:] - center).mT)


def _solved(scatter: Tensor, target: Tensor) -> Tensor:
    """Return scatter^-1 target, scatter symmetric and, unless the ridge is below the rounding error, positive."""
    factor, failed = torch.linalg.cholesky_ex(scatter)
    if any(failed.tolist()):
        return torch.linalg.solve_ex(scatter, target)[0]
    half = torch.linalg.solve_triangular(factor, target, upper=False)
    return torch.linalg.solve_triangular(factor.mT, half, upper=True)


@lru_cache
def _traces(d: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return a tiny diagonal matrix (1, d, d), because dead features have no variance."""
    with torch.inference_mode(False):  # kept, and used outside of it, too
        return torch.eye(d, dtype=dtype, device=device).mul_(tiny(dtype)).unsqueeze(0)

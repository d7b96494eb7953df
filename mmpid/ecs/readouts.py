"""A linear probe read out of the stored embeddings."""

import torch
from torch import Tensor

from mmpid.ecs.batch import Halves, indicator
from mmpid.ecs.evidence import ProxyEvidence, ProxySettings
from mmpid.ecs.logits import Strength


def linear_probe(evidence: ProxyEvidence, settings: ProxySettings) -> Strength:
    """Recall of a ridge classifier on the embeddings, W = (Z'Z/n + a v I)^-1 Z'Y/n, fitted on the other half.

    Each half of the batch is classified by the probe of the other half; v is the mean variance of Z. By modality the
    mean over classes (balanced accuracy). Random features already separate many classes, so this does not follow ECS
    while a network is young.
    """
    halves = evidence.halves(settings.seed)
    widths = [z.shape[1] for z in evidence.embeddings.values()]
    scores = _class_scores(halves, halves.split(evidence.features), widths, settings.ridge)
    right = torch.linalg.vecdot(indicator(scores), halves.judged).view(2, len(widths), -1).sum(0)
    return right / halves.count, None


def _class_scores(halves: Halves, parts: Tensor, widths: list[int], ridge: float) -> Tensor:
    """Scores (2 M, K, h) of the second and third part of (3 M, h, d) by ridge classifiers of the first and second."""
    size = len(widths)
    fit, d = parts[:-size], parts.shape[2]
    products = torch.bmm(halves.fitted, fit)
    target, center = products[:, :-1].mT, products[:, -1:]
    centered = fit - center
    if halves.short:  # the second half ends in a row of zeros
        centered[size:, -1] = 0
    scatter = torch.bmm(centered.mT, centered)
    diagonal = scatter.diagonal(dim1=1, dim2=2)
    variance = diagonal.sum(1, keepdim=True).add_(torch.finfo(parts.dtype).tiny * d / ridge)
    if len(set(widths)) > 1:  # not of the columns that fill up
        variance *= d / variance.new_tensor(widths).repeat(2).unsqueeze(1)
    diagonal.add_(variance, alpha=ridge / d)
    # as fast here as a Cholesky factor, which a ridge below the rounding error does not have
    weights = torch.linalg.solve_ex(scatter, target)[0]
    return torch.baddbmm(halves.share, weights.mT, (parts[size:] - center).mT)

"""A linear probe read out of the stored embeddings."""

from functools import lru_cache

import torch
from torch import Tensor, nn

from mmpid.ecs.batch import indicator, stacked
from mmpid.ecs.evidence import ProxyEvidence, ProxySettings
from mmpid.ecs.logits import Strength


def linear_probe(evidence: ProxyEvidence, settings: ProxySettings) -> Strength:
    """Recall of a ridge classifier on the embeddings, W = (Z'Z/n + a v I)^-1 Z'Y/n, fitted on the other half.

    Each half of the batch is classified by the probe of the other half; v is the mean variance of Z. By modality the
    mean over classes (balanced accuracy). Random features already separate many classes, so this does not follow ECS
    while a network is young.
    """
    embeddings, n = list(evidence.embeddings.values()), len(evidence.target)
    features = stacked(embeddings)
    member = evidence.classes.member.mT.to(features.dtype).expand(len(features), -1, -1)
    table = torch.cat([features, member], 2)
    if n % 2:
        table = nn.functional.pad(table, (0, 0, 0, 1))
    rows = table.flatten(0, 1).index_select(0, _halves(n, len(features), settings.seed, table.device))
    parts = rows.view(3, len(features), -1, table.shape[2])
    scores = _class_scores(parts, [z.shape[1] for z in embeddings], settings.ridge, n)
    right = indicator(scores).mul_(parts[1:, :, :, -evidence.n_classes :].mT).sum((0, 3))
    count = evidence.classes.count
    return right / (2 * count if n == 1 else count), None


def _class_scores(parts: Tensor, widths: list[int], ridge: float, n: int) -> Tensor:
    """Scores (2, M, K, h) of the rows of parts[1:] by ridge classifiers of parts[:-1], from parts (3, M, h, d + K)."""
    fit, d = parts[:-1], max(widths)
    center = fit.mean(2, keepdim=True)
    short = n % 2 and n > 1  # the second half ends in a row of zeros
    if short:
        center[1] *= fit.shape[2] / (fit.shape[2] - 1)
    centered = fit - center
    if short:
        centered[1, :, -1] = 0
    products = centered[..., :d].mT @ centered  # Z'Z and Z'Y
    diagonal = products.diagonal(dim1=-2, dim2=-1)
    variance = diagonal.sum(-1, keepdim=True)
    variance *= ridge / d if len(set(widths)) == 1 else ridge / variance.new_tensor(widths).view(-1, 1)
    diagonal.add_(variance.add_(torch.finfo(parts.dtype).tiny))
    factor, failed = torch.linalg.cholesky_ex(products[..., :d])
    if failed.any():  # a ridge below the rounding error
        weights = torch.linalg.solve_ex(products[..., :d], products[..., d:])[0]
    else:
        weights = torch.cholesky_solve(products[..., d:], factor)
    judged = (parts[1:, ..., :d] - center[..., :d]).mT
    return (weights.mT @ judged).add_(center[..., d:].mT)


@lru_cache
def _halves(n: int, n_modalities: int, seed: int, device: torch.device) -> Tensor:
    """Rows of a random half of the samples, of the other half, and of the first half again, modality by modality.

    A half that is one short takes in the row of zeros after its modality's n rows. One sample is both halves.
    """
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    order = order.repeat(2) if n == 1 else nn.functional.pad(order, (0, n % 2), value=n)
    one, two = order.chunk(2)
    starts = torch.arange(n_modalities).unsqueeze(1) * (n + n % 2)
    return torch.cat([(starts + half).flatten() for half in (one, two, one)]).to(device)

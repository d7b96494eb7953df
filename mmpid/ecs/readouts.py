"""Proxies that read codes or a linear probe out of the stored logits and embeddings."""

import torch
from torch import Tensor, nn

from mmpid.ecs.batch import one_hot
from mmpid.ecs.evidence import ProxyEvidence, ProxySettings
from mmpid.ecs.logits import Strength, code_information


def cluster_mi(evidence: ProxyEvidence, settings: ProxySettings) -> Strength:
    """Plug-in mutual information I(Y; C) in bits of k-means clusters of the unimodal logits, 2K clusters by default.

    By class sum over c of p(c|j) log2 p(c|j)/p(c). Clusters of raw inputs can already follow the classes, so at the
    start this can be high, and even fall while the modality gets stronger; it is offered because the paper's own
    estimator clusters, not because it follows ECS.
    """
    n_clusters = min(settings.n_clusters or 2 * evidence.n_classes, len(evidence.target))
    generator = torch.Generator().manual_seed(settings.seed)
    return code_information(evidence, kmeans(evidence.scores, n_clusters, generator), n_clusters)


def linear_probe(evidence: ProxyEvidence, settings: ProxySettings) -> Strength:
    """Recall of a ridge classifier on the embeddings, W = (Z'Z/n + a v I)^-1 Z'Y/n, fitted on the other half.

    Each half of the batch is classified by the probe of the other half; v is the mean variance of Z. By modality the
    mean over classes (balanced accuracy). Random features already separate many classes, so this does not follow ECS
    while a network is young.
    """
    generator = torch.Generator().manual_seed(settings.seed)
    order = torch.randperm(len(evidence.target), generator=generator).to(evidence.target.device)
    order = order if len(order) > 1 else order.repeat(2)
    odd = len(order) % 2  # a row of zeros, which belongs to no class, makes the halves equally long
    features = _stacked([z.index_select(0, order) for z in evidence.embeddings.values()], odd).unflatten(1, (2, -1))
    target = evidence.target.index_select(0, order)
    member = nn.functional.pad(one_hot(target, evidence.n_classes, features.dtype), (0, 0, 0, odd)).unflatten(
        0, (2, -1)
    )
    widths = torch.tensor([z.shape[1] for z in evidence.embeddings.values()]).to(features).view(-1, 1, 1)
    center, weights, prior = _ridge_classifiers(features, member, widths, settings.ridge)
    scores = (features - center.flip(1)) @ weights.flip(1) + prior.flip(0)
    correct = member.gather(2, scores.argmax(-1).movedim(0, -1)).movedim(-1, 0)
    recall = correct.flatten(1) @ (member / member.sum((0, 1))).flatten(0, 1)
    return recall, None


def _ridge_classifiers(features: Tensor, member: Tensor, widths: Tensor, ridge: float) -> tuple[Tensor, Tensor, Tensor]:
    """Means (M, 2, 1, d), weights (M, 2, d, K) and class shares (2, 1, K) of each half of features (M, 2, n, d)."""
    present = member.sum(2, keepdim=True)
    size = present.sum(1, keepdim=True)
    center, prior = features.sum(2, keepdim=True) / size, member.sum(1, keepdim=True) / size
    features = (features - center) * present
    covariance = features.mT @ features / size
    diagonal = covariance.diagonal(dim1=-2, dim2=-1)
    diagonal.add_(ridge * diagonal.sum(-1, keepdim=True) / widths + torch.finfo(features.dtype).tiny)
    return center, torch.linalg.solve_ex(covariance, features.mT @ (member - prior) / size)[0], prior


def _stacked(tensors: list[Tensor], extra_rows: int) -> Tensor:
    """Stack (n, d) tensors, filled up with zeros to the largest d and by some rows."""
    width = max(t.shape[1] for t in tensors)
    return torch.stack([nn.functional.pad(t, (0, width - t.shape[1], 0, extra_rows)) for t in tensors])


def kmeans(points: Tensor, n_clusters: int, generator: torch.Generator, n_iter: int = 10) -> Tensor:
    """Codes (M, N) of M separate k-means clusterings of points (M, N, d), with k-means++ starts."""
    centers = _spread_start(points, n_clusters, generator)
    counted = nn.functional.pad(points, (0, 1), value=1.0)
    codes = _nearest(points, centers)
    for _ in range(n_iter):
        sums = one_hot(codes, n_clusters, points.dtype).mT @ counted
        count = sums[..., -1:]
        centers = torch.where(count > 0, sums[..., :-1] / count, centers)
        moved = _nearest(points, centers)
        if torch.equal(moved, codes):
            break
        codes = moved
    return codes


def _nearest(points: Tensor, centers: Tensor) -> Tensor:
    """Codes of the nearest centers: the largest <p, c> - |c|^2 / 2."""
    return torch.baddbmm(centers.square().sum(-1).unsqueeze(1), points, centers.mT, beta=-0.5).argmax(-1)


def _spread_start(points: Tensor, n_clusters: int, generator: torch.Generator) -> Tensor:
    draws = torch.rand(n_clusters, len(points), 1, generator=generator, dtype=torch.float64).to(points)
    rows = torch.arange(len(points), device=points.device)
    chosen = [points[rows, (draws[0, :, 0] * points.shape[1]).long().clamp(max=points.shape[1] - 1)]]
    distance = torch.full(points.shape[:2], torch.inf).to(points)
    for draw in draws[1:]:
        distance = torch.minimum(distance, (points - chosen[-1].unsqueeze(1)).square().sum(-1))
        mass = distance.cumsum(-1)
        index = torch.searchsorted(mass, draw * mass[:, -1:]).squeeze(-1).clamp(max=points.shape[1] - 1)
        chosen.append(points[rows, index])
    return torch.stack(chosen, 1)

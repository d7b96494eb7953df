"""Proxies that read codes or a linear probe out of the stored logits and embeddings."""

from collections.abc import Callable

import torch
from torch import Tensor

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
    halves = order.chunk(2) if len(order) > 1 else (order, order)
    recalls = []
    for embedding in evidence.embeddings.values():
        correct = embedding.new_zeros(len(order))
        for fit, judge in (halves, halves[::-1]):
            predict = _ridge_classifier(embedding[fit], evidence.target[fit], evidence.n_classes, settings.ridge)
            correct[judge] = (predict(embedding[judge]) == evidence.target[judge]).to(correct)
        recalls.append(correct)
    return _class_means(torch.stack(recalls), evidence), None


def _class_means(values: Tensor, evidence: ProxyEvidence) -> Tensor:
    member = torch.nn.functional.one_hot(evidence.target, evidence.n_classes).to(values)
    return values @ (member / member.sum(0))


def _ridge_classifier(source: Tensor, target: Tensor, n_classes: int, ridge: float) -> Callable[[Tensor], Tensor]:
    center = source.mean(0)
    features = source - center
    one_hot = torch.nn.functional.one_hot(target, n_classes).to(source)
    covariance = features.T @ features / len(source)
    penalty = ridge * covariance.diagonal().mean() + torch.finfo(source.dtype).tiny
    covariance.diagonal().add_(penalty)
    weights = torch.linalg.solve_ex(covariance, features.T @ (one_hot - one_hot.mean(0)) / len(source))[0]
    return lambda other: ((other - center) @ weights + one_hot.mean(0)).argmax(1)


def kmeans(points: Tensor, n_clusters: int, generator: torch.Generator, n_iter: int = 10) -> Tensor:
    """Codes (M, N) of M separate k-means clusterings of points (M, N, d), with k-means++ starts."""
    centers = _spread_start(points, n_clusters, generator)
    for _ in range(n_iter):
        member = torch.nn.functional.one_hot(_nearest(points, centers), n_clusters).to(points)
        count = member.sum(1).unsqueeze(-1)
        moved = torch.where(count > 0, member.mT @ points / count.clamp(min=1), centers)
        if torch.equal(moved, centers):
            break
        centers = moved
    return _nearest(points, centers)


def _nearest(points: Tensor, centers: Tensor) -> Tensor:
    return (centers.square().sum(-1).unsqueeze(1) - 2 * points @ centers.mT).argmin(-1)


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

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
    odd = len(order) % 2  # a column of zeros, which belongs to no class, makes the halves equally long
    features = _halves([z.index_select(0, order).T for z in evidence.embeddings.values()], odd)
    target = evidence.target.index_select(0, order)
    member = _halves([one_hot(target, evidence.n_classes, features.dtype)], odd)
    widths = torch.tensor([z.shape[1] for z in evidence.embeddings.values()]).to(features).view(-1, 1, 1)
    center, weights, prior = _ridge_classifiers(features, member, widths, settings.ridge)
    scores = weights.mT.flip(1) @ (features - center.flip(1)) + prior.flip(1)
    correct = member.expand_as(scores).gather(2, scores.max(2, keepdim=True).indices)
    hits = (member @ correct.mT).sum((1, 3))
    return hits / member.sum((1, 3)), None


def _ridge_classifiers(features: Tensor, member: Tensor, widths: Tensor, ridge: float) -> tuple[Tensor, Tensor, Tensor]:
    """Means (M, 2, d, 1), weights (M, 2, d, K) and class shares (1, 2, K, 1) of each half of features (M, 2, d, n)."""
    present = member.sum(2, keepdim=True)
    size = present.sum(3, keepdim=True)
    center, prior = features.sum(3, keepdim=True) / size, member.sum(3, keepdim=True) / size
    features = (features - center).mul_(present)
    covariance = features @ features.mT / size
    diagonal = covariance.diagonal(dim1=-2, dim2=-1)
    diagonal.add_(ridge * diagonal.sum(-1, keepdim=True) / widths + torch.finfo(features.dtype).tiny)
    return center, torch.linalg.solve_ex(covariance, features @ (member - prior).mT / size)[0], prior


def _halves(tensors: list[Tensor], odd: int) -> Tensor:
    """Stack (d, n) tensors, filled up with zeros to the largest d and an even n, as (M, 2, d, n / 2)."""
    width = max(len(t) for t in tensors)
    if odd or any(len(t) < width for t in tensors):
        tensors = [nn.functional.pad(t, (0, odd, 0, width - len(t))) for t in tensors]
    return torch.stack(tensors).unflatten(2, (2, -1)).transpose(1, 2)


def kmeans(points: Tensor, n_clusters: int, generator: torch.Generator, n_iter: int = 3) -> Tensor:
    """Codes (M, N) of M separate k-means clusterings of points (M, d, N), with k-means++ starts.

    Three iterations after such a start: five or ten follow ECS no better (rank correlations within .02).
    """
    centers = _spread_start(points.mT, n_clusters, generator)
    counted = nn.functional.pad(points.mT, (0, 1), value=1.0)
    codes = _nearest(points, centers)
    member = points.new_empty(len(points), n_clusters, points.shape[2])
    for _ in range(n_iter):
        sums = member.zero_().scatter_(1, codes.unsqueeze(1), 1) @ counted
        count = sums[..., -1:]
        centers = torch.where(count > 0, sums[..., :-1] / count, centers)
        codes = _nearest(points, centers)
    return codes


def _nearest(points: Tensor, centers: Tensor) -> Tensor:
    """Codes of the nearest centers: the largest <p, c> - |c|^2 / 2."""
    return torch.baddbmm(centers.square().sum(2, keepdim=True), centers, points, beta=-0.5).max(1).indices


def _spread_start(points: Tensor, n_clusters: int, generator: torch.Generator) -> Tensor:
    """Centers (M, C, d): drawn in rounds from four random points for each cluster.

    A round draws as many points as there are already, with chances that grow with the squared distance to those, one
    in each of as many equal parts of the distribution: a scalable variant of k-means++ (after Bahmani et al. 2012).
    """
    order = torch.randperm(points.shape[1], generator=generator)[: 4 * n_clusters].to(points.device)
    candidates = points.index_select(1, order)
    size = candidates.square().sum(2, keepdim=True)
    distances = torch.baddbmm(size, candidates, candidates.mT, alpha=-2).add_(size.mT).clamp_min_(0)
    draws = (torch.rand(n_clusters, generator=generator) + torch.arange(n_clusters)).to(points)
    chosen, nearest = torch.zeros(len(points), 1, dtype=torch.int64, device=points.device), distances[:, 0]
    while chosen.shape[1] < n_clusters:
        step = min(chosen.shape[1], n_clusters - chosen.shape[1])
        mass = nearest.cumsum(1)
        drawn = torch.searchsorted(mass, draws[:step] / step * mass[:, -1:], right=True).clamp_(max=len(order) - 1)
        chosen = torch.cat([chosen, drawn], 1)
        rows = distances.gather(1, drawn.unsqueeze(2).expand(-1, -1, len(order)))
        nearest = torch.minimum(nearest, rows.amin(1))
    return candidates.gather(1, chosen.unsqueeze(2).expand(-1, -1, points.shape[2]))

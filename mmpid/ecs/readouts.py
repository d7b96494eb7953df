"""Proxies that read codes or a linear probe out of the stored logits and embeddings."""

import torch
from torch import Tensor, nn

from mmpid.ecs.batch import stacked
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
    embeddings = list(evidence.embeddings.values())
    features = _halves(stacked(embeddings).index_select(1, order))
    member = _halves(evidence.member.mT.index_select(0, order)).to(features.dtype)
    widths = [z.shape[1] for z in embeddings]
    weights, offset = _ridge_classifiers(features, member, widths, settings.ridge, len(order))
    guess = (features @ weights.flip(1)).add_(offset.flip(1)).max(3, keepdim=True).indices
    correct = member.expand(*guess.shape[:3], -1).gather(3, guess)
    return (member * correct).sum((1, 2)) / member.sum((0, 1)), None


def _ridge_classifiers(
    features: Tensor, member: Tensor, widths: list[int], ridge: float, n: int
) -> tuple[Tensor, Tensor]:
    """Weights (M, 2, d, K) and offsets (M, 2, 1, K) for each half of features (M, 2, h, d) and members (2, h, K)."""
    sizes = features.new_tensor([n - n // 2, n // 2]).view(2, 1, 1)
    center = features.sum(2, keepdim=True) / sizes
    centered = features - center
    if n % 2:
        centered[:, 1, -1] = 0  # the row that was filled up
    scatter = centered.mT @ centered
    diagonal = scatter.diagonal(dim1=-2, dim2=-1)
    variance = diagonal.sum(-1, keepdim=True)
    variance *= ridge / widths[0] if len(set(widths)) == 1 else ridge / variance.new_tensor(widths).view(-1, 1, 1)
    diagonal.add_(variance.add_(torch.finfo(features.dtype).tiny))
    weights = torch.linalg.solve_ex(scatter, centered.mT @ member)[0]
    return weights, member.sum(1, keepdim=True) / sizes - center @ weights


def _halves(rows: Tensor) -> Tensor:
    """Split (..., N, d) into (..., 2, h, d), the second half filled up with zeros where N is odd."""
    rows = nn.functional.pad(rows, (0, 0, 0, 1)) if rows.shape[-2] % 2 else rows
    return rows.unflatten(-2, (2, -1))


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
    first = torch.zeros(len(points), 1, dtype=torch.int64, device=points.device)
    chosen, n_chosen, nearest = [first], 1, distances[:, 0]
    while n_chosen < n_clusters:
        step = min(n_chosen, n_clusters - n_chosen)
        mass = nearest.cumsum(1)
        drawn = torch.searchsorted(mass, draws[:step] / step * mass[:, -1:], right=True).clamp_(max=len(order) - 1)
        rows = distances.gather(1, drawn.unsqueeze(2).expand(-1, -1, len(order)))
        nearest = torch.minimum(nearest, rows.amin(1))
        chosen.append(drawn)
        n_chosen += step
    return candidates.gather(1, torch.cat(chosen, 1).unsqueeze(2).expand(-1, -1, points.shape[2]))

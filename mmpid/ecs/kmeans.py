"""Separate k-means clusterings of all modalities at once."""

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from mmpid.ecs.batch import indicator, tiny


def kmeans(points: Tensor, n_clusters: int, seed: int) -> Tensor:
    """Return indicators (M, C, N) of the clusters of M separate k-means clusterings of points (M, d, N)."""
    return indicator(closeness(points, n_clusters, seed))


def closeness(points: Tensor, n_clusters: int, seed: int, n_iter: int = 2) -> Tensor:
    """Return how close (M, C, N) points (M, d, N) are to the centers of M separate k-means clusterings.

    Runs two iterations from a k-means++-like start; more iterations do not follow ECS better (rank correlations within
    .02). A cluster that loses all of its points stays where it was.
    """
    draws, rows = _draws(points.shape[2], n_clusters, seed, points.dtype, points.device), points.mT
    centers = _spread_start(rows.index_select(1, draws.order), draws)
    trace = tiny(points.dtype) ** 0.5  # too little to move a center that has points
    for _ in range(n_iter):
        member = _closeness(points, centers)
        member.eq_(member.amax(1, keepdim=True))
        sums = torch.baddbmm(centers, member, rows, beta=trace)
        centers = sums.div_(member.sum(2, keepdim=True).clamp_min_(trace))
    return _closeness(points, centers)


def _closeness(points: Tensor, centers: Tensor) -> Tensor:
    """Return <p, c> - |c|^2 / 2, (M, C, N), of points (M, d, N) and centers (M, C, d)."""
    size = (centers * centers).sum(2, keepdim=True)
    return torch.baddbmm(size, centers, points, beta=-0.5)


def _spread_start(points: Tensor, draws: "_Draws") -> Tensor:
    """Return centers (M, C, d), drawn in rounds from four random points (M, P, d) for each cluster.

    A round draws four points for each existing one, none twice, with probabilities that grow with the squared distance
    to the existing points: a scalable variant of k-means++ (after Bahmani et al. 2012). Taking the largest ratios of
    weights to exponential random numbers gives such a draw (Efraimidis and Spirakis 2006).
    """
    size = (points * points).sum(2, keepdim=True)
    near = torch.baddbmm(size, points, points.mT, beta=-1, alpha=2).sub_(size.mT)
    nearest, chosen = near[:, 0], draws.first.expand(points.shape[0], -1)
    for i, (step, chances) in enumerate(draws.rounds):
        if i:
            nearest = near.gather(1, chosen.unsqueeze(2).expand(-1, -1, near.shape[2])).amax(1)
        chosen = torch.cat([chosen, (nearest * chances).topk(step, sorted=False).indices], 1)
    return points.gather(1, chosen.unsqueeze(2).expand(-1, -1, points.shape[2]))


class _Draws(NamedTuple):
    """The random part of a start."""

    order: Tensor  # random points (P,) to choose centers from, of which the first is one
    first: Tensor  # its position in the order, (1, 1)
    rounds: tuple[tuple[int, Tensor], ...]  # how many points each round draws, and inverse exponential numbers (P,)


@lru_cache
def _draws(n: int, n_clusters: int, seed: int, dtype: torch.dtype, device: torch.device) -> _Draws:
    """Draw with the seed, once for all clusterings of the same number of points."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(n, generator=generator)[: 4 * n_clusters].to(device)
    rounds, n_chosen = [], 1
    while n_chosen < n_clusters:
        step = min(4 * n_chosen, n_clusters - n_chosen)
        chances = -1 / torch.empty(len(order), dtype=torch.float64).exponential_(generator=generator)
        rounds.append((step, chances.to(device, dtype)))
        n_chosen += step
    return _Draws(order, order.new_zeros(1, 1), tuple(rounds))

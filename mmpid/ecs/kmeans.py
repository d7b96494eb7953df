"""Separate k-means clusterings of all modalities at once."""

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from mmpid.ecs.batch import indicator


def kmeans(points: Tensor, n_clusters: int, seed: int, n_iter: int = 3) -> Tensor:
    """Return indicators (M, C, N) of the clusters of M separate k-means clusterings of points (M, d, N).

    Three iterations after a start in the manner of k-means++: five or ten follow ECS no better (rank correlations
    within .02). A cluster that loses all of its points stays where it was.
    """
    draws = _draws(points.shape[2], n_clusters, seed, points.dtype, points.device)
    ones = draws.ones.expand(points.shape[0], -1, -1)
    counted = torch.cat([points, ones], 1).mT  # sums of these rows over a cluster end with its size
    trace = torch.finfo(points.dtype).tiny ** 0.5  # too little to move a center that has points
    centers = _spread_start(counted, draws)
    for _ in range(n_iter):
        member = _closeness(points, centers)
        sums = torch.baddbmm(centers, member.eq_(member.amax(1, keepdim=True)), counted, beta=trace)
        centers = sums / sums[..., -1:]
    return indicator(_closeness(points, centers))


def _closeness(points: Tensor, centers: Tensor) -> Tensor:
    """Return <p, c> - |c|^2 / 2, (M, C, N), of points (M, d, N) and centers, the first d columns of (M, C, d + 1)."""
    centers = centers[..., :-1]
    size = torch.linalg.vecdot(centers, centers).unsqueeze(2)
    return torch.baddbmm(size, centers, points, beta=-0.5)


def _spread_start(counted: Tensor, draws: "_Draws") -> Tensor:
    """Return centers (M, C, d + 1), drawn in rounds from four random points, with their ones, for each cluster.

    A round draws four points for each that there is already, with chances that grow with the squared distance to
    those, one in each of as many equal parts of the distribution: a scalable variant of k-means++ (after Bahmani et
    al. 2012).
    """
    candidates = counted.index_select(1, draws.order)
    points = candidates[..., :-1]
    size = torch.linalg.vecdot(points, points)
    distances = torch.baddbmm(size.unsqueeze(2), points, points.mT, alpha=-2).add_(size.unsqueeze(1))
    nearest = distances.clamp_min_(0)[:, 0]
    chosen = [draws.start.expand(counted.shape[0], -1)]
    for i, quantiles in enumerate(draws.rounds):
        if i:
            rows = distances.gather(1, chosen[-1].unsqueeze(2).expand(-1, -1, distances.shape[2]))
            nearest = torch.minimum(nearest, rows.amin(1))
        mass = nearest.cumsum(1)
        chosen.append(torch.searchsorted(mass, quantiles * mass[:, -1:]))
    places = torch.cat(chosen, 1).unsqueeze(2)
    return candidates.gather(1, places.expand(-1, -1, counted.shape[2]))


class _Draws(NamedTuple):
    """What chance decides of a start, and constants that go with it."""

    order: Tensor  # random points (P,) to choose centers from
    rounds: tuple[Tensor, ...]  # quantiles (step,) that each round draws at
    start: Tensor  # place (1, 1) of the first center in the order
    ones: Tensor  # (1, 1, N)


@lru_cache
def _draws(n: int, n_clusters: int, seed: int, dtype: torch.dtype, device: torch.device) -> _Draws:
    """Draw with the seed; once for all clusterings of as many points."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(n, generator=generator)[: 4 * n_clusters].to(device)
    draws = torch.rand(n_clusters, generator=generator) + torch.arange(n_clusters)
    rounds, n_chosen = [], 1
    while n_chosen < n_clusters:
        step = min(4 * n_chosen, n_clusters - n_chosen)
        rounds.append((draws[:step] / step).to(device, dtype))
        n_chosen += step
    ones = torch.ones(1, 1, n, dtype=dtype)
    return _Draws(order, tuple(rounds), order.new_zeros(1, 1), ones.to(device))

"""Bounds on min f that hold for any iterate, converged or not.

Inside the solver a joint is held as q[b, x1, y, x2], the target between the sources, so that each x1 owns a
contiguous k x n2 matrix; p1[b, x1, y] and p2[b, y, x2] are its pairwise marginals. All values are nats.
"""

import math

import torch
from torch import Tensor

from mmpid.pid.constants import TINY
from mmpid.pid.typed import entr

_ROUNDING = 2.0**-48  # sums of logarithms in float64, by bit of log2(n1 n2 k): an eighth of it was seen at worst


def rounding_of(cells: int) -> float:
    """Bound, in bits, on what rounding adds to the gap of a table with so many cells (x1, x2, y)."""
    return _ROUNDING * math.log2(max(2, cells))


def rounding_bits(p1: Tensor, p2: Tensor) -> float:
    """Bound, in bits, on what rounding adds to a gap, given p1 (b, n1, k) and p2 (b, n2, k)."""
    return rounding_of(p1.shape[1] * p2.shape[1] * p1.shape[2])


def round_to_marginals(q: Tensor, p1: Tensor, p2: Tensor) -> Tensor:
    """Move a non-negative q to the exact marginals (Altschuler, Weed and Rigollet 2017, algorithm 2, per class).

    A Sinkhorn sweep comes first: near the optimum it leaves less for the remainder to repair.
    """
    p1, p2 = p1.unsqueeze(3), p2.unsqueeze(1)
    q = q * (p1 / q.sum(3, keepdim=True).clamp_min_(TINY))
    q *= p2 / q.sum(1, keepdim=True).clamp_min_(TINY)
    q *= (p1 / q.sum(3, keepdim=True).clamp_min_(TINY)).clamp_max_(1.0)
    missing1 = (p1 - q.sum(3, keepdim=True)).clamp_min_(0.0)
    missing2 = (p2 - q.sum(1, keepdim=True)).clamp_min_(0.0)
    return q.addcmul_(missing1, missing2 / missing1.sum(1, keepdim=True).clamp_min_(TINY))


def objective(q: Tensor) -> Tensor:
    """f(q) = -H_q(Y | X1, X2) in nats."""
    return entr(q.sum(2)).sum((1, 2)) - entr(q).sum((1, 2, 3))


def lower_bound(lam: Tensor, mu: Tensor, p1: Tensor, p2: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Dual value after the shift that makes (lam, mu) feasible, and the feasible (lam, mu).

    On a zero marginal they are -inf in the constraints, where they force a zero, and 0 in what is returned.
    """
    zero1, zero2 = p1 <= 0, p2 <= 0
    theta = lam.masked_fill(zero1, -torch.inf).unsqueeze(-1) + mu.masked_fill(zero2, -torch.inf).unsqueeze(1)
    lam = (lam - theta.logsumexp(2).amax(-1, keepdim=True)).masked_fill_(zero1, 0.0)
    mu = mu.masked_fill(zero2, 0.0)
    return (p1 * lam).sum((1, 2)) + (p2 * mu).sum((1, 2)), lam, mu

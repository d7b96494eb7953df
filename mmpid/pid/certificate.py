"""Bounds on min f that hold for any iterate, converged or not.

Inside the solver a joint is held as q[b, x1, y, x2], the target between the sources, so that each x1 owns a
contiguous k x n2 matrix; p1[b, x1, y] and p2[b, y, x2] are its pairwise marginals. All values are nats.
"""

import torch
from torch import Tensor

TINY = 1e-300


def round_to_marginals(q: Tensor, p1: Tensor, p2: Tensor) -> Tensor:
    """Move a non-negative q to the exact marginals (Altschuler, Weed and Rigollet 2017, algorithm 2, per class).

    A Sinkhorn sweep comes first: near the optimum it leaves less for the remainder to repair.
    """
    q = q * (p1 / q.sum(-1).clamp_min(TINY)).unsqueeze(-1)
    q = q * (p2 / q.sum(1).clamp_min(TINY)).unsqueeze(1)
    q = q * (p1 / q.sum(-1).clamp_min(TINY)).clamp_max(1.0).unsqueeze(-1)
    missing1 = (p1 - q.sum(-1)).clamp_min(0.0)
    missing2 = (p2 - q.sum(1)).clamp_min(0.0)
    total = missing1.sum(1).clamp_min(TINY)
    return torch.addcmul(q, missing1.unsqueeze(-1), (missing2 / total.unsqueeze(-1)).unsqueeze(1))


def objective(q: Tensor) -> Tensor:
    """f(q) = -H_q(Y | X1, X2) in nats."""
    return torch.special.entr(q.sum(2)).sum((1, 2)) - torch.special.entr(q).sum((1, 2, 3))


def lower_bound(lam: Tensor, mu: Tensor, p1: Tensor, p2: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Dual value after the shift that makes (lam, mu) feasible, and the feasible (lam, mu).

    On a zero marginal they are -inf in the constraints, where they force a zero, and 0 in what is returned.
    """
    theta = torch.where(p1 > 0, lam, -torch.inf).unsqueeze(-1) + torch.where(p2 > 0, mu, -torch.inf).unsqueeze(1)
    # entries far above 0 would overflow: take each cell's sum relative to its largest term
    top = theta.amax(2).clamp_min(-1e300)
    log_s = (theta - top.unsqueeze(2)).exp_().sum(2).clamp_min(TINY).log_() + top
    lam = torch.where(p1 > 0, lam - log_s.amax(-1).unsqueeze(-1), 0.0)
    mu = torch.where(p2 > 0, mu, 0.0)
    return (p1 * lam).sum((1, 2)) + (p2 * mu).sum((1, 2)), lam, mu

"""One small joint without a gradient: the same decomposition with NumPy alone, whose calls cost less than torch's."""

import numpy as np
import torch
from torch import Tensor

from mmpid.pid import compact
from mmpid.pid.atoms import warn_if_missed
from mmpid.pid.certificate import rounding_of
from mmpid.pid.constants import FINEST_TOL, LN2, NEGLIGIBLE, SMALL_CELLS, TINY
from mmpid.pid.effort import Effort
from mmpid.pid.pattern import Floats
from mmpid.pid.results import PIDResult


def is_small(joint: Tensor) -> bool:
    """Whether this is a single small problem on the CPU that needs no gradient."""
    if joint.numel() > SMALL_CELLS or not joint.numel() or joint.is_cuda:
        return False
    return joint.shape[:-3].numel() == 1 and not (joint.requires_grad and torch.is_grad_enabled())


def decompose(joint: Tensor, effort: Effort) -> PIDResult:
    """Decompose as `mmpid.pid.decompose` does."""
    p = joint.detach().to(torch.float64).numpy().reshape(joint.shape[-3:])
    p = p / p.sum()
    p[p < NEGLIGIBLE] = 0.0
    p1, p2 = p.sum(1), p.sum(0)
    rounding = rounding_of(p.size)
    pattern, found = compact.enclose(p1, p2, max(effort.tol - rounding, FINEST_TOL) * LN2, effort.max_iter)
    y, x1, x2, x1y, x2y, both, own = _entropies(p1.sum(0), p1.sum(1), p2.sum(1), p1, p2, p.sum(2), p)
    own = both - own
    value, gap = found.upper, max(found.gap, 0.0)
    if value > own:  # p itself is at least as good a q: then synergy is 0 exactly
        gap, value, q = max(gap - (value - own), 0.0), own, p
    else:
        q = np.zeros_like(p)
        q[pattern.x1[pattern.first], pattern.x2[pattern.second], pattern.y1[pattern.first]] = found.q
    first, second, achieved = x1 + y - x1y, x2 + y - x2y, y + value
    unique1, unique2 = achieved - second, achieved - first
    gap = gap / LN2 + rounding
    bits = np.array([first - unique1, unique1, unique2, own - value]) / LN2
    shape = joint.shape[:-3]
    redundancy, unique1, unique2, synergy = torch.from_numpy(bits.reshape(4, *shape)).unbind()
    result = PIDResult(
        redundancy=redundancy,
        unique1=unique1,
        unique2=unique2,
        synergy=synergy,
        gap=torch.full(shape, gap, dtype=torch.float64),
        converged=torch.full(shape, gap <= effort.tol),
        optimum=torch.from_numpy(q.reshape(joint.shape)),
        n_iter=torch.full(shape, found.n_iter),
        method="exact",
    )
    if gap > effort.tol:
        warn_if_missed(result, effort.tol)
    return result


def _entropies(*tables: Floats) -> list[float]:
    """Entropies in nats of several tables at once."""
    sizes = [table.size for table in tables]
    flat = np.concatenate([table.ravel() for table in tables])
    starts = np.cumsum([0, *sizes[:-1]])
    return (-np.add.reduceat(flat * np.log(np.maximum(flat, TINY)), starts)).tolist()

"""One joint that is small or sparse, without a gradient: decomposed by NumPy alone, whose calls cost less."""

import numpy as np
import torch
from torch import Tensor

from mmpid.pid import compact
from mmpid.pid.atoms import warn_if_missed
from mmpid.pid.certificate import rounding_of
from mmpid.pid.compact import CompactBounds
from mmpid.pid.constants import FINEST_TOL, LN2, NEGLIGIBLE, SMALL_CELLS, TINY
from mmpid.pid.costs import Size, check_memory, couples_of
from mmpid.pid.effort import Effort
from mmpid.pid.pattern import Floats, Pattern
from mmpid.pid.results import PIDResult
from mmpid.pid.typed import array_of, tensor_of

_MOST_CELLS = 200_000


def decompose(joint: Tensor, effort: Effort) -> PIDResult | None:
    """Decompose a single joint that needs no gradient and is solved alone; None for any other."""
    if not 0 < joint.numel() <= _MOST_CELLS or joint.is_cuda or joint.shape[:-3].numel() != 1:
        return None
    if joint.requires_grad and torch.is_grad_enabled():
        return None
    p = array_of(joint.detach().to(torch.float64)).reshape(joint.shape[-3:])
    p = p / p.sum()
    p[p < NEGLIGIBLE] = 0.0
    p1, p2 = p.sum(1), p.sum(0)
    if p.size > SMALL_CELLS:
        size = _size(p1, p2)
        if not size.leaves_batch(1):
            return None
        check_memory(size.bytes_alone(couples_of(p1, p2)), effort.memory_limit, *p.shape)
    rounding = rounding_of(p.size)
    pattern, found = compact.enclose(p1, p2, max(effort.tol - rounding, FINEST_TOL) * LN2, effort.max_iter)
    return _result(joint, p, p1, p2, pattern, found, effort)


def _size(p1: Floats, p2: Floats) -> Size:
    count1, count2 = (p1 > 0).sum(0), (p2 > 0).sum(0)
    return Size(len(p1), len(p2), p1.shape[1], int(count1.sum()), int(count2.sum()), int(count1 @ count2))


def _result(
    joint: Tensor, p: Floats, p1: Floats, p2: Floats, pattern: Pattern, found: CompactBounds, effort: Effort
) -> PIDResult:
    """Turn the bounds into atoms, and warn if they miss the tolerance."""
    rounding = rounding_of(p.size)
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
    redundancy, unique1, unique2, synergy = tensor_of(bits.reshape(4, *shape)).unbind()
    result = PIDResult(
        redundancy=redundancy,
        unique1=unique1,
        unique2=unique2,
        synergy=synergy,
        gap=torch.full(shape, gap, dtype=torch.float64),
        converged=torch.full(shape, gap <= effort.tol),
        optimum=tensor_of(q.reshape(joint.shape)),
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

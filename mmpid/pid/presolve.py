"""Exact reductions before solving: drop what has no mass, merge states that say the same about the target.

Two states of a source with the same p(y | x) can be one state: the decomposition is invariant under splitting a
state, and an optimum of the merged problem is spread over the two in proportion to their mass.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from mmpid.pid.constants import SAME_STATE, TINY
from mmpid.pid.typed import integers_of


@dataclass
class Reduction:
    """Where each state of an axis went (slot), with which share of its slot's mass, and how many slots are used."""

    slot: Tensor  # (b, n) int64
    share: Tensor  # (b, n)
    count: Tensor  # (b,) int64
    trivial: bool  # whether every state kept its own place
    size: int  # the largest count

    @classmethod
    def of(cls, slot: Tensor, share: Tensor, count: Tensor) -> "Reduction":
        """Look up in `count` what the host has to know."""
        least, most = integers_of(torch.stack(count.aminmax()))
        return cls(slot, share, count, least == slot.shape[1], most)

    def rows(self, index: Tensor) -> "Reduction":
        """Return the reductions of the problems at `index`."""
        return Reduction.of(self.slot[index], self.share[index], self.count[index])

    def pool(self, p: Tensor) -> Tensor:
        """Add up p (b, n, m) over the states of each slot in use."""
        if self.trivial:
            return p
        out = p.new_zeros(len(p), self.size, p.shape[2])
        return out.scatter_add_(1, self.slot.unsqueeze(-1).expand_as(p), p)


def merge_states(p: Tensor) -> Reduction:
    """Reduce the states of p (b, n, k): those without mass vanish, those with equal p(y | x) become one."""
    mass = p.sum(-1)
    given = p / mass.clamp_min(TINY).unsqueeze(-1)
    equal = torch.cdist(given, given, p=torch.inf) <= SAME_STATE
    first = equal.byte().argmax(-1)
    return _pack(first, mass, (first == torch.arange(p.shape[1], device=p.device)).logical_and_(mass))


def drop_classes(p1: Tensor) -> Reduction:
    """Reduce the classes of p1 (b, n1, k): those without mass vanish."""
    mass = p1.sum(1)
    return _pack(torch.arange(p1.shape[2], device=p1.device).expand_as(mass), mass, mass > 0)


def _pack(leader: Tensor, mass: Tensor, kept: Tensor) -> Reduction:
    """Give the kept leaders the first slots, in order; states without mass go to slot 0 with share 0."""
    if kept.all():
        size = mass.shape[1]
        return Reduction(leader, torch.ones_like(mass), leader.new_full((len(mass),), size), True, size)
    # nearly equal is not transitive: follow the chain to a state that stands for itself
    while bool((leader.gather(1, leader) != leader).any()):
        leader = leader.gather(1, leader)
    place = kept.cumsum(1) - 1
    slot = torch.where(mass > 0, place.gather(1, leader), 0)
    pooled = torch.zeros_like(mass).scatter_add_(1, slot, mass)
    share = torch.where(mass > 0, mass / pooled.gather(1, slot).clamp_min(TINY), 0.0)
    return Reduction.of(slot, share, kept.sum(1))


def expand_joint(q: Tensor, first: Reduction, classes: Reduction, second: Reduction) -> Tensor:
    """Spread a reduced q (b, n1', k', n2') over the original states; in a class without mass anything may stand."""
    batch = torch.arange(len(q), device=q.device).view(-1, 1, 1, 1)
    s1, sy, s2 = first.slot[:, :, None, None], classes.slot[:, None, :, None], second.slot[:, None, None, :]
    return q[batch, s1, sy, s2] * first.share[:, :, None, None] * second.share[:, None, None, :]


def expand_dual(lam: Tensor, states: Reduction, classes: Reduction) -> Tensor:
    """Spread reduced multipliers (b, n', k') over the original states."""
    batch = torch.arange(len(lam), device=lam.device).view(-1, 1, 1)
    return lam[batch, states.slot.unsqueeze(-1), classes.slot.unsqueeze(1)]

"""Exact reductions before solving: drop what has no mass, merge states that say the same about the target.

Two states of a source with the same p(y | x) can be one state: the decomposition is invariant under splitting a
state, and an optimum of the merged problem is spread over the two in proportion to their mass.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from mmpid.pid.certificate import TINY

_SAME = 4e-15


@dataclass
class Reduction:
    """Where each state of an axis went (slot), with which share of its slot's mass, and how many slots are used."""

    slot: Tensor  # (b, n) int64
    share: Tensor  # (b, n)
    count: Tensor  # (b,) int64

    def rows(self, index: Tensor) -> "Reduction":
        """Return the reductions of the problems at `index`."""
        return Reduction(self.slot[index], self.share[index], self.count[index])

    def pool(self, p: Tensor, size: int) -> Tensor:
        """Add up p (b, n, m) over the states of each of the first `size` slots."""
        if self.trivial:
            return p
        out = p.new_zeros(len(p), p.shape[1], p.shape[2])
        out.scatter_add_(1, self.slot.unsqueeze(-1).expand_as(p), p)
        return out[:, :size]

    @property
    def trivial(self) -> bool:
        """Whether every state kept its own place."""
        return int(self.count.amin()) == self.slot.shape[1]


def merge_states(p: Tensor) -> Reduction:
    """Reduce the states of p (b, n, k): those without mass vanish, those with equal p(y | x) become one."""
    mass = p.sum(-1)
    states = torch.arange(p.shape[1], device=p.device)
    given = torch.where(mass.unsqueeze(-1) > 0, p / mass.clamp_min(TINY).unsqueeze(-1), -1.0)
    equal = torch.cdist(given, given, p=torch.inf) <= _SAME
    first = torch.where(equal, states, len(states)).amin(-1)
    # nearly equal is not transitive: follow the chain to a state that stands for itself
    while bool((first.gather(1, first) != first).any()):
        first = first.gather(1, first)
    return _pack(first, mass, (first == states) & (mass > 0))


def drop_classes(p1: Tensor) -> Reduction:
    """Reduce the classes of p1 (b, n1, k): those without mass vanish."""
    mass = p1.sum(1)
    states = torch.arange(p1.shape[2], device=p1.device).expand_as(mass)
    return _pack(states, mass, mass > 0)


def _pack(leader: Tensor, mass: Tensor, kept: Tensor) -> Reduction:
    """Give the kept leaders the first slots, in order; states without mass go to slot 0 with share 0."""
    if bool(kept.all()):
        return Reduction(leader, torch.ones_like(mass), kept.new_full((len(kept),), kept.shape[1], dtype=torch.int64))
    place = kept.cumsum(1) - 1
    slot = torch.where(mass > 0, place.gather(1, leader), 0)
    pooled = torch.zeros_like(mass).scatter_add_(1, slot, mass)
    share = torch.where(mass > 0, mass / pooled.gather(1, slot).clamp_min(TINY), 0.0)
    return Reduction(slot, share, kept.sum(1))


def expand_joint(q: Tensor, first: Reduction, classes: Reduction, second: Reduction) -> Tensor:
    """Spread a reduced q (b, n1', k', n2') over the original states."""
    batch = torch.arange(len(q), device=q.device).view(-1, 1, 1, 1)
    s1, sy, s2 = first.slot[:, :, None, None], classes.slot[:, None, :, None], second.slot[:, None, None, :]
    alive = (classes.share > 0).to(q)[:, None, :, None]
    return q[batch, s1, sy, s2] * first.share[:, :, None, None] * alive * second.share[:, None, None, :]


def expand_dual(lam: Tensor, states: Reduction, classes: Reduction) -> Tensor:
    """Spread reduced multipliers (b, n', k') over the original states."""
    batch = torch.arange(len(lam), device=lam.device).view(-1, 1, 1)
    return lam[batch, states.slot.unsqueeze(-1), classes.slot.unsqueeze(1)]

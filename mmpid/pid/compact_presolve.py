"""Exact reductions of one problem before `compact` solves it: equal states become one, lone classes are left out.

Two states of a source with the same p(y | x) can be one state. A class that shares no pair (x1, x2) with another
contributes nothing to f, whatever its part of q: its sources are taken as independent, its multipliers as 0.
"""

from dataclasses import dataclass
from typing import cast

import numpy as np

from mmpid.pid.constants import SAME_STATE, TINY
from mmpid.pid.pattern import Floats, Indices, Pattern

_NEAR = 1e-11
_GOLDEN = 0.6180339887498949


@dataclass
class Merge:
    """Where each state of a source went, and its share of the mass there."""

    slot: Indices  # (n,)
    share: Floats  # (n,)
    size: int

    def pool(self, p: Floats) -> Floats:
        """Add up p (n, k) over the states of each slot."""
        out = np.zeros((self.size, p.shape[1]))
        np.add.at(out, self.slot, p)
        return out


def merge(p: Floats) -> Merge | None:
    """Merge the states of p (n, k) that have equal p(y | x); None where no two have.

    Equal rows have equal products with any vector, so only neighbors in their order are compared.
    """
    mass = p.sum(1)
    weight = cast("Floats", (np.arange(1, p.shape[1] + 1) * _GOLDEN) % 1.0)
    place = cast("Floats", p @ weight / mass)
    near = np.sort(place)
    if not (near[1:] - near[:-1] < _NEAR).any():  # NaN, of empty states, is never near
        return None
    alive = mass.nonzero()[0]
    given = p[alive] / mass[alive, None]
    order = place[alive].argsort()
    ordered = given[order]
    same = np.abs(ordered[1:] - ordered[:-1]).max(1) <= SAME_STATE
    if not same.any():
        return None
    leader = np.concatenate([[0], (~same).cumsum()])
    slot = np.zeros(len(p), dtype=np.intp)
    slot[alive[order]] = leader
    pooled = np.bincount(slot, mass)
    share = np.where(mass > 0, mass / np.maximum(pooled[slot], TINY), 0.0)
    return Merge(slot, share, int(leader[-1]) + 1)


def lone_classes(pattern: Pattern) -> Indices:
    """Return the classes with mass that meet no other."""
    count, label = pattern.sets
    alone = np.bincount(label, minlength=count)[label] == 1
    return (alone & (np.bincount(pattern.y1, minlength=pattern.shape[2]) > 0)).nonzero()[0]

"""Multipliers (lam, mu) of the predictor without synergy, roughly for a comparison or nearly the best, in nats.

All of them satisfy the constraints for every pair (x1, x2), so that none can score above the truth: what is left undone
costs tightness alone. Newton's method solves tables of few states or few classes. Otherwise it takes (n k)^3 operations
or n^6, which a hundred predicted classes make hours; there alternations, of n^2 k operations each, go on until the
value stands still.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from mmpid.pid import dual_multipliers
from mmpid.pid.certificate import lower_bound
from mmpid.pid.constants import LN2
from mmpid.pid.costs import operations
from mmpid.pid.scaling import Scaling, alternate

# Certified error of a predictor without synergy, in bits.
DUAL_TOL = 1.5e-4
# Alternations after which ways to smooth are compared.
SWEEPS = 24
# Operations of a Newton step up to which Newton's method takes less time than alternations, as measured.
MOST_OPERATIONS = 1e7
# Alternations between two looks at the value, and most looks.
BETWEEN, LOOKS = 100, 10
# Cells of the tables that are worked on at once: near what a cache holds, and far below what memory does.
_CELLS = 2_000_000


def alternations_are_cheaper(n1: int, n2: int, k: int) -> bool:
    """Whether tables of n1 and n2 states and k classes are too large for Newton's method."""
    return min(operations(max(n1, n2), k, min(n1, n2))) > MOST_OPERATIONS


def nearly_best(q1: Tensor, q2: Tensor) -> tuple[Tensor, Tensor]:
    """Return multipliers for marginals q1 (c, F, n1, k) and q2 (c, F, n2, k), within `DUAL_TOL` where it can be had."""
    if alternations_are_cheaper(q1.shape[-2], q2.shape[-2], q1.shape[-1]):
        return _in_parts(q1, q2, _until_it_stands)
    found = dual_multipliers(q1, q2, DUAL_TOL)
    return found.lam * LN2, found.mu * LN2


def roughly(q1: Tensor, q2: Tensor) -> tuple[Tensor, Tensor]:
    """Return feasible multipliers after a few alternations, near enough the best to compare ways to smooth."""
    return _in_parts(q1, q2, _after_a_few)


def _in_parts(
    q1: Tensor, q2: Tensor, solve: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
) -> tuple[Tensor, Tensor]:
    """Solve the problems of a batch (c, F), as many at once as `_CELLS` allows."""
    p1, p2 = q1.flatten(0, 1), q2.flatten(0, 1)
    at_once = max(1, _CELLS // (p1[0].numel() * p2.shape[1]))
    parts = [solve(p1[i : i + at_once], p2[i : i + at_once]) for i in range(0, len(p1), at_once)]
    lam, mu = (torch.cat([part[i] for part in parts]) for i in (0, 1))
    return lam.view(q1.shape), mu.view(q2.shape)


def _after_a_few(p1: Tensor, p2: Tensor) -> tuple[Tensor, Tensor]:
    return _feasible(alternate(p1.mT, p2.mT, SWEEPS), p1, p2)[1:]


def _until_it_stands(p1: Tensor, p2: Tensor) -> tuple[Tensor, Tensor]:
    """Alternate until no value of the batch gains `DUAL_TOL` from one look to the next."""
    scaling, before = None, p1.new_full((len(p1),), -torch.inf)
    lam, mu = p1, p2
    for _ in range(LOOKS):
        scaling = alternate(p1.mT, p2.mT, BETWEEN, scaling)
        value, lam, mu = _feasible(scaling, p1, p2)
        if bool((value - before < DUAL_TOL * LN2).all()):
            break
        before = value
    return lam, mu


def _feasible(scaling: Scaling, p1: Tensor, p2: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the value, lam (b, n1, k) and mu (b, n2, k) of scalings, moved into the constraints."""
    _, left, right, _ = scaling
    value, lam, mu = lower_bound(left.log().mT, right.log(), p1, p2.mT)
    return value, lam, mu.mT

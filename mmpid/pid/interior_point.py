"""Primal-dual interior point for min f(q) over a batch of problems; knows nothing of atoms or bits.

The primal iterate is q_ijy = R_ij w_ijy with w_ij. = softmax(a_i. + b_.j), the dual one are multipliers lam, mu of the
pairwise marginals p1[b, x1, y] and p2[b, y, x2] and a slack g > 0 of each cell. At the optimum both meet:

    lam_iy + mu_jy + g_ij = log w_ijy        R_ij g_ij = 0        sum_j q = p1,  sum_i q = p2.

The second is relaxed to R_ij (exp(g_ij) - 1) = tau, which is the central path of the dual constraints
s_ij = sum_y exp(lam_iy + mu_jy) <= 1 and keeps both eliminations of the Newton system positive definite. A step moves a
and b toward the same point a - da, b - db as lam and mu: q is positive whatever its length, which only R and g bound.
"""

from dataclasses import dataclass, fields
from math import isfinite

import torch
from torch import Tensor

from mmpid.pid.certificate import lower_bound, objective, round_to_marginals
from mmpid.pid.constants import (
    CENTRAL,
    CERTIFY,
    FLOOR,
    LEAST_SHIFT,
    MOST_SLACK,
    MOST_TURN,
    PATIENCE,
    SHIFT,
    SWEEPS,
    TO_BOUNDARY,
)
from mmpid.pid.costs import rows_are_cheaper
from mmpid.pid.elimination import EliminateMarginals, EliminateRows, Support, Workspace, support_of
from mmpid.pid.scaling import TINY, alternate
from mmpid.pid.typed import floats_of, largest_norm

_NEVER = -1e30  # the multiplier of a zero marginal


@dataclass
class Problem:
    """The marginals, also scaled by the number of live cells, so that R is of order one."""

    p1: Tensor  # (b, n1, k)
    p2: Tensor  # (b, k, n2)
    scaled1: Tensor  # (b, n1, k, 1)
    scaled2: Tensor  # (b, 1, k, n2)
    cells: Tensor  # (b, 1, 1, 1): the number of live cells
    support: Support

    def mean(self, x: Tensor) -> Tensor:
        """Mean of x (b, n1, 1, n2) over the live cells; it is 0 in the others."""
        return x.sum((1, 2, 3), keepdim=True) / self.cells

    def rows(self, index: Tensor) -> "Problem":
        """Return the problems at `index`."""
        p1, p2, scaled1, scaled2, cells = (x[index] for x in (self.p1, self.p2, self.scaled1, self.scaled2, self.cells))
        return Problem(p1, p2, scaled1, scaled2, cells, self.support.rows(index))


@dataclass
class Iterate:
    """The primal and the dual half, stacked: R and g, a and lam, b and mu."""

    cell: Tensor  # (2, b, n1, 1, n2)
    first: Tensor  # (2, b, n1, k, 1)
    second: Tensor  # (2, b, 1, k, n2)
    gap: Tensor  # (b, 1, 1, 1): sum of R g, not scaled, about the gap in nats

    def rows(self, index: Tensor) -> "Iterate":
        """Return the iterates at `index`."""
        return Iterate(self.cell[:, index], self.first[:, index], self.second[:, index], self.gap[index])


@dataclass
class Bounds:
    """Certified enclosure of min f in nats, the feasible q behind `upper` and the multipliers behind `lower`."""

    upper: Tensor
    lower: Tensor
    q: Tensor
    lam: Tensor
    mu: Tensor
    n_iter: Tensor

    @classmethod
    def unknown(cls, p1: Tensor, p2: Tensor) -> "Bounds":
        """Bounds on nothing, without a q, given p1 (b, n1, k) and p2 (b, k, n2)."""
        far = p1.new_full((len(p1),), torch.inf)
        q = p1.new_zeros(len(p1), 0)
        return cls(far, -far, q, torch.zeros_like(p1), torch.zeros_like(p2), torch.zeros_like(far, dtype=torch.int64))

    @property
    def gap(self) -> Tensor:
        """Width of the enclosure."""
        return self.upper - self.lower

    def put(self, index: list[int], other: "Bounds") -> None:
        """Keep what is better of this and `other` at `index`, problem by problem; count all iterations."""
        rows = torch.tensor(index, device=self.gap.device)
        better = (other.gap < self.gap[rows]).nonzero().squeeze(1)
        for f in fields(self)[:-1]:
            getattr(self, f.name)[rows[better]] = getattr(other, f.name)[better]
        self.n_iter[rows] = other.n_iter

    def assign(self, index: Tensor, other: "Bounds") -> None:
        """Replace the bounds at `index`, but for q."""
        for f in fields(self):
            if f.name != "q":
                getattr(self, f.name)[index] = getattr(other, f.name)

    @classmethod
    def best(cls, parts: list[tuple[list[int], "Bounds"]], p1: Tensor, p2: Tensor) -> "Bounds":
        """Put together what was found for which problems, all of which occur, some more than once."""
        if len(parts) == 1:
            return parts[0][1]
        best = cls.unknown(p1, p2)
        best.q = p1.new_zeros(*p1.shape, p2.shape[2])
        for part in parts:
            best.put(*part)
        return best


def make_problem(p1: Tensor, p2: Tensor) -> Problem:
    """Find the support and scale the marginals."""
    support = support_of(p1, p2)
    cells = p1.new_full((len(p1), 1, 1, 1), p1.shape[1] * p2.shape[2])
    if support.dead is not None:
        cells -= support.dead.sum((1, 2, 3), keepdim=True)
    return Problem(p1, p2, p1.unsqueeze(3) * cells, p2.unsqueeze(1) * cells, cells, support)


def _filled(x: Tensor, mask: Tensor | None, value: float) -> Tensor:
    """Fill `x` in place where nothing is possible."""
    return x if mask is None else x.masked_fill_(mask, value)


def start(problem: Problem) -> tuple[Iterate, Tensor]:
    """Start from a few alternations, moved inside of the dual constraints and toward the central path.

    Also return what its gap was before that move.
    """
    cells, left, right, s = alternate(problem.p1.mT, problem.p2, SWEEPS)
    a, b = left.log_().clamp_min_(_NEVER).mT.unsqueeze(3), right.log_().clamp_min_(_NEVER).unsqueeze(1)
    r, log_s = (cells * s).unsqueeze(2) * problem.cells, s.clamp_min(TINY).log_().unsqueeze(2)
    top = log_s.amax(3, keepdim=True)
    g = top - log_s
    gap = problem.mean(r * g)
    shift = (SHIFT * gap).clamp_min_(LEAST_SHIFT)
    g = g.add_(shift).clamp_max_(MOST_SLACK)
    h = torch.expm1(g)
    r = torch.maximum(r, CENTRAL * problem.mean(r * h) / h)
    cell = torch.stack([_filled(r, problem.support.dead, 0.0), _filled(g, problem.support.dead, 1.0)])
    first, second = torch.stack([a, a - (top + shift)]), torch.stack([b, b])
    return Iterate(cell, first, second, problem.mean(cell.prod(0))), gap


class _Step:
    """One predictor-corrector step of a batch: what both of its solves share. A change is what is to be taken off."""

    def __init__(self, problem: Problem, z: Iterate, space: Workspace, eliminate: type):
        self.problem, self.z, self.dead = problem, z, problem.support.dead
        self.r, g = z.cell.unbind()
        self.a, self.b = z.first[0], z.second[0]
        theta = self.a + self.b
        self.w = torch.softmax(theta, 2)
        # log sum_y exp(theta), from the class of the largest term, and so how far the slack is above log w - theta
        excess = theta.amax(2, keepdim=True).sub_(self.w.amax(2, keepdim=True).log_()).add_(g)
        self.w, self.excess = _filled(self.w, self.dead, 0.0), _filled(excess, self.dead, 0.0)
        self.h = torch.expm1(g)
        rc = self.r / self.h
        self.slope = self.r + rc
        push = self.w * (self.slope * self.excess)
        self.base = push.sum(3, keepdim=True).sub_(problem.scaled1), push.sum(1, keepdim=True).sub_(problem.scaled2)
        self.system = eliminate(self.r * self.w, self.w, rc, problem.support, space)

    def _direction(self, target: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Newton step for R (exp(g) - 1) -> target or 0: the changes of R and g, stacked, of a, of b, and of a + b."""
        dr, (base1, base2) = self.r, self.base
        if target is not None:
            aim = target / self.h
            dr, push = dr - aim, self.w * aim
            base1, base2 = push.sum(3, keepdim=True).add_(base1), push.sum(1, keepdim=True).add_(base2)
        da, db = self.system.solve(base1, base2)
        turn = da + db
        dg = self.excess - (self.w * turn).sum(2, keepdim=True)
        change = torch.stack([torch.addcmul(dr, self.slope, dg, value=-1), dg])
        return change, da, db, turn

    def _lengths(self, change: Tensor, turn: Tensor | None = None) -> Tensor:
        """Longest primal and dual steps, at most 1: R and g stay positive, and log w within what is linear."""
        share = change / self.z.cell
        if self.dead is not None:
            share[0].masked_fill_(self.dead, 0.0)
        most = share.amax((2, 3, 4), keepdim=True)
        if turn is not None:
            furthest = largest_norm(turn, (1, 2, 3))
            most = torch.maximum(most, furthest * (TO_BOUNDARY / MOST_TURN))
        return most.clamp_min_(TO_BOUNDARY).reciprocal_().mul_(TO_BOUNDARY)

    def _target(self, change: Tensor, floor: float) -> Tensor:
        """Mehrotra's target: the reduction that the predictor reaches, cubed, less its second-order error."""
        gap = self.problem.mean(torch.addcmul(self.z.cell, self._lengths(change), change, value=-1).prod(0))
        sigma = (gap / self.z.gap).clamp_(1e-6, 1.0).pow_(3)
        bend = change.prod(0)
        bend.addcmul_(bend, self.h)
        target = (sigma * self.z.gap).clamp_min_(floor) - bend
        # where R is far below the target its Newton step in g would be as far too long: let exp(g) double at most
        return torch.minimum(target, torch.addcmul(self.r, self.r, self.h, value=2.0))

    def advance(self, floor: float) -> Iterate:
        """Predict, correct, and go as far as the lengths allow."""
        z = self.z
        predictor, _, _, _ = self._direction()
        change, da, db, turn = self._direction(self._target(predictor, floor))
        lengths = self._lengths(change, turn)
        cell = torch.addcmul(z.cell, lengths, change, value=-1)
        first, second = torch.lerp(z.first, self.a - da, lengths), torch.lerp(z.second, self.b - db, lengths)
        return Iterate(cell, first, second, self.problem.mean(cell.prod(0)))


def certify(problem: Problem, z: Iterate, n_iter: int) -> Bounds:
    """Bounds on min f from any iterate, in nats."""
    p1, p2 = problem.p1, problem.p2
    lower, lam, mu = lower_bound(z.first[1].squeeze(3), z.second[1].squeeze(1), p1, p2)
    q = torch.softmax(z.first[0] + z.second[0], 2).mul_(z.cell[0] / problem.cells)
    q = round_to_marginals(q, p1, p2)
    return Bounds(objective(q), lower, q, lam, mu, torch.full_like(lower, n_iter, dtype=torch.int64))


def choose_elimination(p1: Tensor, p2: Tensor) -> type[EliminateRows] | type[EliminateMarginals]:
    """Return the faster elimination for p1 (b, n1, k) and p2 (b, k, n2), given which unknowns are alive."""
    sizes = p1.shape[1], p1.shape[2], p2.shape[2]
    if rows_are_cheaper(*sizes) or rows_are_cheaper(*sizes, int((p2 > 0).any(0).sum())):
        return EliminateRows
    return EliminateMarginals


def solve(p1: Tensor, p2: Tensor, tol: float, max_iter: int) -> Bounds:
    """Enclose min f within `tol` nats for every problem of the batch."""
    eliminate = choose_elimination(p1, p2)
    best, missed = _iterate(p1, p2, tol, max_iter, eliminate)
    if eliminate is EliminateRows or max_iter < PATIENCE:
        return best
    # the other elimination is slower here, but does not cancel: where Woodbury's formula broke down, take it
    for i in missed:
        best.put([i], _iterate(p1[i : i + 1], p2[i : i + 1], tol, max_iter, EliminateRows)[0])
    return best


def _iterate(p1: Tensor, p2: Tensor, tol: float, max_iter: int, eliminate: type) -> tuple[Bounds, list[int]]:
    """Step until each problem is done; those that are drop out. Also return which missed the tolerance."""
    problem = make_problem(p1, p2)
    z, gap = start(problem)
    parts: list[tuple[list[int], Bounds]] = []
    space = Workspace()
    active, broken = list(range(len(p1))), list[int]()
    for n_iter in range(max_iter + 1):
        before = z
        if n_iter:
            z = _Step(problem, z, space, eliminate).advance(FLOOR * tol)
            gap = z.gap
        merit = floats_of(gap.flatten())  # NaN where the step broke down
        # now and then all of them: what stalls later has then left its best bounds behind
        due = n_iter % CERTIFY == CERTIFY - 1 or n_iter == max_iter
        ready = [i for i, m in enumerate(merit) if m < tol or (due and isfinite(m))]
        done = {i for i, m in enumerate(merit) if not isfinite(m)}
        if done:
            lost = sorted(done)
            broken += (active[i] for i in lost)
            parts.append(([active[i] for i in lost], certify(*_some(problem, before, lost), max(n_iter - 1, 0))))
        if ready:
            found = certify(*_some(problem, z, ready), n_iter)
            parts.append(([active[i] for i in ready], found))
            done.update(i for i, width in zip(ready, floats_of(found.gap), strict=True) if width <= tol)
        keep = [i for i in range(len(merit)) if i not in done]
        active = [active[i] for i in keep]
        if not active:
            break
        problem, z = _some(problem, z, keep)
    return Bounds.best(parts, p1, p2), broken + active


def _some(problem: Problem, z: Iterate, index: list[int]) -> tuple[Problem, Iterate]:
    """Return the problems at `index` and their iterates."""
    if len(index) == len(problem.cells):
        return problem, z
    rows = torch.tensor(index, dtype=torch.int64, device=z.cell.device)
    return problem.rows(rows), z.rows(rows)

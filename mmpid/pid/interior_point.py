"""Primal-dual interior point for min f(q) over a batch of problems; knows nothing of atoms or bits.

The primal iterate is q_ijy = R_ij w_ijy with w_ij. = softmax(a_i. + b_.j), the dual one are multipliers lam, mu of the
pairwise marginals p1[b, x1, y] and p2[b, y, x2] and a slack g > 0 of each cell. At the optimum both meet:

    lam_iy + mu_jy + g_ij = log w_ijy        R_ij g_ij = 0        sum_j q = p1,  sum_i q = p2.

The second is relaxed to R_ij (exp(g_ij) - 1) = tau, which is the central path of the dual constraints
s_ij = sum_y exp(lam_iy + mu_jy) <= 1 and keeps both eliminations of the Newton system positive definite. A step moves a
and b towards the same point a + da, b + db as lam and mu: q is positive whatever its length, which only R and g bound.
"""

from dataclasses import dataclass, fields
from math import isfinite

import torch
from torch import Tensor

from mmpid.pid.certificate import lower_bound, objective, round_to_marginals
from mmpid.pid.elimination import EliminateRows, Support, Workspace, cheaper, support_of
from mmpid.pid.scaling import TINY, alternate

_SWEEPS = 24  # alternations before the first step: they cost about half a step
_SHIFT = 0.2  # the start is moved into the dual constraints by this share of its mean slack ...
_LEAST_SHIFT = 1e-4  # ... but at least by this
_MOST_SLACK = 30.0  # at the start
_CENTRAL = 0.1  # no product R (exp(g) - 1) of the start is below this share of their mean
_TO_BOUNDARY = 0.995  # the share of the way to the boundary that a step may go
_MOST_TURN = 4.0  # no log w moves further in one step: beyond this its linearization, and q with it, runs away
_FLOOR = 0.1  # no target below this share of the tolerance: going further only ruins the conditioning
_CERTIFY = 10  # every so many iterations all bounds are computed
_PATIENCE = 30  # with fewer iterations allowed than this, a miss says nothing about the elimination
_NEVER = -1e30  # the multiplier of a zero marginal


@dataclass
class Problem:
    """Marginals (b, n1, k, 1) and (b, 1, k, n2), scaled by the number of live cells, so that R is of order one."""

    p1: Tensor
    p2: Tensor
    cells: Tensor  # (b, 1, 1, 1): the number of live cells
    support: Support

    def rows(self, index: Tensor) -> "Problem":
        """Return the problems at `index`."""
        return Problem(self.p1[index], self.p2[index], self.cells[index], self.support.rows(index))


@dataclass
class Iterate:
    """The primal and the dual half, stacked: R and g, a and lam, b and mu."""

    cell: Tensor  # (2, b, n1, 1, n2)
    first: Tensor  # (2, b, n1, k, 1)
    second: Tensor  # (2, b, 1, k, n2)

    def rows(self, index: Tensor) -> "Iterate":
        """Return the iterates at `index`."""
        return Iterate(self.cell[:, index], self.first[:, index], self.second[:, index])


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
        """Bounds on nothing, given p1 (b, n1, k) and p2 (b, k, n2)."""
        far = p1.new_full((len(p1),), torch.inf)
        q = p1.new_zeros(*p1.shape, p2.shape[2])
        return cls(far, -far, q, torch.zeros_like(p1), torch.zeros_like(p2), torch.zeros_like(far, dtype=torch.int64))

    @property
    def gap(self) -> Tensor:
        """Width of the enclosure."""
        return self.upper - self.lower

    def put(self, index: Tensor, other: "Bounds") -> None:
        """Keep what is better of this and `other` at `index`, problem by problem; count all iterations."""
        better = (other.gap < self.gap[index]).nonzero().squeeze(1)
        for f in fields(self)[:-1]:
            new, old = getattr(other, f.name), getattr(self, f.name)
            if len(better) == len(old):
                setattr(self, f.name, new)
            else:
                old[index[better]] = new[better]
        self.n_iter[index] = other.n_iter


def make_problem(p1: Tensor, p2: Tensor) -> Problem:
    """Find the support and scale the marginals."""
    support = support_of(p1, p2)
    cells = p1.new_full((len(p1), 1, 1, 1), p1.shape[1] * p2.shape[2])
    if support.dead is not None:
        cells -= support.dead.sum((1, 2, 3), keepdim=True)
    return Problem(p1.unsqueeze(3) * cells, p2.unsqueeze(1) * cells, cells, support)


def _filled(x: Tensor, mask: Tensor | None, value: float) -> Tensor:
    """Fill `x` in place where nothing is possible."""
    return x if mask is None else x.masked_fill_(mask, value)


def start(problem: Problem) -> tuple[Iterate, Tensor]:
    """Start from a few alternations, moved inside of the dual constraints and towards the central path.

    Also return the mean slack before that move: about the gap of what was found.
    """
    p1, p2, dead = problem.p1.squeeze(3).mT, problem.p2.squeeze(1), problem.support.dead
    cells, left, right, s = alternate(p1, p2, _SWEEPS)
    a = left.clamp_min(TINY).log_().masked_fill_(p1 <= 0, _NEVER).mT.unsqueeze(3)
    b = right.clamp_min(TINY).log_().masked_fill_(p2 <= 0, _NEVER).unsqueeze(1)
    r, log_s = (cells * s).unsqueeze(2), s.clamp_min(TINY).log_().unsqueeze(2)
    top = log_s.amax(3, keepdim=True)
    g = top - log_s
    mean = (r * g).sum((1, 2, 3), keepdim=True) / problem.cells
    shift = (_SHIFT * mean).clamp_min_(_LEAST_SHIFT)
    g = g.add_(shift).clamp_max_(_MOST_SLACK)
    h = torch.expm1(g)
    least = _CENTRAL / problem.cells * (r * h).sum((1, 2, 3), keepdim=True)
    r = _filled(torch.maximum(r, least / h), dead, 0.0)
    lam = a - (top + shift)
    return Iterate(torch.stack([r, _filled(g, dead, 1.0)]), torch.stack([a, lam]), torch.stack([b, b])), mean.view(-1)


class _Step:
    """One predictor-corrector step of a batch: what both of its solves share."""

    def __init__(self, problem: Problem, z: Iterate, space: Workspace, eliminate: type):
        self.problem, self.z, self.dead = problem, z, problem.support.dead
        self.r, g = z.cell.unbind()
        theta = z.first[0] + z.second[0]
        top = theta.amax(2, keepdim=True).clamp_min_(0.1 * _NEVER)
        self.w = theta.sub_(top).exp_()
        total = _filled(self.w.sum(2, keepdim=True), self.dead, 1.0)
        self.w /= total
        # how far the slack of the primal iterate is above the dual one
        self.lack = _filled(total.log_().add_(top).add_(g).neg_(), self.dead, 0.0)
        self.h = torch.expm1(g)
        rc = self.r / self.h
        self.slope = self.r + rc
        self.product = self.r * self.h
        self.total = self.product.sum((1, 2, 3), keepdim=True)
        push = self.w * (self.slope * self.lack)
        self.base = problem.p1 + push.sum(3, keepdim=True), problem.p2 + push.sum(1, keepdim=True)
        self.system = eliminate(self.r * self.w, self.w, rc, problem.support, space)

    def _direction(self, target: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Newton step for R (exp(g) - 1) -> target or 0: its lengths, changes of R and g, stacked, of a and of b."""
        base1, base2 = self.base
        if target is None:
            dr = -self.r
        else:
            aim = target / self.h
            dr, push = aim - self.r, self.w * aim
            base1, base2 = base1 - push.sum(3, keepdim=True), base2 - push.sum(1, keepdim=True)
        da, db = self.system.solve(base1, base2)
        turn = da + db
        dg = self.lack - (self.w * turn).sum(2, keepdim=True)
        change = torch.stack([dr.addcmul_(self.slope, dg, value=-1), dg])
        return self._lengths(change, turn), change, da, db

    def _lengths(self, change: Tensor, turn: Tensor) -> Tensor:
        """Longest primal and dual steps, at most 1: R and g stay positive, and log w within what is linear."""
        share = change / self.z.cell
        if self.dead is not None:
            share[0].masked_fill_(self.dead, 0.0)
        least = share.amin((2, 3, 4), keepdim=True).clamp_max_(-_TO_BOUNDARY)
        furthest = torch.linalg.vector_norm(turn, torch.inf, (1, 2, 3), keepdim=True)
        torch.minimum(least[0], furthest * (-_TO_BOUNDARY / _MOST_TURN), out=least[0])
        return -_TO_BOUNDARY / least

    def _target(self, lengths: Tensor, change: Tensor, floor: float) -> Tensor:
        """Mehrotra's target: the reduction that the predictor reaches, cubed, less its second-order error."""
        r, g = torch.addcmul(self.z.cell, lengths, change).unbind()
        sigma = ((r * torch.expm1(g)).sum((1, 2, 3), keepdim=True) / self.total).clamp_(1e-6, 1.0) ** 3
        bend = change.prod(0)
        bend.addcmul_(bend, self.h)
        target = (sigma * self.total / self.problem.cells).clamp_min_(floor) - bend
        # where R is far below the target its Newton step in g would be as far too long: let exp(g) double at most
        return torch.minimum(target, torch.add(self.r, self.product, alpha=2.0))

    def advance(self, floor: float) -> Iterate:
        """Predict, correct, and go as far as the lengths allow."""
        z = self.z
        lengths, change, _, _ = self._direction()
        lengths, change, da, db = self._direction(self._target(lengths, change, floor))
        return Iterate(
            torch.addcmul(z.cell, lengths, change),
            torch.lerp(z.first, z.first[0] + da, lengths),
            torch.lerp(z.second, z.second[0] + db, lengths),
        )


def certify(problem: Problem, z: Iterate, n_iter: int) -> Bounds:
    """Bounds on min f from any iterate, in nats."""
    p1, p2 = (problem.p1 / problem.cells).squeeze(3), (problem.p2 / problem.cells).squeeze(1)
    lower, lam, mu = lower_bound(z.first[1].squeeze(3), z.second[1].squeeze(1), p1, p2)
    q = torch.softmax(z.first[0] + z.second[0], 2).mul_(z.cell[0] / problem.cells)
    q = round_to_marginals(q, p1, p2)
    return Bounds(objective(q), lower, q, lam, mu, torch.full_like(lower, n_iter, dtype=torch.int64))


def solve(p1: Tensor, p2: Tensor, tol: float, max_iter: int) -> Bounds:
    """Enclose min f within `tol` nats for every problem of the batch."""
    eliminate = cheaper(p1.shape[1], p1.shape[2], p2.shape[2])
    best, missed = _iterate(p1, p2, tol, max_iter, eliminate)
    if eliminate is EliminateRows or max_iter < _PATIENCE:
        return best
    # the other elimination is slower here, but does not cancel: where Woodbury's formula broke down, take it
    for i in missed.split(1) if len(missed) else ():
        best.put(i, _iterate(p1[i], p2[i], tol, max_iter, EliminateRows)[0])
    return best


def _iterate(p1: Tensor, p2: Tensor, tol: float, max_iter: int, eliminate: type) -> tuple[Bounds, Tensor]:
    """Step until each problem is done; those that are drop out. Also return which missed the tolerance."""
    problem = make_problem(p1, p2)
    z, slack = start(problem)
    best, space = Bounds.unknown(p1, p2), Workspace()
    active, broken = torch.arange(len(p1), device=p1.device), []
    for n_iter in range(max_iter + 1):
        before = z
        if n_iter:
            z = _Step(problem, z, space, eliminate).advance(_FLOOR * tol)
            slack = z.cell.prod(0).sum((1, 2, 3)) / problem.cells.view(-1)
        # sum of R g: about the gap of this iterate; NaN if the step broke down
        merit = slack.tolist()
        # now and then all of them: what stalls later has then left its best bounds behind
        due = n_iter % _CERTIFY == _CERTIFY - 1 or n_iter == max_iter
        ready = [i for i, m in enumerate(merit) if m < tol or (due and isfinite(m))]
        lost = [i for i, m in enumerate(merit) if not isfinite(m)]
        done = set(lost)
        if lost:
            broken.append(active[lost])
            best.put(active[lost], certify(*_some(problem, before, lost), n_iter - 1))
        if ready:
            found = certify(*_some(problem, z, ready), n_iter)
            best.put(active[ready], found)
            done.update(i for i, gap in zip(ready, found.gap.tolist(), strict=True) if gap <= tol)
        if done:
            keep = [i for i in range(len(merit)) if i not in done]
            active = active[keep]
            problem, z = _some(problem, z, keep)
        if not len(active):
            break
    return best, torch.cat([*broken, active])


def _some(problem: Problem, z: Iterate, index: list[int]) -> tuple[Problem, Iterate]:
    """Return the problems at `index` and their iterates."""
    if len(index) == len(problem.cells):
        return problem, z
    rows = torch.tensor(index, dtype=torch.int64, device=z.cell.device)
    return problem.rows(rows), z.rows(rows)

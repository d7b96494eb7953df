"""Primal-dual interior point for min f(q) over a batch of problems; knows nothing of atoms or bits.

The iterate is a joint q with the right pairwise marginals p1[b, x1, y] and p2[b, y, x2], multipliers lam and mu
of these, and a slack g > 0 of each cell. With R_ij = q_ij. and w = q / R, the optimality conditions are

    lam_iy + mu_jy + g_ij = log w_ijy        R_ij g_ij = 0        sum_j q = p1,  sum_i q = p2.

The second is relaxed to R_ij (exp(g_ij) - 1) = tau, which is the central path of the dual constraints
s_ij = sum_y exp(lam_iy + mu_jy) <= 1 and keeps both eliminations of the Newton system positive definite. Linearizing
log w instead of the exponential of the dual form halves the number of iterations: q starts, and stays, feasible.
"""

from dataclasses import dataclass, fields
from math import isfinite

import torch
from torch import Tensor

from mmpid.pid.certificate import TINY, lower_bound, objective, round_to_marginals
from mmpid.pid.elimination import EliminateRows, Support, Workspace, cheaper, masked, support_of

_TO_BOUNDARY = 0.97  # the share of the way to the boundary that a step may go
_SHRINK = 0.1  # a full step may leave an entry of q at this share of itself instead of below 0 ...
_SLIP = 0.1  # ... if the mass so added is at most this share of the gap
_FLOOR = 0.1  # no target below this share of the tolerance: going further only ruins the conditioning
_CERTIFY = 10  # every so many iterations all bounds are computed
_PATIENCE = 30  # with fewer iterations allowed than this, a miss says nothing about the elimination
_SINGLE = 1e-3  # while all gaps of a batch are above this (nats), the system is factored in single precision


@dataclass
class Problem:
    """Marginals scaled by the number of live cells, so that R is of order one."""

    p1: Tensor
    p2: Tensor
    cells: Tensor  # (b, 1, 1): the number of live cells
    support: Support

    def rows(self, index: Tensor) -> "Problem":
        """Return the problems at `index`."""
        return Problem(self.p1[index], self.p2[index], self.cells[index], self.support.rows(index))


@dataclass
class Iterate:
    """q (b, n1, k, n2), lam (b, n1, k), mu (b, k, n2) and g (b, n1, n2)."""

    q: Tensor
    lam: Tensor
    mu: Tensor
    g: Tensor

    def rows(self, index: Tensor) -> "Iterate":
        """Return the iterates at `index`."""
        return Iterate(self.q[index], self.lam[index], self.mu[index], self.g[index])


@dataclass
class Bounds:
    """Certified enclosure of min f in nats, the feasible q behind `upper` and the multipliers behind `lower`."""

    upper: Tensor
    lower: Tensor
    q: Tensor
    lam: Tensor
    mu: Tensor
    n_iter: Tensor

    @property
    def gap(self) -> Tensor:
        """Width of the enclosure."""
        return self.upper - self.lower

    def put(self, index: Tensor, other: "Bounds") -> None:
        """Keep what is better of this and `other` at `index`, problem by problem; count all iterations."""
        better = other.gap < self.gap[index]
        here = index[better]
        for f in fields(self):
            getattr(self, f.name)[here] = getattr(other, f.name)[better]
        self.n_iter[index] = other.n_iter


def make_problem(p1: Tensor, p2: Tensor) -> Problem:
    """Find the support and scale the marginals."""
    support = support_of(p1, p2)
    if support.live is None:
        cells = p1.new_full((len(p1), 1, 1), p1.shape[1] * p2.shape[2])
    else:
        cells = support.live.sum((1, 2), keepdim=True)
    return Problem(p1 * cells, p2 * cells, cells, support)


def start(problem: Problem) -> Iterate:
    """Start where the sources are independent given the target, with the duals of the Cauchy-Schwarz bound."""
    p1, p2, mask = problem.p1, problem.p2, problem.support.mask
    q = p1.unsqueeze(-1) * (p2 / p1.sum(1).clamp_min(TINY).unsqueeze(-1)).unsqueeze(1)
    lam = 0.5 * (p1 / p1.sum(2, keepdim=True).clamp_min(TINY)).clamp_min(TINY).log() - 0.1
    mu = 0.5 * (p2 / p2.sum(1, keepdim=True).clamp_min(TINY)).clamp_min(TINY).log()
    lam, mu = torch.where(p1 > 0, lam, 0.0), torch.where(p2 > 0, mu, 0.0)
    s = masked(torch.exp(lam.unsqueeze(-1) + mu.unsqueeze(1)), mask).sum(2)
    return Iterate(q, lam, mu, torch.where(s > 0, -s.clamp_min(TINY).log(), 1.0))


class _Step:
    """One predictor-corrector step of a batch: what both of its solves share."""

    def __init__(self, problem: Problem, z: Iterate, space: Workspace, eliminate: type, far: bool):
        self.problem, self.z, self.support = problem, z, problem.support
        self.r = r = z.q.sum(2) if self.support.live is None else z.q.sum(2) + (1.0 - self.support.live)
        self.w = z.q / r.unsqueeze(2)
        self.h = torch.expm1(z.g)
        self.mass = masked(r, self.support.live)
        self.per_h = masked(self.h.reciprocal(), self.support.live)
        self.rc = self.mass * self.per_h
        self.product = self.mass * self.h
        self.rh = self.product.sum((1, 2), keepdim=True)
        log_w = (self.w if self.support.mask is None else self.w.clamp_min(TINY)).log()
        theta = (z.lam.unsqueeze(-1) + z.mu.unsqueeze(1)).add_(z.g.unsqueeze(2))
        self.rho = masked(theta.sub_(log_w), self.support.mask)
        q_rho = z.q * self.rho
        self.w_rho = q_rho.sum(2) / r
        self.slope = r + self.rc
        q_rho += z.q
        self.base1, self.base2 = problem.p1 - q_rho.sum(-1), problem.p2 - q_rho.sum(1)
        dtype = torch.float32 if far else torch.float64
        self.system = eliminate(z.q, self.w, self.rc, self.support, space, dtype)

    def _direction(self, target: Tensor | None = None):
        """Newton step for R (exp(g) - 1) -> target or 0: changes of R and g, relative change of q, of lam and mu."""
        v = -self.mass if target is None else torch.addcmul(-self.mass, target, self.per_h)
        push = self.w * torch.addcmul(v, self.rc, self.w_rho).unsqueeze(2)
        dlam, dmu = self.system.solve(self.base1 - push.sum(-1), self.base2 - push.sum(1))
        dtheta = dlam.unsqueeze(-1) + dmu.unsqueeze(1)
        dg = (self.w * dtheta).sum(2).add_(self.w_rho).neg_()
        dr = torch.addcmul(v, self.slope, dg, value=-1)
        relative = dtheta.add_(self.rho).add_(torch.addcdiv(dg, dr, self.r).unsqueeze(2))
        return dr, dg, masked(relative, self.support.mask), dlam, dmu

    def _lengths(self, relative: Tensor, dg: Tensor) -> tuple[Tensor, Tensor]:
        """Longest primal and dual steps, at most 1, that keep q and g positive."""
        primal = relative.amin((1, 2, 3)).clamp_max(-_TO_BOUNDARY)
        dual = (dg / self.z.g).amin((1, 2)).clamp_max(-_TO_BOUNDARY)
        return (-_TO_BOUNDARY / primal).view(-1, 1, 1), (-_TO_BOUNDARY / dual).view(-1, 1, 1)

    def _moved(self, relative: Tensor, primal: Tensor) -> Tensor:
        """Return the new q; a full step where only entries of little mass stand in its way."""
        below = (_SHRINK - 1.0 - relative).clamp_min_(0.0)
        slip = (self.z.q * below).sum((1, 2, 3)).view(-1, 1, 1)
        accept = slip <= _SLIP * self.rh
        length = torch.where(accept, 1.0, primal).unsqueeze(-1)
        floor = _SHRINK * accept.to(length).unsqueeze(-1)
        return self.z.q * torch.maximum(relative.mul_(length).add_(1.0), floor)

    def advance(self, floor: float) -> Iterate:
        """Mehrotra's predictor and corrector."""
        z = self.z
        dr, dg, relative, _, _ = self._direction()
        primal, dual = self._lengths(relative, dg)
        ahead = (self.r + primal * dr) * masked(torch.expm1(z.g + dual * dg), self.support.live)
        sigma = (ahead.sum((1, 2), keepdim=True) / self.rh).clamp(1e-6, 1.0) ** 3
        bend = dr * dg * (1.0 + self.h) * torch.minimum(primal, dual)
        target = (sigma * self.rh / self.problem.cells).clamp_min(floor) - bend
        # where R is far below the target its Newton step in g would be as far too long: let exp(g) double at most
        target = torch.minimum(target, torch.add(self.r, self.product, alpha=2.0))
        dr, dg, relative, dlam, dmu = self._direction(target)
        primal, dual = self._lengths(relative, dg)
        return Iterate(
            self._moved(relative, primal),
            torch.addcmul(z.lam, dual, dlam),
            torch.addcmul(z.mu, dual, dmu),
            torch.addcmul(z.g, dual, dg),
        )


def certify(problem: Problem, z: Iterate, n_iter: int) -> Bounds:
    """Bounds on min f from any iterate, in nats."""
    p1, p2 = problem.p1 / problem.cells, problem.p2 / problem.cells
    lower, lam, mu = lower_bound(z.lam, z.mu, p1, p2)
    q = round_to_marginals(z.q / problem.cells.unsqueeze(-1), p1, p2)
    return Bounds(objective(q), lower, q, lam, mu, torch.full_like(lower, n_iter, dtype=torch.int64))


def solve(p1: Tensor, p2: Tensor, tol: float, max_iter: int) -> Bounds:
    """Enclose min f within `tol` nats for every problem of the batch."""
    eliminate = cheaper(p1.shape[1], p1.shape[2], p2.shape[2])
    best, missed = _iterate(p1, p2, tol, max_iter, eliminate)
    if eliminate is EliminateRows or max_iter < _PATIENCE:
        return best
    # the other elimination is slower here, but does not cancel: where Woodbury's formula broke down, take it
    for i in missed.split(1):
        best.put(i, _iterate(p1[i], p2[i], tol, max_iter, EliminateRows)[0])
    return best


def _iterate(p1: Tensor, p2: Tensor, tol: float, max_iter: int, eliminate: type) -> tuple[Bounds, Tensor]:
    """Step until each problem is done; those that are drop out. Also return which missed the tolerance."""
    problem = make_problem(p1, p2)
    z, space = start(problem), Workspace()
    best = certify(problem, z, 0)
    active = (best.gap > tol).nonzero().squeeze(1)
    problem, z = problem.rows(active), z.rows(active)
    broken = []
    even = _even(problem)
    far = even  # the first direction need not be accurate
    for n_iter in range(1, max_iter + 1):
        if not len(active):
            break
        before, z = z, _Step(problem, z, space, eliminate, far).advance(_FLOOR * tol)
        # sum of R g: about the gap of this iterate; NaN if the step broke down
        merit = ((z.q.sum(2) * z.g).sum((1, 2)) / problem.cells.view(-1)).tolist()
        far = even and min(merit) > _SINGLE
        # now and then all of them: what stalls later has then left its best bounds behind
        due = n_iter % _CERTIFY == 0 or n_iter == max_iter
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
    return best, torch.cat([*broken, active])


def _even(problem: Problem) -> bool:
    """Whether no positive marginal is so small that single precision would lose it."""
    return all(bool(torch.where(p > 0, p, torch.inf).amin() > _SINGLE) for p in (problem.p1, problem.p2) if p.numel())


def _some(problem: Problem, z: Iterate, index: list[int]) -> tuple[Problem, Iterate]:
    """Return the problems at `index` and their iterates."""
    rows = torch.tensor(index, dtype=torch.int64, device=z.q.device)
    return problem.rows(rows), z.rows(rows)

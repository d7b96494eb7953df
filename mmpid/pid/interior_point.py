"""Primal-dual interior point on the dual of min f, for a batch of problems; knows nothing of atoms or bits.

    max  sum p1_iy lam_iy + sum p2_yj mu_yj    s.t.  s_ij = sum_y exp(lam_iy + mu_yj) <= 1

with multipliers R_ij >= 0 of the cells, q_iyj = R_ij exp(lam_iy + mu_yj), and R_ij (1 - s_ij) driven to 0.
"""

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from mmpid.pid.certificate import TINY, lower_bound, objective, round_to_marginals
from mmpid.pid.elimination import EliminateRows

_BOUNDARY = 0.995
_MAX_ITER = 120


@dataclass
class Problem:
    """Marginals p1 (b, n1, k) and p2 (b, k, n2), scaled by the number of cells, and where they vanish."""

    p1: Tensor
    p2: Tensor
    dead1: Tensor
    dead2: Tensor
    live: Tensor  # (b, n1, n2), 1.0 where the cell can hold mass
    cells: Tensor  # (b,)
    mass: Tensor  # (b,) the scale of p1 and p2: f and its bounds are in these units

    def rows(self, index: Tensor) -> "Problem":
        """The problems at `index`."""
        return Problem(**{f.name: getattr(self, f.name)[index] for f in fields(self)})


@dataclass
class Iterate:
    """Dual variables lam (b, n1, k), mu (b, k, n2) and multipliers r (b, n1, n2)."""

    lam: Tensor
    mu: Tensor
    r: Tensor

    def rows(self, index: Tensor) -> "Iterate":
        """The iterates at `index`."""
        return Iterate(self.lam[index], self.mu[index], self.r[index])

    def put(self, index: Tensor, other: "Iterate") -> None:
        """Overwrite the iterates at `index`."""
        self.lam[index], self.mu[index], self.r[index] = other.lam, other.mu, other.r


@dataclass
class Bounds:
    """Certified enclosure of min f in nats, the feasible q behind `upper` and the multipliers behind `lower`."""

    upper: Tensor
    lower: Tensor
    q: Tensor
    lam: Tensor
    mu: Tensor
    n_iter: Tensor

    def put(self, index: Tensor, other: "Bounds") -> None:
        """Keep what is better of this and `other` at `index`, per problem."""
        better = other.upper - other.lower < self.upper[index] - self.lower[index]
        here = index[better]
        for f in fields(self):
            getattr(self, f.name)[here] = getattr(other, f.name)[better]


def make_problem(p1: Tensor, p2: Tensor) -> Problem:
    """Scale by the number of live cells, so that the multipliers are of order one."""
    live = ((p1.sum(2) > 0).unsqueeze(-1) & (p2.sum(1) > 0).unsqueeze(1)).to(p1)
    # a cell is live only if one class is possible on both sides
    live = live * ((p1 > 0).to(p1) @ (p2 > 0).to(p1) > 0)
    cells = live.sum((1, 2)).clamp_min(1.0)
    scale = cells.view(-1, 1, 1)
    return Problem(p1 * scale, p2 * scale, (p1 <= 0).to(p1), (p2 <= 0).to(p1), live, cells, cells)


def start(problem: Problem) -> Iterate:
    """Strictly feasible by Cauchy-Schwarz: lam = log p(y|x1) / 2 - 0.3, mu = log p(y|x2) / 2; R near p(x1) p(x2)."""
    px1, px2 = problem.p1.sum(2), problem.p2.sum(1)
    lam = 0.5 * (problem.p1 / px1.clamp_min(TINY).unsqueeze(-1)).clamp_min(TINY).log() - 0.3
    mu = 0.5 * (problem.p2 / px2.clamp_min(TINY).unsqueeze(1)).clamp_min(TINY).log()
    r = px1.unsqueeze(-1) * px2.unsqueeze(1) / problem.mass.view(-1, 1, 1) + 1e-3
    return Iterate(lam * (1 - problem.dead1), mu * (1 - problem.dead2), r * problem.live)


class _Step:
    """One predictor-corrector step of a batch; everything that both solves of the step share lives here."""

    def __init__(self, problem: Problem, z: Iterate):
        self.problem, self.z = problem, z
        self.mask = ((1 - problem.dead1).unsqueeze(-1) * (1 - problem.dead2).unsqueeze(1)).contiguous()
        self.e, self.g = self.slack(z.lam, z.mu)
        re = z.r.unsqueeze(2) * self.e
        self.re = re
        self.residual1, self.residual2 = problem.p1 - re.sum(-1), problem.p2 - re.sum(1)
        self.complementarity = (z.r * self.g).sum((1, 2))

    def slack(self, lam: Tensor, mu: Tensor) -> tuple[Tensor, Tensor]:
        """exp(lam + mu) with forced zeros, and 1 - s; dead cells get slack 1."""
        e = torch.exp(lam.unsqueeze(-1) + mu.unsqueeze(1)) * self.mask
        return e, 1.0 - e.sum(2)

    def merit(self) -> Tensor:
        """About the gap in nats that this iterate can certify, as a fraction of unit mass."""
        miss = self.residual1.abs().sum((1, 2)) + self.residual2.abs().sum((1, 2))
        return (self.complementarity + miss) / self.problem.mass

    def direction(self, target: Tensor, residual1: Tensor, residual2: Tensor):
        """Newton step for R g -> target and the given marginal residuals."""
        v = (target / self.g - self.z.r) * self.problem.live
        ve = v.unsqueeze(2) * self.e
        dlam, dmu = self.system.solve(residual1 - ve.sum(-1), residual2 - ve.sum(1))
        dtheta = dlam.unsqueeze(-1) + dmu.unsqueeze(1)
        ds = (self.e * dtheta).sum(2)
        return dlam, dmu, v + self.z.r * ds / self.g, ds, dtheta

    def lengths(self, dlam: Tensor, dmu: Tensor, dr: Tensor):
        """Longest primal and dual steps that keep R and the slacks positive."""
        ratio = torch.where(dr < 0, -self.z.r / dr, torch.inf).amin((1, 2))
        primal = (_BOUNDARY * ratio).clamp_max(1.0)
        dual = torch.ones_like(primal)
        floor = (1 - _BOUNDARY) * self.g
        for _ in range(60):
            length = dual.view(-1, 1, 1)
            e, g = self.slack(self.z.lam + length * dlam, self.z.mu + length * dmu)
            bad = ~(g > floor).flatten(1).all(1)
            if not bad.any():
                break
            dual = torch.where(bad, 0.8 * dual, dual)
        return primal, torch.where(bad, 0.0, dual), e, g

    def advance(self) -> Iterate:
        """Predictor, then a corrector with the exact second-order terms seen at the predictor's end."""
        z, p = self.z, self.problem
        self.system = EliminateRows(self.e, z.r, self.g, p.dead1, p.dead2)
        dlam, dmu, dr, ds, dtheta = self.direction(torch.zeros_like(z.r), self.residual1, self.residual2)
        primal, dual, e, g = self.lengths(dlam, dmu, dr)
        a, d = primal.view(-1, 1, 1), dual.view(-1, 1, 1)
        reached = ((z.r + a * dr) * g).sum((1, 2))
        sigma = (reached / self.complementarity).clamp(1e-6, 1.0) ** 3
        tau = (sigma * self.complementarity / p.cells).view(-1, 1, 1) * p.live
        bend = z.r * (g - self.g + d * ds) - dr * ds * torch.minimum(a, d) ** 2
        curve = (z.r + a * dr).unsqueeze(2) * e - self.re - (a * dr).unsqueeze(2) * self.e
        curve -= d.unsqueeze(2) * self.re * dtheta
        residuals = self.residual1 - curve.sum(-1), self.residual2 - curve.sum(1)
        dlam, dmu, dr, _, _ = self.direction(tau - bend, *residuals)
        primal, dual, _, _ = self.lengths(dlam, dmu, dr)
        a, d = primal.view(-1, 1, 1), dual.view(-1, 1, 1)
        return Iterate(z.lam + d * dlam, z.mu + d * dmu, z.r + a * dr)


def certify(problem: Problem, z: Iterate, n_iter: int) -> Bounds:
    """Bounds on min f from any iterate, in nats."""
    scale = problem.mass.view(-1, 1, 1)
    p1, p2 = problem.p1 / scale, problem.p2 / scale
    lam = torch.where(p1 > 0, z.lam, -torch.inf)
    mu = torch.where(p2 > 0, z.mu, -torch.inf)
    lower, lam_feasible = lower_bound(lam, mu, p1, p2)
    q = (z.r / scale).unsqueeze(2) * torch.exp(lam.unsqueeze(-1) + mu.unsqueeze(1))
    q = round_to_marginals(q, p1, p2)
    count = torch.full_like(lower, n_iter, dtype=torch.int64)
    return Bounds(objective(q), lower, q, lam_feasible, torch.where(p2 > 0, z.mu, 0.0), count)


def solve(p1: Tensor, p2: Tensor, tol: float, max_iter: int = _MAX_ITER) -> Bounds:
    """Enclose min f within `tol` nats for every problem of the batch; those that are done drop out of it."""
    problem = make_problem(p1, p2)
    z = start(problem)
    best = certify(problem, z, 0)
    active = torch.arange(len(p1), device=p1.device)
    for n_iter in range(max_iter + 1 if len(active) else 0):
        step = _Step(problem, z)
        ready = step.merit() < tol
        if n_iter == max_iter:
            ready = torch.ones_like(ready)
        if ready.any():
            index = ready.nonzero().squeeze(1)
            found = certify(problem.rows(index), z.rows(index), n_iter)
            best.put(active[index], found)
            keep = torch.ones_like(ready)
            keep[index] = ~(found.upper - found.lower < tol)
            active = active[keep]
            if not len(active) or n_iter == max_iter:
                break
            problem, z = problem.rows(keep), z.rows(keep)
            step = _Step(problem, z)
        z = step.advance()
    return best

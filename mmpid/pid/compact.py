"""The interior point of `interior_point` for one problem, on lists of the cells that can hold mass.

It computes nothing where the support is empty, and its calls into NumPy cost less than torch's: for tables with few
live cells, and for small ones. The steps, their targets and their lengths are those of `interior_point`.
"""

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mmpid.pid.compact_presolve import Merge, lone_classes, merge
from mmpid.pid.constants import (
    CENTRAL,
    CERTIFY,
    FLOOR,
    LEAST_SHIFT,
    MOST_SLACK,
    MOST_TURN,
    SHIFT,
    SMALL_CELLS,
    SWEEPS,
    TINY,
    TO_BOUNDARY,
)
from mmpid.pid.pattern import Floats, Pattern

if TYPE_CHECKING:
    from mmpid.pid.compact_newton import NewtonSystem

_DENSE_SWEEPS = 20_000  # cells (x1, x2, y) up to which alternations are products of dense matrices
_FEW = 100  # live cells up to which steps cost little more than ...
_FEW_SWEEPS = 8  # ... these alternations
_INDEPENDENT = 1e-13  # s may be above 1 by this much where the sources are independent given the class
_FEW_UNKNOWNS = 150  # up to which a problem is not searched for classes that meet no other


@dataclass
class CompactBounds:
    """Certified enclosure of min f in nats; q on the cells of the pattern, multipliers on its entries."""

    upper: float
    lower: float
    q: Floats
    lam: Floats
    mu: Floats
    n_iter: int

    @property
    def gap(self) -> float:
        """Width of the enclosure."""
        return self.upper - self.lower


@dataclass
class _Iterate:
    """The primal and the dual half, stacked: R and g of the pairs, a and lam with b and mu behind them."""

    cell: Floats  # (2, pairs)
    point: Floats  # (2, unknowns)
    gap: float


class CompactProblem:
    """One problem: its pattern and its marginals, as given and scaled by the number of pairs."""

    def __init__(self, pattern: Pattern, p1: Floats, p2: Floats):
        self.pattern, self.p1, self.p2 = pattern, p1, p2
        self.m1 = len(pattern.x1)
        self.v1, self.v2 = p1[pattern.x1, pattern.y1], p2[pattern.x2, pattern.y2]
        self.pairs = len(pattern.starts)
        self.scaled = np.concatenate([self.v1, self.v2]) * self.pairs

    def start(self) -> tuple[_Iterate, float]:
        """Start from a few alternations; also return their gap, before the move into the constraints."""
        pattern = self.pattern
        left, right, cells, s = self._alternate()
        ab = np.log(np.maximum(np.concatenate([left, right]), TINY))
        r, log_s = cells * s * self.pairs, np.log(np.maximum(s, TINY))
        top = np.maximum.reduceat(log_s, pattern.row_starts)
        g = top[pattern.pair_row] - log_s
        gap = float(r @ g) / self.pairs
        shift = max(SHIFT * gap, LEAST_SHIFT)
        g = np.minimum(g + shift, MOST_SLACK)
        h = np.expm1(g)
        r = np.maximum(r, CENTRAL * float(r @ h) / self.pairs / h)
        point = np.array([ab, ab])
        point[1, : self.m1] -= (top + shift)[pattern.row]
        return _Iterate(np.array([r, g]), point, float(r @ g) / self.pairs), gap

    def _alternate(self) -> tuple[Floats, Floats, Floats, Floats]:
        """Return u and v on the entries, C and s on the pairs after some alternations, as in `scaling`."""
        pattern = self.pattern
        n1, n2, k = pattern.shape
        if n1 * n2 * k > _DENSE_SWEEPS:
            return self._alternate_lists()
        p1, p2 = self.p1.T, self.p2.T
        left, right = p1, p2 / np.maximum(p1.sum(1, keepdims=True), TINY)
        cells = s = left.T @ right
        for sweep in range(SWEEPS if len(pattern.first) > _FEW else _FEW_SWEEPS):
            if sweep:
                cells = cells * s
            if sweep % 2:
                cells *= s
            left = p1 / (right @ cells.T + TINY)
            right = p2 / (left @ cells + TINY)
            s = left.T @ right
            if not sweep and s.max() < 1.0 + _INDEPENDENT:  # as in many gates, already the optimum
                break
        x1, x2 = pattern.x1[pattern.first[pattern.starts]], pattern.x2[pattern.second[pattern.starts]]
        return left.T[pattern.x1, pattern.y1], right.T[pattern.x2, pattern.y2], cells[x1, x2], s[x1, x2]

    def _alternate_lists(self) -> tuple[Floats, Floats, Floats, Floats]:
        pattern = self.pattern
        first, second, pair, over = pattern.first, pattern.second, pattern.pair, pattern.over
        m1, m2 = len(self.v1), len(self.v2)
        prior = np.bincount(pattern.y1, self.v1, pattern.shape[2])
        left, right = self.v1, self.v2 / prior[pattern.y2]
        cells = s = over(left[first] * right[second])
        for sweep in range(SWEEPS):
            if sweep:
                cells = cells * s
            if sweep % 2:
                cells *= s
            wide = cells[pair]
            left = self.v1 / (np.bincount(first, right[second] * wide, m1) + TINY)
            right = self.v2 / (np.bincount(second, left[first] * wide, m2) + TINY)
            s = over(left[first] * right[second])
        return left, right, cells, s

    def step(self, z: _Iterate, system: "NewtonSystem", floor: float) -> None:
        """Predict, correct, and move the iterate as far as the lengths allow; NaN where it breaks down."""
        pattern = self.pattern
        pair, over = pattern.pair, pattern.over
        r, g = z.cell
        w, excess = self.softmax(z.point[0])
        excess += g
        h = np.expm1(g)
        rc = r / h
        slope = r + rc
        base = pattern.gather(w * (slope * excess)[pair]) - self.scaled
        system.factor(w * r[pair], w, rc)

        change = np.empty_like(z.cell)
        dr, dg = change
        np.subtract(excess, over(w * pattern.spread(system.solve(base))), out=dg)
        np.subtract(r, slope * dg, out=dr)
        ahead = z.cell - _lengths(change / z.cell) * change
        sigma = float(ahead[0] @ ahead[1]) / self.pairs / z.gap
        target = max(min(max(sigma, 1e-6), 1.0) ** 3 * z.gap, floor) - dr * dg * (1.0 + h)
        aim = np.minimum(target / h, rc + 2.0 * r)

        turn = system.solve(base + pattern.gather(w * aim[pair]))
        log_w = pattern.spread(turn)
        np.subtract(excess, over(w * log_w), out=dg)
        np.subtract(r - aim, slope * dg, out=dr)
        furthest = max(log_w.max(), -log_w.min()) * (TO_BOUNDARY / MOST_TURN)
        lengths = _lengths(change / z.cell, furthest)
        z.cell = z.cell - lengths * change
        z.point = z.point + lengths * (z.point[0] - turn - z.point)
        z.gap = float(z.cell[0] @ z.cell[1]) / self.pairs

    def softmax(self, unknowns: Floats) -> tuple[Floats, Floats]:
        """Return w = softmax over each pair of lam + mu, and the logarithm of its denominator."""
        pattern = self.pattern
        theta = pattern.spread(unknowns)
        top = np.maximum.reduceat(theta, pattern.starts)
        w = np.exp(theta - top[pattern.pair])
        total = pattern.over(w)
        w /= total[pattern.pair]
        return w, top + np.log(total)

    def certify(self, z: _Iterate, n_iter: int) -> CompactBounds:
        """Bounds on min f from any iterate, in nats."""
        w, _ = self.softmax(z.point[0])
        return self.bounds(z.point[1], w * (z.cell[0] / self.pairs)[self.pattern.pair], n_iter)

    def bounds(self, dual: Floats, q: Floats, n_iter: int) -> CompactBounds:
        """Bounds on min f from any multipliers, once they are feasible, and any q, once it has the marginals."""
        pattern = self.pattern
        _, logs = self.softmax(dual)
        lam, mu = dual[: self.m1] - np.maximum.reduceat(logs, pattern.row_starts)[pattern.row], dual[self.m1 :]
        lower = float(self.v1 @ lam + self.v2 @ mu)
        q = self.round(q)
        upper = _negative_entropy(q) - _negative_entropy(pattern.over(q))
        return CompactBounds(upper, lower, q, lam, mu, n_iter)

    def round(self, q: Floats) -> Floats:
        """Move q to the exact marginals, as `certificate.round_to_marginals` does."""
        pattern = self.pattern
        first, second, m1, m2 = pattern.first, pattern.second, len(self.v1), len(self.v2)
        q = q * (self.v1 / np.maximum(np.bincount(first, q, m1), TINY))[first]
        q = q * (self.v2 / np.maximum(np.bincount(second, q, m2), TINY))[second]
        q = q * np.minimum(self.v1 / np.maximum(np.bincount(first, q, m1), TINY), 1.0)[first]
        missing1 = np.maximum(self.v1 - np.bincount(first, q, m1), 0.0)
        missing2 = np.maximum(self.v2 - np.bincount(second, q, m2), 0.0)
        total = np.bincount(pattern.y1, missing1, pattern.shape[2])
        missing2 /= np.maximum(total, TINY)[pattern.y2]
        return q + missing1[first] * missing2[second]


def _lengths(share: Floats, least: float = TO_BOUNDARY) -> Floats:
    """Longest primal and dual steps (2, 1), at most 1, given the shares of R and g that whole ones take."""
    return TO_BOUNDARY / np.maximum(share.max(1, keepdims=True), max(least, TO_BOUNDARY))


def _negative_entropy(x: Floats) -> float:
    return float((x * np.log(np.maximum(x, TINY))).sum())


def solve(pattern: Pattern, p1: Floats, p2: Floats, tol: float, max_iter: int) -> CompactBounds:
    """Enclose min f within `tol` nats; what breaks down or does not get there returns the best bounds that it had."""
    from mmpid.pid.compact_newton import NewtonSystem  # needs scipy, which `import mmpid` does without

    problem = CompactProblem(pattern, p1, p2)
    z, gap = problem.start()
    best: CompactBounds | None = None
    system = None
    for n_iter in range(max_iter + 1):
        if n_iter:
            system = system or NewtonSystem.of(pattern, p2)
            problem.step(z, system, FLOOR * tol)
            gap = z.gap
        if not math.isfinite(gap):
            break
        if gap < tol or n_iter % CERTIFY == CERTIFY - 1 or n_iter == max_iter:
            found = problem.certify(z, n_iter)
            if best is None or found.gap < best.gap:
                best = found
            if best.gap <= tol:
                break
    return best if best is not None else problem.certify(problem.start()[0], 0)


def enclose(p1: Floats, p2: Floats, tol: float, max_iter: int) -> tuple[Pattern, CompactBounds]:
    """Enclose min f of p1 (n1, k) and p2 (n2, k) in nats: reduce, solve, expand; also return the pattern of q."""
    with np.errstate(all="ignore"):
        pattern = Pattern.of(p1, p2)
        first, second = (None, None) if p1.size * len(p2) <= SMALL_CELLS else (merge(p1), merge(p2))
        if first is None and second is None:
            return pattern, _without_lone(pattern, p1, p2, tol, max_iter)
        small1, small2 = p1 if first is None else first.pool(p1), p2 if second is None else second.pool(p2)
        reduced = Pattern.of(small1, small2)
        found = _without_lone(reduced, small1, small2, 0.99 * tol, max_iter)
        return pattern, _expand(CompactProblem(pattern, p1, p2), reduced, found, first, second)


def _without_lone(pattern: Pattern, p1: Floats, p2: Floats, tol: float, max_iter: int) -> CompactBounds:
    """Solve without the classes that meet no other; small problems are not worth looking for them."""
    lone = lone_classes(pattern) if pattern.size > _FEW_UNKNOWNS else ()
    if not len(lone):
        return solve(pattern, p1, p2, tol, max_iter)
    keep = np.ones(pattern.shape[2], dtype=bool)
    keep[lone] = False
    problem = CompactProblem(pattern, p1, p2)
    q = problem.v1[pattern.first] * (problem.v2 / p1.sum(0)[pattern.y2])[pattern.second]
    lam, mu = np.zeros_like(problem.v1), np.zeros_like(problem.v2)
    if not keep[pattern.y1].any():
        return CompactBounds(0.0, 0.0, q, lam, mu, 0)
    rest1, rest2 = p1 * keep, p2 * keep
    part = solve(Pattern.of(rest1, rest2), rest1, rest2, tol, max_iter)
    q[keep[pattern.y1[pattern.first]]] = part.q
    lam[keep[pattern.y1]], mu[keep[pattern.y2]] = part.lam, part.mu
    return replace(part, q=q, lam=lam, mu=mu)


def _expand(
    problem: CompactProblem, reduced: Pattern, found: CompactBounds, first: Merge | None, second: Merge | None
) -> CompactBounds:
    """Spread bounds of merged states over the original ones, and certify again."""
    pattern = problem.pattern
    _, n2, k = reduced.shape
    x1 = pattern.x1 if first is None else first.slot[pattern.x1]
    x2 = pattern.x2 if second is None else second.slot[pattern.x2]
    lam = found.lam[np.searchsorted(reduced.x1 * k + reduced.y1, x1 * k + pattern.y1)]
    mu = found.mu[np.searchsorted(reduced.y2 * n2 + reduced.x2, pattern.y2 * n2 + x2)]
    cell = (x1[pattern.first] * n2 + x2[pattern.second]) * k + pattern.y1[pattern.first]
    inner = (reduced.x1[reduced.first] * n2 + reduced.x2[reduced.second]) * k + reduced.y1[reduced.first]
    q = found.q[np.searchsorted(inner, cell)]
    if first is not None:
        q *= first.share[pattern.x1][pattern.first]
    if second is not None:
        q *= second.share[pattern.x2][pattern.second]
    return problem.bounds(np.concatenate([lam, mu]), q, found.n_iter)

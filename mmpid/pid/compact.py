"""The interior point of `interior_point` for one problem, on lists of the cells that can hold mass.

It computes nothing where the support is empty, and its calls into NumPy cost less than torch's: for tables with few
live cells, and for small ones. The steps, their targets and their lengths are those of `interior_point`.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from mmpid.pid.compact_newton import NewtonSystem
from mmpid.pid.compact_presolve import Merge, lone_classes, merge
from mmpid.pid.pattern import Floats, Pattern

_TINY = 1e-300
_SWEEPS = 24
_SHIFT = 0.2
_LEAST_SHIFT = 1e-4
_MOST_SLACK = 30.0
_CENTRAL = 0.1
_TO_BOUNDARY = 0.995
_MOST_TURN = 4.0
_FLOOR = 0.1
_CERTIFY = 10
_FEW = 150  # unknowns up to which a problem is not searched for classes that meet no other


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
    r: Floats
    g: Floats
    a: Floats
    b: Floats
    lam: Floats
    mu: Floats
    gap: float


class CompactProblem:
    """One problem: its pattern and its marginals, as given and scaled by the number of pairs."""

    def __init__(self, pattern: Pattern, p1: Floats, p2: Floats):
        self.pattern = pattern
        self.v1, self.v2 = p1[pattern.x1, pattern.y1], p2[pattern.x2, pattern.y2]
        self.pairs = len(pattern.starts)
        self.scaled1, self.scaled2 = self.v1 * self.pairs, self.v2 * self.pairs

    def sum1(self, x: Floats) -> Floats:
        """Add up over the cells of each entry of p1."""
        return np.bincount(self.pattern.first, x, len(self.v1))

    def sum2(self, x: Floats) -> Floats:
        """Add up over the cells of each entry of p2."""
        return np.bincount(self.pattern.second, x, len(self.v2))

    def over(self, x: Floats) -> Floats:
        """Add up over the cells of each pair."""
        return np.add.reduceat(x, self.pattern.starts)

    def start(self) -> tuple[_Iterate, float]:
        """Start from a few alternations; also return their gap, before the move into the constraints."""
        pattern = self.pattern
        first, second, pair = pattern.first, pattern.second, pattern.pair
        prior = np.bincount(pattern.y1, self.v1, pattern.shape[2])
        left, right = self.v1, self.v2 / prior[pattern.y2]
        cells = s = self.over(left[first] * right[second])
        for sweep in range(_SWEEPS):
            if sweep:
                cells = cells * s
            if sweep % 2:
                cells *= s
            wide = cells[pair]
            left = self.v1 / (self.sum1(right[second] * wide) + _TINY)
            right = self.v2 / (self.sum2(left[first] * wide) + _TINY)
            s = self.over(left[first] * right[second])
        a, b = np.log(np.maximum(left, _TINY)), np.log(np.maximum(right, _TINY))
        r, log_s = cells * s * self.pairs, np.log(np.maximum(s, _TINY))
        top = np.maximum.reduceat(log_s, pattern.row_starts)
        g = top[pattern.pair_row] - log_s
        gap = float(r @ g) / self.pairs
        shift = max(_SHIFT * gap, _LEAST_SHIFT)
        g = np.minimum(g + shift, _MOST_SLACK)
        h = np.expm1(g)
        r = np.maximum(r, _CENTRAL * float(r @ h) / self.pairs / h)
        lam = a - (top + shift)[pattern.row]
        return _Iterate(r, g, a, b, lam, b, float(r @ g) / self.pairs), gap

    def step(self, z: _Iterate, system: NewtonSystem, floor: float) -> None:
        """Predict, correct, and move the iterate as far as the lengths allow; NaN where it breaks down."""
        pattern, over = self.pattern, self.over
        first, second, pair = pattern.first, pattern.second, pattern.pair
        r, g = z.r, z.g
        w, excess = self.softmax(z.a, z.b)
        excess += g
        h = np.expm1(g)
        rc = r / h
        slope = r + rc
        push = w * (slope * excess)[pair]
        base1, base2 = self.sum1(push) - self.scaled1, self.sum2(push) - self.scaled2
        system.factor(w * r[pair], w, rc)

        da, db = system.solve(base1, base2)
        dg = excess - over(w * (da[first] + db[second]))
        dr = r - slope * dg
        length = _length((dr / r).max()), _length((dg / g).max())
        sigma = float((r - length[0] * dr) @ (g - length[1] * dg)) / self.pairs / z.gap
        target = max(min(max(sigma, 1e-6), 1.0) ** 3 * z.gap, floor) - dr * dg * (1.0 + h)
        aim = np.minimum(target / h, rc + 2.0 * r)

        push = w * aim[pair]
        da, db = system.solve(base1 + self.sum1(push), base2 + self.sum2(push))
        turn = da[first] + db[second]
        dg = excess - over(w * turn)
        dr = r - aim - slope * dg
        furthest = np.abs(turn).max() * (_TO_BOUNDARY / _MOST_TURN)
        primal, dual = _length(max((dr / r).max(), furthest)), _length(max((dg / g).max(), furthest))
        z.r, z.g = r - primal * dr, g - dual * dg
        z.lam = z.lam + dual * (z.a - da - z.lam)
        z.mu = z.mu + dual * (z.b - db - z.mu)
        z.a, z.b = z.a - primal * da, z.b - primal * db
        z.gap = float(z.r @ z.g) / self.pairs

    def softmax(self, a: Floats, b: Floats) -> tuple[Floats, Floats]:
        """Return w = softmax over each pair of a + b, and the logarithm of its denominator."""
        pattern = self.pattern
        theta = a[pattern.first] + b[pattern.second]
        top = np.maximum.reduceat(theta, pattern.starts)
        w = np.exp(theta - top[pattern.pair])
        total = self.over(w)
        w /= total[pattern.pair]
        return w, top + np.log(total)

    def certify(self, z: _Iterate, n_iter: int) -> CompactBounds:
        """Bounds on min f from any iterate, in nats."""
        w, _ = self.softmax(z.a, z.b)
        return self.bounds(z.lam, z.mu, w * (z.r / self.pairs)[self.pattern.pair], n_iter)

    def bounds(self, lam: Floats, mu: Floats, q: Floats, n_iter: int) -> CompactBounds:
        """Bounds on min f from any multipliers, once they are feasible, and any q, once it has the marginals."""
        pattern = self.pattern
        _, logs = self.softmax(lam, mu)
        lam = lam - np.maximum.reduceat(logs, pattern.row_starts)[pattern.row]
        lower = float(self.v1 @ lam + self.v2 @ mu)
        q = self.round(q)
        upper = _negative_entropy(q) - _negative_entropy(self.over(q))
        return CompactBounds(upper, lower, q, lam, mu, n_iter)

    def round(self, q: Floats) -> Floats:
        """Move q to the exact marginals, as `certificate.round_to_marginals` does."""
        pattern = self.pattern
        first, second = pattern.first, pattern.second
        q = q * (self.v1 / np.maximum(self.sum1(q), _TINY))[first]
        q = q * (self.v2 / np.maximum(self.sum2(q), _TINY))[second]
        q = q * np.minimum(self.v1 / np.maximum(self.sum1(q), _TINY), 1.0)[first]
        missing1 = np.maximum(self.v1 - self.sum1(q), 0.0)
        missing2 = np.maximum(self.v2 - self.sum2(q), 0.0)
        total = np.bincount(pattern.y1, missing1, pattern.shape[2])
        missing2 /= np.maximum(total, _TINY)[pattern.y2]
        return q + missing1[first] * missing2[second]


def _length(most: float) -> float:
    """Longest step, at most 1, given the largest share that a whole one takes."""
    return _TO_BOUNDARY / max(most, _TO_BOUNDARY)


def _negative_entropy(x: Floats) -> float:
    return float((x * np.log(np.maximum(x, _TINY))).sum())


def solve(pattern: Pattern, p1: Floats, p2: Floats, tol: float, max_iter: int) -> CompactBounds:
    """Enclose min f within `tol` nats; what breaks down or does not get there returns the best bounds that it had."""
    problem = CompactProblem(pattern, p1, p2)
    z, gap = problem.start()
    best: CompactBounds | None = None
    system = None
    for n_iter in range(max_iter + 1):
        if n_iter:
            system = system or NewtonSystem.of(pattern)
            problem.step(z, system, _FLOOR * tol)
            gap = z.gap
        if not math.isfinite(gap):
            break
        if gap < tol or n_iter % _CERTIFY == _CERTIFY - 1 or n_iter == max_iter:
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
        first, second = merge(p1), merge(p2)
        if first is None and second is None:
            return pattern, _without_lone(pattern, p1, p2, tol, max_iter)
        small1, small2 = p1 if first is None else first.pool(p1), p2 if second is None else second.pool(p2)
        reduced = Pattern.of(small1, small2)
        found = _without_lone(reduced, small1, small2, 0.99 * tol, max_iter)
        return pattern, _expand(CompactProblem(pattern, p1, p2), reduced, found, first, second)


def _without_lone(pattern: Pattern, p1: Floats, p2: Floats, tol: float, max_iter: int) -> CompactBounds:
    """Solve without the classes that meet no other; small problems are not worth looking for them."""
    lone = lone_classes(pattern) if pattern.size > _FEW else ()
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
    """Spread bounds of merged states over the original ones, and certify anew."""
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
    return problem.bounds(lam, mu, q, found.n_iter)

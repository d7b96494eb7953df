"""Certified enclosure of min f for a batch of marginals: reduce, solve chunk by chunk, expand, bound again."""

import torch
from torch import Tensor

from mmpid.pid import compact, interior_point, presolve
from mmpid.pid.certificate import lower_bound, objective, round_to_marginals
from mmpid.pid.compact import CompactBounds
from mmpid.pid.costs import CPU_BUDGET, CUDA_BUDGET, Size, bytes_per_problem, check_memory
from mmpid.pid.interior_point import PATIENCE, Bounds
from mmpid.pid.pattern import Pattern


def enclose(
    p1: Tensor,
    p2: Tensor,
    tol: float,
    max_iter: int,
    budget: int | None = None,
    *,
    limit: int | None = None,
    keep_q: bool = True,
) -> Bounds:
    """Enclose min f in nats given p1 (b, n1, k) and p2 (b, n2, k); returns q as (b, n1, k, n2), mu as (b, k, n2).

    `budget` is the memory of a chunk of problems, `limit` that of one problem, in bytes. Without `keep_q` the q of a
    batch that is solved in parts is dropped, and comes back empty.
    """
    budget = budget or (CUDA_BUDGET if p1.is_cuda else CPU_BUDGET)
    if not len(p1):
        return Bounds.unknown(p1, p2.mT)
    alone = [] if p1.is_cuda else _alone(p1, p2)
    if not alone:
        return _enclose_batch(p1, p2, tol, max_iter, budget, limit, keep_q=keep_q)
    out = Bounds.unknown(p1, p2.mT, keep_q=keep_q)
    for i, size in alone:
        check_memory(size.bytes_alone(), limit, size.n1, size.n2, size.k)
        pattern, found = compact.enclose(p1[i].numpy(), p2[i].numpy(), tol, max_iter)
        _place(out, i, pattern, found, keep_q=keep_q)
    # what was not solved alone, and what missed the tolerance there though it had the time
    solved = {i for i, _ in alone if out.gap[i] <= tol or max_iter < PATIENCE}
    rest = torch.tensor([i for i in range(len(p1)) if i not in solved], dtype=torch.int64)
    if len(rest):
        found = _enclose_batch(p1[rest], p2[rest], tol, max_iter, budget, limit, keep_q=True)
        better = ~(out.gap[rest] <= found.gap)
        out.assign(rest[better], found.rows(better), keep_q=keep_q)
    return out


def _alone(p1: Tensor, p2: Tensor) -> list[tuple[int, Size]]:
    """Return the problems that are better solved alone, on lists of their live cells."""
    return [(i, size) for i, size in enumerate(Size.of(p1, p2)) if size.leaves_batch(len(p1))]


def _place(out: Bounds, i: int, pattern: Pattern, found: CompactBounds, *, keep_q: bool) -> None:
    """Write the bounds of problem `i`, found on lists, into `out`."""
    out.upper[i], out.lower[i], out.n_iter[i] = found.upper, found.lower, found.n_iter
    out.lam[i].numpy()[pattern.x1, pattern.y1] = found.lam
    out.mu[i].numpy()[pattern.y2, pattern.x2] = found.mu
    if keep_q:
        x1, y, x2 = pattern.x1[pattern.first], pattern.y1[pattern.first], pattern.x2[pattern.second]
        out.q[i].numpy()[x1, y, x2] = found.q


def _enclose_batch(
    p1: Tensor, p2: Tensor, tol: float, max_iter: int, budget: int, limit: int | None, *, keep_q: bool
) -> Bounds:
    """Enclose problems together, those of about one size in chunks."""
    reductions = _merged(p1, budget), presolve.drop_classes(p1), _merged(p2, budget)
    largest = [r.size for r in reductions]
    check_memory(bytes_per_problem(*largest), limit, largest[0], largest[2], largest[1])
    if len(p1) <= _fitting(largest, budget):
        return _solve_chunk(p1, p2, reductions, tol, max_iter)
    sizes = torch.stack([r.count for r in reductions], 1)
    out = Bounds.unknown(p1, p2.mT, keep_q=keep_q)
    # problems of about one size share a chunk, so that little is padded
    order = sizes.prod(1).argsort(descending=True, stable=True)
    done = 0
    while done < len(order):
        count = _fitting(sizes[order[done:]].amax(0).tolist(), budget)
        index = order[done : done + count]
        bounds = _solve_chunk(p1[index], p2[index], [r.rows(index) for r in reductions], tol, max_iter)
        out.assign(index, bounds, keep_q=keep_q)
        done += count
    return out


def _fitting(sizes: list[int], budget: int) -> int:
    """How many problems of at most these sizes fit in a chunk."""
    return max(1, budget // bytes_per_problem(*sizes))


def _merged(p: Tensor, budget: int) -> presolve.Reduction:
    """Merge states in slices: comparing all pairs takes n * n numbers a problem."""
    count = max(1, budget // (24 * p.shape[1] ** 2))
    parts = [presolve.merge_states(part) for part in p.split(count)]
    if len(parts) == 1:
        return parts[0]
    return presolve.Reduction.of(*(torch.cat([getattr(r, name) for r in parts]) for name in ("slot", "share", "count")))


def _solve_chunk(p1: Tensor, p2: Tensor, reductions: list, tol: float, max_iter: int) -> Bounds:
    """Solve at the reduced shape; where something was reduced, certify once more at the full one."""
    first, classes, second = reductions
    if all(r.trivial for r in reductions):
        return _solve_wide(p1, p2, tol, max_iter)
    small1 = classes.pool(first.pool(p1).mT).mT
    small2 = classes.pool(second.pool(p2).mT).mT
    small = _solve_wide(small1.contiguous(), small2.contiguous(), 0.99 * tol, max_iter)
    lam = presolve.expand_dual(small.lam, first, classes)
    mu = presolve.expand_dual(small.mu.mT, second, classes).mT
    p2 = p2.mT
    lower, lam, mu = lower_bound(lam, mu, p1, p2)
    q = round_to_marginals(presolve.expand_joint(small.q, first, classes, second), p1, p2)
    return Bounds(objective(q), lower, q, lam, mu, small.n_iter)


def _solve_wide(p1: Tensor, p2: Tensor, tol: float, max_iter: int) -> Bounds:
    """Solve with the source of fewer states second: the Schur matrix of the first elimination has side n2 * k."""
    if p1.shape[1] >= p2.shape[1]:
        return interior_point.solve(p1, p2.mT.contiguous(), tol, max_iter)
    swapped = interior_point.solve(p2, p1.mT.contiguous(), tol, max_iter)
    lam, mu = swapped.mu.mT, swapped.lam.mT
    return Bounds(swapped.upper, swapped.lower, swapped.q.permute(0, 3, 2, 1), lam, mu, swapped.n_iter)

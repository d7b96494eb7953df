"""Certified enclosure of min f for a batch of marginals: some problems alone on their live cells, the others in chunks.

Those in chunks are reduced, solved, expanded and certified again.
"""

import torch
from torch import Tensor

from mmpid._progress import advance
from mmpid.pid import compact, interior_point, presolve
from mmpid.pid.certificate import lower_bound, objective, round_to_marginals
from mmpid.pid.compact import CompactBounds
from mmpid.pid.costs import CPU_BUDGET, CUDA_BUDGET, Size, bytes_per_problem, check_memory, couples_of
from mmpid.pid.effort import Effort
from mmpid.pid.interior_point import Bounds
from mmpid.pid.optimum import OptimumStore, Storage
from mmpid.pid.pattern import Pattern
from mmpid.pid.typed import array_of, integers_of


def enclose(p1: Tensor, p2: Tensor, effort: Effort, storage: Storage = "dense") -> Bounds:
    """Enclose min f in nats, within `effort.tol` nats, given p1 (b, n1, k) and p2 (b, n2, k).

    Returns mu as (b, k, n2) and q as (b, n1, n2, k), or as `storage` says.
    """
    batch, n1, k = p1.shape
    store = OptimumStore(storage, batch, n1, p2.shape[1], k, p1)
    out = Bounds.unknown(p1, p2.mT)
    everything = torch.arange(batch, device=p1.device)
    alone = [] if p1.is_cuda else [(i, s) for i, s in enumerate(Size.of(p1, p2)) if s.leaves_batch(batch)]
    if not alone:
        if batch:
            _enclose_batch(p1, p2, effort, out, store, everything)
        out.q = store.tensor()
        return out
    rest = sorted(set(range(batch)).difference(i for i, _ in alone))
    if rest:
        index = everything[rest]
        _enclose_batch(p1[index], p2[index], effort, out, store, index)
    for i, size in alone:
        own1, own2 = array_of(p1[i]), array_of(p2[i])
        check_memory(size.bytes_alone(couples_of(own1, own2)), effort.memory_limit, size.n1, size.n2, size.k)
        pattern, found = compact.enclose(own1, own2, effort.tol, effort.max_iter)
        _place(out, i, pattern, found)
        store.put_cells(i, pattern, found.q)
    out.q = store.tensor()
    return out


def _place(out: Bounds, i: int, pattern: Pattern, found: CompactBounds) -> None:
    """Write the bounds of problem `i`, found on lists, into `out`."""
    out.upper[i], out.lower[i], out.n_iter[i] = found.upper, found.lower, found.n_iter
    out.lam[i].numpy()[pattern.x1, pattern.y1] = found.lam
    out.mu[i].numpy()[pattern.y2, pattern.x2] = found.mu


def _enclose_batch(p1: Tensor, p2: Tensor, effort: Effort, out: Bounds, store: OptimumStore, where: Tensor) -> None:
    """Enclose problems together, those of about one size in chunks; write them to the places `where` of `out`."""
    budget = effort.memory_budget or (CUDA_BUDGET if p1.is_cuda else CPU_BUDGET)
    reductions = [_merged(p1, budget), presolve.drop_classes(p1), _merged(p2, budget)]
    largest = [r.size for r in reductions]
    check_memory(bytes_per_problem(*largest), effort.memory_limit, p1.shape[1], p2.shape[1], p1.shape[2])
    if len(p1) <= _fitting(largest, budget):
        bounds = _solve_chunk(p1, p2, reductions, effort)
        out.assign(where, bounds)
        store.put(where if len(where) < len(out.upper) else None, bounds.q)
        return
    sizes = torch.stack([r.count for r in reductions], 1)
    # problems of about one size share a chunk, so that little is padded
    order = sizes.prod(1).argsort(descending=True, stable=True)
    done = 0
    while done < len(order):
        count = _fitting(integers_of(sizes[order[done:]].amax(0)), budget)
        index = order[done : done + count]
        bounds = _solve_chunk(p1[index], p2[index], [r.rows(index) for r in reductions], effort)
        out.assign(where[index], bounds)
        store.put(where[index], bounds.q)
        done += count
        advance(done, len(order))


def _fitting(sizes: list[int], budget: int) -> int:
    """How many problems of at most these sizes fit in a chunk."""
    return max(1, budget // bytes_per_problem(*sizes))


def _merged(p: Tensor, budget: int) -> presolve.Reduction:
    """Merge states in slices: comparing all pairs takes n * n numbers a problem."""
    count = max(1, budget // (24 * p.shape[1] ** 2))
    parts = [presolve.merge_states(part) for part in torch.split(p, count)]
    if len(parts) == 1:
        return parts[0]
    return presolve.Reduction.of(*(torch.cat([getattr(r, name) for r in parts]) for name in ("slot", "share", "count")))


def _solve_chunk(p1: Tensor, p2: Tensor, reductions: list[presolve.Reduction], effort: Effort) -> Bounds:
    """Solve at the reduced shape; where something was reduced, certify once more at the full one."""
    first, classes, second = reductions
    if all(r.trivial for r in reductions):
        return _solve_wide(p1, p2, effort.tol, effort.max_iter)
    small1 = classes.pool(first.pool(p1).mT).mT
    small2 = classes.pool(second.pool(p2).mT).mT
    small = _solve_wide(small1.contiguous(), small2.contiguous(), 0.99 * effort.tol, effort.max_iter)
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

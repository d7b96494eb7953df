"""Bootstrap, shuffled labels and folds; and the batched decomposition of all their joints."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from mmpid.estimate.histogram import PairedSample
from mmpid.pid.alternating import solve_terms

# Replicates held in memory at once: weights (replicates x samples) and joints (replicates x cells).
MAX_ELEMENTS = 8_000_000


def chunk_sizes(total: int, per_replicate: int) -> Iterator[int]:
    """Split `total` replicates so that one chunk holds at most `MAX_ELEMENTS` numbers."""
    size = max(1, MAX_ELEMENTS // max(1, per_replicate))
    for start in range(0, total, size):
        yield min(size, total - start)


def bootstrap_weights(n_samples: int, n_boot: int, generator: torch.Generator, groups: Tensor | None = None) -> Tensor:
    """How often each sample is drawn, float64 (n_boot, N); with groups, whole groups are drawn."""
    n_units = n_samples if groups is None else int(groups.max()) + 1
    drawn = torch.randint(n_units, (n_boot, n_units), generator=generator)
    weights = torch.zeros(n_boot, n_units, dtype=torch.float64)
    weights.scatter_add_(1, drawn, torch.ones(1, dtype=torch.float64).expand_as(drawn))
    return weights if groups is None else weights[:, groups]


def permuted_targets(target: Tensor, n_null: int, generator: torch.Generator, groups: Tensor | None = None) -> Tensor:
    """Shuffled labels, int64 (n_null, N); labels that are constant within groups are shuffled among groups."""
    first = None if groups is None else label_of_group(target, groups)
    units = target if first is None else first
    order = torch.rand(n_null, len(units), generator=generator, dtype=torch.float64).argsort(1)
    shuffled = units[order]
    return shuffled if first is None else shuffled[:, groups]


def label_of_group(target: Tensor, groups: Tensor) -> Tensor | None:
    """Label of each group, or None if some group holds several labels."""
    first = torch.zeros(int(groups.max()) + 1, dtype=torch.int64)
    first[groups] = target
    return first if bool((first[groups] == target).all()) else None


def stratified_folds(target: Tensor, n_folds: int, generator: torch.Generator, groups: Tensor | None = None) -> Tensor:
    """Fold of each sample, int64 (N,), every class spread over the folds; groups stay whole and are then only dealt."""
    order = torch.randperm(len(target), generator=generator)
    if groups is not None:
        n_groups = int(groups.max()) + 1
        return torch.randperm(n_groups, generator=generator)[groups] % n_folds
    order = order[target[order].argsort(stable=True)]
    folds = torch.empty_like(order)
    folds[order] = torch.arange(len(order)) % n_folds
    return folds


def bootstrap_joints(
    sample: PairedSample, n_boot: int, generator: torch.Generator, groups: Tensor | None = None
) -> Iterator[Tensor]:
    """Joints (b, n1, n2, k) of resampled samples, in chunks that add up to `n_boot`."""
    for size in chunk_sizes(n_boot, len(sample) + _n_cells(sample)):
        weights = bootstrap_weights(len(sample), size, generator, groups)
        yield sample.joint(weights=weights.to(sample.target.device))


def null_joints(
    sample: PairedSample, n_null: int, generator: torch.Generator, groups: Tensor | None = None
) -> Iterator[Tensor]:
    """Joints (b, n1, n2, k) of shuffled labels, in chunks that add up to `n_null`."""
    target = sample.target.cpu()
    for size in chunk_sizes(n_null, len(sample) + _n_cells(sample)):
        yield sample.joint(target=permuted_targets(target, size, generator, groups).to(sample.target.device))


def replicate_terms(joints: Iterable[Tensor], tol: float) -> tuple[Tensor, float]:
    """Terms (b, 4) of all joints, solved in one batch while memory allows, and their largest certified gap."""
    terms, gaps = [torch.empty(0, 4, dtype=torch.float64)], [0.0]
    waiting: list[Tensor] = []
    for joint in joints:
        if waiting and sum(j.numel() for j in waiting) + joint.numel() > MAX_ELEMENTS:
            _solve_batch(waiting, tol, terms, gaps)
            waiting = []
        waiting.append(joint)
    if waiting:
        _solve_batch(waiting, tol, terms, gaps)
    return torch.cat(terms), max(gaps)


def _solve_batch(joints: list[Tensor], tol: float, terms: list[Tensor], gaps: list[float]) -> None:
    """Solve the joints together and append their terms and largest certified error."""
    found, error = solve_terms(torch.cat(joints), tol)
    terms.append(found.cpu())
    gaps.append(float(error.max()))


def _n_cells(sample: PairedSample) -> int:
    n1, n2, k = sample.shape
    return n1 * n2 * k

"""What a problem costs, in operations, milliseconds and bytes: the choice of its solver, and the limit on its memory.

Times are rough fits on one core; only their ratios matter.
"""

from dataclasses import dataclass

from torch import Tensor

from mmpid.errors import InputError
from mmpid.pid.constants import SMALL_CELLS
from mmpid.pid.pattern import Floats
from mmpid.pid.typed import integers_of

CPU_BUDGET = 2**25  # bytes of a chunk: near the size of a cache, which matters more than few large calls
CUDA_BUDGET = 2**32
SMALL_BYTES = 2**22  # of what every call leaves behind
MEMORY_LIMIT = 2**33  # bytes that one problem may ask for, unless the caller says otherwise

_SPARSE = 0.08  # share of live cells up to which a table counts as sparse
_LARGE = 12_000  # cells above which the times decide, whatever the share
_MARGIN = 1.5  # a problem leaves its batch if it is solved alone in less time than this
_STEPS = 6


def operations(n1: int, k: int, n2: int, kept: int | None = None) -> tuple[float, float]:
    """Operations of a Newton step by `EliminateRows`, with `kept` of the n2 k unknowns mu, and by `EliminateMarginals`.

    A factorization runs at about 0.4 of the speed of a product.
    """
    mu = n2 * k if kept is None else kept
    rows = 2 * n1 * k * mu**2 + 2.5 * mu**3 / 3
    return rows, 4 * (n1 * n2) ** 2 * k + 2.5 * (n1 * n2) ** 3 / 3 + 3 * k * (n1 + n2) ** 3


def rows_are_cheaper(n1: int, k: int, n2: int, kept: int | None = None) -> bool:
    """Whether `EliminateRows` takes less time: per operation it, mostly products, is three times as fast."""
    rows, marginals = operations(n1, k, n2, kept)
    return rows <= 3 * marginals


def bytes_per_problem(n1: int, k: int, n2: int) -> int:
    """Return about the working memory of one problem in a batch, with the elimination that is chosen without zeros."""
    n1, n2 = max(n1, n2), min(n1, n2)
    if rows_are_cheaper(n1, k, n2):
        systems = 2 * n1 * n2 * k**2 + 3 * (n2 * k) ** 2
    else:
        systems = 5 * (n1 * n2) ** 2 + 2 * (n1 + n2) * n1 * n2 * k
    return 8 * (systems + 30 * n1 * n2 * k)


@dataclass(frozen=True)
class Size:
    """What a problem holds: states and classes, live entries of the two marginals, and live cells (x1, x2, y)."""

    n1: int
    n2: int
    k: int
    live1: int
    live2: int
    live: int

    @classmethod
    def of(cls, p1: Tensor, p2: Tensor) -> "list[Size]":
        """Measure each problem of p1 (b, n1, k) and p2 (b, n2, k)."""
        count1, count2 = (p1 > 0).sum(1), (p2 > 0).sum(1)
        live = integers_of((count1 * count2).sum(1))
        n1, n2, k = p1.shape[1], p2.shape[1], p1.shape[2]
        counts = zip(integers_of(count1.sum(1)), integers_of(count2.sum(1)), live, strict=True)
        return [cls(n1, n2, k, *each) for each in counts]

    def milliseconds_alone(self) -> float:
        """Return the time on lists of live cells (`compact`)."""
        return sum(self.work_alone())

    def work_alone(self) -> tuple[float, float]:
        """Return the milliseconds of that time that go into short calls, and into products and factorizations."""
        blocks = min(self.live1, self.n1)
        eliminated = eliminated_ms(blocks, self.live**2 / blocks, self.live2)
        dense = dense_ms(self.live1 + self.live2)
        few = self.n1 * self.n2 * self.k <= SMALL_CELLS
        return (0.8 if few else 1.2) + 2.5e-3 * self.live, _STEPS * min(dense, eliminated)

    def milliseconds_in_batch(self, batch: int) -> float:
        """Return the time in a batch of its kind (`interior_point`)."""
        return sum(self.work_in_batch(batch))

    def work_in_batch(self, batch: int) -> tuple[float, float]:
        """Return the milliseconds of that time that go into short calls, and into products and factorizations."""
        n1, n2 = max(self.n1, self.n2), min(self.n1, self.n2)
        rows, marginals = operations(n1, self.k, n2, self.live2)
        system = min(rows + 500 * n1 * n2 * self.k**2, 4 * marginals)
        return 6.0 / batch, 0.02 + 3e-4 * n1 * n2 * self.k + _STEPS * system / 4.5e7

    def bytes_alone(self, couples: int) -> int:
        """Return about the memory of its solution on lists, given its couples of live cells of one pair (x1, x2)."""
        dense = 2 * (self.live1 + self.live2) ** 2
        blocks = 2 * self.live2**2 + 4 * self.live * self.live1 // self.n1
        return 8 * (min(dense, blocks) + 60 * self.live + 20 * couples)

    def leaves_batch(self, batch: int) -> bool:
        """Whether to solve this problem alone, on lists of its live cells."""
        cells = self.n1 * self.n2 * self.k
        if cells > SMALL_CELLS and self.live > _SPARSE * cells and cells <= _LARGE:
            return False
        return _MARGIN * self.milliseconds_alone() < self.milliseconds_in_batch(batch)


def couples_of(p1: Floats, p2: Floats) -> int:
    """Count the couples of live cells of one pair (x1, x2), for p1 (n1, k) and p2 (n2, k)."""
    shared = (p1 > 0).astype(float) @ (p2 > 0).astype(float).T
    return int((shared * shared).sum())


def dense_ms(unknowns: float) -> float:
    """Time of one dense Newton matrix of so many unknowns."""
    return 1e-8 * unknowns**3 + 5e-6 * unknowns**2


def eliminated_ms(blocks: float, squares: float, columns: float) -> float:
    """Time of a Newton matrix by blocks: their number, the sum of their squared widths, the columns that remain."""
    return 0.03 * blocks + 1e-5 * squares + 1e-8 * columns**3


def check_memory(needed: int, limit: int | None, n1: int, n2: int, k: int) -> None:
    """Raise if one problem would need more memory than it may have, before any of it is allocated."""
    limit = MEMORY_LIMIT if limit is None else limit
    if needed > limit:
        raise InputError(
            f"A table of {n1} x {n2} states and {k} classes must be decomposed within {limit / 1e9:.3g} GB; it needs "
            f"about {needed / 1e9:.3g} GB. Use fewer states or classes, for example codes from k-means with fewer "
            f"clusters; leave cells at exactly 0 where nothing was seen; or allow more: memory_limit={needed:_}."
        )

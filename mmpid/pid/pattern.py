"""The support of a problem as lists: which cells of q can hold mass, and how their unknowns meet."""

from dataclasses import dataclass
from functools import cached_property
from typing import cast

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
_SMALL_MATRIX = 4_000
_SMALL = 128  # entries of both marginals up to which a pattern is remembered
_MOST_REMEMBERED = 64
_remembered: "dict[object, Pattern]" = {}


@dataclass
class Pattern:
    """Entries of the marginals that are not 0, and the cells (x1, x2, y) that they leave possible.

    Entries of p1 are sorted by (x1, y), those of p2 by (y, x2), cells by the pair (x1, x2) and then by y.
    """

    shape: tuple[int, int, int]  # n1, n2, k
    x1: Indices  # (m1,): state and class of each entry of p1
    y1: Indices
    x2: Indices  # (m2,)
    y2: Indices
    first: Indices  # (cells,): entry of p1, entry of p2 and pair of each cell
    second: Indices
    pair: Indices
    starts: Indices  # (pairs,): the first cell of each pair
    row: Indices  # (m1,): the entries of p1 by x1, counted without gaps
    pair_row: Indices  # (pairs,): the same of the pairs
    row_starts: Indices  # (rows,): the first pair of each row

    @classmethod
    def of(cls, p1: Floats, p2: Floats) -> "Pattern":
        """Find the support of p1 (n1, k) and p2 (n2, k); that of small problems is remembered."""
        if p1.size + p2.size > _SMALL:
            return cls._find(p1, p2)
        key = p1.shape, len(p2), (p1 > 0).tobytes(), (p2 > 0).tobytes()
        found = _remembered.get(key)
        if found is None:
            if len(_remembered) >= _MOST_REMEMBERED:
                _remembered.clear()
            found = _remembered[key] = cls._find(p1, p2)
        return found

    @classmethod
    def _find(cls, p1: Floats, p2: Floats) -> "Pattern":
        x1, y1 = p1.nonzero()
        y2, x2 = p2.T.nonzero()
        count = np.bincount(y2, minlength=p1.shape[1])
        begin = count.cumsum() - count
        times = count[y1]
        first = np.repeat(np.arange(len(x1)), times)
        ends = times.cumsum()
        second = np.arange(len(first)) + np.repeat(begin[y1] - ends + times, times)
        key = x1[first] * len(p2) + x2[second]
        order = key.argsort(kind="stable")
        key = key[order]
        new = np.empty(len(key), dtype=bool)
        new[:1] = True
        np.not_equal(key[1:], key[:-1], out=new[1:])
        first, starts = first[order], new.nonzero()[0]
        row = _run(x1)
        pair_row = row[first[starts]]
        rows = np.concatenate([[True], pair_row[1:] != pair_row[:-1]]).nonzero()[0]
        shape = len(p1), len(p2), p1.shape[1]
        return cls(shape, x1, y1, x2, y2, first, second[order], new.cumsum() - 1, starts, row, pair_row, rows)

    @property
    def size(self) -> int:
        """Return the number of unknowns, those of p1 first."""
        return len(self.x1) + len(self.x2)

    @cached_property
    def ends(self) -> Indices:
        """Return the two unknowns of each cell: first all of p1, then all of p2."""
        return np.concatenate([self.first, self.second + len(self.x1)])

    @cached_property
    def incidence(self) -> Floats | None:
        """Return which unknowns belong to each cell, as a matrix (cells, unknowns) of 0 and 1, where that is small."""
        cells = len(self.first)
        if cells * self.size > _SMALL_MATRIX:
            return None
        matrix = np.zeros((cells, self.size))
        matrix[np.tile(np.arange(cells), 2), self.ends] = 1.0
        return matrix

    @cached_property
    def classes(self) -> tuple[Indices, Indices]:
        """Return the classes with mass, and the number of each entry (x2, y) of p2 among the unknowns."""
        place = np.zeros((self.shape[1], self.shape[2]), dtype=np.intp)
        place[self.x2, self.y2] = np.arange(len(self.x1), self.size)
        return np.unique(self.y2), place

    def most_likely(self, p2: Floats) -> Indices:
        """Return the unknown of the most likely x2 of each class."""
        classes, place = self.classes
        return place[p2.argmax(0)[classes], classes]

    def spread(self, unknowns: Floats) -> Floats:
        """Return lam_iy + mu_jy of each cell."""
        if self.incidence is not None:
            return self.incidence @ unknowns
        ends = unknowns[self.ends]
        return ends[: len(self.first)] + ends[len(self.first) :]

    def gather(self, cells: Floats) -> Floats:
        """Add up over the cells of each unknown."""
        if self.incidence is not None:
            return cells @ self.incidence
        return counted(self.ends, np.concatenate([cells, cells]), self.size)

    def over(self, cells: Floats) -> Floats:
        """Add up over the cells of each pair."""
        return np.add.reduceat(cells, self.starts)

    @cached_property
    def sets(self) -> tuple[int, Indices]:
        """Return how many sets of classes are not connected by a pair, and the number of each class's set."""
        # not at the top: `import mmpid` is to be quick
        from scipy.sparse import csr_array  # pyright: ignore[reportMissingTypeStubs]
        from scipy.sparse.csgraph import connected_components  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

        y = self.y1[self.first]
        same = (self.pair[1:] == self.pair[:-1]).nonzero()[0]
        shape = self.shape[2], self.shape[2]
        graph = csr_array((np.ones(len(same)), (y[same], y[same + 1])), shape=shape)
        count, label = cast("tuple[int, Indices]", connected_components(graph, directed=False))
        return int(count), label.astype(np.intp)

    @cached_property
    def duos(self) -> tuple[Indices, Indices]:
        """Return all ordered couples of cells of one pair, a cell with itself included."""
        sizes = np.diff(np.append(self.starts, len(self.pair)))
        size = sizes[self.pair]
        left = np.repeat(np.arange(len(self.pair)), size)
        ends = size.cumsum()
        right = np.arange(len(left)) + np.repeat(self.starts[self.pair] - ends + size, size)
        return left, right

    def n_duos(self) -> int:
        """Return how many couples there are, without listing them."""
        sizes = np.diff(np.append(self.starts, len(self.pair)))
        return int((sizes * sizes).sum())


def counted(where: Indices, weights: Floats, size: int) -> Floats:
    """Add up weights by place."""
    return cast("Floats", np.bincount(where, weights, size))


def _run(x: Indices) -> Indices:
    """Give the values of a sorted list numbers without gaps."""
    return np.concatenate([[0], (x[1:] != x[:-1]).cumsum()])

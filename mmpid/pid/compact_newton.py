"""Newton systems of one problem on lists of live cells: a dense one for few unknowns, or one with lam eliminated.

The matrix is that of `elimination`: sum over the pairs ij of diag(q_ij.) + rc_ij w_ij. w_ij.', placed at the unknowns
lam_i. and mu_.j. Classes that share no pair do not meet in it: each connected set has a Schur matrix of its own.
"""

from abc import ABC, abstractmethod
from typing import cast

import numpy as np
from scipy.sparse import csr_array  # pyright: ignore[reportMissingTypeStubs]

from mmpid.pid import lapack
from mmpid.pid.constants import JITTER, TRIES
from mmpid.pid.costs import dense_ms, eliminated_ms
from mmpid.pid.pattern import Floats, Indices, Pattern, counted


class NewtonSystem(ABC):
    """Solves for the changes of lam and mu, again and again with new weights."""

    @classmethod
    def of(cls, pattern: Pattern, p2: Floats) -> "NewtonSystem":
        """Choose by the estimated time; the most likely x2 of each class closes the gauge, its diagonal doubled."""
        dense = dense_ms(pattern.size)
        if dense < 0.5:
            return DenseSystem(pattern, pattern.most_likely(p2))
        row_cells = np.bincount(pattern.row[pattern.first]).astype(float)
        columns = np.bincount(pattern.sets[1][pattern.y2]).astype(float)
        blocks = len(np.unique(pattern.row * pattern.shape[2] + pattern.sets[1][pattern.y1]))
        eliminated = eliminated_ms(blocks, float(row_cells @ row_cells), float((columns**3).sum() ** (1 / 3)))
        system = DenseSystem if dense < eliminated else EliminatedSystem
        return system(pattern, pattern.most_likely(p2))

    @abstractmethod
    def factor(self, q: Floats, w: Floats, rc: Floats) -> None:
        """Build and factor the matrix for q and w on the cells, rc on the pairs."""

    @abstractmethod
    def solve(self, right: Floats) -> Floats:
        """Return the changes of lam and mu, in one list, for a right side."""


def _run(x: Indices) -> Indices:
    """Count the runs of equal values in a list, from 0."""
    return np.concatenate([[0], (x[1:] != x[:-1]).cumsum()])


def _cholesky(matrix: Floats) -> Floats:
    """Lower factor of a symmetric matrix, of which the lower half is read; lifts the diagonal where it has to."""
    factor, info = lapack.factor(matrix)
    jitter = JITTER
    for _ in range(TRIES):
        if not info:
            return factor
        jitter *= 20.0
        lifted = matrix + np.diag(jitter * np.abs(matrix.diagonal()))
        factor, info = lapack.factor(lifted)
    return np.full_like(matrix, np.nan)


class DenseSystem(NewtonSystem):
    """All unknowns in one matrix."""

    def __init__(self, pattern: Pattern, pin: Indices):
        self.pattern, self.m1, self.m = pattern, len(pattern.x1), pattern.size
        self.pin = pin * (self.m + 1)
        if pattern.incidence is None:
            self._index()

    def _index(self) -> None:
        """Say where each couple of cells goes: column by column, and only what a lower factor needs."""
        pattern, m = self.pattern, self.m
        left, right = self.left, self.right = pattern.duos
        self.pair = pattern.pair[left]
        row1, row2 = pattern.first[left], self.m1 + pattern.second[left]
        column1, column2 = pattern.first[right], self.m1 + pattern.second[right]
        self.where = np.concatenate([column1 * m + row1, column1 * m + row2, column2 * m + row2])
        self.cell = pattern.first * m + self.m1 + pattern.second
        self.diagonal = np.arange(m) * (m + 1)

    def factor(self, q: Floats, w: Floats, rc: Floats) -> None:
        """See the base class."""
        incidence, m = self.pattern.incidence, self.m
        if incidence is not None:
            weights = np.add.reduceat(incidence * w[:, None], self.pattern.starts)
            flat = ((incidence * q[:, None]).T @ incidence + (weights * rc[:, None]).T @ weights).ravel()
        else:
            value = w[self.left] * w[self.right] * rc[self.pair]
            flat = counted(self.where, np.concatenate([value, value, value]), m * m)
            flat[self.cell] += q
            flat[self.diagonal] += self.pattern.gather(q)
        flat[self.pin] *= 2.0
        self.matrix = _cholesky(flat.reshape(m, m).T)

    def solve(self, right: Floats) -> Floats:
        """See the base class."""
        return lapack.solve_factored(self.matrix, right)


class EliminatedSystem(NewtonSystem):
    """lam eliminated block by block, a block being an x1 and a connected set of classes; then one Schur matrix a set.

    Within a block each cell (x1, x2, y) is its only one of the entry (x2, y) of p2: cells stand for columns.
    """

    def __init__(self, pattern: Pattern, pin: Indices):
        self.pattern = pattern
        labels, label2 = np.unique(pattern.sets[1][pattern.y2], return_inverse=True)  # classes without mass drop out
        label1 = np.searchsorted(labels, pattern.sets[1][pattern.y1])
        self.order = np.lexsort((label1, pattern.row))  # entries of p1, blocks in a row
        key = pattern.row[self.order] * len(labels) + label1[self.order]
        block = _run(key)
        self.ends1 = np.bincount(block).cumsum()
        block_of = np.empty(len(block), dtype=np.intp)
        block_of[self.order] = block
        cells = block_of[pattern.first].argsort(kind="stable")
        self.columns = pattern.second[cells]
        self.ends2 = np.bincount(block_of[pattern.first]).cumsum()
        set_order = label2.argsort(kind="stable")
        sizes = np.bincount(label2)
        self.set_ends = sizes.cumsum()
        self.set_order, self.set_sizes = set_order, sizes
        self.place = np.empty(len(label2), dtype=np.intp)  # of an entry of p2 within its set
        self.place[set_order] = np.arange(len(label2)) - (self.set_ends - sizes)[label2[set_order]]
        self.set_of_block = label1[self.order][np.append(0, self.ends1[:-1])]
        self._index(block_of, cells, label2)
        self.pin = self.mm_diagonal[pin - len(pattern.x1)]

    def _index(self, block_of: Indices, cells: Indices, label2: Indices) -> None:
        """Say where in the blocks and in the Schur matrices each couple of cells goes."""
        pattern = self.pattern
        left, right = self.left, self.right = pattern.duos
        self.pair = pattern.pair[left]
        n1, n2 = np.diff(self.ends1, prepend=0), np.diff(self.ends2, prepend=0)
        place1, place2 = np.empty_like(self.order), np.empty_like(cells)
        place1[self.order], place2[cells] = np.arange(len(self.order)), np.arange(len(cells))
        place1 -= (self.ends1 - n1)[block_of]
        block = block_of[pattern.first]
        place2 -= (self.ends2 - n2)[block]
        self.ends_ll, self.ends_lm = (n1 * n1).cumsum(), (n1 * n2).cumsum()
        begin_ll, begin_lm = (self.ends_ll - n1 * n1)[block], (self.ends_lm - n1 * n2)[block]
        row = place1[pattern.first]
        self.ll = begin_ll[left] + row[left] * n1[block[left]] + row[right]
        self.lm = begin_lm[left] + row[left] * n2[block[left]] + place2[right]
        self.lm_cell = begin_lm + row * n2[block] + place2
        self.ll_diagonal = (self.ends_ll - n1 * n1)[block_of] + place1 * (n1[block_of] + 1)
        self._index_schur(label2)
        self._make_sparse(n1, n2)

    def _index_schur(self, label2: Indices) -> None:
        """Say where in the Schur matrices each couple of cells goes, column by column, and lay these out."""
        left, right = self.left, self.right
        size = self.set_sizes[label2]
        begin = np.append(0, (self.set_sizes**2).cumsum())[:-1][label2]
        column, line = self.pattern.second[left], self.pattern.second[right]
        lower = self.place[line] >= self.place[column]
        self.lower = lower.nonzero()[0]
        where = (begin[column] + self.place[column] * size[column] + self.place[line])[self.lower]
        self.mm, self.mm_number = np.unique(where, return_inverse=True)
        self.mm_diagonal = begin + self.place * (size + 1)
        self.flat = np.empty(int((self.set_sizes**2).sum()))
        ends = (self.set_sizes**2).cumsum()
        self.schur = [
            self.flat[end - size * size : end].reshape(size, size).T
            for end, size in zip(ends.tolist(), self.set_sizes.tolist(), strict=True)
        ]

    def _make_sparse(self, n1: Indices, n2: Indices) -> None:
        """Lay out the inverse factors of the blocks (n1 x n1) and what is left of their columns (n1 x n2)."""
        indptr = np.append(0, np.repeat(n1, n1).cumsum())
        spread = np.repeat(self.ends1 - n1, n1 * n1)
        inner = np.arange(int(self.ends_ll[-1])) - np.repeat(self.ends_ll - n1 * n1, n1 * n1)
        self.inverse = csr_array((np.empty(len(spread)), spread + inner % np.repeat(n1, n1 * n1), indptr))
        times = np.repeat(n2, n1)
        start = np.repeat(self.ends2 - n2, n1)
        index = np.arange(int(times.sum())) - np.repeat(times.cumsum() - times - start, times)
        self.half = csr_array(
            (np.empty(len(index)), self.columns[index], np.append(0, times.cumsum())),
            shape=(len(self.order), len(self.place)),
        )

    def factor(self, q: Floats, w: Floats, rc: Floats) -> None:
        """See the base class."""
        pattern = self.pattern
        value = w[self.left] * w[self.right] * rc[self.pair]
        ll = counted(self.ll, value, int(self.ends_ll[-1]))
        lm = counted(self.lm, value, int(self.ends_lm[-1]))
        lm[self.lm_cell] += q
        ll[self.ll_diagonal] += np.bincount(pattern.first, q, len(pattern.x1))
        ll[self.ll_diagonal] *= 1.0 + JITTER
        d2 = np.bincount(pattern.second, q, len(pattern.x2))
        self.flat.fill(0.0)
        self.flat[self.mm] = np.bincount(self.mm_number, value[self.lower], len(self.mm))
        self.flat[self.mm_diagonal] += d2
        self.flat[self.mm_diagonal] *= 1.0 + JITTER
        self.flat[self.pin] *= 2.0
        self._eliminate(ll, lm)
        self.factors = [_cholesky(schur) for schur in self.schur]

    def _eliminate(self, ll: Floats, lm: Floats) -> None:
        """Take the blocks of lam out of the Schur matrices."""
        inverse, half = cast("Floats", self.inverse.data), cast("Floats", self.half.data)  # pyright: ignore[reportUnknownMemberType]
        begin1 = begin2 = begin_ll = begin_lm = 0
        ends = zip(
            self.ends1.tolist(), self.ends2.tolist(), self.ends_ll.tolist(), self.ends_lm.tolist(),
            self.set_of_block.tolist(), strict=True,
        )  # fmt: skip
        for end1, end2, end_ll, end_lm, number in ends:
            n1, n2 = end1 - begin1, end2 - begin2
            factor = _cholesky(ll[begin_ll:end_ll].reshape(n1, n1).T)
            small = lapack.inverse_of_lower(np.tril(factor))
            inverse[begin_ll:end_ll] = small.ravel()
            tall = small @ lm[begin_lm:end_lm].reshape(n1, n2)
            half[begin_lm:end_lm] = tall.ravel()
            places = self.place[self.columns[begin2:end2]]
            self.schur[number][np.ix_(places, places)] -= tall.T @ tall
            begin1, begin2, begin_ll, begin_lm = end1, end2, end_ll, end_lm

    def solve(self, right: Floats) -> Floats:
        """See the base class."""
        b1, b2 = right[: len(self.order)], right[len(self.order) :]
        x1 = cast("Floats", self.inverse @ b1[self.order])
        taken = cast("Floats", self.half.T @ x1)  # pyright: ignore[reportUnknownMemberType]
        x2 = (b2 - taken)[self.set_order]
        begin = 0
        for factor, end in zip(self.factors, self.set_ends.tolist(), strict=True):
            x2[begin:end] = lapack.solve_factored(factor, x2[begin:end])
            begin = end
        out = np.empty_like(right)
        dmu = out[len(self.order) :]
        dmu[self.set_order] = x2
        rest = x1 - cast("Floats", self.half @ dmu)
        out[self.order] = self.inverse.T @ rest  # pyright: ignore[reportUnknownMemberType]
        return out

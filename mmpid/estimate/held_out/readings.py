"""Codes of one source, fold by fold: counted in training parts, and read at the samples held out."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from mmpid.estimate.held_out.folds import Folds


@dataclass(frozen=True, kw_only=True)
class FoldCodes:
    """Codes of one source under the discretizer of each fold.

    ``codes`` is (F, N), with F = folds + 1 rows: what the discretizer of each fold's training part gives to all
    samples, and in the last row that of the whole sample. F = 1 where the discretizer learns nothing from the sample,
    so that all folds agree. ``probs`` (F, N, n_codes) are class probabilities, where there are any; ``soft`` says that
    samples are counted by them, and ``classes`` that a code is a predicted class, of the same number.
    """

    n_codes: int
    codes: Tensor
    probs: Tensor | None = None
    soft: bool = False
    classes: bool = False

    def row(self, fold: int) -> Tensor:
        """Return the codes (N,) of a fold."""
        return self.codes[fold if len(self.codes) > 1 else 0]

    def weights(self, fold: int) -> Tensor:
        """Return the probability of each code, float64 (N, n_codes), in a fold; one-hot for hard codes."""
        if self.soft and self.probs is not None:
            return self.probs[fold if len(self.probs) > 1 else 0]
        return one_hot(self.row(fold), self.n_codes).double()

    def counts(self, folds: Folds, target: Tensor, n_classes: int) -> Tensor:
        """Count (F, n_codes, k) codes and classes in each training part, and in the whole sample."""
        training = folds.training
        if self.soft:
            labels = one_hot(target, n_classes).double()
            rows = [self.weights(f).T @ (training[f][:, None] * labels) for f in range(folds.count + 1)]
            return torch.stack(rows)
        cells = (self.codes * n_classes + target).expand(len(training), -1)
        table = training.new_zeros(len(training), self.n_codes * n_classes)
        return table.scatter_add_(1, cells, training).view(-1, self.n_codes, n_classes)

    def read(self, tables: Tensor, folds: Folds, target: Tensor) -> Tensor:
        """Read tables (..., F, n_codes, k) at each sample's code and class, in the fold that holds it out: (..., N)."""
        k = tables.shape[-1]
        if not self.soft:
            codes = self.codes.expand(folds.count + 1, -1).gather(0, folds.index[None])[0]
            cells = (folds.index * self.n_codes + codes) * k + target
            return tables.flatten(-3)[..., cells]
        out = tables.new_empty(*tables.shape[:-3], len(target))
        for fold in range(folds.count):
            inside = folds.members(fold)
            out[..., inside] = self._expected(tables[..., fold, :, :], fold, inside, target)
        return out

    def read_whole(self, table: Tensor, folds: Folds, target: Tensor) -> Tensor:
        """Read the table (..., n_codes, k) that was trained on everything, at every sample: (..., N)."""
        if not self.soft:
            return table.flatten(-2)[..., self.row(folds.count) * table.shape[-1] + target]
        return self._expected(table, folds.count, folds.members(folds.count), target)

    def _expected(self, table: Tensor, fold: int, inside: Tensor, target: Tensor) -> Tensor:
        """Mean of table (..., n_codes, k) over a soft code, at each sample's class."""
        values = self.weights(fold)[inside] @ table
        return values.gather(-1, target[inside, None].expand(*values.shape[:-1], 1))[..., 0]

"""Folds of the samples: stratified by class, or whole groups dealt out class by class."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mmpid.errors import InputError, SmallSampleWarning
from mmpid.estimate.notes import Notes
from mmpid.estimate.typed import unique

N_FOLDS = 10


@dataclass(frozen=True, kw_only=True)
class Folds:
    """Which samples are held out together.

    ``index`` (N,) is the fold of each sample, from 0 to ``count`` - 1; ``training`` (count + 1, N) is 1 where a sample
    belongs to the training part of a fold. The last row is all ones: the predictor that is trained on everything.
    """

    index: Tensor
    count: int

    @property
    def training(self) -> Tensor:
        """Weights of the samples in the training part of each fold, then of all samples, float64."""
        numbers = torch.arange(self.count + 1, device=self.index.device)
        return (self.index != numbers[:, None]).double()

    def members(self, fold: int) -> Tensor:
        """Return the indices of the samples held out in a fold, or of all samples for the last row."""
        if fold == self.count:
            return torch.arange(len(self.index), device=self.index.device)
        return (self.index == fold).nonzero()[:, 0]


def make_folds(target: Tensor, groups: Tensor | None, seed: int, notes: Notes, n_folds: int = N_FOLDS) -> Folds:
    """Deal samples, or whole groups, into at most `n_folds` folds so that every class is spread over them.

    Raises
    ------
    InputError
        If each class lies in one group: no fold could learn it from the others.
    """
    generator = torch.Generator().manual_seed(seed)
    labels = target.cpu()
    if groups is None:
        fold_of, count = _dealt(labels, generator, min(n_folds, len(labels)))
    else:
        by_group, count = _dealt(_main_class(labels, groups), generator, min(n_folds, int(groups.max()) + 1))
        fold_of = by_group[groups]
        _check_groups(labels, groups)
    _note_classes(labels, fold_of, count, notes)
    return Folds(index=fold_of.to(target.device), count=count)


def _dealt(labels: Tensor, generator: torch.Generator, count: int) -> tuple[Tensor, int]:
    """Deal units in random order, class after class, one to each fold in turn."""
    order = torch.randperm(len(labels), generator=generator)
    order = order[labels[order].argsort(stable=True)]
    folds = torch.empty_like(order)
    folds[order] = torch.arange(len(order)) % count
    return folds, count


def _main_class(labels: Tensor, groups: Tensor) -> Tensor:
    """Most frequent class of each group."""
    n_classes = int(labels.max()) + 1
    table = torch.bincount(groups * n_classes + labels, minlength=(int(groups.max()) + 1) * n_classes)
    return table.reshape(-1, n_classes).argmax(1)


def _check_groups(labels: Tensor, groups: Tensor) -> None:
    pairs = unique(torch.stack([labels, groups]), dim=1)
    if int(torch.bincount(pairs[0]).max()) == 1:
        raise InputError(
            "`groups` must spread at least one class over two groups; every class lay in one group, so no predictor "
            "can learn a class without its only group. Pass finer groups (recordings instead of subjects), leave "
            '`groups` out, or use estimator="counted".'
        )


def _note_classes(labels: Tensor, fold_of: Tensor, count: int, notes: Notes) -> None:
    """Say which classes a fold has to predict without having seen them, and which are thin."""
    n_classes = int(labels.max()) + 1
    table = torch.bincount(labels * count + fold_of, minlength=n_classes * count).reshape(n_classes, count)
    sizes = table.sum(1)
    alone = [str(c) for c in range(n_classes) if sizes[c] and int((table[c] > 0).sum()) == 1]
    thin = [str(c) for c in range(n_classes) if 0 < sizes[c] < count and str(c) not in alone]
    if alone:
        notes.add(
            f"class {', '.join(alone)} lies in one fold, so the predictors of that fold have never seen it: the "
            "estimate reads low. More samples of it, or in more groups, help.",
            SmallSampleWarning,
        )
    if thin:
        notes.add(f"class {', '.join(thin)} has fewer samples than there are folds ({count}), so it is learned poorly.")

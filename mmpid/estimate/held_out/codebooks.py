"""Codes of one source in every fold: a discretizer that learns is fitted again inside each training part."""

import copy
from itertools import combinations

import torch
from torch import Tensor

from mmpid.estimate.crossfit import match_codes
from mmpid.estimate.discretize import CodesDiscretizer, Discretizer, PredictionDiscretizer, assign
from mmpid.estimate.held_out.folds import Folds
from mmpid.estimate.held_out.readings import FoldCodes
from mmpid.estimate.histogram import Assignment
from mmpid.estimate.kmeans import KMeansDiscretizer
from mmpid.estimate.posterior import PosteriorDiscretizer

# Share of the classes that must occur among codes 0..k-1 for them to be taken as predicted classes.
LIKE_CLASSES = 0.7


def same_in_all_folds(whole: Assignment, *, classes: bool = False) -> FoldCodes:
    """Codes that nothing was learned for from this sample."""
    probs = None if whole.probs is None else whole.probs.double()[None]
    return FoldCodes(n_codes=whole.n_codes, codes=whole.codes[None], probs=probs, soft=whole.soft, classes=classes)


def _given_codes(values: Tensor, whole: Assignment, n_classes: int) -> FoldCodes:
    """Codes of the user; those that may be predicted classes keep the numbers of the classes."""
    inside = int(values.min()) >= 0 and int(values.max()) < n_classes
    if not inside or len(values) < LIKE_CLASSES * n_classes:
        return same_in_all_folds(whole)
    codes = values.to(whole.codes.device)[whole.codes]
    return FoldCodes(n_codes=n_classes, codes=codes[None], classes=True)


def code_folds(
    discretizer: Discretizer,
    source: Tensor,
    target: Tensor,
    whole: Assignment,
    folds: Folds,
    n_classes: int,
    fixed: bool,
) -> FoldCodes:
    """Code per source in every fold by a copy of the fitted discretizer that has not seen what the fold holds out.

    A discretizer that saw no labels is fitted on the training part. One that did would give the samples it was fitted
    on codes that know their labels; training samples of fold i therefore get, in fold j, the code of a copy that saw
    neither. The row of the whole sample is ``whole``. With ``fixed`` the discretizer learned from other samples.
    """
    if isinstance(discretizer, CodesDiscretizer) and discretizer.values is not None:
        return _given_codes(discretizer.values, whole, n_classes)
    head = isinstance(discretizer, PredictionDiscretizer)
    if fixed or (head and not discretizer.saw_labels):
        return same_in_all_folds(whole, classes=head and whole.n_codes == n_classes)
    if isinstance(discretizer, KMeansDiscretizer):
        codes = discretizer.transform_without(source, folds.training[: folds.count])
        return FoldCodes(n_codes=whole.n_codes, codes=torch.cat([codes, whole.codes[None]]))
    if isinstance(discretizer, PredictionDiscretizer):
        return _nested_heads(discretizer, source, target, whole, folds, n_classes)
    if isinstance(discretizer, PosteriorDiscretizer):
        if not discretizer.saw_labels:  # a head from elsewhere, and clusters that know no label: nothing can leak
            return same_in_all_folds(whole)
        return _nested_posteriors(discretizer, source, target, whole, folds)
    if discretizer.saw_labels:
        return stack_rows([*_nested(discretizer, source, target, whole, folds), whole])
    kept = [folds.index != j for j in range(folds.count)]
    return stack_rows([*(_refitted(discretizer, source, target, part) for part in kept), whole])


def _nested_heads(
    discretizer: PredictionDiscretizer, source: Tensor, target: Tensor, whole: Assignment, folds: Folds, n_classes: int
) -> FoldCodes:
    """Predicted classes of embeddings: all readouts are fitted in one batch."""
    probs = discretizer.nested_probabilities(source, target, folds.index, folds.count)
    probs = torch.cat([probs, whole.as_given()[None]])
    classes = probs.shape[-1] == n_classes
    return FoldCodes(n_codes=probs.shape[-1], codes=probs.argmax(-1), probs=probs, soft=whole.soft, classes=classes)


def _nested_posteriors(
    discretizer: PosteriorDiscretizer, source: Tensor, target: Tensor, whole: Assignment, folds: Folds
) -> FoldCodes:
    """Clusters of predicted probabilities: readouts by nested cross-fitting, a codebook for each training part."""
    kept = folds.training[: folds.count]
    probs = discretizer.readout.nested_probabilities(source, target, folds.index, folds.count)
    rows = torch.cat([discretizer.code_without(probs[j], kept[j : j + 1]) for j in range(folds.count)])
    return FoldCodes(n_codes=whole.n_codes, codes=torch.cat([rows, whole.codes[None]]))


def stack_rows(rows: list[Assignment]) -> FoldCodes:
    """Collect the assignments of all folds, and of the whole sample, in one."""
    codes = torch.stack([row.codes for row in rows])
    n_codes = max(*(row.n_codes for row in rows), int(codes.max()) + 1)
    probs = None if rows[-1].probs is None else torch.stack([row.as_given() for row in rows])
    return FoldCodes(n_codes=n_codes, codes=codes, probs=probs, soft=rows[-1].soft)


def _refitted(discretizer: Discretizer, source: Tensor, target: Tensor, kept: Tensor) -> Assignment:
    """Assign all samples by a copy that is fitted on those kept."""
    return assign(copy.deepcopy(discretizer).fit(source[kept], target[kept]), source)


def _nested(
    discretizer: Discretizer, source: Tensor, target: Tensor, whole: Assignment, folds: Folds
) -> list[Assignment]:
    """Assign the samples of fold i, for each fold j, by a copy that saw neither of the two folds."""
    alone = [_refitted(discretizer, source, target, folds.index != j) for j in range(folds.count)]
    codes = torch.stack([_renumbered(row, whole).codes for row in alone])
    for i, j in combinations(range(folds.count), 2):
        kept = (folds.index != i) & (folds.index != j)
        pair = _renumbered(_refitted(discretizer, source, target, kept), whole)
        for held, fold in ((i, j), (j, i)):
            inside = folds.index == held
            codes[fold, inside] = pair.codes[inside]
    n_codes = int(codes.max()) + 1
    return [Assignment(n_codes=n_codes, codes=row) for row in codes]


def _renumbered(new: Assignment, whole: Assignment) -> Assignment:
    """Give codes the numbers that agree best with those of the whole sample."""
    return Assignment(n_codes=max(new.n_codes, whole.n_codes), codes=match_codes(new, whole))

"""Fit discretizers and assign samples: directly, from a reference split, or by cross-fitting when labels were seen."""

import copy

import torch
from torch import Tensor

from mmpid.estimate.discretize import Discretizer, assign
from mmpid.estimate.histogram import Assignment
from mmpid.estimate.notes import Notes
from mmpid.estimate.posterior import PosteriorDiscretizer
from mmpid.estimate.resampling import stratified_folds

N_FOLDS = 5


def fit_assign(
    discretizer: Discretizer,
    source: Tensor,
    target: Tensor,
    *,
    name: str,
    seed: int,
    groups: Tensor | None,
    notes: Notes,
) -> Assignment:
    """Fit on the sample and assign it; a discretizer that saw the labels assigns each fold from the others."""
    discretizer.fit(source, target)
    if not discretizer.saw_labels:
        return assign(discretizer, source)
    if isinstance(discretizer, PosteriorDiscretizer):
        notes.add(f"{name}: {discretizer.n_codes} clusters of class probabilities, cross-fitted over {N_FOLDS} folds.")
        codes = discretizer.code(discretizer.held_out_probabilities(source, target, N_FOLDS))
        return Assignment(n_codes=discretizer.n_codes, codes=codes)
    folds = stratified_folds(target.cpu(), N_FOLDS, torch.Generator().manual_seed(seed), groups).to(target.device)
    notes.add(f"{name}: the discretizer sees labels, so codes are cross-fitted over {N_FOLDS} folds.")
    absent = _absent_classes(target, folds)
    if absent:
        listed = ", ".join(str(c) for c in absent)
        notes.add(f"{name}: class {listed} is absent from the fit of a fold, which can then never predict it.")
    return _cross_assign(discretizer, source, target, folds)


def _absent_classes(target: Tensor, folds: Tensor) -> list[int]:
    """Classes whose samples all lie in one fold, and so are missing when that fold is assigned."""
    return [int(c) for c in torch.unique(target) if len(torch.unique(folds[target == c])) == 1]


def _cross_assign(discretizer: Discretizer, source: Tensor, target: Tensor, folds: Tensor) -> Assignment:
    """Assign each fold by a copy fitted on the other folds, with codes matched to those of the full fit."""
    whole = assign(discretizer, source)
    codes = whole.codes.clone()
    probs = None if whole.probs is None else whole.probs.clone()
    for fold in torch.unique(folds):
        inside = folds == fold
        part = copy.deepcopy(discretizer).fit(source[~inside], target[~inside])
        assigned = assign(part, source)
        if probs is None:
            codes[inside] = match_codes(assigned, whole)[inside]
        else:
            probs[inside] = assigned.as_given()[inside].to(probs.dtype)
    codes = codes if probs is None else probs.argmax(-1)
    return Assignment(n_codes=max(whole.n_codes, int(codes.max()) + 1), codes=codes, probs=probs, soft=whole.soft)


def match_codes(new: Assignment, old: Assignment) -> Tensor:
    """Renumber codes so that they agree with the old ones on as many samples as possible."""
    from scipy.optimize import linear_sum_assignment

    size = max(new.n_codes, old.n_codes)
    overlap = torch.bincount(new.codes * size + old.codes, minlength=size * size).reshape(size, size)
    _, renumbered = linear_sum_assignment(-overlap.cpu().numpy().astype(float))
    return torch.as_tensor(renumbered, device=new.codes.device)[new.codes]

"""The rest of a modality: all the others as one code per sample."""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from mmpid.estimate.discretize import Discretizer, PredictionDiscretizer, assign
from mmpid.estimate.held_out.codebooks import same_in_all_folds
from mmpid.estimate.held_out.readings import FoldCodes
from mmpid.estimate.histogram import Assignment
from mmpid.estimate.inputs import Inputs
from mmpid.estimate.kmeans import KMeansDiscretizer
from mmpid.estimate.pipeline import Coded, CodedSources, code_in_folds
from mmpid.estimate.typed import unique_inverse

# Combinations of the others' codes that are kept apart. Merged ones would lose information of the rest, which would
# then look like unique information and synergy of the modality.
MAX_COMBINATIONS = 256


def rest_of(index: int, coded: CodedSources, given: Discretizer | None) -> Coded:
    """Summarize all modalities but one by one code; the rule is in `estimate_pid_multi`."""
    others = [i for i in range(len(coded.made)) if i != index]
    if len(others) == 1:
        return coded.sources[others[0]]
    if all(isinstance(coded.made[i], KMeansDiscretizer) for i in others):
        return _clusters_side_by_side(others, coded, given)
    if all(isinstance(coded.made[i], PredictionDiscretizer) for i in others):
        return _product_of_experts([coded.sources[i] for i in others], coded.inputs)
    return _combined_codes([coded.sources[i] for i in others], coded, given)


def _clusters_side_by_side(others: list[int], coded: CodedSources, given: Discretizer | None) -> Coded:
    """Clusters of the others' normalized embeddings side by side."""
    sources, settings = coded.inputs.sources, coded.settings
    table = torch.cat([normalize(_matrix(sources[i]).double(), dim=1) for i in others], dim=1)
    size = max(coded.sources[i].assignment.n_codes for i in others)
    chosen = given or KMeansDiscretizer(size, settings.n_components * len(others), seed=settings.seed)
    return _fitted(chosen, table, coded)


def _fitted(discretizer: Discretizer, table: Tensor, coded: CodedSources, **about: bool) -> Coded:
    whole = assign(discretizer.fit(table), table)
    folds = code_in_folds(discretizer, table, coded.inputs, whole, coded.folds, False)
    return Coded(assignment=whole, folds=folds, **about)


def _product_of_experts(others: list[Coded], inputs: Inputs) -> Coded:
    """Class probabilities of several heads, multiplied as if independent given the class."""
    share = torch.bincount(inputs.target, minlength=inputs.n_classes).double() / len(inputs.target)
    log_prior = share.clamp(min=1e-12).log()
    soft = others[0].assignment.soft
    whole = _experts([_given(one.assignment.probs) for one in others], log_prior)
    folds = None
    if others[0].folds is not None:
        probs = _experts([_given(one.folds.probs) for one in others if one.folds is not None], log_prior)
        folds = FoldCodes(n_codes=probs.shape[-1], codes=probs.argmax(-1), probs=probs, soft=soft, classes=True)
    assignment = Assignment(n_codes=whole.shape[1], codes=whole.argmax(-1), probs=whole, soft=soft)
    return Coded(assignment=assignment, folds=folds)


def _given(probs: Tensor | None) -> Tensor:
    if probs is None:
        raise RuntimeError("a head was coded without its probabilities")
    return probs


def _experts(probs: list[Tensor], log_prior: Tensor) -> Tensor:
    logs = sum((p.clamp(min=1e-12).log() for p in probs), torch.zeros_like(probs[0], dtype=torch.float64))
    return (logs - (len(probs) - 1) * log_prior).softmax(-1)


def _combined_codes(others: list[Coded], coded: CodedSources, given: Discretizer | None) -> Coded:
    """Combine codes while few combinations occur; clusters of their one-hot rows, marked as merged, otherwise."""
    exact = _combinations(others)
    if exact.assignment.n_codes <= max(coded.n_clusters, MAX_COMBINATIONS):
        return exact
    table = torch.cat([one.assignment.as_probs() for one in others], dim=1)
    chosen = given or KMeansDiscretizer(coded.n_clusters, table.shape[1], seed=coded.settings.seed)
    return _fitted(chosen, table, coded, merged=True)


def _combinations(others: list[Coded]) -> Coded:
    """One code for each combination that occurs, of the whole sample and in every fold."""
    seen, codes = unique_inverse(torch.stack([one.assignment.codes for one in others], 1), dim=0)
    whole = Assignment(n_codes=len(seen), codes=codes)
    rows = [one.folds for one in others if one.folds is not None]
    if not rows or all(len(row.codes) == 1 for row in rows):
        folds = same_in_all_folds(whole) if rows else None
        return Coded(assignment=whole, folds=folds)
    n_rows = max(len(row.codes) for row in rows)
    every = torch.stack([row.codes.expand(n_rows, -1) for row in rows], dim=-1)
    seen, codes = unique_inverse(every.flatten(0, 1), dim=0)
    return Coded(assignment=whole, folds=FoldCodes(n_codes=len(seen), codes=codes.view(n_rows, -1)))


def _matrix(source: Tensor) -> Tensor:
    return source[:, None] if source.ndim == 1 else source

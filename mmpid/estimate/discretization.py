"""From checked sources to assignments: which discretizers, fitted on what, and what to say about them."""

import copy
from typing import Literal

from torch import Tensor

from mmpid.errors import ConfigError, InputError, MMPIDWarning, SmallSampleWarning
from mmpid.estimate.crossfit import fit_assign
from mmpid.estimate.discretize import (
    CodesDiscretizer,
    Discretizer,
    PredictionDiscretizer,
    QuantileDiscretizer,
    assign,
    is_discretizer,
)
from mmpid.estimate.histogram import Assignment
from mmpid.estimate.inputs import Inputs, check_duplicates, check_reference
from mmpid.estimate.kmeans import KMeansDiscretizer, auto_clusters
from mmpid.estimate.libraries import load_thread_pools
from mmpid.estimate.notes import Notes
from mmpid.estimate.posterior import PosteriorDiscretizer
from mmpid.estimate.threads import SMALL_SOURCES, one_thread
from mmpid.estimate.typed import sequence_of, unique
from mmpid.pid.typed import choice

DISCRETIZERS = ("kmeans", "prediction", "soft", "posterior", "codes", "quantile")
# What each kind of discretizer makes of a source, for records; subclasses count as the user's own.
OBSERVABLES: dict[type, str] = {
    KMeansDiscretizer: "kmeans",
    CodesDiscretizer: "codes",
    QuantileDiscretizer: "quantile",
    PosteriorDiscretizer: "posterior",
}


def resolve_clusters(n_clusters: int | Literal["auto"], inputs: Inputs, discretizer: object, notes: Notes) -> int:
    """Resolve the rule for "auto" clusters; said in the notes where a name chose it."""
    n_samples, n_classes = len(inputs.target), inputs.n_classes
    if n_clusters != "auto":
        if n_clusters > n_samples:
            raise InputError(
                f"`n_clusters` must be at most the number of samples, {n_samples}; it was {n_clusters}. "
                'Try n_clusters="auto".'
            )
        return n_clusters
    chosen = auto_clusters(n_samples, n_classes)
    if discretizer in ("kmeans", "quantile"):
        notes.add(
            f"{chosen} clusters per source: the largest n <= 20 with n^2 x {n_classes} classes <= {n_samples:,}/2 "
            "samples, at least 4."
        )
    return chosen


def make_discretizers(
    discretizer: object, inputs: Inputs, n_clusters: int, n_components: int, seed: int
) -> tuple[Discretizer, ...]:
    """One discretizer per source: made from names, copied from one object, or the given ones in place."""
    given = sequence_of(discretizer)
    choices = (discretizer,) * len(inputs.sources) if given is None else given
    if len(choices) != len(inputs.sources):
        raise ConfigError(
            f"`discretizer` must be one, or {len(inputs.sources)} of them, one per source; it held {len(choices)}."
        )
    return tuple(
        named_discretizer(one, source, inputs.n_classes, n_clusters, n_components, seed)
        if isinstance(one, str)
        else _own_discretizer(one, in_place=given is not None)
        for one, source in zip(choices, inputs.sources, strict=True)
    )


def named_discretizer(
    name: str, source: Tensor, n_classes: int, n_clusters: int, n_components: int, seed: int
) -> Discretizer:
    """Build the discretizer of a name; for predictions, look whether the source holds one score per class."""
    choice(name, "discretizer", DISCRETIZERS)
    if name == "kmeans":
        return KMeansDiscretizer(n_clusters, n_components, seed=seed)
    if name == "codes":
        return CodesDiscretizer()
    if name == "quantile":
        return QuantileDiscretizer(n_clusters)
    is_scores = source.ndim == 2 and source.shape[1] == n_classes
    if name == "posterior":
        return PosteriorDiscretizer("scores" if is_scores else "embeddings", seed=seed)
    return PredictionDiscretizer("scores" if is_scores else "embeddings", soft=name == "soft")


def _own_discretizer(given: object, in_place: bool) -> Discretizer:
    """Check the user's discretizer against the protocol; a single one is copied for each source."""
    if isinstance(given, type):
        name = given.__name__
        raise ConfigError(f"`discretizer` must be a name or an object; it was the class {name}. Try {name}().")
    if not is_discretizer(given):
        raise ConfigError(
            f"`discretizer` must be one of {', '.join(map(repr, DISCRETIZERS))}, a Discretizer or a pair of them; "
            f"it was {given!r}, which lacks some of fit, transform, n_codes, saw_labels, state_dict, load_state_dict."
        )
    return given if in_place else copy.deepcopy(given)


def assign_sources(
    made: tuple[Discretizer, ...],
    inputs: Inputs,
    reference: object,
    seed: int,
    notes: Notes,
    names: tuple[str, ...] = ("source1", "source2"),
) -> tuple[Assignment, ...]:
    """Fit each discretizer, on the sample or on the reference, and assign the samples."""
    if any(isinstance(one, KMeansDiscretizer) for one in made):
        load_thread_pools()
    with one_thread(sum(source.numel() for source in inputs.sources) <= SMALL_SOURCES):
        if reference is not None:
            assigned = _assign_from_reference(made, inputs, reference, notes)
        else:
            assigned = tuple(
                _fit_named(name, one, source, inputs, seed, notes)
                for name, one, source in zip(names, made, inputs.sources, strict=True)
            )
    for name, one, assignment in zip(names, made, assigned, strict=True):
        _note_codes(name, one, assignment, notes)
    return assigned


def _fit_named(
    name: str, discretizer: Discretizer, source: Tensor, inputs: Inputs, seed: int, notes: Notes
) -> Assignment:
    """Fit on the sample and assign it; an error names the argument of the door instead of the discretizer's own."""
    try:
        return fit_assign(discretizer, source, inputs.target, name=name, seed=seed, groups=inputs.groups, notes=notes)
    except InputError as problem:
        raise type(problem)(str(problem).replace("`source`", f"`{name}`")) from problem


def _assign_from_reference(
    pair: tuple[Discretizer, ...], inputs: Inputs, reference: object, notes: Notes
) -> tuple[Assignment, ...]:
    """Fit on the reference split and transform the sample."""
    sources, target = check_reference(reference, inputs)
    check_duplicates(inputs, sources, notes)
    return tuple(
        assign(one.fit(source, target), own) for one, source, own in zip(pair, sources, inputs.sources, strict=True)
    )


def _note_codes(name: str, discretizer: Discretizer, assignment: Assignment, notes: Notes) -> None:
    """Say when a source has one code only, or fewer than asked for."""
    asked = getattr(discretizer, "n_clusters", None)
    used = assignment.n_codes if assignment.soft else len(unique(assignment.codes))
    if used == 1:
        notes.add(
            f"{name} has the same code for every sample (constant embeddings, or a head that predicts one class): "
            "its information is zero.",
            MMPIDWarning,
        )
    elif isinstance(asked, int) and assignment.n_codes < asked:
        notes.add(
            f"{name} has {assignment.n_codes} distinct points only, so as many clusters instead of {asked}.",
            SmallSampleWarning,
        )
    if isinstance(discretizer, (PredictionDiscretizer, PosteriorDiscretizer)):
        kind = "class scores" if discretizer.inputs == "scores" else "embeddings, read out linearly"
        notes.add(f"{name} is taken as {kind}.")


def observable_name(pair: tuple[Discretizer, ...]) -> str:
    """Name what is counted, for records: one name, or two joined by "+"."""
    return "+".join(dict.fromkeys(_observable(one) for one in pair))


def _observable(discretizer: Discretizer) -> str:
    if isinstance(discretizer, PredictionDiscretizer):
        return "soft" if discretizer.soft else "prediction"
    return OBSERVABLES.get(type(discretizer), "custom")

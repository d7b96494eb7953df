"""From arrays to estimates: check, code the sources, compare two of them. One pipeline for two and for more sources."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from mmpid.errors import InputError
from mmpid.estimate.correction import CORRECTIONS
from mmpid.estimate.counted import Replicates, estimate_sample
from mmpid.estimate.discretization import assign_sources, make_discretizers, observable_name, resolve_clusters
from mmpid.estimate.discretize import Discretizer
from mmpid.estimate.held_out.codebooks import code_folds
from mmpid.estimate.held_out.estimate import Task, estimate_held_out
from mmpid.estimate.held_out.folds import N_FOLDS, Folds, make_folds
from mmpid.estimate.held_out.readings import FoldCodes
from mmpid.estimate.histogram import Assignment, PairedSample
from mmpid.estimate.inputs import Inputs
from mmpid.estimate.merged import MERGED, bound_merged
from mmpid.estimate.notes import Notes
from mmpid.estimate.results import PIDEstimate
from mmpid.estimate.statements import describe
from mmpid.estimate.threads import SMALL_JOINT, SMALL_SOURCES, one_thread
from mmpid.estimate.typed import positive
from mmpid.pid.constants import PID_METHODS
from mmpid.pid.typed import choice, integer

HELD_OUT, COUNTED = "held-out", "counted"
ESTIMATORS = (HELD_OUT, COUNTED)
# Certified solver error allowed in a bootstrap or null replicate, in bits: a tenth or less of the noise of a probe.
REPLICATE_TOL = 1e-3
# Largest table that is counted: 0.8 GB in float64, and the solver needs a few of them.
MAX_CELLS = 100_000_000
MAX_SEED = 2**62  # torch takes 64 bits, and replicates are drawn from 2 seed and 2 seed + 1
# Replicates of the counted estimator where nothing else is asked for.
N_BOOT, N_NULL = 200, 50


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Checked settings of an estimate; the arguments of `estimate_pid` by the same names."""

    estimator: str
    discretizer: Any
    n_clusters: int | Literal["auto"]
    n_components: int
    correction: str
    n_boot: int
    n_null: int
    seed: int
    replicate_tol: float
    method: str

    @classmethod
    def checked(
        cls, *, estimator: str = HELD_OUT, discretizer: Any = "kmeans", n_clusters: int | Literal["auto"] = "auto",
        n_components: int = 5, correction: str = "auto", n_boot: int | None = None, n_null: int | None = None,
        seed: int = 0, replicate_tol: float = REPLICATE_TOL, method: str = "exact",
    ) -> "Settings":  # fmt: skip
        """Check what does not depend on the data, and fill in the defaults of the estimator."""
        choice(estimator, "estimator", ESTIMATORS)
        choice(correction, "correction", CORRECTIONS)
        choice(method, "method", PID_METHODS)
        counted = estimator == COUNTED
        n_boot = (N_BOOT if counted else 0) if n_boot is None else n_boot
        n_null = (N_NULL if counted else 0) if n_null is None else n_null
        return cls(
            estimator=estimator,
            discretizer=discretizer,
            n_clusters="auto" if n_clusters == "auto" else integer(n_clusters, "n_clusters", 1),
            n_components=integer(n_components, "n_components", 1),
            correction=correction,
            n_boot=integer(n_boot, "n_boot", 0),
            n_null=integer(n_null, "n_null", 0),
            seed=integer(seed, "seed", 0, MAX_SEED),
            replicate_tol=positive(replicate_tol, "replicate_tol"),
            method=method,
        )


@dataclass(frozen=True, kw_only=True)
class Coded:
    """One source as codes: of the whole sample, and of every fold for the held-out estimator.

    ``merged`` says that the codes are fewer than the combinations that they stand for.
    """

    assignment: Assignment
    folds: FoldCodes | None
    merged: bool = False


@dataclass(frozen=True, kw_only=True)
class CodedSources:
    """Sources that are ready to be compared: what every comparison of two of them shares."""

    inputs: Inputs
    settings: Settings
    n_clusters: int
    made: tuple[Discretizer, ...]
    sources: tuple[Coded, ...]
    folds: Folds | None

    @property
    def observable(self) -> str:
        """Name of what is counted, for records."""
        return observable_name(self.made)


def code_sources(
    inputs: Inputs, settings: Settings, discretizer: Any, names: tuple[str, ...], notes: Notes, reference: Any = None,
    n_folds: int = N_FOLDS,
) -> CodedSources:  # fmt: skip
    """Fit the discretizers and code the sources; for the held-out estimator, in every fold."""
    n_clusters = resolve_clusters(settings.n_clusters, inputs, settings.discretizer, notes)
    made = make_discretizers(discretizer, inputs, n_clusters, settings.n_components, settings.seed)
    assigned = assign_sources(made, inputs, reference, settings.seed, notes, names=names)
    folds = None
    if settings.estimator == HELD_OUT:
        folds = make_folds(inputs.target, inputs.groups, settings.seed, notes, n_folds)
    with one_thread(sum(source.numel() for source in inputs.sources) <= SMALL_SOURCES):
        coded = tuple(
            Coded(
                assignment=whole,
                folds=code_in_folds(one, source, inputs, whole, folds, reference is not None),
            )
            for one, source, whole in zip(made, inputs.sources, assigned, strict=True)
        )
    return CodedSources(inputs=inputs, settings=settings, n_clusters=n_clusters, made=made, sources=coded, folds=folds)


def code_in_folds(
    discretizer: Discretizer, source: Tensor, inputs: Inputs, whole: Assignment, folds: Folds | None, fixed: bool
) -> FoldCodes | None:
    """Codes in every fold, where there are folds."""
    if folds is None:
        return None
    return code_folds(discretizer, source, inputs.target, whole, folds, inputs.n_classes, fixed)


def compare(
    one: Coded, two: Coded, coded: CodedSources, notes: Notes, index: Any = None, **changes: int
) -> PIDEstimate:
    """Estimate the decomposition of two coded sources; ``changes`` replace settings (n_boot, n_null)."""
    inputs, settings = coded.inputs, coded.settings
    sample = PairedSample(
        source1=one.assignment, source2=two.assignment, target=inputs.target, n_classes=inputs.n_classes
    )
    _check_cells(sample)
    estimate: Callable[..., dict[str, Any]] = _held_out if settings.estimator == HELD_OUT else _counted
    with one_thread(math.prod(sample.shape) <= SMALL_JOINT):
        fields = estimate(sample, one, two, coded, notes, changes)
    n_codes = sample.shape[:2]
    result = PIDEstimate(
        estimator=settings.estimator,
        n_samples=len(sample),
        n_groups=inputs.n_groups,
        n_clusters=max(n_codes),
        n_codes=n_codes,
        n_classes=inputs.n_classes,
        observable=coded.observable,
        index=index,
        notes=(),
        **fields,
    )
    if two.merged:
        result = bound_merged(result)
        notes.add(MERGED)
    for sentence in describe(result):
        notes.add(sentence)
    return result.with_notes(tuple(notes.sentences))


def _check_cells(sample: PairedSample) -> None:
    cells = math.prod(sample.shape)
    if cells > MAX_CELLS:
        raise InputError(
            f"the table of codes and classes must have at most {MAX_CELLS:,} cells; it had "
            f"{' x '.join(map(str, sample.shape))} = {cells:,}. Merge rare codes or classes, or use fewer clusters."
        )


def _counted(
    sample: PairedSample, one: Coded, two: Coded, coded: CodedSources, notes: Notes, changes: Mapping[str, int]
) -> dict[str, Any]:
    """Fields of the counted estimator."""
    settings = coded.settings
    replicates = Replicates(
        n_boot=changes.get("n_boot", settings.n_boot),
        n_null=changes.get("n_null", settings.n_null),
        seed=settings.seed,
        tol=settings.replicate_tol,
        groups=coded.inputs.groups,
        method=settings.method,
    )
    return estimate_sample(sample, settings.correction, replicates, notes)


def _held_out(
    sample: PairedSample, one: Coded, two: Coded, coded: CodedSources, notes: Notes, changes: Mapping[str, int]
) -> dict[str, Any]:
    """Fields of the held-out estimator."""
    if coded.folds is None or one.folds is None or two.folds is None:
        raise RuntimeError("sources were coded without folds")
    settings = coded.settings
    task = Task(
        sample=sample,
        folds=coded.folds,
        groups=coded.inputs.groups,
        correction=settings.correction,
        seed=settings.seed,
        n_null=changes.get("n_null", settings.n_null),
        method=settings.method,
    )
    return estimate_held_out(task, (one.folds, two.folds), notes)

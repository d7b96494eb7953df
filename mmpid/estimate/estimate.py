"""The door: `estimate_pid` turns two sources and a target into corrected atoms with their uncertainty."""

import copy

from torch import Tensor

from mmpid import _validate
from mmpid.errors import ConfigError, InputError, MMPIDWarning, SmallSampleWarning
from mmpid.estimate.correction import CORRECTIONS
from mmpid.estimate.crossfit import fit_assign
from mmpid.estimate.discretize import (
    CodesDiscretizer,
    Discretizer,
    PredictionDiscretizer,
    QuantileDiscretizer,
    assign,
)
from mmpid.estimate.histogram import Assignment, PairedSample
from mmpid.estimate.inference import Replicates, estimate_sample
from mmpid.estimate.inputs import Inputs, check_duplicates, check_inputs, check_source
from mmpid.estimate.kmeans import KMeansDiscretizer, auto_clusters
from mmpid.estimate.notes import Notes
from mmpid.estimate.results import PIDEstimate

DISCRETIZERS = ("kmeans", "prediction", "soft", "codes", "quantile")
# Certified solver error allowed in a bootstrap or null replicate, in bits: far below the noise of any sample.
REPLICATE_TOL = 1e-4


def estimate_pid(
    source1,
    source2,
    target,
    *,
    discretizer="kmeans",
    n_clusters="auto",
    n_components=5,
    correction="auto",
    n_boot=200,
    n_null=50,
    seed=0,
    groups=None,
    reference=None,
    n_classes=None,
    replicate_tol=REPLICATE_TOL,
    warn=True,
) -> PIDEstimate:
    """Estimate the partial information decomposition of two sources about a target from samples.

    Each source is turned into codes, the codes and the target are counted into p(x1, x2, y), and the counted joint
    is decomposed exactly. Counting makes every information term too large; with I0 the mean of a term over
    ``n_null`` shuffled labels, ``correction`` replaces each of the terms I(Y;X1), I(Y;X2), I_q*(Y;X1,X2) and
    I(Y;X1,X2) by

    * ``"permutation"``: I - I0, which reads low where I is large and cells are few;
    * ``"ami"``: H(Y) (I - I0) / (H(Y) - I0), chance-adjusted, which reads high on synergy;
    * ``"mean"``: half of each;
    * ``"auto"``: permutation from 8 samples a cell of the full table, the mean from 2, chance-adjusted below;
    * ``"none"``: nothing is changed.

    Atoms are recombined from the terms, so R + U1 = I(Y;X1), R + U2 = I(Y;X2) and R + U1 + U2 + S = I(Y;X1,X2) hold
    for the corrected numbers too.

    Parameters
    ----------
    source1, source2 : array or tensor, (N, d1) and (N, d2)
        Embeddings, class scores or codes of the same N >= 8 samples; tensors on a GPU are processed there.
    target : array or tensor of int, (N,)
        Class of each sample. Labels other than 0..k-1 are mapped, with a `LabelWarning`.
    discretizer : str, Discretizer, or a pair of them
        ``"kmeans"``: clusters of L2-normalised, PCA-reduced embeddings. ``"prediction"``: predicted class;
        sources with as many columns as there are classes are taken as class scores (logits or probabilities),
        others as embeddings, for which a linear readout is cross-fitted. ``"soft"``: the same, each sample
        spread over classes by its probabilities. ``"codes"``: sources are integer codes already. ``"quantile"``:
        bins of a one-dimensional source. One `Discretizer` object is copied for each source; a pair is used in
        place, so that its codebooks start from the previous call.
    n_clusters : int or "auto"
        Clusters or bins per source; ``"auto"`` is the largest n <= 20 with n^2 k <= N / 2, and at least 4.
    n_components : int
        Principal components kept before k-means.
    correction : {"auto", "permutation", "ami", "mean", "none"}
        See above.
    n_boot, n_null : int
        Bootstrap replicates for the intervals and label shuffles for correction and null band; 0 leaves the interval
        or band out (a correction still shuffles 10 times).
    seed : int
        Seed of the clustering, the folds and the replicates.
    groups : array of int (N,), optional
        Samples of one group (recording, subject) depend on each other: whole groups are resampled, and labels
        that are constant within groups are shuffled among groups.
    reference : pair or triple of arrays, optional
        Another split ``(source1, source2[, target])`` to fit the discretisers on. Rows that are also in the sample
        give a `LeakageWarning`.
    n_classes : int, optional
        Number of classes where some may be absent from this sample.
    replicate_tol : float
        Certified error allowed to the solver in a replicate, in bits.
    warn : bool
        Give warnings; ``False`` only keeps them in ``notes`` (for a loop of probes).

    Returns
    -------
    PIDEstimate
        ``pid`` (corrected), ``plugin``, ``interval``, ``null``, ``bracket``, ``identified``, ``notes`` and more.

    Raises
    ------
    InputError
        For sources or targets that cannot be used, naming the argument.
    ConfigError
        For an unknown discretiser or correction, or a number out of range.

    Warns
    -----
    SmallSampleWarning
        An atom has fewer than two samples per cell of the table it depends on.
    LabelWarning, LeakageWarning
        Labels were mapped; samples are shared with ``reference``.

    Notes
    -----
    The decomposition is that of the codes, not of the embeddings: information that the codes lose is not in any atom.
    The bootstrap treats the codes as given, so the choice of codebook is not in the intervals. Synergy below about
    8 samples a cell depends on the correction: look at ``bracket`` and ``identified`` before its interval, and at
    ``null`` before calling it present. Corrected values can be negative and are left so.

    References
    ----------
    Bertschinger, Rauh, Olbrich, Jost, Ay (2014), Quantifying unique information, eq. (10)-(14), for the atoms.
    Vinh, Epps, Bailey (2010), Information theoretic measures for clusterings comparison, section 4, for chance
    adjustment. The rule that chooses between the corrections was measured by this project: docs/estimation.md.

    Examples
    --------
    >>> import numpy as np, mmpid
    >>> rng = np.random.default_rng(0)
    >>> x1, x2 = rng.integers(2, size=(2, 2000))
    >>> e = mmpid.estimate_pid(x1, x2, x1 ^ x2, discretizer="codes", n_boot=20, n_null=10)
    >>> round(float(e.pid.synergy), 2), e.identified["synergy"]
    (1.0, True)
    """
    notes = Notes()
    _check_settings(correction, n_boot, n_null, replicate_tol, n_clusters, n_components)
    inputs = check_inputs({"source1": source1, "source2": source2}, target, n_classes, groups, discretizer, notes)
    n_clusters = resolve_clusters(n_clusters, inputs, discretizer, notes)
    pair = make_discretizers(discretizer, inputs, n_clusters, n_components, seed)
    sources = assign_sources(pair, inputs, reference, seed, notes)
    replicates = Replicates(n_boot=n_boot, n_null=n_null, seed=seed, tol=replicate_tol, groups=inputs.groups)
    result = estimate_assigned(sources, inputs, correction, replicates, notes, observable_name(pair))
    if warn:
        notes.warn(stacklevel=2)
    return result


def estimate_assigned(
    sources: tuple[Assignment, Assignment],
    inputs: Inputs,
    correction: str,
    replicates: Replicates,
    notes: Notes,
    observable: str,
) -> PIDEstimate:
    """Count two assigned sources and estimate; shared by the doors for two and for more modalities."""
    sample = PairedSample(source1=sources[0], source2=sources[1], target=inputs.target, n_classes=inputs.n_classes)
    fields = estimate_sample(sample, correction, replicates, notes)
    n_codes = sample.shape[:2]
    return PIDEstimate(
        n_samples=len(sample),
        n_groups=inputs.n_groups,
        n_clusters=max(n_codes),
        n_codes=n_codes,
        n_classes=inputs.n_classes,
        observable=observable,
        notes=tuple(notes.sentences),
        **fields,
    )


def resolve_clusters(n_clusters, inputs: Inputs, discretizer, notes: Notes) -> int:
    """Number of clusters, by the rule for "auto"; said in the notes where a name chose it."""
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
            f"{chosen} clusters a source: the largest n <= 20 with n^2 x {n_classes} classes <= {n_samples:,}/2 "
            "samples, at least 4."
        )
    return chosen


def make_discretizers(
    discretizer, inputs: Inputs, n_clusters: int, n_components: int, seed: int
) -> tuple[Discretizer, ...]:
    """One discretiser per source: made from names, copied from one object, or the given ones in place."""
    choices = discretizer if isinstance(discretizer, (tuple, list)) else [discretizer] * len(inputs.sources)
    if len(choices) != len(inputs.sources):
        raise ConfigError(
            f"`discretizer` must be one, or {len(inputs.sources)} of them, one per source; it held {len(choices)}."
        )
    in_place = isinstance(discretizer, (tuple, list))
    return tuple(
        named_discretizer(choice, source, inputs.n_classes, n_clusters, n_components, seed)
        if isinstance(choice, str)
        else _own_discretizer(choice, in_place)
        for choice, source in zip(choices, inputs.sources, strict=True)
    )


def named_discretizer(
    name: str, source: Tensor, n_classes: int, n_clusters: int, n_components: int, seed: int
) -> Discretizer:
    """Build the discretiser of a name; for predictions, look whether the source holds one score per class."""
    _validate.choice(name, "discretizer", DISCRETIZERS)
    if name == "kmeans":
        return KMeansDiscretizer(n_clusters, n_components, seed=seed)
    if name == "codes":
        return CodesDiscretizer()
    if name == "quantile":
        return QuantileDiscretizer(n_clusters)
    is_scores = source.ndim == 2 and source.shape[1] == n_classes
    return PredictionDiscretizer("scores" if is_scores else "embeddings", soft=name == "soft")


def _own_discretizer(choice, in_place: bool) -> Discretizer:
    """The user's discretiser, checked against the protocol; a single one is copied for each source."""
    if not isinstance(choice, Discretizer):
        raise ConfigError(
            f"`discretizer` must be one of {', '.join(map(repr, DISCRETIZERS))}, a Discretizer or a pair of them; "
            f"it was {choice!r}, which lacks some of fit, transform, n_codes, saw_labels, state_dict, load_state_dict."
        )
    return choice if in_place else copy.deepcopy(choice)


def assign_sources(
    pair: tuple[Discretizer, ...], inputs: Inputs, reference, seed: int, notes: Notes
) -> tuple[Assignment, ...]:
    """Fit each discretiser, on the sample or on the reference, and assign the samples."""
    if reference is not None:
        assigned = _assign_from_reference(pair, inputs, reference, notes)
    else:
        assigned = tuple(
            fit_assign(one, source, inputs.target, name=f"source{i}", seed=seed, groups=inputs.groups, notes=notes)
            for i, (one, source) in enumerate(zip(pair, inputs.sources, strict=True), start=1)
        )
    for i, (one, assignment) in enumerate(zip(pair, assigned, strict=True), start=1):
        _note_codes(f"source{i}", one, assignment, inputs, notes)
    return assigned


def _assign_from_reference(
    pair: tuple[Discretizer, ...], inputs: Inputs, reference, notes: Notes
) -> tuple[Assignment, ...]:
    """Fit on the reference split and transform the sample."""
    parts = tuple(reference)
    if len(parts) not in (len(pair), len(pair) + 1):
        raise InputError(
            f"`reference` must be (source1, source2) or (source1, source2, target); it held {len(parts)} arrays."
        )
    device = inputs.target.device
    sources = tuple(check_source(p, f"reference[{i}]").to(device) for i, p in enumerate(parts[: len(pair)]))
    target = None
    if len(parts) > len(pair):
        target = _validate.labels(parts[-1], f"reference[{len(pair)}]", len(sources[0])).to(device)
    check_duplicates(inputs, sources, notes)
    return tuple(
        assign(one.fit(source, target), own) for one, source, own in zip(pair, sources, inputs.sources, strict=True)
    )


def _note_codes(name: str, discretizer: Discretizer, assignment: Assignment, inputs: Inputs, notes: Notes) -> None:
    """Say when a source has one code only, or fewer than asked for."""
    asked = getattr(discretizer, "n_clusters", None)
    used = assignment.n_codes if assignment.soft else len(assignment.codes.unique())
    if used == 1:
        notes.add(
            f"{name} has the same code for every sample (constant embeddings, or a head that predicts one class): "
            "its information is zero.",
            MMPIDWarning,
        )
    elif isinstance(asked, int) and assignment.n_codes < asked:
        notes.add(
            f"{name} has only {assignment.n_codes} distinct points, so {assignment.n_codes} clusters instead of {asked}.",
            SmallSampleWarning,
        )
    if isinstance(discretizer, PredictionDiscretizer):
        kind = "class scores" if discretizer.inputs == "scores" else "embeddings, read out linearly"
        notes.add(f"{name} is taken as {kind}.")


def observable_name(pair: tuple[Discretizer, ...]) -> str:
    """Name what is counted, for records: one name, or two joined by "+"."""
    names = []
    for one in pair:
        if isinstance(one, PredictionDiscretizer):
            names.append("soft" if one.soft else "prediction")
        else:
            known = {KMeansDiscretizer: "kmeans", CodesDiscretizer: "codes", QuantileDiscretizer: "quantile"}
            names.append(known.get(type(one), "custom"))
    return "+".join(dict.fromkeys(names))


def _check_settings(correction, n_boot, n_null, replicate_tol, n_clusters, n_components) -> None:
    """Settings that do not depend on the data."""
    _validate.choice(correction, "correction", CORRECTIONS)
    _validate.number(n_boot, "n_boot", low=0, integer=True)
    _validate.number(n_null, "n_null", low=0, integer=True)
    _validate.number(replicate_tol, "replicate_tol", low=0, open_low=True)
    _validate.number(n_components, "n_components", low=1, integer=True)
    if n_clusters != "auto":
        _validate.number(n_clusters, "n_clusters", low=1, integer=True)

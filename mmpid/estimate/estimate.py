"""The door: `estimate_pid` turns two sources and a target into corrected atoms with their uncertainty."""

import math

from mmpid import _validate
from mmpid.errors import InputError
from mmpid.estimate.correction import CORRECTIONS
from mmpid.estimate.histogram import Assignment, PairedSample
from mmpid.estimate.inference import Replicates, estimate_sample
from mmpid.estimate.inputs import Inputs, check_inputs
from mmpid.estimate.notes import Notes
from mmpid.estimate.observe import assign_sources, make_discretizers, observable_name, resolve_clusters
from mmpid.estimate.results import PIDEstimate
from mmpid.estimate.threads import SMALL_JOINT, one_thread

# Certified solver error allowed in a bootstrap or null replicate, in bits: a tenth or less of the noise of a probe.
REPLICATE_TOL = 1e-3
# Largest table that is counted: 0.8 GB in float64, and the solver needs a few of them.
MAX_CELLS = 100_000_000
MAX_SEED = 2**62  # torch takes 64 bits, and replicates are drawn from 2 seed and 2 seed + 1


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
    method="exact",
    warn=True,
) -> PIDEstimate:
    """Estimate the partial information decomposition of two sources about a target from samples.

    Each source is turned into codes, the codes and the target are counted into p(x1, x2, y), and the counted joint
    is decomposed exactly. Counting makes information terms too large on average; with I0 the mean of a term over
    ``n_null`` shuffled labels, ``correction`` replaces each of the terms I(Y;X1), I(Y;X2), I_q*(Y;X1,X2) and
    I(Y;X1,X2) by

    * ``"permutation"``: I - I0, which reads low where I is large and cells are few;
    * ``"ami"``: H(Y) (I - I0) / (H(Y) - I0), chance-adjusted, which reads high on synergy;
    * ``"mean"``: half of each;
    * ``"auto"``: permutation from 8 samples a cell, the mean from 2, chance-adjusted below, judged for R, U1, U2 by
      the larger pairwise table (n k cells) and for S by the full one (n1 n2 k cells);
    * ``"none"``: nothing is changed.

    Atoms are recombined from the terms, so R + U1 = I(Y;X1), R + U2 = I(Y;X2) and R + U1 + U2 + S = I(Y;X1,X2) hold
    for the corrected numbers too.

    Parameters
    ----------
    source1, source2 : array or tensor, (N, d1) and (N, d2)
        Embeddings, class scores or codes of the same N >= 8 samples; tensors on a GPU are processed there. Rows of
        pandas objects are paired by position; their index is not looked at.
    target : array or tensor of int or text, (N,)
        Class of each sample. Integers other than 0..k-1 are mapped in ascending order, with a `LabelWarning`; text
        is mapped alphabetically, which `notes` say.
    discretizer : str, Discretizer, or a pair of them
        ``"kmeans"``: clusters of L2-normalized, PCA-reduced embeddings. ``"prediction"``: predicted class;
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
        or band out (a correction still shuffles 10 times). From 40 on, an end of a 95 % interval or band is more
        than the extreme replicate.
    seed : int from 0
        Seed of the clustering, the folds and the replicates.
    groups : array of int or text (N,), optional
        Samples of one group (recording, subject) depend on each other: whole groups are resampled, and labels
        that are constant within groups are shuffled among groups.
    reference : tuple of two or three arrays, optional
        Another split ``(source1, source2)`` or ``(source1, source2, target)`` to fit the discretizers on, with
        labels as in ``target``. Rows that are also in the sample give a `LeakageWarning`.
    n_classes : int, optional
        Number of classes where some may be absent from this sample.
    replicate_tol : float
        Certified error allowed to the solver in a replicate, in bits; the sample itself is solved to 1e-6.
    method : {"exact", "fastpid"}
        Solver of the counted joint, see :func:`mmpid.decompose`; "fastpid" reproduces the published one, and its error
        shows in ``plugin.gap``. Replicates are always certified to ``replicate_tol``.
    warn : bool
        Give warnings; ``False`` only keeps them in ``notes`` (for a loop of probes).

    Returns
    -------
    PIDEstimate
        ``pid`` (corrected), ``plugin``, ``interval``, ``null``, ``bracket``, ``identified``, ``notes`` and more.

    Raises
    ------
    InputError
        For sources or targets that cannot be used, naming the argument, and for a table of over 1e8 cells.
    ConfigError
        For an unknown discretizer or correction, or a number out of range.

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
    8 samples a cell depends on the correction: look at ``bracket`` and ``identified`` before its interval.
    ``null`` is the band of sources that know *nothing*. Inside it synergy cannot be told from none; above it, it may
    still be none, because with redundant or unique information the error of S is larger than the band shows (on a joint
    without synergy S was above the band in up to 21 % of draws, its interval above zero in none: docs/estimation.md).
    Where the codes nearly settle the class synergy reads low, and its interval can lie below the truth although it is
    identified; where the sources know nearly the same U1 and U2 read too high and R too low, and their intervals are
    too narrow. ``notes`` say so where the replicates tell (docs/estimation.md has how often they do). Call synergy
    present if it is identified and its interval lies above zero and above the band. Intervals and bands are for one
    atom at a time: of many probes or pairs, some fall outside by chance. Corrected values can be negative and are left
    so.

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
    check_settings(correction, n_boot, n_null, replicate_tol, n_clusters, n_components)
    seed = _validate.number(seed, "seed", low=0, high=MAX_SEED, integer=True)
    inputs = check_inputs({"source1": source1, "source2": source2}, target, n_classes, groups, discretizer, notes)
    n_clusters = resolve_clusters(n_clusters, inputs, discretizer, notes)
    pair = make_discretizers(discretizer, inputs, n_clusters, n_components, seed)
    sources = assign_sources(pair, inputs, reference, seed, notes)
    replicates = Replicates(
        n_boot=n_boot, n_null=n_null, seed=seed, tol=replicate_tol, groups=inputs.groups, method=method
    )
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
    cells = math.prod(sample.shape)
    if cells > MAX_CELLS:
        raise InputError(
            f"the table of codes and classes must have at most {MAX_CELLS:,} cells; it had "
            f"{' x '.join(map(str, sample.shape))} = {cells:,}. Merge rare codes or classes, or use fewer clusters."
        )
    with one_thread(cells <= SMALL_JOINT):
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


def check_settings(correction, n_boot, n_null, replicate_tol, n_clusters, n_components) -> None:
    """Check the settings that do not depend on the data."""
    _validate.choice(correction, "correction", CORRECTIONS)
    _validate.number(n_boot, "n_boot", low=0, integer=True)
    _validate.number(n_null, "n_null", low=0, integer=True)
    _validate.number(replicate_tol, "replicate_tol", low=0, open_low=True)
    _validate.number(n_components, "n_components", low=1, integer=True)
    if n_clusters != "auto":
        _validate.number(n_clusters, "n_clusters", low=1, integer=True)

"""`estimate_pid`: two sources and a target become atoms with intervals that hold at any sample size."""

from collections.abc import Sequence
from typing import Any, Literal

from numpy.typing import ArrayLike
from torch import Tensor

from mmpid.estimate.discretize import Discretizer
from mmpid.estimate.inputs import check_inputs
from mmpid.estimate.notes import Notes
from mmpid.estimate.pipeline import HELD_OUT, REPLICATE_TOL, Settings, code_sources, compare
from mmpid.estimate.results import PIDEstimate


def estimate_pid(
    source1: ArrayLike | Tensor,
    source2: ArrayLike | Tensor,
    target: ArrayLike | Tensor,
    *,
    discretizer: str | Discretizer | Sequence[str | Discretizer] = "kmeans",
    n_clusters: int | Literal["auto"] = "auto",
    n_components: int = 5,
    correction: str = "auto",
    n_boot: int | None = None,
    n_null: int | None = None,
    seed: int = 0,
    groups: ArrayLike | Tensor | None = None,
    reference: Sequence[Any] | None = None,
    n_classes: int | None = None,
    replicate_tol: float = REPLICATE_TOL,
    method: str = "exact",
    estimator: str = HELD_OUT,
    warn: bool = True,
) -> PIDEstimate:
    """Estimate the partial information decomposition of two sources about a target from samples.

    Each source is turned into codes. With ``estimator="held-out"`` five nested predictors of the class are then
    trained on nine tenths of the samples and scored on the last tenth, for each tenth in turn. A score is log2 of the
    probability that the predictor gave the true class, in bits:

    * ``"prior"`` (h): the class shares, p(y);
    * ``"source1"``, ``"source2"`` (s1, s2): each source alone, p(y | x1) and p(y | x2);
    * ``"without_synergy"`` (su): both sources, one factor each, exp(lam(x1, y) + mu(x2, y));
    * ``"full"`` (sf): the table of both codes, shrunk toward the one before.

    The atoms are the gains of one predictor over another:

        R = s1 + s2 - su - h        U1 = su - s2        U2 = su - s1        S = sf - su

    So "unique to source 1" is what the best predictor without synergy gains over source 2 alone, on samples it has not
    seen.

    Why the fourth predictor: the union information of the BROJA decomposition has the dual

        -H_u = max over (lam, mu) of E[lam(x1, y) + mu(x2, y)]
               subject to sum_y exp(lam(x1, y) + mu(x2, y)) <= 1 for every pair (x1, x2),

    with H_u the largest conditional entropy among all joints with the pairwise marginals of p. The constraint does not
    depend on p, so the multipliers that the exact solver finds on training samples are a valid predictor for others.
    Their score on other samples is, on average, at most -H_u for any smoothing: a poor choice makes the bound looser,
    never wrong. Held-out scores are therefore low, by O(1/N), and scores on the training samples are mostly high. The
    estimate is the middle of the two, and both meet as N grows. Given the training parts a held-out
    mean is a mean of independent numbers, whose standard error needs no replicates. Where the sources know nearly the
    same, H_u has a kink and any counted estimate errs by O(N^-1/2); held-out scores do not, because every optimal
    (lam, mu) scores the same.

    S has no such pair of scores at probe sizes. Its point is the counted I(Y; X1, X2), corrected as ``correction``
    says, less the union information. Its lower end is held-out, and its upper end is generous. ``proven`` says which
    atoms are above 0, ``identified`` which have a readable size, and ``notes`` say both in words.

    ``estimator="counted"`` is the older one. It decomposes the counted joint, corrects each of I(Y;X1), I(Y;X2), I_q*
    and I(Y;X1,X2) by its mean I0 under shuffled labels, and resamples samples for intervals.

    Parameters
    ----------
    source1, source2 : array or tensor, (N, d1) and (N, d2)
        Embeddings, class scores or codes of the same N >= 8 samples; tensors on a GPU are processed there. Rows of
        pandas objects are paired by position; the index is only passed on to `PIDEstimate.pointwise`.
    target : array or tensor of int or text, (N,)
        Class of each sample. Integers other than 0..k-1 are mapped in ascending order, with a `LabelWarning`; text
        is mapped alphabetically, which `notes` say.
    discretizer : str, Discretizer, or a pair of them
        ``"kmeans"``: clusters of L2-normalized, PCA-reduced embeddings. ``"prediction"``: predicted class;
        sources with as many columns as there are classes are taken as class scores (logits or probabilities),
        others as embeddings, for which a linear readout is cross-fitted. ``"soft"``: the same, each sample
        spread over classes by its probabilities. ``"codes"``: sources are integer codes already. ``"quantile"``:
        bins of a one-dimensional source. ``"posterior"``: clusters of predicted probabilities, which lose little of
        what one source tells. One `Discretizer` object is copied for each source; a pair is used in
        place, so that its codebooks start from the previous call. What learns is fitted inside each training part.
    n_clusters : int or "auto"
        Clusters or bins per source; ``"auto"`` is the largest n <= 20 with n^2 k <= N / 2, and at least 4.
    n_components : int
        Principal components kept before k-means.
    correction : {"auto", "permutation", "ami", "mean", "none"}
        Of I(Y;X1,X2) in S (held-out), or of all four terms (counted), with I0 its mean under shuffled labels.
        ``"permutation"``: I - I0, which reads low where I is large and cells are few. ``"ami"``:
        H(Y) (I - I0) / (H(Y) - I0), chance-adjusted, which reads high on synergy. ``"mean"``: half of each. ``"auto"``:
        permutation from 8 samples per cell of the table, the mean from 2, chance-adjusted below. ``"none"``: no change.
    n_boot : int, optional
        Bootstrap replicates of the counted estimator, 200 by default; 0 gives no intervals. The held-out
        estimator needs none and ignores it: its intervals are always there.
    n_null : int, optional
        Label shuffles for the null band. Counted: 50 by default, also for the correction (10 where 0 is asked for).
        Held-out: 0 by default, because a lower end above zero already says more than a band of sources that know
        nothing; ten shuffles cost about as much as the estimate.
    seed : int from 0
        Seed of the clustering, the folds and the replicates.
    groups : array of int or text (N,), optional
        Samples of one group (recording, subject) depend on each other. Held-out: whole groups are held out, and the
        standard error is that over groups. Counted: whole groups are resampled. Labels that are constant within groups
        are shuffled among groups.
    reference : tuple of two or three arrays, optional
        Another split ``(source1, source2)`` or ``(source1, source2, target)`` to fit the discretizers on, with
        labels as in ``target``. Rows that are also in the sample give a `LeakageWarning`.
    n_classes : int, optional
        Number of classes where some may be absent from this sample.
    replicate_tol : float
        Counted: certified error allowed to the solver in a replicate, in bits; the sample itself is solved to 1e-6.
    method : {"exact", "fastpid"}
        Solver of the counted joint (``plugin``), see :func:`mmpid.decompose`; "fastpid" reproduces the published one,
        whose error shows in ``plugin.gap``. Predictors and replicates are always solved exactly.
    estimator : {"held-out", "counted"}
        See above.
    warn : bool
        Give warnings; ``False`` only keeps them in ``notes`` (for a loop of probes).

    Returns
    -------
    PIDEstimate
        ``pid``, ``interval``, ``proven``, ``identified``, ``scores``, ``pointwise()``, ``plugin``, ``notes`` and more.

    Raises
    ------
    InputError
        For sources or targets that cannot be used, naming the argument; for a table of over 1e8 cells; for groups of
        which each holds a class of its own that no other group has.
    ConfigError
        For an unknown discretizer, estimator or correction, or a number out of range.

    Warns
    -----
    SmallSampleWarning
        An atom has fewer than two samples per cell of the table it depends on, or a fold has never seen a class.
    LabelWarning, LeakageWarning
        Labels were mapped; samples are shared with ``reference``.

    Notes
    -----
    The decomposition is that of the codes, not of the embeddings: information that the codes lose is in no atom.
    Predicted classes of heads that see one source each cannot carry an exclusive-or. Intervals are for one atom at a
    time: of many probes or pairs, some miss by chance. At 240 samples unique parts of real heads read 0.05 to 0.1 bit
    low, and those of heads that share most but not all of their classes 0.1 to 0.2 high. Intervals mostly
    contain the true value; docs/estimation.md says how often. A proven synergy is one that held-out scores show, and
    its size is at least the lower end. Negative values are left as they are.

    References
    ----------
    Bertschinger, Rauh, Olbrich, Jost, Ay (2014), Quantifying unique information, eq. (10)-(14), for the atoms.
    Ji, Lei, Spector (2023), Model-agnostic covariate-assisted inference on partially identified causal effects, for
    cross-fitted dual bounds that are valid whatever the nuisance estimate. Fang and Santos (2019), Inference on
    directionally differentiable functions, for why the bootstrap fails at a kink, as for finite optimal transport:
    Sommerfeld and Munk (2018), Inference for empirical Wasserstein distances on finite spaces. Vinh, Epps, Bailey
    (2010), Information theoretic measures for clusterings comparison, section 4, for chance adjustment. The use of the
    multipliers as a predictor, the comparison of the five and the interval are derived and measured by this project.

    Examples
    --------
    >>> import numpy as np, mmpid
    >>> rng = np.random.default_rng(0)
    >>> x1, x2 = rng.integers(2, size=(2, 2000))
    >>> e = mmpid.estimate_pid(x1, x2, x1 ^ x2, discretizer="codes")
    >>> round(float(e.pid.synergy), 2), e.proven["synergy"], e.proven["unique1"]
    (1.0, True, False)
    """
    notes = Notes()
    settings = Settings.checked(
        estimator=estimator, discretizer=discretizer, n_clusters=n_clusters, n_components=n_components,
        correction=correction, n_boot=n_boot, n_null=n_null, seed=seed, replicate_tol=replicate_tol, method=method,
    )  # fmt: skip
    given: dict[str, object] = {"source1": source1, "source2": source2}
    inputs = check_inputs(given, target, n_classes, groups, discretizer, notes)
    coded = code_sources(inputs, settings, discretizer, tuple(given), notes, reference)
    one, two = coded.sources
    result = compare(one, two, coded, notes, index=_index_of(source1, source2, target))
    if warn:
        notes.warn(stacklevel=2)
    return result


def _index_of(*inputs: object) -> Any:
    """Index of the first pandas object among the inputs."""
    return next((getattr(value, "index", None) for value in inputs if hasattr(value, "iloc")), None)

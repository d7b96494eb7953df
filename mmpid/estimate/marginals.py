"""`estimate_marginals`: a decomposition from two samples that are labeled, but not paired."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from mmpid.errors import ConfigError, InputError
from mmpid.estimate.discretization import observable_name
from mmpid.estimate.discretize import Discretizer
from mmpid.estimate.held_out.folds import N_FOLDS
from mmpid.estimate.held_out.unpaired import Half, UnpairedReading, read_unpaired
from mmpid.estimate.inputs import Inputs, check_inputs, check_source
from mmpid.estimate.labels import contiguous_labels, read_labels
from mmpid.estimate.marginal_results import PAIRWISE, MarginalEstimate
from mmpid.estimate.notes import Notes
from mmpid.estimate.pipeline import CodedSources, Settings, code_sources
from mmpid.estimate.threads import SMALL_JOINT, one_thread
from mmpid.estimate.typed import sequence_of, unique
from mmpid.pid.typed import floats_of, integers_of

# Difference of the class shares of both samples, as total variation, from which it is said.
SHIFTED = 0.1


def estimate_marginals(
    source1: ArrayLike | Tensor,
    target1: ArrayLike | Tensor,
    source2: ArrayLike | Tensor,
    target2: ArrayLike | Tensor,
    *,
    discretizer: str | Discretizer | Sequence[str | Discretizer] = "kmeans",
    n_clusters: int | Literal["auto"] = "auto",
    n_components: int = 5,
    class_shares: Sequence[float] | None = None,
    groups1: ArrayLike | Tensor | None = None,
    groups2: ArrayLike | Tensor | None = None,
    seed: int = 0,
    warn: bool = True,
) -> MarginalEstimate:
    """Estimate redundancy and unique information from two labeled samples of which no rows belong together.

    R, U1 and U2 depend on p(x1, y) and p(x2, y) alone, so recordings of one group of people and images of another one
    will do, if both are labeled. As in :func:`mmpid.estimate_pid` with held-out scores,

        R = s1 + s2 - su - h        U1 = su - s2        U2 = su - s1,

    and the score of the best predictor without synergy is a sum, su = E[lam(x1, y)] + E[mu(x2, y)]: the first mean is
    taken over one sample, the second over the other, each class with its share p(y). Synergy needs pairs; of it only

        0 <= S <= H(Y) - I_q*(Y; X1, X2)

    is known.

    Parameters
    ----------
    source1, target1 : array or tensor, (N1, d1) and (N1,)
        Embeddings, class scores or codes of the first sample, and its classes; N1 >= 8.
    source2, target2 : array or tensor, (N2, d2) and (N2,)
        The same of the second sample, which has other rows: N1 and N2 may differ, and row i of one has nothing to do
        with row i of the other. Equal labels mean equal classes, and every class must occur in both.
    discretizer, n_clusters, n_components, seed
        As in `estimate_pid`.
    class_shares : sequence of float, optional
        p(y) in the order of the sorted labels, where it is known. By default the shares in both samples together.
    groups1, groups2 : array of int or text, (N1,) and (N2,), optional
        Samples of one group (recording, subject) depend on each other: whole groups are held out, and the standard
        error is that over groups.
    warn : bool
        Give warnings; ``False`` only keeps them in ``notes``.

    Returns
    -------
    MarginalEstimate
        ``redundancy``, ``unique1``, ``unique2``, ``interval``, ``proven``, ``synergy_range``, ``notes`` and more.

    Raises
    ------
    InputError
        For sources or targets that cannot be used, naming the argument, and for a class that one sample lacks.
    ConfigError
        For an unknown discretizer, class shares that are not positive or do not add up to 1, or a number out of range.

    Notes
    -----
    Both samples must come from the same p(x | y), one source each. Where their class shares differ, each is weighted to
    p(y); that is right if only the shares differ. Samples of which rows *do* belong together are worth more as pairs:
    the same intervals are narrower in `estimate_pid`, and S can be estimated. A subject who is in both samples makes
    them dependent, which the intervals do not know. The decomposition is that of the codes.

    The bound on S is that of any source: codes that know y only in part allow less, see `decompose_marginals`.

    References
    ----------
    Bertschinger, Rauh, Olbrich, Jost, Ay (2014), Quantifying unique information, Entropy 16, lemma 4, for why the
    pairwise marginals are enough. The held-out scores without pairs are derived and measured by this project.

    Examples
    --------
    >>> import numpy as np, mmpid
    >>> rng = np.random.default_rng(0)
    >>> y1, y2 = rng.integers(4, size=900), rng.integers(4, size=600)
    >>> found = mmpid.estimate_marginals(y1, y1, y2 // 2, y2, discretizer="codes")  # source 2 knows half of the class
    >>> round(found.redundancy, 1), round(found.unique1, 1), found.proven["unique2"]
    (1.0, 1.0, False)
    """
    notes = Notes()
    settings = Settings.checked(discretizer=discretizer, n_clusters=n_clusters, n_components=n_components, seed=seed)
    sources = (check_source(source1, "source1"), check_source(source2, "source2"))
    targets, n_classes = _common_classes((target1, target2), sources, notes)
    shares = _shares(class_shares, targets, n_classes, notes)
    coded = _code(sources, targets, (groups1, groups2), n_classes, discretizer, settings, notes)
    halves = (_half(coded[0]), _half(coded[1]))
    cells = [half.codes.n_codes * n_classes for half in halves]
    with one_thread(cells[0] * cells[1] <= SMALL_JOINT * n_classes):
        reading = read_unpaired(halves, shares, class_shares is not None)
    enough = all(len(half.target) >= 2 * n for half, n in zip(halves, cells, strict=True))
    result = _result(reading, coded, shares, enough, notes)
    if warn:
        notes.warn(stacklevel=2)
    return result


def _common_classes(
    given: tuple[object, object], sources: tuple[Tensor, Tensor], notes: Notes
) -> tuple[tuple[Tensor, Tensor], int]:
    """Return the classes of both samples with the same numbers, and how many there are."""
    n1, n2 = map(len, sources)
    own = [read_labels(given[i], f"target{i + 1}", n, Notes()) for i, n in enumerate((n1, n2))]
    if bool(own[0][1]) != bool(own[1][1]):
        raise InputError("`target1` and `target2` must hold labels of one kind; one held text, the other numbers.")
    if own[0][1]:
        text = [[words[i] for i in integers_of(labels)] for labels, words in own]
        together = read_labels(np.array(text[0] + text[1]), "target1 and target2", n1 + n2, notes)[0]
    else:
        together = torch.cat([labels.cpu() for labels, _ in own])
    labels, n_classes, _ = contiguous_labels(together, None, notes)
    parts = labels[:n1].to(sources[0].device), labels[n1:].to(sources[0].device)
    for name, part in zip(("target1", "target2"), parts, strict=True):
        missing = n_classes - len(unique(part))
        if missing:
            raise InputError(
                f"`{name}` must hold every class of the other target; it lacked {missing} of {n_classes}. Leave these "
                "classes out of both samples, or add samples of them."
            )
    return parts, n_classes


def _shares(given: Sequence[float] | None, targets: tuple[Tensor, Tensor], n_classes: int, notes: Notes) -> Tensor:
    """Return p(y), float64 (k,): what the user says, or the shares in both samples together."""
    counts = torch.stack([torch.bincount(part, minlength=n_classes).double() for part in targets])
    if given is None:
        own = counts / counts.sum(1, keepdim=True)
        if float((own[0] - own[1]).abs().sum()) / 2 > SHIFTED:
            notes.add(
                "the classes have other shares in one sample than in the other; both are weighted to those of all "
                "samples together, which is right if p(x | y) is the same. `class_shares` sets others."
            )
        return counts.sum(0) / counts.sum()
    shares = torch.as_tensor(np.asarray(given, dtype=float)).to(counts.device)
    if shares.shape != (n_classes,) or not bool((shares > 0).all()) or abs(float(shares.sum()) - 1) > 1e-6:
        raise ConfigError(
            f"`class_shares` must hold {n_classes} positive numbers that add up to 1, one for each class; it was "
            f"{given!r}. Divide counts by their sum."
        )
    return shares


def _code(
    sources: tuple[Tensor, Tensor],
    targets: tuple[Tensor, Tensor],
    groups: tuple[object, object],
    n_classes: int,
    discretizer: Any,
    settings: Settings,
    notes: Notes,
) -> list[CodedSources]:
    """Code each source in its own sample, in as many folds as the smaller sample has."""
    pair = sequence_of(discretizer) or (discretizer, discretizer)
    if len(pair) != 2:
        raise ConfigError(f"`discretizer` must be one, or two of them, one per source; it held {len(pair)}.")
    checked = [_checked(i + 1, sources[i], targets[i], n_classes, groups[i], pair[i], notes) for i in range(2)]
    n_folds = min(N_FOLDS, *(inputs.n_groups for inputs in checked))
    in_place = sequence_of(discretizer) is not None
    return [
        code_sources(inputs, settings, (one,) if in_place else one, (name,), notes, n_folds=n_folds)
        for inputs, one, name in zip(checked, pair, ("source1", "source2"), strict=True)
    ]


def _checked(
    place: int, source: Tensor, target: Tensor, n_classes: int, groups: object, discretizer: object, notes: Notes
) -> Inputs:
    """Check one sample; an error names the argument of the door."""
    try:
        return check_inputs({f"source{place}": source}, target, n_classes, groups, discretizer, notes)
    except InputError as problem:
        raise type(problem)(str(problem).replace("`groups`", f"`groups{place}`")) from problem


def _half(coded: CodedSources) -> Half:
    folds, codes = coded.folds, coded.sources[0].folds
    if folds is None or codes is None:
        raise RuntimeError("sources were coded without folds")
    return Half(codes=codes, target=coded.inputs.target, folds=folds, groups=coded.inputs.groups)


def _result(
    reading: UnpairedReading, coded: list[CodedSources], shares: Tensor, enough: bool, notes: Notes
) -> MarginalEstimate:
    low, high, points = (floats_of(values) for values in (reading.low, reading.high, reading.points))
    made = coded[0].made + coded[1].made
    sentence = "synergy cannot be estimated without pairs: it is at most {:.2f} bit, and may be zero."
    notes.add(sentence.format(reading.most_synergy))
    first, second = (part.inputs.target for part in coded)
    codes = [part.sources[0].assignment.n_codes for part in coded]
    return MarginalEstimate(
        redundancy=points[0],
        unique1=points[1],
        unique2=points[2],
        interval={atom: (low[i], high[i]) for i, atom in enumerate(PAIRWISE)},
        identified=dict.fromkeys(PAIRWISE, enough),
        synergy_range=(0.0, reading.most_synergy),
        class_shares=tuple(floats_of(shares)),
        scores=reading.scores,
        n_samples=(len(first), len(second)),
        n_codes=(codes[0], codes[1]),
        observable=observable_name(made),
        notes=tuple(dict.fromkeys(notes.sentences)),
    )

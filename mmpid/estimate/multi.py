"""Three or more modalities: each against the rest, and each pair."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from itertools import combinations
from typing import TYPE_CHECKING, Literal, TypeVar

from numpy.typing import ArrayLike
from torch import Tensor

from mmpid._tables import html_table, text_table
from mmpid.errors import ConfigError, InputError
from mmpid.estimate.discretize import Discretizer, is_discretizer
from mmpid.estimate.inputs import check_inputs
from mmpid.estimate.notes import Notes
from mmpid.estimate.pipeline import HELD_OUT, REPLICATE_TOL, Coded, CodedSources, Settings, code_sources, compare
from mmpid.estimate.rests import rest_of
from mmpid.estimate.results import PIDEstimate
from mmpid.estimate.terms import ATOMS
from mmpid.estimate.typed import mapping_of, one_of
from mmpid.pid.typed import choice

if TYPE_CHECKING:
    from mmpid.estimate.frames import DataFrame

Key = TypeVar("Key")

MAX_MODALITIES = 6
HEADER = ("source 1 | source 2", "R", "U1", "U2", "S")
UNSURE_KEY = "? is not identified by this sample; the samples needed are in `.to_frame()`."
SUMMARY = "the rest of a modality is summarized by one code; what this code loses counts as unique to the modality."


@dataclass(frozen=True, kw_only=True, repr=False)
class PIDMultiEstimate:
    """One-vs-rest and pairwise decompositions of three or more modalities, in bits.

    Attributes
    ----------
    modalities : tuple of str
        Names, in the order given.
    one_vs_rest : dict of str to PIDEstimate
        By modality; ``unique1`` is what only that modality has, ``unique2`` what only the rest has.
    pairwise : dict of (str, str) to PIDEstimate
        By pair; ``unique1`` belongs to the first name.
    notes : tuple of str
        How the rest was formed, and what to beware of.
    """

    modalities: tuple[str, ...]
    one_vs_rest: dict[str, PIDEstimate]
    pairwise: dict[tuple[str, str], PIDEstimate]
    notes: tuple[str, ...]

    def unique(self, modality: str) -> float:
        """Information that only this modality has, against the rest, in bits."""
        choice(modality, "modality", self.modalities)
        return float(self.one_vs_rest[modality].pid.unique1)

    def to_frame(self) -> "DataFrame":
        """One row per comparison and atom, with the columns of `PIDEstimate.to_frame` (pandas)."""
        from mmpid.estimate.frames import frame_of_tables

        frames = {(name, "rest"): one for name, one in self.one_vs_rest.items()} | self.pairwise
        tables = {key: estimate.to_frame() for key, estimate in frames.items()}
        return frame_of_tables(tables, ("source1", "source2", "atom"))

    def _lines(self) -> list[tuple[str, PIDEstimate]]:
        rest = [(f"{name} | rest", estimate) for name, estimate in self.one_vs_rest.items()]
        return rest + [(f"{a} | {b}", estimate) for (a, b), estimate in self.pairwise.items()]

    def _rows(self) -> list[tuple[str, ...]]:
        return [(label, *(_cell(estimate, atom) for atom in ATOMS)) for label, estimate in self._lines()]

    def _remarks(self) -> tuple[str, ...]:
        """Give the notes, after the key to the question mark where there is one."""
        unsure = any(not all(estimate.identified.values()) for _, estimate in self._lines())
        return ((UNSURE_KEY,) if unsure else ()) + self.notes

    def __repr__(self) -> str:
        head = f"PIDMultiEstimate in bits: {', '.join(self.modalities)}"
        return "\n".join([head, text_table(HEADER, self._rows()), *(f"- {note}" for note in self._remarks())])

    def _repr_html_(self) -> str:
        notes = "".join(f"<li>{escape(note)}</li>" for note in self._remarks())
        return f"{html_table(HEADER, self._rows(), 'PIDMultiEstimate in bits')}<ul>{notes}</ul>"


def estimate_pid_multi(
    sources: Mapping[str, ArrayLike | Tensor],
    target: ArrayLike | Tensor,
    *,
    discretizer: str | Discretizer | Mapping[str, str | Discretizer] = "kmeans",
    n_clusters: int | Literal["auto"] = "auto",
    n_components: int = 5,
    correction: str = "auto",
    n_boot: int | None = None,
    n_null: int | None = None,
    seed: int = 0,
    groups: ArrayLike | Tensor | None = None,
    n_classes: int | None = None,
    replicate_tol: float = REPLICATE_TOL,
    method: str = "exact",
    estimator: str = HELD_OUT,
    warn: bool = True,
) -> PIDMultiEstimate:
    """Decompose what three to six modalities know about a target: each against the rest, and each pair.

    Every modality is turned into codes once, and every comparison is that of `estimate_pid`. "The rest" of a modality
    is summarized by one code per sample:

    * ``"kmeans"``: clusters of the others' L2-normalized embeddings side by side, with ``n_components`` principal
      components for each of them;
    * ``"prediction"`` and ``"soft"``: the others' class probabilities multiplied and divided by the prior for each
      factor too many, p(y | rest) ~ prod_m p_m(y) / p(y)^(M - 2), as if they were independent given the class;
    * codes of any other kind: the combination of the others' codes. If more than 256 of them occur they are merged,
      by clusters of their one-hot rows side by side; only the bounds that survive merging are then given as intervals,
      and unique information of the modality and synergy are neither identified nor proven.

    Parameters
    ----------
    sources : mapping of str to array (N, d) or (N,)
        Three to six modalities by name, with the same samples. With two, the rest is the other one.
    discretizer : str, Discretizer or mapping of str to Discretizer
        As in `estimate_pid`. A mapping holds one per modality, used in place; objects under ``"not <name>"`` are
        used for the rest of ``<name>``, so that these codebooks, too, start from the previous call.
    target, n_clusters, n_components, correction, n_boot, n_null, seed, groups, n_classes, replicate_tol, method, \
estimator, warn
        As in `estimate_pid`.

    Returns
    -------
    PIDMultiEstimate
        ``one_vs_rest`` by name, ``pairwise`` by pair of names.

    Raises
    ------
    InputError, ConfigError
        As `estimate_pid`, and for fewer than two or more than six modalities.

    Notes
    -----
    The summary of the rest loses information: what it loses of the shared part counts as unique to the modality, and
    synergy with it is missed. Unique information against the rest is thus an upper estimate, and two modalities that
    hold the same information both look non-unique: compare the pairs.

    References
    ----------
    Bertschinger, Rauh, Olbrich, Jost, Ay (2014), Quantifying unique information; the rest is a rule of this project.

    Examples
    --------
    >>> import numpy as np
    >>> from mmpid.estimate import estimate_pid_multi
    >>> rng = np.random.default_rng(0)
    >>> a, b, c = rng.integers(2, size=(3, 1000))
    >>> codes = {"a": a, "b": b, "c": c}
    >>> e = estimate_pid_multi(codes, 2 * a + b, discretizer="codes")
    >>> round(e.unique("a"), 1), abs(round(e.unique("c"), 1))
    (1.0, 0.0)
    """
    notes = Notes()
    names = check_names(sources)
    settings = Settings.checked(
        estimator=estimator, discretizer=discretizer, n_clusters=n_clusters, n_components=n_components,
        correction=correction, n_boot=n_boot, n_null=n_null, seed=seed, replicate_tol=replicate_tol, method=method,
    )  # fmt: skip
    inputs = check_inputs(dict(sources), target, n_classes, groups, discretizer, notes)
    each, given_rests = split_mapping(discretizer, names)
    coded = code_sources(inputs, settings, each, names, notes)
    against_rest = {
        name: (f"{name} | rest", coded.sources[i], rest_of(i, coded, given_rests.get(name)))
        for i, name in enumerate(names)
    }
    notes.add(SUMMARY)
    one_vs_rest, pairwise = _compare(against_rest, coded, notes), _compare(_pairs(names, coded), coded, notes)
    if warn:
        notes.warn(stacklevel=2)
    return PIDMultiEstimate(modalities=names, one_vs_rest=one_vs_rest, pairwise=pairwise, notes=tuple(notes.sentences))


def _pairs(names: tuple[str, ...], coded: CodedSources) -> dict[tuple[str, str], tuple[str, Coded, Coded]]:
    """Label and sources of each pair of modalities."""
    named = zip(names, coded.sources, strict=True)
    return {(a, b): (f"{a} | {b}", one, two) for (a, one), (b, two) in combinations(named, 2)}


def _compare(
    comparisons: Mapping[Key, tuple[str, Coded, Coded]], coded: CodedSources, notes: Notes
) -> dict[Key, PIDEstimate]:
    """Estimate labeled pairs of coded sources; their warnings are collected under their label."""
    results: dict[Key, PIDEstimate] = {}
    for key, (label, one, other) in comparisons.items():
        own = Notes()
        results[key] = compare(one, other, coded, own)
        notes.alerts.extend((f"{label}: {sentence}", category) for sentence, category in own.alerts)
    return results


def check_names(sources: object) -> tuple[str, ...]:
    """Names of the modalities in their order."""
    named = mapping_of(sources)
    if named is None or not 2 <= len(named) <= MAX_MODALITIES:
        got = type(sources).__name__ if named is None else f"{len(named)} of them"
        raise InputError(
            f"`sources` must be a mapping of 2 to {MAX_MODALITIES} modalities, name to array; it was {got}. "
            'Try {"audio": a, "image": b, "text": c}.'
        )
    return tuple(_name(name) for name in named)


def _name(name: object) -> str:
    if not isinstance(name, str):
        raise InputError(f"`sources` must have text as names; one was {type(name).__name__}. Rename {name!r}.")
    return name


def split_mapping(discretizer: object, names: tuple[str, ...]) -> tuple[object, dict[str, Discretizer]]:
    """Discretizers of the modalities in their order, and those given for a modality's rest."""
    given = mapping_of(discretizer)
    if given is None:
        return discretizer, {}
    known = {*names, *(f"not {name}" for name in names)}
    for key in given:
        one_of(key, "discretizer", sorted(known))
    missing = [name for name in names if name not in given]
    if missing:
        raise ConfigError(f"`discretizer` must hold one per modality; {', '.join(map(repr, missing))} had none.")
    rests = {name: _rest(given[f"not {name}"], name) for name in names if given.get(f"not {name}") is not None}
    return tuple(given[name] for name in names), rests


def _rest(given: object, name: str) -> Discretizer:
    if isinstance(given, type) or not is_discretizer(given):
        raise ConfigError(
            f"`discretizer` must hold an object for the rest of a modality; for 'not {name}' it was {given!r}. "
            "Leave it out: the rest is then summarized as the modalities are."
        )
    return given


def _cell(estimate: PIDEstimate, atom: str) -> str:
    """One atom as text: its interval behind it, and a question mark where the sample does not identify it."""
    low, high = estimate.interval.get(atom, (None, None))
    interval = "" if low is None else f" [{low:.2f}, {high:.2f}]"
    return f"{float(getattr(estimate.pid, atom)):.3f}{interval}" + ("" if estimate.identified[atom] else " ?")

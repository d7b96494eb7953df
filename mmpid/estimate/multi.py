"""Three or more modalities: each against the rest, and each pair."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from itertools import combinations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from mmpid import _validate
from mmpid._tables import html_table, text_table
from mmpid.errors import ConfigError, InputError
from mmpid.estimate.discretize import Discretizer, PredictionDiscretizer, assign
from mmpid.estimate.estimate import MAX_SEED, REPLICATE_TOL, check_settings, estimate_assigned
from mmpid.estimate.histogram import Assignment
from mmpid.estimate.inference import Replicates
from mmpid.estimate.inputs import Inputs, check_inputs
from mmpid.estimate.kmeans import KMeansDiscretizer
from mmpid.estimate.notes import Notes
from mmpid.estimate.observe import assign_sources, make_discretizers, observable_name, resolve_clusters
from mmpid.estimate.results import PIDEstimate
from mmpid.estimate.terms import ATOMS

MAX_MODALITIES = 6
HEADER = ("source 1 | source 2", "R", "U1", "U2", "S")
UNSURE_KEY = "? is not identified by this sample; intervals and the samples needed are in `.to_frame()`."


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
        _validate.choice(modality, "modality", self.modalities)
        return float(self.one_vs_rest[modality].pid.unique1)

    def to_frame(self):
        """One row per comparison and atom, with the columns of `PIDEstimate.to_frame` (pandas)."""
        import pandas as pd

        frames = {(name, "rest"): estimate for name, estimate in self.one_vs_rest.items()} | self.pairwise
        tables = {key: estimate.to_frame() for key, estimate in frames.items()}
        return pd.concat(tables, names=["source1", "source2", "atom"])

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
    sources: Mapping[str, object],
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
    n_classes=None,
    replicate_tol=REPLICATE_TOL,
    warn=True,
) -> PIDMultiEstimate:
    """Decompose what three to six modalities know about a target: each against the rest, and each pair.

    Every modality is turned into codes once. "The rest" of a modality is summarized by one code per sample, with as
    many codes as a single modality has, so that no table grows with the number of modalities:

    * ``"kmeans"``: clusters of the others' L2-normalized embeddings side by side, with ``n_components`` principal
      components for each of them;
    * ``"prediction"`` and ``"soft"``: the others' class probabilities multiplied and divided by the prior for each
      factor too many, p(y | rest) ~ prod_m p_m(y) / p(y)^(M - 2), as if they were independent given the class;
    * codes of any other kind: the combination of the others' codes if no more than ``n_clusters`` of them
      occur, and otherwise clusters of their one-hot rows side by side.

    Parameters
    ----------
    sources : mapping of str to array (N, d) or (N,)
        Three to six modalities by name, with the same samples; two are accepted too, and the rest is then the other.
    discretizer : str, Discretizer or mapping of str to Discretizer
        As in `estimate_pid`. A mapping holds one per modality, used in place; entries ``"not <name>"`` are used
        for the rest of ``<name>``, so that these codebooks, too, start from the previous call.
    target, n_clusters, n_components, correction, n_boot, n_null, seed, groups, n_classes, replicate_tol, warn
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
    >>> e = estimate_pid_multi(codes, 2 * a + b, discretizer="codes", n_boot=0, n_null=10)
    >>> round(e.unique("a"), 1), abs(round(e.unique("c"), 1))
    (1.0, 0.0)
    """
    notes = Notes()
    check_settings(correction, n_boot, n_null, replicate_tol, n_clusters, n_components)
    seed = _validate.number(seed, "seed", low=0, high=MAX_SEED, integer=True)
    names = _check_names(sources)
    inputs = check_inputs(dict(sources), target, n_classes, groups, discretizer, notes)
    n_clusters = resolve_clusters(n_clusters, inputs, discretizer, notes)
    each, given_rests = split_mapping(discretizer, names)
    made = make_discretizers(each, inputs, n_clusters, n_components, seed)
    assigned = assign_sources(made, inputs, None, seed, notes, names=names)
    rests = {
        name: rest_of(i, made, assigned, inputs, given_rests.get(name), n_components, n_clusters, seed)
        for i, name in enumerate(names)
    }
    notes.add("the rest of a modality is summarized by one code; what that loses counts as unique to the modality.")
    replicates = Replicates(n_boot=n_boot, n_null=n_null, seed=seed, tol=replicate_tol, groups=inputs.groups)
    against_rest = {name: (f"{name} | rest", one, rests[name]) for name, one in zip(names, assigned, strict=True)}
    pairs = {
        (names[i], names[j]): (f"{names[i]} | {names[j]}", assigned[i], assigned[j])
        for i, j in combinations(range(len(names)), 2)
    }
    shared = (inputs, correction, replicates, observable_name(made), notes)
    one_vs_rest, pairwise = _compare(against_rest, *shared), _compare(pairs, *shared)
    if warn:
        notes.warn(stacklevel=2)
    return PIDMultiEstimate(modalities=names, one_vs_rest=one_vs_rest, pairwise=pairwise, notes=tuple(notes.sentences))


def _compare(
    comparisons: Mapping, inputs: Inputs, correction: str, replicates: Replicates, observable: str, notes: Notes
) -> dict:
    """Estimate each of some labeled pairs of assignments; their warnings are collected under their label."""
    results = {}
    for key, (label, one, other) in comparisons.items():
        own = Notes()
        results[key] = estimate_assigned((one, other), inputs, correction, replicates, own, observable)
        notes.alerts.extend((f"{label}: {sentence}", category) for sentence, category in own.alerts)
    return results


def _check_names(sources: Mapping[str, object]) -> tuple[str, ...]:
    if not isinstance(sources, Mapping) or not 2 <= len(sources) <= MAX_MODALITIES:
        got = f"{len(sources)} of them" if isinstance(sources, Mapping) else type(sources).__name__
        raise InputError(
            f"`sources` must be a mapping of 2 to {MAX_MODALITIES} modalities, name to array; it was {got}. "
            'Try {"audio": a, "image": b, "text": c}.'
        )
    for name in sources:
        _validate.instance(name, "sources", str, "a mapping from names, which are text", f"Rename {name!r}.")
    return tuple(sources)


def split_mapping(discretizer, names: tuple[str, ...]):
    """Discretizers of the modalities in their order, and those given for a modality's rest."""
    if not isinstance(discretizer, Mapping):
        return discretizer, {}
    known = {*names, *(f"not {name}" for name in names)}
    for key in discretizer:
        _validate.choice(key, "discretizer", sorted(known))
    missing = [name for name in names if name not in discretizer]
    if missing:
        raise ConfigError(f"`discretizer` must hold one per modality; {', '.join(map(repr, missing))} had none.")
    rests = {name: discretizer[f"not {name}"] for name in names if f"not {name}" in discretizer}
    return tuple(discretizer[name] for name in names), rests


def rest_of(
    index: int,
    made: tuple[Discretizer, ...],
    assigned: tuple[Assignment, ...],
    inputs: Inputs,
    given: Discretizer | None,
    n_components: int,
    n_clusters: int,
    seed: int,
) -> Assignment:
    """Summarize all modalities but one by one assignment; the rule is in `estimate_pid_multi`."""
    others = [i for i in range(len(made)) if i != index]
    if len(others) == 1:
        return assigned[others[0]]
    if all(isinstance(made[i], KMeansDiscretizer) for i in others):
        table = torch.cat([normalize(_matrix(inputs.sources[i]).double(), dim=1) for i in others], dim=1)
        size = max(assigned[i].n_codes for i in others)
        chosen = given or KMeansDiscretizer(size, n_components * len(others), seed=seed)
        return assign(chosen.fit(table), table)
    if all(isinstance(made[i], PredictionDiscretizer) for i in others):
        return _product_of_experts([assigned[i] for i in others], inputs)
    return _combined_codes([assigned[i] for i in others], given, n_clusters, seed)


def _product_of_experts(assigned: list[Assignment], inputs: Inputs) -> Assignment:
    """Class probabilities of several heads, multiplied as if independent given the class."""
    share = torch.bincount(inputs.target, minlength=inputs.n_classes).double() / len(inputs.target)
    log_prior = share.clamp(min=1e-12).log()
    logs = sum(a.probs.clamp(min=1e-12).log() for a in assigned)
    probs = (logs - (len(assigned) - 1) * log_prior).softmax(-1)
    return Assignment(n_codes=probs.shape[1], codes=probs.argmax(-1), probs=probs, soft=assigned[0].soft)


def _combined_codes(assigned: list[Assignment], given: Discretizer | None, n_clusters: int, seed: int) -> Assignment:
    """Combine codes if few combinations occur; clusters of their one-hot rows otherwise."""
    rows = torch.stack([a.codes for a in assigned], dim=1)
    combinations_seen, codes = torch.unique(rows, dim=0, return_inverse=True)
    if len(combinations_seen) <= n_clusters:
        return Assignment(n_codes=len(combinations_seen), codes=codes)
    table = torch.cat([a.as_probs() for a in assigned], dim=1)
    chosen = given or KMeansDiscretizer(n_clusters, table.shape[1], seed=seed)
    return assign(chosen.fit(table), table)


def _matrix(source: Tensor) -> Tensor:
    return source[:, None] if source.ndim == 1 else source


def _cell(estimate: PIDEstimate, atom: str) -> str:
    """One atom as text, with a question mark where the sample does not identify it."""
    return f"{float(getattr(estimate.pid, atom)):.3f}" + ("" if estimate.identified[atom] else " ?")

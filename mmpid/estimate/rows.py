"""The fields of a probe row, for two to six modalities: each against the rest, and each pair.

The numbers are those of `estimate_pid` and `estimate_pid_multi`. The counted estimator solves the pairs in one batch
and without bootstrap, so that six modalities (fifteen pairs) cost little more than six comparisons with the rest.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from mmpid.estimate.correction import make_correction
from mmpid.estimate.counted import MIN_PERMUTATIONS, correction_names, label_entropy
from mmpid.estimate.histogram import PairedSample
from mmpid.estimate.inputs import check_inputs
from mmpid.estimate.multi import check_names, split_mapping
from mmpid.estimate.notes import Notes
from mmpid.estimate.pipeline import (
    COUNTED,
    HELD_OUT,
    REPLICATE_TOL,
    Coded,
    CodedSources,
    Settings,
    code_sources,
    compare,
)
from mmpid.estimate.resampling import null_joints, replicate_terms
from mmpid.estimate.rests import rest_of
from mmpid.estimate.results import PIDEstimate
from mmpid.estimate.terms import atoms_to_terms, stack_atoms, terms_to_atoms
from mmpid.estimate.threads import SMALL_JOINT, one_thread
from mmpid.pid import decompose
from mmpid.pid.names import unique_key
from mmpid.pid.typed import floats_of

Row = dict[str, float | bool | int | str]
MEANS = ("redundancy", "synergy")


def estimate_row(
    sources: Mapping[str, Tensor],
    target: Tensor,
    *,
    discretizer: Any = "kmeans",
    n_clusters: Any = "auto",
    n_components: int = 5,
    correction: str = "auto",
    n_boot: int | None = None,
    n_null: int | None = None,
    n_classes: int | None = None,
    method: str = "exact",
    seed: int = 0,
    groups: Tensor | None = None,
    estimator: str = HELD_OUT,
) -> Row:
    """Return the fields of a probe row, in bits: flat JSON scalars.

    Two modalities give `PIDEstimate.to_row`. Of three and more, ``unique{i}`` is that of modality i against the rest;
    ``redundancy``, ``synergy`` and ``total`` are means over the modalities of what each has with the rest, and
    ``redundancy.a``, ``synergy.a|b`` are those of one modality and of one pair.

    Parameters
    ----------
    sources : mapping of str to tensor
        Two to six modalities by name.
    discretizer : str, Discretizer or mapping of str to either
        As in `estimate_pid_multi`.
    target, n_clusters, n_components, correction, n_boot, n_null, n_classes, method, seed, groups, estimator
        As in `estimate_pid`.

    Returns
    -------
    dict
        Each atom, and beside it _plugin, _low, _high, _identified and so on.

    Examples
    --------
    >>> import torch
    >>> x = torch.arange(400) % 2
    >>> row = estimate_row({"a": x, "b": torch.zeros_like(x)}, x, discretizer="codes")
    >>> round(row["unique1"], 2), row["unique1_proven"], row["unique2_proven"]
    (1.0, True, False)
    """
    notes, names = Notes(), check_names(sources)
    settings = Settings.checked(
        estimator=estimator, discretizer=discretizer, n_clusters=n_clusters, n_components=n_components,
        correction=correction, n_boot=n_boot, n_null=n_null, seed=seed, method=method,
    )  # fmt: skip
    inputs = check_inputs(dict(sources), target, n_classes, groups, discretizer, notes)
    each, given_rests = split_mapping(discretizer, names)
    labels = names if len(names) > 2 else ("source1", "source2")
    coded = code_sources(inputs, settings, each, labels, notes)
    if len(names) == 2:
        return compare(coded.sources[0], coded.sources[1], coded, notes).to_row()
    against_rest = {
        name: compare(coded.sources[i], rest_of(i, coded, given_rests.get(name)), coded, Notes())
        for i, name in enumerate(names)
    }
    row = _means(against_rest)
    pairs, gap = _pairs(dict(zip(names, coded.sources, strict=True)), coded)
    return row | pairs | {"gap": max(float(row["gap"]), gap)}


def _means(against_rest: Mapping[str, PIDEstimate]) -> Row:
    """Return unique{i} of each modality, and means over the modalities of what they have in common with the rest.

    The bounds of a mean are means of the bounds: as wide as if all errors went the same way.
    """
    rows = {name: estimate.to_row() for name, estimate in against_rest.items()}
    first = next(iter(rows.values()))
    fields: Row = {}
    for atom in MEANS:
        for key in (k for k in first if k == atom or k.startswith(f"{atom}_")):
            values = [row[key] for row in rows.values()]
            fields[key] = all(values) if key.endswith(("_identified", "_proven")) else _mean(values)
    own = unique_key(1)
    for i, row in enumerate(rows.values(), start=1):
        fields |= {key.replace(own, unique_key(i)): x for key, x in row.items() if key.startswith(own)}
    fields["total"] = _mean([row["total"] for row in rows.values()])
    fields["gap"] = max(float(row["gap"]) for row in rows.values())
    fields |= {key: first[key] for key in ("n_samples", "observable", "correction", "estimator") if key in first}
    return fields | {f"{atom}.{name}": row[atom] for atom in MEANS for name, row in rows.items()}


def _mean(values: Sequence[float | bool | int | str]) -> float:
    return sum(float(value) for value in values) / len(values)


def _pairs(sources: Mapping[str, Coded], coded: CodedSources) -> tuple[Row, float]:
    """Return redundancy and synergy of each pair, and the largest certified gap of a counted joint."""
    if coded.settings.estimator == COUNTED:
        return _counted_pairs(sources, coded)
    row: Row = {}
    gap = 0.0
    for (a, one), (b, two) in combinations(sources.items(), 2):
        estimate = compare(one, two, coded, Notes(), n_null=0)
        row |= {f"{atom}.{a}|{b}": float(getattr(estimate.pid, atom)) for atom in MEANS}
        gap = max(gap, float(estimate.plugin.gap))
    return row, gap


def _counted_pairs(sources: Mapping[str, Coded], coded: CodedSources) -> tuple[Row, float]:
    """Solve all pairs in one batch, corrected as `estimate_pid` does."""
    inputs, settings = coded.inputs, coded.settings
    correction, n_null, seed = settings.correction, settings.n_null, settings.seed
    assigned = {name: one.assignment for name, one in sources.items()}
    samples = {
        f"{a}|{b}": PairedSample(source1=one, source2=two, target=inputs.target, n_classes=inputs.n_classes)
        for (a, one), (b, two) in combinations(assigned.items(), 2)
    }
    widest = max(one.n_codes for one in assigned.values())
    n_null = max(n_null, MIN_PERMUTATIONS) if correction != "none" else 0
    with one_thread(prod((widest, widest, inputs.n_classes)) <= SMALL_JOINT):
        plugin = decompose(torch.stack([_square(sample.joint(), widest) for sample in samples.values()]))
        nulls = [_nulls(sample, n_null, seed, widest, inputs.groups) for sample in samples.values()]
        null_terms, _ = replicate_terms(nulls if n_null else [], REPLICATE_TOL)
    terms = atoms_to_terms(stack_atoms(plugin)).cpu()
    row: Row = {}
    for i, (pair, sample) in enumerate(samples.items()):
        own = null_terms[i * n_null : (i + 1) * n_null]
        chosen = make_correction(correction_names(sample, correction, Notes()), own, label_entropy(sample))
        r, _, _, s = floats_of(terms_to_atoms(chosen.apply(terms[i])))
        row |= {f"redundancy.{pair}": r, f"synergy.{pair}": s}
    return row, float(plugin.gap.max())


def _nulls(sample: PairedSample, n_null: int, seed: int, widest: int, groups: Tensor | None) -> Tensor:
    """Return joints (n_null, n, n, k) under the shuffled labels that `estimate_pid` draws."""
    generator = torch.Generator().manual_seed(2 * seed + 1)
    if not n_null:
        return torch.empty(0)
    return _square(torch.cat(list(null_joints(sample, n_null, generator, groups))), widest)


def _square(joint: Tensor, widest: int) -> Tensor:
    """Give every joint (..., n1, n2, k) as many codes; a code that never occurs changes nothing."""
    n1, n2 = joint.shape[-3:-1]
    return pad(joint, (0, 0, 0, widest - n2, 0, widest - n1))

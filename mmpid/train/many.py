"""Three to six modalities in one probe: each against the rest with its uncertainty, and each pair as values.

The numbers are those of :func:`mmpid.estimate_pid_multi`; pairs are solved in one batch and without bootstrap, so that
a probe of six modalities (fifteen pairs) costs little more than its six comparisons against the rest.
"""

from collections.abc import Mapping
from itertools import combinations
from math import prod

import torch
from torch import Tensor
from torch.nn.functional import pad

from mmpid.estimate.correction import make_correction
from mmpid.estimate.estimate import REPLICATE_TOL, estimate_assigned
from mmpid.estimate.histogram import Assignment, PairedSample
from mmpid.estimate.inference import MIN_PERMUTATIONS, Replicates, correction_names, label_entropy
from mmpid.estimate.inputs import Inputs, check_inputs
from mmpid.estimate.multi import rest_of, split_mapping
from mmpid.estimate.notes import Notes
from mmpid.estimate.observe import assign_sources, make_discretizers, observable_name, resolve_clusters
from mmpid.estimate.resampling import null_joints, replicate_terms
from mmpid.estimate.results import PIDEstimate
from mmpid.estimate.terms import atoms_to_terms, stack_atoms, terms_to_atoms
from mmpid.estimate.threads import SMALL_JOINT, one_thread
from mmpid.pid import decompose

MEANS = ("redundancy", "synergy")


def estimate_many(
    sources: Mapping[str, Tensor], target: Tensor, *, discretizer, n_clusters, n_components: int, correction: str,
    n_boot: int, n_null: int, n_classes: int, method: str, seed: int, groups: Tensor | None = None,
) -> dict:  # fmt: skip
    """Return the fields of a probe row, in bits; `unique{i}` is that of modality i against the rest."""
    notes, names = Notes(), tuple(sources)
    inputs = check_inputs(dict(sources), target, n_classes, groups, discretizer, notes)
    n_clusters = resolve_clusters(n_clusters, inputs, discretizer, notes)
    each, given_rests = split_mapping(discretizer, names)
    made = make_discretizers(each, inputs, n_clusters, n_components, seed)
    assigned = assign_sources(made, inputs, None, seed, notes, names=names)
    replicates = Replicates(
        n_boot=n_boot, n_null=n_null, seed=seed, tol=REPLICATE_TOL, groups=inputs.groups, method=method
    )
    against_rest = {}
    for i, name in enumerate(names):
        rest = rest_of(i, made, assigned, inputs, given_rests.get(name), n_components, n_clusters, seed)
        pair = (assigned[i], rest)
        against_rest[name] = estimate_assigned(pair, inputs, correction, replicates, Notes(), observable_name(made))
    pairs, gap = _pairs(dict(zip(names, assigned, strict=True)), inputs, correction, n_null, seed)
    row = _means(against_rest)
    return row | pairs | {"gap": max(row["gap"], gap)}


def _means(against_rest: Mapping[str, PIDEstimate]) -> dict:
    """Return unique{i} of each modality, and means over the modalities of what they have in common with the rest.

    The bounds of a mean are means of the bounds: as wide as if all errors went the same way.
    """
    rows = {name: estimate.to_row() for name, estimate in against_rest.items()}
    first, fields = next(iter(rows.values())), {}
    for atom in MEANS:
        for key in (k for k in first if k == atom or k.startswith(f"{atom}_")):
            values = [row[key] for row in rows.values()]
            fields[key] = all(values) if key.endswith("_identified") else sum(values) / len(values)
    for i, row in enumerate(rows.values(), start=1):
        fields |= {key.replace("unique1", f"unique{i}"): x for key, x in row.items() if key.startswith("unique1")}
    fields["total"] = sum(row["total"] for row in rows.values()) / len(rows)
    fields["gap"] = max(row["gap"] for row in rows.values())
    fields |= {key: first[key] for key in ("n_samples", "observable", "correction")}
    return fields | {f"{atom}.{name}": row[atom] for atom in MEANS for name, row in rows.items()}


def _pairs(
    assigned: Mapping[str, Assignment], inputs: Inputs, correction: str, n_null: int, seed: int
) -> tuple[dict, float]:
    """Return redundancy and synergy of each pair, corrected as `estimate_pid` does, and the largest certified gap."""
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
    row: dict[str, float] = {}
    for i, (pair, sample) in enumerate(samples.items()):
        own = null_terms[i * n_null : (i + 1) * n_null]
        chosen = make_correction(correction_names(sample, correction, Notes()), own, label_entropy(sample))
        r, _, _, s = terms_to_atoms(chosen.apply(terms[i])).tolist()
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

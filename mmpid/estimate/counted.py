"""From a counted sample to corrected atoms, intervals, null bands and flags."""

import warnings
from dataclasses import dataclass, replace
from itertools import chain

import torch
from torch import Tensor

from mmpid.errors import ConvergenceWarning, SmallSampleWarning
from mmpid.estimate.correction import Correction, choose_corrections, explain, make_correction
from mmpid.estimate.diagnostics import note_diagnostics
from mmpid.estimate.histogram import PairedSample
from mmpid.estimate.notes import Notes
from mmpid.estimate.resampling import bootstrap_joints, null_joints, replicate_terms
from mmpid.estimate.terms import ATOMS, atoms_to_terms, stack_atoms, terms_to_atoms
from mmpid.estimate.typed import xlogy
from mmpid.pid import PIDResult, decompose

# Permutations for a correction when no null band is asked for: their mean is known to a third of one's spread.
MIN_PERMUTATIONS = 10
LEVEL = (0.025, 0.975)
# Below this many replicates a 2.5 % quantile is one of the extremes: on average too narrow.
FEW_REPLICATES = 40


@dataclass(frozen=True, kw_only=True)
class Replicates:
    """How many replicates, from which seed, to which solver tolerance (bits), and which samples hang together.

    `method` decomposes the sample's own joint; replicates are always enclosed to `tol`.
    """

    n_boot: int
    n_null: int
    seed: int
    tol: float
    groups: Tensor | None = None
    method: str = "exact"


def decompose_noted(joint: Tensor, method: str, notes: Notes) -> PIDResult:
    """Decompose the counted joint; that the published method misses its tolerance becomes a note, not a warning."""
    if method == "exact":
        return decompose(joint)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        result = decompose(joint, method)
    for warning in caught:
        notes.add(str(warning.message))
    return result


@dataclass(frozen=True, kw_only=True)
class Terms:
    """Terms in bits of the sample (4,), of its bootstrap replicates (b, 4) and under shuffled labels (m, 4)."""

    plugin: Tensor
    boot: Tensor
    null: Tensor
    entropy: Tensor
    gap: float


def estimate_sample(sample: PairedSample, correction: str, replicates: Replicates, notes: Notes) -> dict[str, object]:
    """Everything of a `PIDEstimate` that follows from counting; a dictionary of its fields."""
    plugin = decompose_noted(sample.joint(), replicates.method, notes)
    terms = all_terms(sample, plugin, correction, replicates)
    names = correction_names(sample, correction, notes)
    chosen = make_correction(names, terms.null, terms.entropy)
    cells = dict(zip(ATOMS, atom_cells(sample), strict=True))
    needed = {atom: 2 * n for atom, n in cells.items()}
    identified = identify(len(sample), needed, notes)
    note_few(replicates, notes)
    atoms = terms_to_atoms(chosen.apply(terms.plugin))
    interval = bootstrap_interval(terms, chosen, corrected=correction != "none", identified=identified["synergy"])
    soft = sample.source1.soft or sample.source2.soft
    if interval and correction != "none" and replicates.groups is None and not soft:  # what was simulated
        boot, null = terms.boot.mean(0) - terms.plugin, terms.null.mean(0)
        note_diagnostics(boot, null, identified["synergy"], notes)
    return {
        "pid": with_atoms(plugin, atoms),
        "plugin": plugin,
        "interval": interval,
        "null": null_band(terms, chosen) if replicates.n_null else {},
        "bracket": correction_bracket(terms),
        "identified": identified,
        "needed": needed,
        "correction": names[1],
        "pairwise_correction": names[0],
        "n_boot": replicates.n_boot,
        "n_null": len(terms.null),
        "replicate_gap": terms.gap,
    }


def atom_cells(sample: PairedSample) -> tuple[int, int, int, int]:
    """Cells of the largest table on which each atom depends: pairwise for R, U1 and U2, the full one for S."""
    n1, n2, k = sample.shape
    pairwise = max(n1, n2) * k
    return pairwise, pairwise, pairwise, n1 * n2 * k


def correction_names(sample: PairedSample, correction: str, notes: Notes) -> tuple[str, str]:
    """Corrections of R, U1, U2 and of S; "auto" picks each by the density of the table it depends on."""
    if correction != "auto":
        return correction, correction
    pairwise, *_, full = atom_cells(sample)
    names = choose_corrections(len(sample), pairwise, full)
    for what, name, cells in (("R, U1 and U2", names[0], pairwise), ("S", names[1], full)):
        notes.add(f"correction of {what}: {name}; {explain(name, len(sample) / cells)}.")
    return names


def all_terms(sample: PairedSample, plugin: PIDResult, correction: str, replicates: Replicates) -> Terms:
    """Terms of the sample and of all replicates, which are decomposed in one batch."""
    n_null = replicates.n_null
    if correction != "none":
        n_null = max(n_null, MIN_PERMUTATIONS)
    boot_generator, null_generator = (torch.Generator().manual_seed(2 * replicates.seed + i) for i in (0, 1))
    joints = chain(
        bootstrap_joints(sample, replicates.n_boot, boot_generator, replicates.groups),
        null_joints(sample, n_null, null_generator, replicates.groups),
    )
    terms, gap = replicate_terms(joints, replicates.tol)
    return Terms(
        plugin=atoms_to_terms(stack_atoms(plugin)).cpu(),
        boot=terms[: replicates.n_boot],
        null=terms[replicates.n_boot :],
        entropy=label_entropy(sample),
        gap=gap,
    )


def label_entropy(sample: PairedSample) -> Tensor:
    """H(Y) in bits."""
    share = torch.bincount(sample.target.cpu(), minlength=sample.n_classes).double() / len(sample)
    return -xlogy(share, share).sum() / torch.log(torch.tensor(2.0, dtype=torch.float64))


def bootstrap_interval(
    terms: Terms, chosen: Correction, *, corrected: bool, identified: bool
) -> dict[str, tuple[float, float]]:
    """Span of bootstrap intervals around several bias-corrected centers.

    A replicate counts a resample of a sample and so carries the counting bias twice; deviations are therefore taken
    from the mean of the replicates, and scaled as the correction scales the terms. The bias itself is known only
    roughly, so the span runs over the chosen and the permutation correction and, for R, U1 and U2, the bootstrap's
    own estimate of the bias (right at the boundary 0, where shuffled labels over-correct), for S the chance-adjusted
    one. A synergy that is not identified spans the bootstrap's estimate too: with saturated sources the other
    two over-correct, with independent ones it under-corrects, and the sample cannot tell.
    """
    if not len(terms.boot):
        return {}
    own = _centered_bands(chosen.apply(terms.plugin), chosen, terms)
    if not corrected:
        return _named(*own)
    by_permutation, by_chance = (make_correction(n, terms.null, terms.entropy) for n in ("permutation", "ami"))
    permuted = _centered_bands(by_permutation.apply(terms.plugin), by_permutation, terms)
    adjusted = _centered_bands(by_chance.apply(terms.plugin), by_chance, terms)
    bootstrapped = _centered_bands(2 * terms.plugin - terms.boot.mean(0), by_permutation, terms)
    adjusted[:, :3] = own[:, :3]
    if identified:
        bootstrapped[:, 3] = own[:, 3]
    bands = torch.stack([own, permuted, adjusted, bootstrapped])
    return _named(bands[:, 0].amin(0), bands[:, 1].amax(0))


def _centered_bands(center: Tensor, correction: Correction, terms: Terms) -> Tensor:
    """Bootstrap band (2, 4) of the atoms around the atoms of the terms `center` (4,)."""
    deviations = terms_to_atoms(correction.apply_spread(terms.boot - terms.boot.mean(0)))
    return terms_to_atoms(center) + _quantiles(deviations)


def null_band(terms: Terms, correction: Correction) -> dict[str, tuple[float, float]]:
    """Quantiles of the atoms under shuffled labels, corrected as the sample was."""
    return _named(*_quantiles(terms_to_atoms(correction.apply(terms.null))))


def correction_bracket(terms: Terms) -> dict[str, tuple[float, float]]:
    """Each atom by permutation and by chance adjustment, lower first; the plug-in twice without permutations."""
    names = ("permutation", "ami") if len(terms.null) else ("none", "none")
    both = [terms_to_atoms(make_correction(n, terms.null, terms.entropy).apply(terms.plugin)) for n in names]
    low, high = torch.minimum(*both), torch.maximum(*both)
    return _named(low, high)


def identify(n_samples: int, needed: dict[str, int], notes: Notes) -> dict[str, bool]:
    """Flag atoms with enough samples; say which have not and how many they need."""
    identified = {atom: n_samples >= n for atom, n in needed.items()}
    for size in sorted(set(needed.values())):
        missing = [atom for atom, n in needed.items() if n == size and not identified[atom]]
        if missing:
            notes.add(
                f"{', '.join(missing)} not identified: {n_samples:,} samples, {size:,} needed (two per cell). "
                "Use fewer clusters, or more samples.",
                SmallSampleWarning,
            )
    return identified


def note_few(replicates: Replicates, notes: Notes) -> None:
    """Say where an interval or a null band rests on too few replicates for its 95 %."""
    for n, what in ((replicates.n_boot, "interval: n_boot"), (replicates.n_null, "null band: n_null")):
        if 0 < n < FEW_REPLICATES:
            notes.add(f"95 % {what} = {n} is low, so its ends are too close on average; ask for 40 or more.")


def with_atoms(plugin: PIDResult, atoms: Tensor) -> PIDResult:
    """Copy of the plug-in result that holds the corrected atoms."""
    atoms = atoms.to(plugin.synergy.device)
    return replace(plugin, **{atom: atoms[..., i] for i, atom in enumerate(ATOMS)})


def _quantiles(atoms: Tensor) -> Tensor:
    """2.5 % and 97.5 % quantiles (2, 4) of each column."""
    return torch.quantile(atoms, torch.tensor(LEVEL, dtype=atoms.dtype), dim=0)


def _named(low: Tensor, high: Tensor) -> dict[str, tuple[float, float]]:
    """Bounds (4,) and (4,) by name of the atom."""
    return {atom: (float(low[i]), float(high[i])) for i, atom in enumerate(ATOMS)}

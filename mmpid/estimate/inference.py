"""From a counted sample to corrected atoms, intervals, null bands and flags."""

from dataclasses import dataclass, replace
from itertools import chain

import torch
from torch import Tensor

from mmpid.errors import SmallSampleWarning
from mmpid.estimate.correction import Correction, choose_correction, make_correction
from mmpid.estimate.histogram import PairedSample
from mmpid.estimate.notes import Notes
from mmpid.estimate.resampling import bootstrap_joints, null_joints, replicate_terms
from mmpid.estimate.terms import ATOMS, atoms_to_terms, stack_atoms, terms_to_atoms
from mmpid.pid import PIDResult, decompose

# Permutations for a correction when no null band is asked for: their mean is known to a third of one's spread.
MIN_PERMUTATIONS = 10
LEVEL = (0.025, 0.975)


@dataclass(frozen=True, kw_only=True)
class Replicates:
    """How many replicates, from which seed, to which solver tolerance (bits), and which samples hang together."""

    n_boot: int
    n_null: int
    seed: int
    tol: float
    groups: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class Terms:
    """Terms in bits of the sample (4,), of its bootstrap replicates (b, 4) and under shuffled labels (m, 4)."""

    plugin: Tensor
    boot: Tensor
    null: Tensor
    entropy: Tensor
    gap: float


def estimate_sample(sample: PairedSample, correction: str, replicates: Replicates, notes: Notes) -> dict:
    """Everything of a `PIDEstimate` that follows from counting; a dictionary of its fields."""
    plugin = decompose(sample.joint())
    cells = sample_cells(sample)
    if correction == "auto":
        correction, reason = choose_correction(len(sample) / cells["synergy"])
        notes.add(f"correction {correction!r}: {reason}.")
    terms = all_terms(sample, plugin, correction, replicates)
    chosen = make_correction(correction, terms.null, terms.entropy)
    atoms = terms_to_atoms(chosen.apply(terms.plugin))
    needed = {atom: 2 * n for atom, n in cells.items()}
    return {
        "pid": with_atoms(plugin, atoms),
        "plugin": plugin,
        "interval": bootstrap_interval(terms, chosen),
        "null": null_band(terms, chosen) if replicates.n_null else {},
        "bracket": correction_bracket(terms),
        "identified": identify(len(sample), needed, notes),
        "needed": needed,
        "correction": correction,
        "n_boot": replicates.n_boot,
        "n_null": len(terms.null),
        "replicate_gap": terms.gap,
    }


def sample_cells(sample: PairedSample) -> dict[str, int]:
    """Cells of the largest table on which each atom depends: pairwise for R, U1 and U2, the full one for S."""
    n1, n2, k = sample.shape
    pairwise = max(n1, n2) * k
    return {"redundancy": pairwise, "unique1": pairwise, "unique2": pairwise, "synergy": n1 * n2 * k}


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
    return -torch.special.xlogy(share, share).sum() / torch.log(torch.tensor(2.0, dtype=torch.float64))


def bootstrap_interval(terms: Terms, correction: Correction) -> dict[str, tuple[float, float]]:
    """Corrected atom plus the 2.5 % and 97.5 % quantiles of the centered bootstrap deviations.

    A replicate counts a resample of a sample and so carries the counting bias twice; centering at the mean of the
    replicates takes that out, and the spread is scaled as the correction scales the terms.
    """
    if not len(terms.boot):
        return {}
    center = terms_to_atoms(correction.apply(terms.plugin))
    deviations = terms_to_atoms(correction.apply_spread(terms.boot - terms.boot.mean(0)))
    return _bands(center + deviations)


def null_band(terms: Terms, correction: Correction) -> dict[str, tuple[float, float]]:
    """Quantiles of the atoms under shuffled labels, corrected as the sample was."""
    return _bands(terms_to_atoms(correction.apply(terms.null)))


def correction_bracket(terms: Terms) -> dict[str, tuple[float, float]]:
    """Each atom by permutation and by chance adjustment, lower first; the plug-in twice without permutations."""
    names = ("permutation", "ami") if len(terms.null) else ("none", "none")
    both = [terms_to_atoms(make_correction(n, terms.null, terms.entropy).apply(terms.plugin)) for n in names]
    low, high = torch.minimum(*both), torch.maximum(*both)
    return {atom: (float(low[i]), float(high[i])) for i, atom in enumerate(ATOMS)}


def identify(n_samples: int, needed: dict[str, int], notes: Notes) -> dict[str, bool]:
    """Flag atoms with enough samples; say which have not and how many they need."""
    identified = {atom: n_samples >= n for atom, n in needed.items()}
    for size in sorted(set(needed.values())):
        missing = [atom for atom, n in needed.items() if n == size and not identified[atom]]
        if missing:
            notes.add(
                f"{', '.join(missing)} not identified: {n_samples:,} samples, {size:,} needed (two a cell). "
                "Use fewer clusters, or more samples.",
                SmallSampleWarning,
            )
    return identified


def with_atoms(plugin: PIDResult, atoms: Tensor) -> PIDResult:
    """Copy of the plug-in result that holds the corrected atoms."""
    atoms = atoms.to(plugin.synergy.device)
    return replace(plugin, **{atom: atoms[..., i] for i, atom in enumerate(ATOMS)})


def _bands(atoms: Tensor) -> dict[str, tuple[float, float]]:
    """95 % band of each column."""
    low, high = torch.quantile(atoms, torch.tensor(LEVEL, dtype=atoms.dtype), dim=0)
    return {atom: (float(low[i]), float(high[i])) for i, atom in enumerate(ATOMS)}

"""Corrections of the counting bias, applied to information terms so that the sum rules hold.

Each is affine in a term, I -> scale (I - baseline), with baseline the mean of that term over label permutations:
permutation has scale 1 (subtract what shuffled labels give), the chance-adjusted form has
scale H(Y) / (H(Y) - baseline) (0 stays chance and H(Y) stays perfect), and "mean" is half of each.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

CORRECTIONS = ("auto", "permutation", "ami", "mean", "none")

# Samples per cell of the table of a term: permutation from the first on, chance-adjusted below the second.
DENSE, SPARSE = 8.0, 2.0
# The chance-adjusted scale is capped: above it, nearly all of H(Y) is reached by chance and noise would be blown up.
MAX_SCALE = 10.0


@dataclass(frozen=True, kw_only=True)
class Correction:
    """Affine maps ``scale * (terms - baseline)`` of the four terms in bits, one for each table.

    Row 0 of ``scale`` corrects I1, I2 and Iq, which are counted from pairwise tables; row 1 corrects I12 - Iq, the
    synergy, from the full one; I12 is then Iq + S, so that the sum rules hold.
    """

    scale: Tensor
    baseline: Tensor

    def apply(self, terms: Tensor) -> Tensor:
        """Correct terms (..., 4)."""
        return self.apply_spread(terms - self.baseline)

    def apply_spread(self, deviations: Tensor) -> Tensor:
        """Scale deviations of terms (..., 4) from a center, as the correction scales the terms."""
        pairwise, full = self.scale[0] * deviations, self.scale[1] * deviations
        synergy = full[..., 3] - full[..., 2]
        return torch.cat([pairwise[..., :3], (pairwise[..., 2] + synergy)[..., None]], dim=-1)


def make_correction(names: str | tuple[str, str], null_terms: Tensor, entropy: Tensor) -> Correction:
    """Build a correction from terms under shuffled labels, (n_null, 4), and H(Y) in bits.

    ``names`` is one name, or one for the pairwise terms and one for the synergy.
    """
    names = (names, names) if isinstance(names, str) else names
    used = "none" not in names and len(null_terms)
    baseline = null_terms.mean(0) if used else torch.zeros(4, dtype=torch.float64)
    chance_adjusted = entropy / (entropy - baseline).clamp(min=entropy / MAX_SCALE)
    share = {"permutation": 0.0, "none": 0.0, "mean": 0.5, "ami": 1.0}
    weight = torch.tensor([share[name] for name in names], dtype=torch.float64)[:, None]
    return Correction(scale=1 + weight * (chance_adjusted - 1), baseline=baseline)


def choose_corrections(n_samples: int, pairwise_cells: int, full_cells: int) -> tuple[str, str]:
    """Pick for the pairwise terms and for the synergy, each by the samples per cell of its own table."""
    return _by_density(n_samples / pairwise_cells), _by_density(n_samples / full_cells)


def _by_density(per_cell: float) -> str:
    if per_cell >= DENSE:
        return "permutation"
    return "mean" if per_cell >= SPARSE else "ami"


def explain(name: str, per_cell: float) -> str:
    """Say in words why "auto" took a correction at this many samples per cell."""
    return {
        "permutation": f"{per_cell:.3g} samples per cell are enough for subtracting what shuffled labels give",
        "mean": f"at {per_cell:.2g} samples per cell permutation reads low and chance adjustment high: half of each",
        "ami": f"at {per_cell:.2g} samples per cell permutation over-corrects most, so chance-adjusted",
    }[name]

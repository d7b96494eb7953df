"""Corrections of the counting bias, applied to information terms so that the sum rules hold.

Each is affine in a term, I -> scale (I - baseline), with baseline the mean of that term over label permutations:
permutation has scale 1 (subtract what shuffled labels give), the chance-adjusted form has
scale H(Y) / (H(Y) - baseline) (0 stays chance and H(Y) stays perfect), and "mean" is half of each.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

CORRECTIONS = ("auto", "permutation", "ami", "mean", "none")

# Samples per cell of the full table: from here on permutation alone, and below here chance-adjusted alone.
DENSE, SPARSE = 8.0, 2.0
# The chance-adjusted scale is capped: above it, nearly all of H(Y) is reached by chance and noise would be blown up.
MAX_SCALE = 10.0


@dataclass(frozen=True, kw_only=True)
class Correction:
    """An affine map of the four terms: ``scale * (terms - baseline)``, both (4,), in bits."""

    name: str
    scale: Tensor
    baseline: Tensor

    def apply(self, terms: Tensor) -> Tensor:
        """Correct terms (..., 4)."""
        return self.scale * (terms - self.baseline)

    def apply_spread(self, deviations: Tensor) -> Tensor:
        """Scale deviations of terms (..., 4) from their mean, as the correction scales the terms."""
        return self.scale * deviations


def make_correction(name: str, null_terms: Tensor, entropy: Tensor) -> Correction:
    """Build a correction from terms under shuffled labels, (n_null, 4), and H(Y) in bits."""
    if name == "none":
        zeros = torch.zeros(4, dtype=torch.float64, device=null_terms.device)
        return Correction(name=name, scale=zeros + 1, baseline=zeros)
    baseline = null_terms.mean(0)
    ones = torch.ones_like(baseline)
    chance_adjusted = entropy / (entropy - baseline).clamp(min=entropy / MAX_SCALE)
    scale = {"permutation": ones, "ami": chance_adjusted, "mean": (ones + chance_adjusted) / 2}[name]
    return Correction(name=name, scale=scale, baseline=baseline)


def choose_correction(per_cell: float) -> tuple[str, str]:
    """Pick by samples per cell of the full table; return the name and the reason in words."""
    if per_cell >= DENSE:
        return (
            "permutation",
            f"{per_cell:.3g} samples a cell are at least {DENSE:g}, where permutation is nearly unbiased",
        )
    if per_cell >= SPARSE:
        reason = f"with {per_cell:.3g} samples a cell permutation reads low and chance adjustment high"
        return "mean", f"{reason}, so their mean is taken"
    return "ami", f"{per_cell:.2g} samples a cell are fewer than {SPARSE:g}, where permutation over-corrects most"

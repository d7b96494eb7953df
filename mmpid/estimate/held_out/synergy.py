"""Synergy in a held-out estimate: a point and an upper end from the corrected table, a lower end from held-out scores.

The full table has too many cells for its size to be read from scores. I(Y; X1, X2) is therefore counted and corrected
by shuffled labels, as in the counted estimator, and only the lower end of S comes from samples held out.

Shuffles take off too much where the sources nearly settle the label: a shuffled table fills more cells than the real
one, and the bias of a count grows with them. With K(t) = cells - rows - columns + 1 of the occupied part of a table,
the upper end therefore also allows for

    I_occupied = I_plugin - I_shuffled K(real) / K(shuffled),

the correction of Miller (1955), calibrated by the shuffles instead of by 1 / (2 N).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from mmpid.estimate.correction import explain, make_correction
from mmpid.estimate.counted import MIN_PERMUTATIONS, correction_names, label_entropy
from mmpid.estimate.held_out.intervals import Reading
from mmpid.estimate.histogram import PairedSample
from mmpid.estimate.notes import Notes
from mmpid.estimate.resampling import null_joints
from mmpid.pid.information import mutual_bits

PERMUTATION, CHANCE = "permutation", "ami"


@dataclass(frozen=True, kw_only=True)
class Synergy:
    """Point, interval and bracket of S in bits; the correction of I(Y; X1, X2), and the shuffles behind it."""

    point: float
    interval: tuple[float, float]
    bracket: tuple[float, float]
    correction: str
    n_null: int


def read_synergy(
    sample: PairedSample, reading: Reading, correction: str, identified: bool, seed: int, groups: Tensor | None,
    notes: Notes,
) -> Synergy:  # fmt: skip
    """Correct I(Y; X1, X2), take the union information off, and bound both ends.

    What held-out scores prove is there: no correction may put S below. Where S is identified, the upper end is the
    highest of the corrections; elsewhere that of the counted table, which is too high on average. Where one source
    tells the other there is no synergy; what chance hides of the other then is at most the smaller unique part.
    """
    if reading.told:
        notes.add("one source tells the other in all samples, so that both together know what it knows: no synergy.")
        high = max(0.0, float(reading.high[1:].min()))
        return Synergy(
            point=0.0, interval=(min(reading.synergy_low, 0.0), high), bracket=(0.0, 0.0), correction="none", n_null=0
        )
    total = float(_total_information(sample.joint()))
    name = correction_names(sample, correction, Notes())[1]
    by_name, by_cells = ({}, total) if name == "none" else _corrected(sample, total, seed, groups)
    if correction == "auto":
        notes.add(f"correction of I(Y; X1, X2) in S: {name}; {explain(name, len(sample) / math.prod(sample.shape))}.")
    shown = reading.union + max(reading.synergy_low, 0.0)
    allowed = {one: max(value, shown) for one, value in by_name.items()} | {"none": total}
    used = (PERMUTATION, CHANCE) if name == "mean" else (name,)
    chosen = sum(allowed[one] for one in used) / len(used)
    point = chosen - reading.union
    top = max(*by_name.values(), chosen, by_cells) if identified and by_name else max(allowed.values())
    high = max(point, top - min(reading.union_low, reading.union)) + reading.synergy_margin
    ends = sorted(value - reading.union for value in (by_name.values() if by_name else (total, total)))
    return Synergy(
        point=point,
        interval=(min(reading.synergy_low, point), high),
        bracket=(ends[0], ends[-1]),
        correction=name,
        n_null=MIN_PERMUTATIONS if by_name else 0,
    )


def _corrected(sample: PairedSample, total: float, seed: int, groups: Tensor | None) -> tuple[dict[str, float], float]:
    """I(Y; X1, X2) by permutation and by chance adjustment; and as calibrated by occupied cells."""
    generator = torch.Generator().manual_seed(2 * seed + 1)
    joints = null_joints(sample, MIN_PERMUTATIONS, generator, groups)
    shuffled, cells = (
        torch.cat(part).cpu() for part in zip(*((_total_information(j), _excess_cells(j)) for j in joints), strict=True)
    )
    null = torch.zeros(MIN_PERMUTATIONS, 4, dtype=torch.float64)
    null[:, 3] = shuffled
    plugin = torch.tensor([0.0, 0.0, 0.0, total], dtype=torch.float64)
    entropy = label_entropy(sample)
    by_name = {name: float(make_correction(name, null, entropy).apply(plugin)[3]) for name in (PERMUTATION, CHANCE)}
    share = float(_excess_cells(sample.joint())) / max(float(cells.mean()), 1.0)
    return by_name, total - float(shuffled.mean()) * min(max(share, 0.0), 1.0)


def _excess_cells(joint: Tensor) -> Tensor:
    """K of tables (..., n1, n2, k): occupied cells - rows - columns + 1, float64 (...)."""
    table = joint.flatten(-3, -2) > 0
    return (table.sum((-2, -1)) - table.any(-1).sum(-1) - table.any(-2).sum(-1) + 1).double()


def _total_information(joint: Tensor) -> Tensor:
    """I(Y; X1, X2) (...) of joints (..., n1, n2, k), in bits."""
    return mutual_bits(joint.flatten(-3, -2))

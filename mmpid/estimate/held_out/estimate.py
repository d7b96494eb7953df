"""The fields of a `PIDEstimate` that follow from held-out scores."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mmpid.estimate.counted import atom_cells, decompose_noted, identify, with_atoms
from mmpid.estimate.held_out.folds import Folds
from mmpid.estimate.held_out.intervals import Reading, read
from mmpid.estimate.held_out.predictors import fit_predictors
from mmpid.estimate.held_out.readings import FoldCodes
from mmpid.estimate.held_out.synergy import Synergy, read_synergy
from mmpid.estimate.histogram import PairedSample
from mmpid.estimate.notes import Notes
from mmpid.estimate.resampling import permuted_targets
from mmpid.estimate.terms import ATOMS
from mmpid.pid.typed import floats_of

PREDICTORS = ("prior", "source1", "source2", "without_synergy", "full")
_LEVELS = (0.025, 0.975)


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is estimated, apart from the codes: the sample, the folds and the settings."""

    sample: PairedSample
    folds: Folds
    groups: Tensor | None
    correction: str
    seed: int
    n_null: int
    method: str


def estimate_held_out(task: Task, codes: tuple[FoldCodes, FoldCodes], notes: Notes) -> dict[str, object]:
    """Everything of a `PIDEstimate` that follows from held-out scores; a dictionary of its fields."""
    sample = task.sample
    plugin = decompose_noted(sample.joint(), task.method, notes)
    cells = dict(zip(ATOMS, atom_cells(sample), strict=True))
    needed = {atom: 2 * n for atom, n in cells.items()}
    identified = identify(len(sample), needed, notes)
    reading, synergy = _read(task, codes, sample.target, identified["synergy"], notes)
    points = torch.cat([reading.points.cpu(), torch.tensor([synergy.point], dtype=torch.float64)])
    interval = {
        atom: (float(low), float(high)) for atom, low, high in zip(ATOMS[:3], reading.low, reading.high, strict=True)
    }
    interval["synergy"] = synergy.interval
    bracket = {atom: _ordered(a, b) for atom, a, b in zip(ATOMS[:3], reading.held, reading.trained, strict=True)}
    return {
        "pid": with_atoms(plugin, points),
        "plugin": plugin,
        "interval": interval,
        "null": _null_band(task, codes) if task.n_null else {},
        "bracket": bracket | {"synergy": synergy.bracket},
        "identified": identified,
        "needed": needed,
        "correction": synergy.correction,
        "pairwise_correction": "none",
        "n_boot": 0,
        "n_null": max(task.n_null, synergy.n_null),
        "replicate_gap": 0.0,
        "scores": dict(zip(PREDICTORS, floats_of(reading.scores.mean(1)), strict=True)),
        "sample_scores": reading.scores.cpu(),
    }


def _read(
    task: Task, codes: tuple[FoldCodes, FoldCodes], target: Tensor, identified: bool, notes: Notes, quick: bool = False
) -> tuple[Reading, Synergy]:
    """Scores and intervals of R, U1 and U2, and S, for the labels of the sample or shuffled ones."""
    sample = PairedSample(
        source1=task.sample.source1, source2=task.sample.source2, target=target, n_classes=task.sample.n_classes
    )
    fitted = fit_predictors(codes, target, sample.n_classes, task.folds, quick)
    reading = read(fitted, task.groups)
    return reading, read_synergy(sample, reading, task.correction, identified, task.seed, task.groups, notes)


def _null_band(task: Task, codes: tuple[FoldCodes, FoldCodes]) -> dict[str, tuple[float, float]]:
    """Return 95 % of what nearly the same procedure gives under shuffled labels."""
    generator = torch.Generator().manual_seed(2 * task.seed + 1)
    shuffled = permuted_targets(task.sample.target.cpu(), task.n_null, generator, task.groups)
    rows: list[Tensor] = []
    for target in shuffled.to(task.sample.target.device):
        reading, synergy = _read(task, codes, target, True, Notes(), quick=True)
        rows.append(torch.cat([reading.points.cpu(), torch.tensor([synergy.point], dtype=torch.float64)]))
    levels = torch.tensor(_LEVELS, dtype=torch.float64)
    low, high = torch.quantile(torch.stack(rows), levels, dim=0)
    return {atom: (float(low[i]), float(high[i])) for i, atom in enumerate(ATOMS)}


def _ordered(one: Tensor, two: Tensor) -> tuple[float, float]:
    low, high = sorted((float(one), float(two)))
    return low, high

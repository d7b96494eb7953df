"""Both estimators on joints with a known answer: coverage, error, width and false proofs, row by row.

An interval counts as containing the true value if it misses by at most `SLACK` bits, so that rounding does not decide
the case of exact zeros. Rows are joints of several families at several sample sizes; a row's figures are means over its
draws.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mmpid._tables import text_table
from mmpid.estimate import PIDEstimate, estimate_pid
from mmpid.estimate.families import (
    fresh_heads,
    head_joints,
    known_joints,
    like_heads,
    other_joints,
    synergy_free,
)
from mmpid.estimate.study import draw, truth
from mmpid.estimate.terms import ATOMS

SLACK = 2e-3
# True values below this count as zero when counting false proofs.
NOTHING = 2e-4
# A counted interval below this width in bits belongs to an exact zero; ratios of such widths mean nothing.
READABLE = 0.02
ESTIMATORS = ("held-out", "counted")
HEADER = ("joint, N", "coverage R/U1/U2", "counted", "RMSE R/U1/U2", "counted", "width R/U1/U2", "counted", "S proven")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One joint and sample size."""

    name: str
    joint: Tensor
    n_samples: int
    family: str


def rows(full: bool = False) -> list[Row]:
    """List what is measured; ``full`` adds 5,000 samples of the heads and heads trained on shipped data."""
    sizes = (240, 1200, 5000) if full else (240, 1200)
    found = [
        Row(name=name, joint=joint, n_samples=n, family=family)
        for family, joints in (("heads", head_joints()), ("like heads", like_heads()), ("fresh", fresh_heads()))
        for name, joint in joints.items()
        for n in sizes
    ]
    for family, joints, pair in (("known", known_joints(), (1280, 5000)), ("no synergy", synergy_free(), (240, 1280))):
        found += [
            Row(name=name, joint=joint, n_samples=n, family=family) for name, joint in joints.items() for n in pair
        ]
    found += [Row(name=name, joint=joint, n_samples=n, family="other") for name, (joint, n) in other_joints().items()]
    if full:
        found += [
            Row(name=name, joint=joint, n_samples=n, family="real heads")
            for name, joint in real_heads().items()
            for n in sizes
        ]
    return found


def real_heads(
    epochs: tuple[int, ...] = (2, 6, 15, 30), names: tuple[str, ...] = ("av-digits", "watch", "cg-mnist")
) -> dict[str, Tensor]:
    """Train on data sets, and treat two heads' confusions on the probe split as independent given the class.

    ``cg-mnist`` needs the extra `data`.
    """
    from mmpid import LateFusion, Trainer, datasets

    joints: dict[str, Tensor] = {}
    for name in names:
        data = datasets.load(name, seed=0)
        settings = {"epochs": 60, "unimodal_epochs": 40, "correction": "none", "n_boot": 0, "n_null": 0, "ecs": ()}
        trainer = Trainer(LateFusion.from_data(data, seed=0), data, seed=0, device="cpu", **settings)
        done = 0
        for epoch in epochs:
            trainer.step(epochs=epoch - done)
            done = epoch
            joints[f"{name}, epoch {epoch}"] = _confusions(trainer.model, data.split("probe"))
    return joints


def _confusions(model: torch.nn.Module, split) -> Tensor:
    """p(x1, x2, y) of two heads' predictions, independent given uniform classes."""
    with torch.no_grad():
        scores = list(model.eval()(split.inputs).unimodal.values())[:2]
    k = scores[0].shape[1]
    tables = []
    for one in scores:
        counts = torch.bincount(one.argmax(1) * k + split.target, minlength=k * k).double().view(k, k) + 1e-9
        tables.append(counts / counts.sum(0))
    return torch.einsum("ay,by->aby", *tables) / k


def measure(row: Row, n_draws: int, seed: int = 5, n_counted: int | None = None) -> dict[str, object]:
    """Estimate draws of one row by both estimators, on the same samples; the counted one on the first ``n_counted``."""
    both = n_draws if n_counted is None else min(n_counted, n_draws)
    true = truth(row.joint)
    rng = np.random.default_rng([seed, row.n_samples])
    found: dict[str, list[PIDEstimate]] = {name: [] for name in ESTIMATORS}
    for index in range(n_draws):
        sample = draw(row.joint, row.n_samples, rng)
        for name in ESTIMATORS if index < both else ESTIMATORS[:1]:
            settings = {"discretizer": "codes", "seed": index, "estimator": name, "warn": False}
            found[name].append(estimate_pid(*sample, **settings))
    record: dict[str, object] = {"joint": row.name, "family": row.family, "n_samples": row.n_samples}
    record |= {"n_draws": n_draws, "n_counted": both, "truth": [true[atom] for atom in ATOMS]}
    return record | {name: _figures(estimates, true, both) for name, estimates in found.items()}


def _figures(estimates: list[PIDEstimate], true: dict[str, float], both: int) -> dict[str, list[float]]:
    """Figures of one estimator, each a list over the four atoms; bias, RMSE and width use the draws that both saw."""
    values = np.array([[float(getattr(e.pid, atom)) for atom in ATOMS] for e in estimates])
    low, high = np.moveaxis(np.array([[e.interval[atom] for atom in ATOMS] for e in estimates]), -1, 0)
    target = np.array([true[atom] for atom in ATOMS])
    return {
        "bias": (values - target)[:both].mean(0).tolist(),
        "rmse": np.sqrt(((values - target)[:both] ** 2).mean(0)).tolist(),
        "coverage": ((low - SLACK <= target) & (target <= high + SLACK)).mean(0).tolist(),
        "width": (high - low)[:both].mean(0).tolist(),
        "proven": (low > 0).mean(0).tolist(),
    }


def coverage(
    n_draws: int = 10,
    show: Callable[[str], None] = print,
    full: bool = False,
    seed: int = 5,
    only: str = "",
    n_counted: int | None = None,
) -> list[dict[str, object]]:
    """Measure all rows whose name contains ``only``; show the table and its summary, and return one record per row.

    The counted estimator takes twice as long; with ``n_counted`` it sees only that many draws, the first ones, on which
    errors and widths are compared. Coverage and proofs are those of all draws that an estimator saw.
    """
    records: list[dict[str, object]] = []
    for row in rows(full):
        if only in row.name or only in row.family:
            records.append(measure(row, n_draws, seed, n_counted))
    show(f"Held-out and counted intervals of known joints, {n_draws} draws per row; R, U1 and U2 in bits")
    show(text_table(HEADER, [_line(record) for record in records]))
    show(text_table(("over the rows", "held-out", "counted"), summary(records)))
    return records


def _line(record: dict[str, object]) -> list[str]:
    cells = [f"{record['joint']}, {record['n_samples']:,}"]
    for key, digits in (("coverage", 2), ("rmse", 3), ("width", 2)):
        for name in ESTIMATORS:
            figures: dict[str, list[float]] = record[name]  # type: ignore[assignment]
            cells.append(" / ".join(f"{value:.{digits}f}" for value in figures[key][:3]))
    return [*cells, f"{record['held-out']['proven'][3]:.2f} ({record['truth'][3]:.2f})"]  # type: ignore[index]


def summary(records: list[dict[str, object]]) -> list[list[str]]:
    """Return lines over all rows: coverage, false proofs, power, and ratios of error and width."""
    table = {
        (name, key): np.array([record[name][key] for record in records])  # type: ignore[index]
        for name in ESTIMATORS
        for key in ("coverage", "rmse", "width", "proven")
    }
    true = np.array([record["truth"] for record in records])
    lines = [
        ("coverage of R, U1, U2, mean", lambda n: f"{table[n, 'coverage'][:, :3].mean():.3f}"),
        ("of them below 0.85", lambda n: f"{(table[n, 'coverage'][:, :3] < 0.85).sum()} of {3 * len(records)}"),
        ("lowest", lambda n: f"{table[n, 'coverage'][:, :3].min():.2f}"),
        ("false proof of U1 or U2, mean", lambda n: _share(table[n, "proven"][:, 1:3], true[:, 1:3])),
        ("false proof of S, mean", lambda n: _share(table[n, "proven"][:, 3:], true[:, 3:])),
    ]
    found = [[what, *(figure(name) for name in ESTIMATORS)] for what, figure in lines]
    rmse = (table["held-out", "rmse"] + 1e-3) / (table["counted", "rmse"] + 1e-3)
    covered = (table["counted", "coverage"][:, :3] >= 0.9) & (table["counted", "width"][:, :3] >= READABLE)
    widths = (table["held-out", "width"][:, :3] + 1e-3) / (table["counted", "width"][:, :3] + 1e-3)
    found.append(["RMSE over counted, mean / most", f"{rmse[:, :3].mean():.2f} / {rmse[:, :3].max():.2f}", "1"])
    if covered.any():
        found.append(["width over counted, where that covers", f"{widths[covered].mean():.2f}", "1"])
    return found


def _share(proven: np.ndarray, true: np.ndarray) -> str:
    """Mean share of false proofs where the true value is zero, and the worst row."""
    false = proven[np.abs(true) < NOTHING]
    return f"{false.mean():.3f} (at most {false.max():.2f})" if len(false) else "no such row"

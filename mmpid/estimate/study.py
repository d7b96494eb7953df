"""Simulation loops behind the study of what a PID estimate is worth.

Everything in bits; the truth of a joint is its exact decomposition.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mmpid.estimate.estimate import estimate_pid
from mmpid.estimate.families import evidence, known_joints, mix, noisy_copy, pairing
from mmpid.estimate.kmeans import KMeansDiscretizer
from mmpid.estimate.results import PIDEstimate
from mmpid.estimate.terms import ATOMS, stack_atoms
from mmpid.estimate.threads import SMALL_JOINT, one_thread
from mmpid.pid import decompose

__all__ = ["draw", "known_joints", "probe_trace", "simulate", "summarize", "training_path", "truth"]


Codes, Floats = NDArray[np.int64], NDArray[np.float64]
Row = dict[str, Any]


def truth(joint: Tensor) -> dict[str, float]:
    """Exact atoms of a joint, in bits."""
    with one_thread(joint.numel() <= SMALL_JOINT):
        atoms = stack_atoms(decompose(joint))
    return {name: float(value) for name, value in zip(ATOMS, atoms, strict=True)}


def draw(joint: Tensor, n_samples: int, rng: np.random.Generator) -> tuple[Codes, Codes, Codes]:
    """Draw codes of both sources and classes, each int64 (n_samples,)."""
    cells = rng.choice(joint.numel(), size=n_samples, p=joint.numpy().ravel())
    x1, x2, y = np.unravel_index(cells, tuple(joint.shape))
    return x1, x2, y


def simulate(
    joints: Mapping[str, Tensor], sizes: Sequence[int], n_draws: int, *, seed: int = 0, **options: Any
) -> list[Row]:
    """Draw samples of each joint and size and estimate each; one row per draw and atom.

    Rows hold joint, n_samples, draw, atom, truth, estimate, plugin, low, high (NaN without bootstrap), null_high (NaN
    without shuffled labels), identified.
    ``options`` go to `estimate_pid`.
    """
    rows: list[Row] = []
    for name, joint in joints.items():
        true = truth(joint)
        for n_samples in sizes:
            rng = np.random.default_rng([seed, n_samples])
            for index in range(n_draws):
                sample = draw(joint, n_samples, rng)
                estimate = estimate_pid(*sample, discretizer="codes", seed=seed + index, warn=False, **options)
                rows += [_row(name, index, atom, true[atom], estimate) for atom in ATOMS]
    return rows


def _row(name: str, index: int, atom: str, true: float, estimate: PIDEstimate) -> Row:
    """One atom of one draw."""
    nothing = (float("nan"), float("nan"))
    low, high = estimate.interval.get(atom, nothing)
    return {
        "joint": name,
        "n_samples": estimate.n_samples,
        "draw": index,
        "atom": atom,
        "truth": true,
        "estimate": float(getattr(estimate.pid, atom)),
        "plugin": float(getattr(estimate.plugin, atom)),
        "low": low,
        "high": high,
        "null_high": estimate.null.get(atom, nothing)[1],
        "identified": estimate.identified[atom],
    }


def summarize(rows: Sequence[Row]) -> list[Row]:
    """Bias, root-mean-square error, coverage and width by joint, sample size and atom, over the draws.

    ``above_null`` is the share of draws in which the estimate lies above its null band. For an atom that is zero in
    truth it would be 0.025 if the band of sources that know nothing were that of sources that lack this atom only.
    """
    groups: dict[tuple[str, int, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["joint"], row["n_samples"], row["atom"]), []).append(row)
    return [_summary(key, members) for key, members in groups.items()]


def _summary(key: tuple[str, int, str], members: Sequence[Row]) -> Row:
    """Figures of one joint, size and atom."""
    columns = ("truth", "estimate", "plugin", "low", "high", "null_high")
    true, estimate, plugin, low, high, null = (np.array([row[column] for row in members]) for column in columns)
    error, plugin_error = estimate - true, plugin - true
    return {
        **dict(zip(("joint", "n_samples", "atom"), key, strict=True)),
        "truth": true[0],
        "bias": error.mean(),
        "rmse": np.sqrt((error**2).mean()),
        "plugin_bias": plugin_error.mean(),
        "plugin_rmse": np.sqrt((plugin_error**2).mean()),
        "coverage": ((low <= true) & (true <= high)).mean() if not np.isnan(low).any() else float("nan"),
        "width": (high - low).mean(),
        "above_null": (estimate > null).mean() if not np.isnan(null).any() else float("nan"),
        "identified": np.mean([row["identified"] for row in members]),
        "n_draws": len(members),
    }


def training_path(n_steps: int, *, synergy: bool = True, n: int = 20, k: int = 6) -> list[Tensor]:
    """Joints as a training run might pass through: redundancy and unique parts grow from nothing.

    With ``synergy``, pairing comes and goes, so that the true synergy peaks about half-way; without, source 2 stays
    a noisy copy of source 1 and the true synergy is 0 at every step.
    """
    times = np.linspace(0.0, 1.0, n_steps)
    if not synergy:
        return [noisy_copy(n, k, seed=6, strength=1.8 * t) for t in times]
    paired = pairing(n, k, seed=6)
    return [
        mix(evidence(n, k, 1.8 * t, 1.5 * t, seed=6), paired, 0.35 * float(np.exp(-(((t - 0.5) / 0.2) ** 2))))
        for t in times
    ]


def frozen_embeddings(n_samples: int = 12_000, seed: int = 0) -> tuple[Floats, Floats, Codes]:
    """Embeddings (N, 64) of two frozen encoders and 6 classes: class directions, 6 directions of style, noise."""
    rng = np.random.default_rng(seed)
    target = rng.integers(6, size=n_samples)
    sources: list[Floats] = []
    for strength in (2.0, 1.5):
        classes, styles = rng.normal(size=(6, 64)), rng.normal(size=(6, 64))
        style = rng.normal(size=(n_samples, 6)) @ styles
        sources.append(strength * classes[target] + 0.7 * style + 0.5 * rng.normal(size=(n_samples, 64)))
    return sources[0], sources[1], target


def probe_trace(
    warm_start: bool, *, n_probes: int = 20, n_samples: int = 1280, n_clusters: int = 10, seed: int = 0, **settings: Any
) -> Floats:
    """Corrected atoms (n_probes, 4) of probes of one frozen model, each on a fresh probe batch.

    With a warm start the codebooks continue from probe to probe; without, they are found again every time. ``settings``
    go to `estimate_pid`.
    """
    source1, source2, target = frozen_embeddings(seed=seed)
    rng = np.random.default_rng([seed, 1])
    pair = tuple(KMeansDiscretizer(n_clusters, warm_start=warm_start, seed=seed) for _ in range(2))
    rows: list[list[float]] = []
    for _ in range(n_probes):
        batch = rng.choice(len(target), size=n_samples, replace=False)
        estimate = estimate_pid(source1[batch], source2[batch], target[batch], discretizer=pair, warn=False, **settings)
        rows.append([float(getattr(estimate.pid, atom)) for atom in ATOMS])
    return np.array(rows)

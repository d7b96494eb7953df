"""How long a probe takes, and how steady its trace is with and without a warm start."""

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from mmpid._tables import text_table
from mmpid.estimate import estimate_pid
from mmpid.estimate.diagnostics import EQUAL, LOW
from mmpid.estimate.study import (
    draw,
    frozen_embeddings,
    head_joints,
    known_joints,
    like_heads,
    other_joints,
    probe_trace,
    simulate,
    summarize,
    truth,
)
from mmpid.estimate.terms import ATOMS

CASES = {
    "k-means 20 x 20": {"n_clusters": 20},
    "k-means 20 x 20, counted": {"n_clusters": 20, "estimator": "counted"},
    "k-means auto (10 x 10)": {},
    "k-means auto (10 x 10), counted": {"estimator": "counted"},
    "cross-fitted prediction": {"discretizer": "prediction"},
    "cross-fitted prediction, counted": {"discretizer": "prediction", "estimator": "counted"},
    "soft prediction": {"discretizer": "soft"},
    "soft prediction, counted": {"discretizer": "soft", "estimator": "counted"},
}


def run(quick: bool = False, json_path: Path | str | None = None, show: Callable[[str], None] = print) -> list[dict]:
    """Time probes and measure the spread of traces, on the CPU and on CUDA where there is one; show the tables.

    Parameters
    ----------
    quick : bool
        300 samples and one round instead of 1,280 samples and five.
    json_path : path, optional
        Where to write the records as JSON.
    show : callable
        Takes each piece of text.

    Returns
    -------
    list of dict
        One record a timed case (seconds, CPU seconds) and one a codebook (standard deviation of each atom, bits).
    """
    n_samples, repeats, n_probes = (300, 1, 3) if quick else (1280, 5, 20)
    records = []
    for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
        times = probe_times(n_samples, repeats, device)
        show(f"A probe of {n_samples} samples on {device}, {torch.get_num_threads()} threads")
        rows = [[name, f"{wall:.3f}", f"{cpu:.3f}"] for name, (wall, cpu) in times.items()]
        show(text_table(["case", "seconds", "CPU seconds"], rows))
        records += [
            {"case": name, "device": device, "n_samples": n_samples, "seconds": wall, "cpu_seconds": cpu}
            for name, (wall, cpu) in times.items()
        ]
    spread = trace_spread(n_samples, n_probes)
    show(f"Standard deviation over {n_probes} probes of a frozen model, bits")
    show(_spread_table(spread))
    records += [{"codebook": name, **dict(zip(ATOMS, values, strict=True))} for name, values in spread.items()]
    if json_path is not None:
        Path(json_path).write_text(json.dumps(records, indent=1) + "\n")
    return records


def _spread_table(spread: dict[str, list[float]]) -> str:
    ratio = [f"{warm / cold:.2f}" for cold, warm in zip(spread["found anew"], spread["warm start"], strict=True)]
    rows = [[name, *(f"{value:.4f}" for value in values)] for name, values in spread.items()]
    return text_table(["codebook", *ATOMS], [*rows, ["ratio", *ratio]])


def probe_times(n_samples: int, repeats: int, device: str = "cpu") -> dict[str, tuple[float, float]]:
    """Median wall and CPU seconds of a complete `estimate_pid` call, by case."""
    source1, source2, target = (torch.as_tensor(a, device=device) for a in frozen_embeddings(n_samples))
    return {name: _median_seconds((source1, source2, target), repeats, options) for name, options in CASES.items()}


def _median_seconds(inputs: tuple[torch.Tensor, ...], repeats: int, options: dict) -> tuple[float, float]:
    """Medians over repeats, after one run to warm up; the result is read back, so a GPU has finished."""
    wall, cpu = [], []
    for _ in range(repeats + 1):
        start, start_cpu = time.perf_counter(), time.process_time()
        estimate_pid(*inputs, warn=False, **options).to_row()
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - start_cpu)
    return statistics.median(wall[1:]), statistics.median(cpu[1:])


def trace_spread(n_samples: int, n_probes: int) -> dict[str, list[float]]:
    """Measure the standard deviation of each corrected atom over probes of a frozen model, anew and warm."""
    return {
        name: probe_trace(warm, n_probes=n_probes, n_samples=n_samples).std(0, ddof=1).tolist()
        for name, warm in (("found anew", False), ("warm start", True))
    }


def accuracy(n_draws: int = 100, show: Callable[[str], None] = print, **options) -> list[dict]:
    """Estimate joints of other families, and heads' predictions at N = 240 and 1,200, many times; show the tables.

    It takes minutes and is not a part of `run`. ``options`` go to `estimate_pid`; returns what `study.summarize` does.
    """
    rows = []
    for name, (joint, n_samples) in other_joints().items():
        rows += summarize(simulate({name: joint}, [n_samples], n_draws, seed=31, **options))
    rows += summarize(simulate(head_joints(), [240, 1200], n_draws, seed=32, **options))
    whole = [rows[i : i + len(ATOMS)] for i in range(0, len(rows), len(ATOMS))]
    show(text_table(["joint, N", *_accuracy_header()], [_accuracy_row(atoms) for atoms in whole]))
    return rows


def doubts(n_draws: int = 60, show: Callable[[str], None] = print) -> list[list]:
    """Count how often notes of the counted estimator doubt an atom, beside what its intervals cover; show the table.

    It takes minutes and is not a part of `run`. Returns a row for each joint and size: name, N, coverage of R, U1, U2
    and S, mean error of U1 and of S, share of draws with either note.
    """
    joints = [(name, joint, n) for n in (240, 1200) for name, joint in (head_joints() | like_heads()).items()]
    joints += [(name, joint, n) for n in (1280, 5000) for name, joint in known_joints().items()]
    joints += [(name, joint, n) for name, (joint, n) in other_joints().items()]
    rows = [_doubted(*joint, n_draws) for joint in joints]
    figures = [[row[0], f"{row[1]:,}", *(f"{value:.2f}" for value in row[2:])] for row in rows]
    show(text_table(["joint", "N", *("R", "U1", "U2", "S"), "error U1", "error S", "U doubted", "S low"], figures))
    return rows


def _doubted(name: str, joint: torch.Tensor, n_samples: int, n_draws: int) -> list:
    """Estimate draws of one joint and size; see `doubts`."""
    true, rng, seen = truth(joint), np.random.default_rng([77, n_samples]), []
    for index in range(n_draws):
        options = {"discretizer": "codes", "seed": 1000 + index, "estimator": "counted", "warn": False}
        estimate = estimate_pid(*draw(joint, n_samples, rng), **options)
        held = [estimate.interval[atom][0] <= true[atom] <= estimate.interval[atom][1] for atom in ATOMS]
        errors = [float(getattr(estimate.pid, atom)) - true[atom] for atom in ("unique1", "synergy")]
        said = [any(note.startswith(start) for note in estimate.notes) for start in (EQUAL, LOW.split(",")[0])]
        seen.append([*held, *errors, *said])
    return [name, n_samples, *np.mean(seen, 0).tolist()]


def _accuracy_header() -> list[str]:
    return [f"{what} {'/'.join(('R', 'U1', 'U2', 'S'))}" for what in ("truth", "RMSE", "coverage")] + ["width of S"]


def _accuracy_row(atoms: list[dict]) -> list[str]:
    """One line for the four atoms of one joint and sample size."""
    columns = [
        " / ".join(f"{row[key]:.{d}f}" for row in atoms) for key, d in (("truth", 2), ("rmse", 3), ("coverage", 2))
    ]
    return [f"{atoms[0]['joint']}, {atoms[0]['n_samples']:,}", *columns, f"{atoms[-1]['width']:.2f}"]

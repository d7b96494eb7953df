"""Estimates against known answers: coverage and error of both estimators, time of a probe, steadiness of a trace."""

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from mmpid._tables import text_table
from mmpid.bench.coverage import coverage
from mmpid.bench.mixtures import discretizer_errors
from mmpid.estimate import estimate_pid
from mmpid.estimate.study import frozen_embeddings, probe_trace
from mmpid.estimate.terms import ATOMS

# Draws per row of the coverage table; `coverage(200, full=True)` is the measurement behind docs/estimation.md.
DRAWS, QUICK_DRAWS = 10, 2
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
    """Measure coverage, the loss of each discretizer, times of probes and the spread of traces; show the tables.

    Parameters
    ----------
    quick : bool
        A few rows and 300 samples; takes seconds instead of minutes.
    json_path : path, optional
        Where to write the records as JSON.
    show : callable
        Takes each piece of text.

    Returns
    -------
    list of dict
        One record for each row of the coverage table, each pair of mixture and discretizer, each timed case and each
        codebook.
    """
    n_samples, repeats, n_probes = (300, 1, 3) if quick else (1280, 5, 20)
    records: list[dict] = list(coverage(QUICK_DRAWS if quick else DRAWS, show, only="other" if quick else ""))
    records += discretizer_errors(n_samples, 1 if quick else DRAWS, show)
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
    ratio = [f"{warm / cold:.2f}" for cold, warm in zip(spread["fresh"], spread["warm start"], strict=True)]
    rows = [[name, *(f"{value:.4f}" for value in values)] for name, values in spread.items()]
    return text_table(["codebook", *ATOMS], [*rows, ["ratio", *ratio]])


def probe_times(n_samples: int, repeats: int, device: str = "cpu") -> dict[str, tuple[float, float]]:
    """Median wall and CPU seconds of a complete `estimate_pid` call, by case."""
    source1, source2, target = (torch.as_tensor(a, device=device) for a in frozen_embeddings(n_samples))
    return {name: _median_seconds((source1, source2, target), repeats, options) for name, options in CASES.items()}


def _median_seconds(inputs: tuple[torch.Tensor, ...], repeats: int, options: dict) -> tuple[float, float]:
    """Medians over repeats, after one warm-up run; the result is read back, so a GPU has finished."""
    wall, cpu = [], []
    for _ in range(repeats + 1):
        start, start_cpu = time.perf_counter(), time.process_time()
        estimate_pid(*inputs, warn=False, **options).to_row()
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - start_cpu)
    return statistics.median(wall[1:]), statistics.median(cpu[1:])


def trace_spread(n_samples: int, n_probes: int) -> dict[str, list[float]]:
    """Measure the standard deviation of each corrected atom over probes of a frozen model, fresh and warm."""
    return {
        name: probe_trace(warm, n_probes=n_probes, n_samples=n_samples).std(0, ddof=1).tolist()
        for name, warm in (("fresh", False), ("warm start", True))
    }

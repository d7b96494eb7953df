"""`mmpid bench growth`: growth exponents of time and memory, for decompositions, estimates, probes and studies.

Each point runs in its own forked process. It measures CPU seconds on one thread, the least of several runs, and the
peak memory above the level before. A tiny decomposition comes first and loads what every decomposition needs. The
exponent is the slope of a line through the logarithms. The table also shows what `estimate_cost` predicts for the
decompositions.
"""

import json
import math
import multiprocessing
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mmpid import LateFusion, MultimodalData, Trainer, compare
from mmpid._tables import text_table
from mmpid.bench.problems import dense, predicted
from mmpid.bench.threads import one_thread
from mmpid.estimate import estimate_pid
from mmpid.pid import decompose, estimate_cost

LEAST_MEGABYTES = 4.0  # below this, the memory pages that any call touches hide its own needs
HEADER = ("work", "grows with", "points", "CPU s", "power", "MB", "power", "predicted / measured s", "MB")


@dataclass(frozen=True)
class Series:
    """One kind of work at growing sizes; `cost` gives the arguments of `estimate_cost`, for decompositions."""

    name: str
    axis: str
    points: tuple[int, ...]
    work: Callable[[int], Callable[[], object]]
    cost: Callable[[int], dict[str, int]] | None = None
    repeats: int = 3


def _table(n: int, k: int) -> Callable[[], object]:
    joint = dense(n, n, k)
    return lambda: decompose(joint)


def _predicted(k: int) -> Callable[[], object]:
    joint = predicted(k, k, k)
    return lambda: decompose(joint)


def _batch(count: int) -> Callable[[], object]:
    joints = torch.stack([dense(10, 10, 5, seed=i) for i in range(16)]).repeat(count // 16, 1, 1, 1)
    return lambda: decompose(joints)


def _estimate(n_samples: int, n: int, k: int, **settings: Any) -> Callable[[], object]:
    """Codes that follow the class half of the time."""
    rng = np.random.default_rng(0)
    y = rng.integers(k, size=n_samples)
    x1, x2 = [np.where(rng.random(n_samples) < 0.5, y * n // k, rng.integers(n, size=n_samples)) for _ in range(2)]
    return lambda: estimate_pid(x1, x2, y, discretizer="codes", warn=False, **settings)


def _data(n_samples: int, n_modalities: int) -> MultimodalData:
    rng = np.random.default_rng(0)
    y = np.arange(n_samples) % 6
    inputs = {f"m{i}": np.eye(6)[y] + rng.standard_normal((n_samples, 6)) for i in range(n_modalities)}
    return MultimodalData.from_arrays(inputs, y, seed=0)


def _probe(n_samples: int, n_modalities: int = 2) -> Callable[[], object]:
    """Probe the probe split, a fraction of the samples; the network is small."""
    data = _data(n_samples, n_modalities)
    trainer = Trainer(LateFusion.from_data(data, encoder="mlp", seed=0), data, seed=0, device="cpu", ecs=())
    return trainer.probe


def _study(n_seeds: int) -> Callable[[], object]:
    data = _data(600, 2)
    settings: dict[str, Any] = {"methods": ["joint", "two-stage"], "epochs": 4, "device": "cpu", "progress": False}
    return lambda: compare(data, seeds=range(n_seeds), **settings)


SERIES = (
    Series("decompose, full table n x n x 4", "n", (16, 32, 64), lambda n: _table(n, 4), lambda n: _size(n, 4)),
    Series("decompose, full table 16 x 16 x k", "k", (4, 8, 16), lambda k: _table(16, k), lambda k: _size(16, k)),
    Series("decompose, k predicted classes, N = 5,000", "k", (50, 100, 200), _predicted, lambda k: _size(k, k, 5_000)),
    Series("decompose, batch of 10 x 10 x 5", "batch", (64, 256, 1024), _batch, lambda b: _size(10, 5) | {"batch": b}),
    Series("estimate, 20 x 20 x 6", "N", (1_280, 5_120, 20_480), lambda n: _estimate(n, 20, 6)),
    Series("estimate, n x n x 6, N = 5,000", "n", (8, 16, 32), lambda n: _estimate(5_000, n, 6)),
    Series("estimate, 12 x 12 x k, N = 5,000", "k", (4, 8, 16), lambda k: _estimate(5_000, 12, k)),
    Series("estimate, k predicted classes, N = 5,000", "k", (25, 50, 100), lambda k: _estimate(5_000, k, k)),
    Series("the same, counted", "k", (25, 50), lambda k: _estimate(5_000, k, k, estimator="counted"), repeats=1),
    Series("estimate, counted, 20 x 20 x 6", "N", (1_280, 5_120, 20_480),
           lambda n: _estimate(n, 20, 6, estimator="counted")),
    Series("probe, 6 classes, two modalities", "N", (2_000, 8_000, 32_000), _probe),
    Series("probe, 6 classes, 2,000 samples", "modalities", (2, 4, 6), lambda m: _probe(2_000, m)),
    Series("study of two methods", "seeds", (1, 2, 4), _study, repeats=1),
)  # fmt: skip


def _size(n: int, k: int, n_samples: int | None = None) -> dict[str, int]:
    return {"n1": n, "n2": n, "k": k} | ({} if n_samples is None else {"n_samples": n_samples})


def run(quick: bool = False, json_path: Path | str | None = None, show: Callable[[str], None] = print) -> list[dict]:
    """Measure every series, show one table, and return one record per series.

    Parameters
    ----------
    quick : bool
        Only the first two points of the series that take milliseconds, to check that it runs.
    json_path : path, optional
        Where to write the records as JSON.
    show : callable
        Takes each piece of text.

    Returns
    -------
    list of dict
        ``points``, ``seconds``, ``megabytes``, the two exponents, and ratios of predicted to measured costs.
    """
    records = [_measured(series, quick) for series in (SERIES[:2] if quick else SERIES)]
    show(text_table(HEADER, [_line(record) for record in records]))
    if json_path is not None:
        Path(json_path).write_text(json.dumps(records, indent=1) + "\n")
    return records


def _measured(series: Series, quick: bool) -> dict[str, Any]:
    points = series.points[:2] if quick else series.points
    found = [_alone(series, point) for point in points]
    seconds, megabytes = (list(column) for column in zip(*found, strict=True))
    record = {"work": series.name, "axis": series.axis, "points": points, "seconds": seconds, "megabytes": megabytes}
    large = [(x, y) for x, y in zip(points, megabytes, strict=True) if y >= LEAST_MEGABYTES]
    record |= {"power": slope(points, seconds), "power_of_memory": slope(*zip(*large, strict=True)) if large else None}
    if series.cost is not None:
        predicted_costs = [estimate_cost(**series.cost(point)) for point in points]
        record["predicted_seconds"] = [cost.seconds / s for cost, s in zip(predicted_costs, seconds, strict=True)]
        record["predicted_megabytes"] = [
            cost.bytes / 2**20 / mb if mb >= LEAST_MEGABYTES else None
            for cost, mb in zip(predicted_costs, megabytes, strict=True)
        ]
    return record


def _alone(series: Series, point: int) -> tuple[float, float]:
    """Measure one point in a forked process: seconds and megabytes."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(series, point, there))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads that sleep while the child is forked
        child.start()
    there.close()
    try:
        return here.recv()
    finally:
        child.join()


def _child(series: Series, point: int, answer: Any) -> None:
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        work = series.work(point)
        decompose(dense(8, 8, 3))
        before, seconds = _kilobytes("VmRSS"), []
        for _ in range(series.repeats):
            start = time.process_time()
            work()
            seconds.append(time.process_time() - start)
        answer.send((min(seconds), max(0.0, _kilobytes("VmHWM") - before) / 1024))


def _kilobytes(field: str) -> float:
    """Return one value of Linux's report on this process's memory; 0 on other systems."""
    path = Path("/proc/self/status")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((float(line.split()[1]) for line in lines if line.startswith(field)), 0.0)


def slope(points: tuple[int, ...], values: tuple[float, ...] | list[float]) -> float | None:
    """Return the exponent of values over points: the slope in logarithms; None for fewer than two."""
    if len(points) < 2 or min(values) <= 0:
        return None
    return float(np.polyfit([math.log(x) for x in points], [math.log(y) for y in values], 1)[0])


def _line(record: dict[str, Any]) -> list[str]:
    def listed(values: Any, form: str) -> str:
        return " / ".join("-" if value is None else format(value, form) for value in values)

    powers = ("-" if record[key] is None else f"{record[key]:.1f}" for key in ("power", "power_of_memory"))
    time_power, memory_power = powers
    return [
        record["work"], record["axis"], listed(record["points"], ",d"), listed(record["seconds"], ".3g"), time_power,
        listed(record["megabytes"], ".0f"), memory_power,
        listed(record.get("predicted_seconds", ()), ".2g"), listed(record.get("predicted_megabytes", ()), ".2g"),
    ]  # fmt: skip

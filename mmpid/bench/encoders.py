"""`mmpid bench encoders`: real encoders on clips: streamed with and without a cache of decoded clips, and in memory.

A folder in CREMA-D's layout is generated, and ResNet-18 is trained on both modalities in three ways: clips decoded at
every epoch, decoded once and read back from disk, and held in memory. The three take turns, epoch by epoch. On the CPU
the size is reduced; on a GPU with enough memory it is that of CREMA-D: 6,698 clips of 91 actors, 3 frames of 224
pixels, spectrograms of 257 x 188.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from mmpid import datasets
from mmpid._tables import text_table
from mmpid.models import LateFusion
from mmpid.runs.metadata import versions
from mmpid.train import Trainer

FRAMES = 3
ROOM = 40 * 2**30  # free bytes on a GPU that suffice for all of CREMA-D and the training
WAYS = ("decoded every time", "decoding kept", "in memory")


def run(
    quick: bool = False, json_path: Path | str | None = None, show: Callable[[str], None] = print
) -> list[dict[str, Any]]:
    """Measure and show one line per way of reading; return the records behind them.

    Parameters
    ----------
    quick : bool
        150 clips of 16 pixels and a small encoder instead of ResNet-18.
    json_path : path, optional
        Where to write the records as JSON, with the versions of the packages.
    show : callable
        Takes each piece of text.

    Returns
    -------
    list of dict
        Each with `way`, `epoch_seconds` (CPU seconds of this process, on a GPU wall-clock ones; median of the epochs
        after the first), `share_of_memory_speed`, `probe_share` of an epoch, and `growth_mb`, the memory that the
        process gained from the second epoch to the last.

    Examples
    --------
    >>> from mmpid.bench import encoders
    >>> records = encoders.run(quick=True, show=lambda text: None)  # doctest: +SKIP
    """
    device = "cuda" if torch.cuda.is_available() and not quick else "cpu"
    n, size, epochs = (150, 16, 4) if quick else _size(device)
    encoder = "mlp" if quick else "resnet18"
    with tempfile.TemporaryDirectory() as place:
        folder = datasets.make_folder("cremad", Path(place) / "clips", n=n)
        options = {"size": size, "frames": FRAMES}
        ways = {
            WAYS[0]: datasets.read(folder, in_memory=False, **options),
            WAYS[1]: datasets.read(folder, in_memory=False, cache=Path(place) / "cache", **options),
            WAYS[2]: datasets.read(folder, in_memory=True, **options),
        }
        trainers = {way: _trainer(data, encoder, device) for way, data in ways.items()}
        records = _records(trainers, epochs=epochs, device=device)
    title = f"{n} clips, {FRAMES} frames of {size} pixels, {encoder}, {device}"
    rows = [[r["way"], *(f"{r[key]:.3g}" for key in list(r)[1:])] for r in records]
    header = [title, "s per epoch", "share of the speed in memory", "probe / epoch", "memory gained, MB"]
    show(text_table(header, rows))
    if json_path is not None:
        report = {"versions": versions(), "title": title, "records": records}
        Path(json_path).write_text(json.dumps(report, indent=1) + "\n")
    return records


def _size(device: str) -> tuple[int, int, int]:
    """Return clips, pixels and epochs; data in memory need 2 MB per clip at full size, in addition to the model."""
    if device == "cpu":
        return 200, 48, 3
    return (6698, 224, 3) if torch.cuda.mem_get_info()[0] > ROOM else (2000, 224, 4)


def _trainer(data: datasets.MultimodalData, encoder: str, device: str) -> Trainer:
    model = LateFusion.from_data(data, encoder=encoder, seed=0)
    return Trainer(model, data, device=device, epochs=1000, unimodal_epochs=1000, probe_every=1000, seed=0)


def _records(trainers: dict[str, Trainer], epochs: int, device: str) -> list[dict[str, Any]]:
    """Train in turns; the first epoch warms up and fills the cache."""
    times: dict[str, list[float]] = {way: [] for way in trainers}
    grown = dict.fromkeys(trainers, 0.0)
    for epoch in range(epochs):
        for way, trainer in trainers.items():
            before = _resident_mb()
            seconds = _seconds(trainer.step, device)
            if epoch:
                times[way].append(seconds)
                grown[way] += _resident_mb() - before if epoch > 1 else 0.0
    medians = {way: statistics.median(values) for way, values in times.items()}
    probes = {way: _seconds(trainer.probe, device) for way, trainer in trainers.items()}
    return [
        {"way": way, "epoch_seconds": medians[way], "share_of_memory_speed": medians[WAYS[2]] / medians[way],
         "probe_share": probes[way] / medians[way], "growth_mb": grown[way]}
        for way in trainers
    ]  # fmt: skip


def _seconds(work: Callable[[], Any], device: str) -> float:
    clock = time.process_time if device == "cpu" else time.perf_counter
    start = clock()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    return clock() - start


def _resident_mb() -> float:
    """Return the memory of this process in MB if the system reports it, otherwise 0."""
    path = Path("/proc/self/statm")
    return int(path.read_text().split()[1]) * 4096 / 1e6 if path.exists() else 0.0

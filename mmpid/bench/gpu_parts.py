"""What `mmpid bench gpu` measures: each part takes a device and a size, and returns flat records."""

import importlib.util
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset

import mmpid
from mmpid.bench import engine
from mmpid.bench.problems import FAMILIES
from mmpid.datasets import MultimodalData, load
from mmpid.ecs import DEFAULT_PROXIES, ProxyEvidence, available, measure
from mmpid.estimate import estimate_pid
from mmpid.estimate.study import frozen_embeddings
from mmpid.models import LateFusion
from mmpid.pid import decompose
from mmpid.theory import study
from mmpid.train import Trainer
from mmpid.train.evaluation import evaluate

Records = list[dict[str, Any]]
TINY_SHAPES = {"audio": (1, 8, 8), "video": (3, 8, 8)}


def seconds_of(work: Callable[[], Any], device: str, repeats: int = 3) -> float:
    """Return the median wall-clock seconds up to a synchronization, after one warm-up run."""
    times: list[float] = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def solver(device: str, tiny: bool) -> Records:
    """Time batches of joints on the device and on the CPU, and compare the atoms."""
    shape, counts = ((4, 4, 3), (8,)) if tiny else ((20, 20, 6), (256, 4096))
    records: Records = []
    for family in ("dense", "histogram"):
        distinct = torch.stack([FAMILIES[family](*shape, seed=seed) for seed in range(min(counts[-1], 256))])
        here = decompose(distinct)
        on_cpu = seconds_of(lambda batch=distinct: decompose(batch), "cpu", 1) / len(distinct)
        for count in counts:
            batch = distinct.repeat(-(-count // len(distinct)), 1, 1, 1)[:count].to(device)
            found = decompose(batch)
            seconds = seconds_of(lambda batch=batch: decompose(batch), device) / count
            difference = (found.redundancy[: len(here.redundancy)].cpu() - here.redundancy[:count]).abs().max()
            records.append(
                {"family": family, "shape": "x".join(map(str, shape)), "count": count, "ms_a_problem": 1e3 * seconds,
                 "times_faster_than_cpu": on_cpu / seconds, "worst_gap": float(found.gap.max()),
                 "difference_to_cpu": float(difference)}
            )  # fmt: skip
    return records


def marked_tests(device: str, tiny: bool) -> Records:
    """Run the tests that are marked `gpu`, if pytest and a checkout are available."""
    root = Path(mmpid.__file__).parents[1]
    missing = "pytest" if not importlib.util.find_spec("pytest") else "tests/" if not (root / "tests").is_dir() else ""
    if missing:
        return [{"case": "tests marked gpu", "skipped": f"no {missing}"}]
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", "tests"]
    command = [*command[:-1], "--collect-only", "tests/pid"] if tiny else command
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(root)})
    lines = (done.stdout + done.stderr).strip().splitlines()
    failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    return [
        {"case": "tests marked gpu", "exit_code": done.returncode, "summary": lines[-1] if lines else ""},
        *({"case": "failure", "summary": line} for line in failed[:20]),
    ]


def large_network(device: str, tiny: bool) -> Records:
    """Time ResNet-18 twice on data of CREMA-D's size with and without the engine, and a probe beside it."""
    if tiny:
        return [engine.resnet(device, TINY_SHAPES, rounds=1, batches=1, n_probe=90)]
    return [engine.resnet(device, engine.CREMA_D, rounds=5, batches=20)]


def probe(device: str, tiny: bool) -> Records:
    """Time estimates of embeddings on the device, by estimator and discretizer, and compare them with the CPU's."""
    arrays = [torch.as_tensor(a) for a in frozen_embeddings(200 if tiny else 1280)]
    records: Records = []
    for estimator in ("held-out",) if tiny else ("held-out", "counted"):
        for discretizer in ("kmeans", "prediction", "posterior"):
            options: dict[str, Any] = {"estimator": estimator, "discretizer": discretizer, "warn": False}
            there = [a.to(device) for a in arrays]
            found, here = estimate_pid(*there, **options), estimate_pid(*arrays, **options)
            seconds = seconds_of(lambda x=there, o=options: estimate_pid(*x, **o), device)
            on_cpu = seconds_of(lambda o=options: estimate_pid(*arrays, **o), "cpu", 1)
            difference = abs(float(found.pid.redundancy) - float(here.pid.redundancy))
            records.append(
                {"estimator": estimator, "discretizer": discretizer, "seconds": seconds, "seconds_on_cpu": on_cpu,
                 "difference_to_cpu": difference}
            )  # fmt: skip
    return records


class Clips(Dataset):
    """Noise of the given shapes, made on request as by a decoder."""

    def __init__(self, shapes: dict[str, tuple[int, ...]], n: int):
        self.shapes, self.n = shapes, n

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, i: int) -> tuple[dict[str, torch.Tensor], int]:
        generator = torch.Generator().manual_seed(i)
        return {name: torch.randn(shape, generator=generator) for name, shape in self.shapes.items()}, i % 6


def loader(device: str, tiny: bool) -> Records:
    """Compare an epoch of streamed samples with one of samples in memory: how busy the device is kept."""
    shapes, n = (TINY_SHAPES, 120) if tiny else (engine.CREMA_D, 1280)
    workers = 0 if tiny else min(12, (os.cpu_count() or 2) - 1)
    clips, index = Clips(shapes, n + 192), torch.arange(n + 192)
    split = {"train": index[:n], "probe": index[n : n + 64], "validation": index[n + 64 : n + 128]}
    split["test"] = index[n + 128 :]
    times = {}
    for in_memory in (True, False):
        reading = torch.utils.data.DataLoader(clips, batch_size=64, num_workers=workers, pin_memory=device == "cuda")
        data = MultimodalData.from_loaders(reading, split=split, in_memory=in_memory)
        trainer = engine._trainer(data, "cnn" if tiny else "resnet18", "unimodal", device)
        times[in_memory] = seconds_of(trainer.step, device, 1 if tiny else 3)
    busy = times[True] / times[False]
    return [{"workers": workers, "in_memory_s": times[True], "streamed_s": times[False], "busy_share": busy}]


def mixed_precision(device: str, tiny: bool) -> Records:
    """Train with each precision; return the last losses, the time per epoch, and the updates skipped by the scaler."""
    records: Records = []
    data = load("av-digits", seed=0)
    for precision in ("float32", "bfloat16", "float16"):
        if precision == "float16" and device != "cuda":
            records.append({"precision": precision, "skipped": "needs CUDA"})
            continue
        model = LateFusion.from_data(data, encoder="mlp" if tiny else "cnn", seed=0)
        trainer = Trainer(
            model, data, device=device, precision=precision, n_boot=0, n_null=0, probe_every=1000,
            epochs=2 if tiny else 10, seed=0,
        )  # fmt: skip
        start = time.perf_counter()
        trainer.fit(progress=False)
        row = trainer.record.lineage("result")[-1]
        seconds = (time.perf_counter() - start) / trainer.epoch
        accuracy = {key: value for key, value in row.items() if key.startswith("test") and isinstance(value, float)}
        records.append({"precision": precision, "seconds_an_epoch": seconds, **accuracy})
    return records


def proxies(device: str, tiny: bool) -> Records:
    """Time every proxy of strength once, as at a probe, next to an epoch."""
    data = load("av-digits", seed=0)
    trainer = engine._trainer(data, "mlp" if tiny else "cnn", "unimodal", device)
    epoch = seconds_of(trainer.step, device, 1)
    split = trainer.data.split("probe")
    found = evaluate(trainer.model, split)
    samples = ProxyEvidence(target=split.target, inputs=split.inputs, n_classes=data.n_classes)
    logits = {name: found.logits[name] for name in data.modalities}
    seen = {"unimodal_logits": logits, "embeddings": found.embeddings, "model": trainer.model}
    records: Records = []
    for name in DEFAULT_PROXIES if tiny else available():
        seconds = seconds_of(lambda name=name: measure([name], samples.seen(**seen)), device, 1)
        records.append({"proxy": name, "ms": 1e3 * seconds, "share_of_an_epoch": seconds / epoch})
    return records


def solvable_model(device: str, tiny: bool) -> Records:
    """Run the central computation of notebook 03: error laws over the number of classes, and forecasts of winners."""
    worlds = {4: 2, 8: 2} if tiny else {8: 32, 16: 32, 32: 32, 64: 16}
    settings: dict[str, Any] = {"shaping_steps": 15, "joint_steps": 15, "n_test": 200} if tiny else {}
    start = time.perf_counter()
    laws = study.sweep(worlds, device=device, **settings)
    about = {"classes": "-".join(map(str, worlds)), "worlds": sum(worlds.values())}
    slopes = {
        f"slope_{name.replace('-', '_')}": study.slope({k: x.cpu() for k, x in laws.errors(name).items()}).estimate
        for name in ("joint", "two-stage")
    }
    return [about | slopes | {"seconds": time.perf_counter() - start}]

"""The cost of the proxies of competitive strength: CPU time of a probe over that of a training epoch.

The default trainer trains the default model (dense encoders) on av-digits, stage 1, on one thread. Each case is a
stretch of training in which the same proxies are measured right after every epoch, as in a run: right after another
probe, a probe finds its code in the caches and takes less time; between epochs with other proxies it takes more. A busy
machine disturbs epochs and probes equally; look at the ratios.
"""

import json
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from mmpid import datasets
from mmpid._tables import text_table
from mmpid.bench.threads import one_thread
from mmpid.ecs import DEFAULT_PROXIES, ProxyEvidence, available, measure
from mmpid.models import LateFusion
from mmpid.train import Trainer
from mmpid.train.evaluation import evaluate

AIM = 0.15


def run(quick: bool = False, json_path: Path | str | None = None, show: Callable[[str], None] = print) -> list[dict]:
    """Time a training epoch and the proxies in turns; show a table and return the records behind it.

    Parameters
    ----------
    quick : bool
        20 rounds instead of 100.
    json_path : path, optional
        Where to write the records, with the versions, as JSON.
    show : callable
        Takes each piece of text.

    Returns
    -------
    list of dict
        One record per case: `case`, `seconds` of CPU time (median of the rounds), `share`, the median over rounds of
        the ratio to the epoch before it, and `every`, the epochs between probes at which it costs 15 % or less.

    Examples
    --------
    >>> from mmpid.bench import proxies
    >>> records = proxies.run(quick=True, show=lambda text: None)  # doctest: +SKIP
    """
    with one_thread():
        records = _records(_cases(), rounds=20 if quick else 100)
    rows = [[r["case"], f"{r['seconds'] * 1e3:.2f}", f"{r['share']:.1%}", str(r["every"])] for r in records]
    header = ["av-digits, one thread", "CPU ms", "share of an epoch", f"epochs between probes for {AIM:.0%}"]
    show(text_table(header, rows))
    if json_path is not None:
        report = {"versions": {"python": platform.python_version(), "torch": torch.__version__}, "records": records}
        Path(json_path).write_text(json.dumps(report, indent=1) + "\n")
    return records


def _cases() -> dict[str, Callable[[], object]]:
    """Return what is timed; the epoch comes first."""
    data = datasets.load("av-digits", seed=0)
    endless: dict[str, Any] = {"epochs": 10**6, "unimodal_epochs": 10**6, "probe_every": 10**6}
    trainer = Trainer(LateFusion.from_data(data, seed=0), data, seed=0, device="cpu", threads=1, **endless)
    trainer.step(1)
    split = data.split("probe")
    found = evaluate(trainer.model, split)
    samples = ProxyEvidence(target=split.target, inputs=split.inputs, n_classes=data.n_classes)
    logits = {name: found.logits[name] for name in data.modalities}
    seen = {"unimodal_logits": logits, "embeddings": found.embeddings, "model": trainer.model}
    table = available()
    free = [name for name in table if table[name].needs != "model"]
    groups = {"the recorded ones (default)": DEFAULT_PROXIES, f"all without the model ({len(free)})": free}
    groups |= {f"all {len(table)}": list(table)} | {name: [name] for name in table}
    return {"epoch": lambda: trainer.step(1)} | {name: _probe(names, samples, seen) for name, names in groups.items()}


def _probe(names, samples: ProxyEvidence, seen: Mapping) -> Callable[[], object]:
    """Measure as the trainer does at every probe."""
    return lambda: measure(names, samples.seen(**seen))


def _records(cases: dict[str, Callable[[], object]], rounds: int) -> list[dict]:
    """Time one case after the other, each probe after an epoch, after three warm-up rounds."""
    epoch, *probes = cases.items()
    pairs = {name: [(_seconds(epoch[1]), _seconds(probe)) for _ in range(rounds + 3)][3:] for name, probe in probes}
    records = [_record(epoch[0], [(before, before) for timed in pairs.values() for before, _ in timed])]
    return records + [_record(name, timed) for name, timed in pairs.items()]


def _seconds(case: Callable[[], object]) -> float:
    start = time.process_time()
    case()
    return time.process_time() - start


def _record(name: str, timed: list[tuple[float, float]]) -> dict:
    """Summarize pairs of seconds: of an epoch, and of the probe after it."""
    share = statistics.median(seconds / epoch for epoch, seconds in timed)
    median = statistics.median(seconds for _, seconds in timed)
    return {"case": name, "seconds": median, "share": share, "every": max(1, -int(-share // AIM))}

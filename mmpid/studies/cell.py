"""One run of a study: trained in its own folder, resumed where it was killed, finished once and for all."""

import io
import json
import os
import shutil
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmpid.datasets import MultimodalData
from mmpid.errors import CheckpointError, ConfigError, InputError
from mmpid.models import LateFusion
from mmpid.runs.files import write_atomically
from mmpid.runs.lock import FolderLock, Permit
from mmpid.runs.state import State, write_state
from mmpid.studies.budget import share_budget
from mmpid.studies.inputs import build
from mmpid.studies.recipes import Recipe
from mmpid.studies.sources import Source
from mmpid.train.choices import FREE
from mmpid.train.config import TrainConfig
from mmpid.train.trainer import Trainer

RECORD, RESULT, ERROR, RUNNING = "record.jsonl", "result.json", "error.json", "running.json"
WRITER = "writer"  # locked while a process trains the cell
PREDICTIONS, WEIGHTS = "predictions.npz", "selected.safetensors"
SAVE_SECONDS, SAVE_SHARE = 2.0, 0.02  # a run is saved so often, but saving may take no more than this share of its time
BEAT_SECONDS = 1.0
_ONE_AT_A_TIME = threading.Lock()  # two runs in threads of one process would share torch's random numbers


@dataclass(frozen=True)
class Cell:
    """Everything that one run needs, in any process.

    Attributes
    ----------
    folder : Path
        Where it leaves its files.
    recipe : Recipe
        The method.
    source : Source
        Where the data come from.
    seed : int
        Seed of data, weights and order.
    setting : dict
        What is tuned, by name of the setting.
    shared : dict
        Settings of all runs.
    model : callable, optional
        From data and seed to a model.
    device : str
        Where it trains.
    fingerprint : str
        Of the data, as the study knows them.
    keep : bool
        Whether the folder outlives the comparison, so that a killed run must be able to go on.
    """

    folder: Path
    recipe: Recipe
    source: Source
    seed: int
    setting: dict[str, Any]
    shared: dict[str, Any]
    model: Callable[[MultimodalData, int], LateFusion] | None
    device: str
    fingerprint: str
    keep: bool = True

    @property
    def finished(self) -> bool:
        """Whether the run is done; nothing trains it again."""
        return (self.folder / RESULT).exists()

    @property
    def label(self) -> str:
        """Name for bars and boards."""
        parts = [self.source.name, self.recipe.training, *(f"{k}={v}" for k, v in self.setting.items())]
        return ", ".join([*(part for part in parts if part), f"seed {self.seed}"])

    def trainer_settings(self) -> dict[str, Any]:
        """Return all keywords of the Trainer: the shared ones, those of the method, what is tuned."""
        shared = {**self.shared, **self.setting}
        own = dict(self.recipe.plan(TrainConfig.make(**share_budget(shared)), self.seed))
        if not self.shared.get("threads"):
            own.setdefault("threads", 1)  # the last digits of sums depend on it
        return share_budget({**self.shared, **own, **self.setting})


def run_cell(cell: Cell, reraise: bool = False) -> str:
    """Train a cell unless it is finished; return "finished" or "failed". Another process may be at it: then wait.

    With `reraise` an error of usage is raised once it has been written down.
    """
    with _ONE_AT_A_TIME, _locked(cell):
        if cell.finished:
            return "finished"
        usage = True  # a wrong argument; in training the same kind of error may come of weights that are not finite
        try:
            trainer = _prepare(cell)
            usage = False
            seconds = _train(cell, trainer)
            usage = _never_joint(cell, trainer)
            _finish(cell, trainer, seconds)
            (cell.folder / ERROR).unlink(missing_ok=True)  # of an earlier try; until now a reader finds that one
        except Exception as problem:
            usage = usage and isinstance(problem, InputError)
            told = {"type": type(problem).__name__, "message": str(problem), "usage": usage}
            _write_json(cell.folder / ERROR, told | {"traceback": traceback.format_exc()})
            if usage and reraise:
                raise
            return "failed"
        finally:
            (cell.folder / RUNNING).unlink(missing_ok=True)
        return "finished"


@contextmanager
def _locked(cell: Cell) -> Iterator[None]:
    """Be the one process that trains a cell; wait while another is at it. The system unlocks it when a process dies."""
    cell.folder.mkdir(parents=True, exist_ok=True)
    lock = FolderLock(cell.folder / WRITER, Permit())
    lock.wait()
    try:
        yield
    finally:
        with suppress(OSError):  # Windows keeps a file that is open
            lock.path.unlink()
        lock.release()


# ---- training ------------------------------------------------------------------------------------------------------


def _prepare(cell: Cell) -> Trainer:
    """Return the trainer of a cell, where it was saved last or at its start."""
    data = cell.source.draw(cell.seed)
    if cell.fingerprint and data.fingerprint != cell.fingerprint:
        raise ConfigError(
            f"`data` must give the same samples for seed {cell.seed} each time; {cell.source.name!r} had fingerprint "
            f"{cell.fingerprint} before and {data.fingerprint} now. Seed all its random draws with its argument."
        )
    return _resumed(cell, data) or _fresh(cell, data)


def _train(cell: Cell, trainer: Trainer) -> float:
    """Train to the end, saving on the way; return the seconds of this process."""
    started = time.perf_counter()
    saved, cost, beat = time.perf_counter(), 0.0, 0.0
    while not trainer.finished:
        now = time.perf_counter()
        if now - beat > BEAT_SECONDS:
            done, total = trainer.progress
            told = {"epoch": done, "of": total, "time": time.time(), "pid": os.getpid()}
            (cell.folder / RUNNING).write_text(json.dumps(told))
            beat = now
        trainer.step(epochs=1)
        now = time.perf_counter()
        if cell.keep and not trainer.finished and now - saved > max(SAVE_SECONDS, cost / SAVE_SHARE):
            _save(cell, trainer)
            saved = time.perf_counter()
            cost = saved - now
    return time.perf_counter() - started


def _fresh(cell: Cell, data: MultimodalData) -> Trainer:
    settings = cell.trainer_settings()
    net = build(settings.pop("model", cell.model), data, cell.seed)
    trainer = Trainer(net, data, seed=cell.seed, device=cell.device, name=cell.label, **settings)
    trainer.auto = True
    return trainer


def _save(cell: Cell, trainer: Trainer) -> None:
    """Write the state into a folder that gets its name once it is whole, then drop the older ones."""
    old, unfinished = _saves(cell), cell.folder / "saving"
    shutil.rmtree(unfinished, ignore_errors=True)
    trainer.save(unfinished)
    unfinished.rename(cell.folder / f"saved-{1 + max(old, default=0)}")
    for each in old:
        shutil.rmtree(cell.folder / f"saved-{each}", ignore_errors=True)


def _saves(cell: Cell) -> list[int]:
    return [int(path.name.partition("-")[2]) for path in cell.folder.glob("saved-*")]


def _resumed(cell: Cell, data: MultimodalData) -> Trainer | None:
    """Return the trainer as it was last saved whole, or None."""
    for number in sorted(_saves(cell), reverse=True):
        settings = cell.trainer_settings()
        net = build(settings.pop("model", cell.model), data, cell.seed)
        own = {name: settings[name] for name in FREE if name in settings and not isinstance(settings[name], str)}
        parts = {"controller": settings.get("controller"), "callbacks": settings.get("callbacks")}
        with suppress(CheckpointError, OSError):
            path = cell.folder / f"saved-{number}"
            return Trainer.load(path, data, model=net, device=cell.device, **parts, **own)
    return None


# ---- what it leaves ------------------------------------------------------------------------------------------------


def _never_joint(cell: Cell, trainer: Trainer) -> bool:
    return cell.recipe.reads == "joint" and trainer.stage == "unimodal"


def _finish(cell: Cell, trainer: Trainer, seconds: float) -> None:
    """Write record, weights and predictions, and the result last: with it the cell is finished."""
    result = trainer.record.lineage("result")[-1]
    if _never_joint(cell, trainer):
        raise ConfigError(
            f"method {cell.recipe.name!r} never started joint training: `unimodal_epochs` = "
            f"{trainer.config.unimodal_epochs} must leave some of the {trainer.config.epochs} `epochs`, or the rule "
            "must switch before. Lower `unimodal_epochs`."
        )
    heads = ["joint"] if cell.recipe.reads == "joint" else [*trainer.modalities, "ens"]
    arrays, validation = _predict(trainer)
    rows = [
        {
            "head": head,
            "test_accuracy": result[f"test_accuracy.{head}"],
            "selected_epoch": result.get(f"selected_epoch.{head}"),
            "validation_accuracy": float((arrays[f"validation.{head}"].argmax(1) == validation).mean()),
        }
        for head in heads
    ]
    write_atomically(cell.folder / PREDICTIONS, _npz(arrays))
    if cell.keep:
        trainer.record.save(cell.folder / RECORD)
        write_state(State.pack(trainer.selected_model().state_dict()), cell.folder / WEIGHTS)
    told = {
        "method": cell.recipe.training, "data": cell.source.name, "seed": cell.seed, "setting": cell.setting,
        "rows": rows, "fingerprint": trainer.data.fingerprint, "pool": _pool(trainer.data),
        "seconds": round(seconds, 3), "epochs": trainer.progress[0],
    }  # fmt: skip
    _write_json(cell.folder / RESULT, told)
    for leftover in (*cell.folder.glob("saved-*"), cell.folder / "saving"):
        shutil.rmtree(leftover, ignore_errors=True)


def _predict(trainer: Trainer) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return logits (N, k) of every classifier on validation and test, with index, label and group of each sample."""
    arrays: dict[str, np.ndarray] = {}
    data = trainer.data
    for split in ("validation", "test"):
        index = data.splits[split].cpu()
        arrays[f"{split}_index"] = index.numpy()
        arrays[f"{split}_target"] = data.target[data.splits[split]].cpu().numpy()
        arrays[f"{split}_group"] = (index if data.groups is None else data.groups.cpu()[index]).numpy()
        logits = trainer.predictions(split)
        arrays |= {f"{split}.{head}": z.float().cpu().numpy() for head, z in logits.items()}
    return arrays, arrays["validation_target"]


def _pool(data: MultimodalData) -> str:
    """Return a fingerprint of samples and labels, whatever the splits: the same index then means the same sample."""
    import torch

    everything = torch.arange(len(data.target))
    return data.inputs.fingerprint(data.target, dict.fromkeys(("train", "probe", "validation", "test"), everything))


def _npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # pyright: ignore[reportArgumentType]  the stub takes the arrays for `allow_pickle`
    return buffer.getvalue()


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    write_atomically(path, json.dumps(values).encode())

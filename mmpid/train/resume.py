"""Other futures of a run: branched from a probe, saved to a folder, and loaded from one."""

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmpid import _validate
from mmpid.datasets import MultimodalData
from mmpid.errors import CheckpointError, ConfigError
from mmpid.models import LateFusion
from mmpid.rules.controller import BalanceController
from mmpid.runs.checkpoint import CheckpointStore
from mmpid.runs.folder import RunFolder
from mmpid.runs.record import RunRecord
from mmpid.train.callbacks import rebuild_callbacks
from mmpid.train.config import FREE, TrainConfig
from mmpid.train.validation import rebuild_model

if TYPE_CHECKING:
    from mmpid.train.trainer import Trainer


def branch(trainer: "Trainer", at: int | None, name: str) -> "Trainer":
    """Return a trainer that stands at the probe of an epoch; see :meth:`Trainer.branch`."""
    if at is None:
        probes = trainer.record.lineage("probe")
        if not probes:
            raise ConfigError("there is no probe to branch from yet; train an epoch first.")
        at = probes[-1]["epoch"]
    at = _validate.number(at, "at", low=0, integer=True)
    run, checkpoints = trainer._run, trainer._checkpoints
    state = checkpoints.find(at, trainer.record)
    child = type(trainer)(
        _copied_model(trainer), trainer.data, controller=trainer.controller, seed=trainer.seed,
        device=str(trainer.device), name=name, callbacks=run.callbacks.copies(),
        accelerator=run.parallel.accelerator if run.parallel else None, **trainer.config.values(),
    )  # fmt: skip
    own = {key: trainer.record.metadata[key] for key in ("preset", "variant") if key in trainer.record.metadata}
    child.record.metadata |= {**own, "branched_at": at, "parent": trainer.name}
    child.record.rows.extend(dict(row) for row in trainer.record.rows[: state.tree["n_rows"]])
    child._run.load_state_dict(state.unpack())
    child.auto = trainer.auto
    child._checkpoints.copy_from(checkpoints, child.record)
    child._director.keep_checkpoint()
    return child


def _copied_model(trainer: "Trainer") -> LateFusion:
    """Return a copy of the model in which nothing is paused."""
    model = copy.deepcopy(trainer.model)
    for own, copied in zip(trainer.model.parameters(), model.parameters(), strict=True):
        copied.requires_grad_(id(own) not in trainer._run.engine.fixed)
    return model


def save(trainer: "Trainer", path: Any) -> Path:
    """Write a run to a folder; see :meth:`Trainer.save`."""
    folder, store = RunFolder(_validate.path(path, "path")), trainer._checkpoints.store
    if trainer._run.is_main:
        folder.write(trainer.record, trainer._run.snapshot(), {key: store.get(key) for key in store})
    return folder.path


def load(
    kind: type["Trainer"], path: Any, data: MultimodalData, *, model: Any, controller: Any, callbacks: Any, device: str,
    accelerator: Any, **own: Any,
) -> "Trainer":  # fmt: skip
    """Continue a run from a folder; see :meth:`Trainer.load`."""
    _validate.instance(data, "data", MultimodalData, "MultimodalData", "Load the data of the run, with its seed.")
    for name in own:
        _validate.choice(name, "setting", FREE)
    folder = RunFolder(_validate.path(path, "path"))
    record, state = folder.read()
    nested, metadata = state.unpack(), record.metadata
    _check_data(path, metadata["data"], data)
    trainer = kind(
        rebuild_model(metadata, data) if model is None else model, data,
        seed=metadata["seed"], device=device, accelerator=accelerator,
        controller=controller or BalanceController.from_dict(nested["controller"]),
        callbacks=rebuild_callbacks(metadata.get("callbacks", {}), callbacks),
        **TrainConfig.from_dict(metadata["settings"], **own).values(),
    )  # fmt: skip
    _take_up(trainer, folder, record, nested)
    return trainer


def _take_up(trainer: "Trainer", folder: RunFolder, record: RunRecord, state: dict[str, Any]) -> None:
    """Go on with a run that was read from a folder."""
    run = trainer._run
    run.record = record
    live = folder.live and run.is_main
    trainer._loop.folder = folder if live else None
    trainer._checkpoints.store = CheckpointStore.open(folder.checkpoints) if live else folder.read_checkpoints()
    run.load_state_dict(state)
    if live:
        folder.resume(record)


def _check_data(path: Any, made_with: dict[str, Any], data: MultimodalData) -> None:
    """Refuse data that are not those of the run."""
    if made_with["fingerprint"] != data.fingerprint:
        raise CheckpointError(
            f"the run in {path} was made with data {made_with['name']!r} ({made_with['fingerprint']}, "
            f"options {made_with['options']}); these are {data.name!r} ({data.fingerprint}). "
            f"Load the same data, with its seed."
        )

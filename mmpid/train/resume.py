"""Other futures of a run: branched from a probe, saved to a folder, and loaded from one."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmpid import _validate
from mmpid.datasets import MultimodalData
from mmpid.errors import CheckpointError, ConfigError, InputError
from mmpid.models.copies import copy_model
from mmpid.rules.controller import BalanceController
from mmpid.runs.checkpoint import CheckpointStore
from mmpid.runs.folder import NOW, RECORD, RunFolder, released_on_error
from mmpid.runs.lock import Permit
from mmpid.train.callbacks import rebuild_callbacks
from mmpid.train.choices import FREE
from mmpid.train.config import TrainConfig
from mmpid.train.validation import rebuild_model

if TYPE_CHECKING:
    from mmpid.train.trainer import Trainer


def keep_in(trainer: "Trainer", out_dir: Any) -> None:
    """Keep a run current in a new folder from now on."""
    run = trainer._run
    if run.is_main:
        run.folder = RunFolder.create(out_dir, run.record, run.snapshot(), run.permit)
        trainer._checkpoints.store = CheckpointStore(run.folder.checkpoints)


def branch(trainer: "Trainer", at: int | None, name: str, out_dir: Any) -> "Trainer":
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
        copy_model(trainer.model), trainer.data, controller=trainer.controller, seed=trainer.seed,
        device=str(trainer.device), name=name, callbacks=run.callbacks.copies(),
        accelerator=run.parallel.accelerator if run.parallel else None, **trainer.config.values(),
    )  # fmt: skip
    kept = ("preset", "variant", "probe_note", "protocol")
    own = {key: trainer.record.metadata[key] for key in kept if key in trainer.record.metadata}
    child.record.metadata |= {**own, "branched_at": at, "parent": trainer.name}
    child.record.rows.extend(dict(row) for row in trainer.record.rows[: state.tree["n_rows"]])
    child._run.load_state_dict(state.unpack())
    child.auto = trainer.auto
    if out_dir is not None:
        keep_in(child, out_dir)
    child._checkpoints.copy_from(checkpoints, child.record)
    child._director.keep_checkpoint()
    return child


def save(trainer: "Trainer", path: Any) -> Path:
    """Write a run to a folder; see :meth:`Trainer.save`."""
    run, store = trainer._run, trainer._checkpoints.store
    folder = RunFolder(_validate.path(path, "path"))
    if run.folder is not None and run.folder.is_same(folder):
        run.permit.check()
        trainer._loop.keep_on_disk()
    elif run.is_main:
        folder.write(trainer.record, run.snapshot(), store)
    return folder.path


def close(trainer: "Trainer") -> None:
    """Let go of what a trainer holds of the machine; see :meth:`Trainer.close`."""
    run = trainer._run
    run.release_workers()
    if run.folder is not None and not run.permit.refusal:
        run.permit.refusal = (
            f"this trainer was closed. Go on with Trainer.load({str(run.folder.path)!r}, data), from its last epoch."
        )
        run.folder.release()


def load(
    kind: type["Trainer"], path: Any, data: MultimodalData, *, model: Any, controller: Any, callbacks: Any, device: str,
    accelerator: Any, read_only: bool, **own: Any,
) -> "Trainer":  # fmt: skip
    """Continue a run from a folder; see :meth:`Trainer.load`."""
    _validate.instance(data, "data", MultimodalData, "MultimodalData", "Load the data of the run, with its seed.")
    for name in own:
        _validate.choice(name, "setting", FREE)
    read_only, permit = _validate.flag(read_only, "read_only"), Permit()
    folder = RunFolder(_run_path(path), permit)
    writes = folder.live and not read_only and (accelerator is None or accelerator.is_main_process)
    with released_on_error(folder):
        if writes:
            folder.lock()
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
        run = trainer._run
        run.record, run.permit = record, permit
        stays = writes or read_only
        trainer._checkpoints.store = CheckpointStore.open(folder.checkpoints) if stays else folder.read_checkpoints()
        run.load_state_dict(nested)
        if writes:
            folder.resume(record)
            run.folder = folder
    if read_only:
        permit.refusal = _how_to_train(trainer, folder)
    return trainer


def _run_path(path: Any) -> Path:
    """Return the path of a run's folder."""
    found = _validate.path(path, "path")
    if found.is_file():
        hint = f"Take its folder, {str(found.parent)!r}." if found.name in (RECORD, NOW) else "Take a run's folder."
        raise InputError(f"`path` must be a folder; {found} is a file. {hint}")
    return found


def _how_to_train(trainer: "Trainer", folder: RunFolder) -> str:
    """Say why a trainer that was loaded to be read does not train, and what does."""
    number, free = 1, folder.path.with_name(f"{folder.path.name}-branch")
    while free.exists():
        number += 1
        free = folder.path.with_name(f"{folder.path.name}-branch-{number}")
    if trainer.record.lineage("probe"):
        advice = f"Train a branch of it: trainer.branch(out_dir={str(free)!r}) goes on from its latest probe."
    else:
        advice = f"Once nobody else writes it, train it with Trainer.load({str(folder.path)!r}, data)."
    return f"this trainer was loaded with read_only=True, and the run in {folder.path} stays as it is. {advice}"


def _check_data(path: Any, made_with: dict[str, Any], data: MultimodalData) -> None:
    """Refuse data that are not those of the run."""
    if made_with["fingerprint"] != data.fingerprint:
        raise CheckpointError(
            f"the run in {path} was made with data {made_with['name']!r} ({made_with['fingerprint']}, "
            f"options {made_with['options']}); you passed {data.name!r} ({data.fingerprint}). "
            f"Load the same data, with its seed."
        )

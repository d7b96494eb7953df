"""The trainer: what a user calls, and the one place that changes a model."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from mmpid import _validate
from mmpid._progress import progress_bar
from mmpid.datasets import MultimodalData
from mmpid.errors import ConfigError
from mmpid.models import LateFusion
from mmpid.protocols import RunProtocol
from mmpid.rules.controller import BalanceController, check_controller, default_controller
from mmpid.runs.checkpoint import CheckpointStore
from mmpid.runs.folder import RunFolder
from mmpid.runs.record import RunRecord
from mmpid.train.callbacks import Callback, Callbacks
from mmpid.train.checkpoints import Checkpoints
from mmpid.train.commands import Commands
from mmpid.train.config import TrainConfig
from mmpid.train.director import Director
from mmpid.train.dry_pass import prepare_model
from mmpid.train.interrupt import delayed_interrupt
from mmpid.train.loop import Loop
from mmpid.train.parallel import Parallel
from mmpid.train.probe_time import ProbeProgress
from mmpid.train.resume import branch, close, keep_in, load, save
from mmpid.train.run import Run
from mmpid.train.validation import check_fit, pick_device
from mmpid.train.view import View, forward


class Trainer:
    """Trains encoders one by one, watches what they know, and starts joint training from the right moment.

    Stage "unimodal" minimizes ``sum_m CE(head_m(encoder_m(x_m)), y)`` over the active modalities, stage "joint"
    ``CE(joint) + aux_weight * sum_m CE(head_m)``. A probe decomposes what they know; with `auto` the controller acts.

    Parameters
    ----------
    model : LateFusion
        Is trained in place. Frozen parameters (`requires_grad=False`) stay as they are; see docs/encoders.md.
    data : MultimodalData
        Two to six modalities; copied to the device once, or streamed batch by batch.
    controller : BalanceController, optional
        Decides pauses and the switch; by default one with default settings.
    seed : int
        Seed of the sample order and of dropout.
    device : str
        "auto" takes CUDA where there is one.
    out_dir : path, optional
        Folder for record and checkpoints, kept current. An existing run is not overwritten, and only one process at a
        time writes it.
    preset, variant : str
        "default" for our settings, or "paper" for the recipe of arXiv 2509.20840. Its variant is our reading of the
        "paper" (the default) or that of the "released" script. You pass model and data yourself.
    name : str
        Name of the run, for boards, tables and exports; kept in ``record.metadata["name"]``.
    protocol : str or RunProtocol, optional
        Follow a published setting, such as "ogm-ge/cremad", except for the method; a contradiction is an error.
    callbacks : iterable of Callback, optional
        Methods that hook into the run, in the order in which they are called; see :class:`mmpid.Callback`.
    accelerator : accelerate.Accelerator, optional
        Train in several processes, see :mod:`mmpid.train.parallel`.
    **settings
        Fields of :class:`~mmpid.train.TrainConfig`, for example `epochs=60, lr=0.01`.

    Raises
    ------
    ConfigError, InputError
        Settings, model and data that do not fit.

    Notes
    -----
    The trainer has its own random numbers. On the CPU the same seed gives the same record. A run that you saved,
    loaded, rewound or branched goes on as the original would have. Test accuracy is computed once, at the end, with
    the weights of :meth:`selected_model`, unless `selection="test"` asks for what many papers do. Source: arXiv
    2509.20840. docs/two-stage.md says what differs here, and why.

    Examples
    --------
    >>> import mmpid
    >>> data = mmpid.datasets.load("av-digits", seed=0)
    >>> trainer = mmpid.Trainer(mmpid.LateFusion.from_data(data), data, n_boot=0, n_null=0, device="cpu")
    >>> trainer.step(epochs=2)
    >>> trainer.switch_to_joint(rewind=False)
    >>> trainer.stage, trainer.epoch, len(trainer.record.to_frame("probe"))
    ('joint', 2, 3)
    """

    def __init__(
        self,
        model: LateFusion,
        data: MultimodalData,
        *,
        controller: BalanceController | None = None,
        seed: int = 0,
        device: str = "auto",
        out_dir: Any = None,
        preset: str = "default",
        variant: str | None = None,
        name: str = "",
        protocol: str | RunProtocol | None = None,
        callbacks: Iterable[Callback] = (),
        accelerator: Any = None,
        **settings: Any,
    ):
        config = TrainConfig.make(preset, variant, protocol=protocol, **settings)
        seed = _validate.number(seed, "seed", low=0, integer=True)
        controller = default_controller(preset, variant) if controller is None else check_controller(controller)
        parallel = None if accelerator is None else Parallel(accelerator)
        check_fit(model, data, protocol)
        prepare_model(model, data, place := accelerator.device if accelerator else pick_device(device), seed)
        _validate.instance(name, "name", str, "text", f"Try {str(name)!r}.")
        parts = {"controller": controller, "callbacks": Callbacks(callbacks), "parallel": parallel}
        self._run = run = Run(model, data, config, seed=seed, device=place, **parts)
        run.record = RunRecord(run.metadata(preset, variant, name, protocol))
        self._checkpoints = Checkpoints(CheckpointStore())
        commands = Commands(run, self._checkpoints)
        self._director = Director(run, self._checkpoints, commands)
        self._loop = Loop(run, self._director, commands)
        if out_dir is not None:
            keep_in(self, out_dir)

    def __repr__(self) -> str:
        done, total = self.progress
        state = "finished" if self.finished else f"{self.stage}, active: {', '.join(self.active)}"
        title = f"{self.name!r} on {self.data.name!r}" if self.name else repr(self.data.name)
        return f"Trainer({title}, epoch {self.epoch}, {done}/{total} of the budget, {state}, {self.device})"

    # ---- where it stands -----------------------------------------------------------------------------------------

    record = View[RunRecord]("record", "Everything measured and decided so far.")
    model = View[LateFusion]("model", "The model, with the weights of the last batch.")
    data = View[MultimodalData]("data", "The data, on the device.")
    config = View[TrainConfig]("config", "The settings.")
    seed = View[int]("seed", "Seed of the sample order and of dropout.")
    device = View[torch.device]("device", "Where the run trains.")
    threads = View[int]("threads", "CPU threads of torch while this run trains.")
    callbacks = View[tuple[Callback, ...]]("callbacks.all", "The callbacks, in the order in which they are called.")
    modalities = View[tuple[str, ...]]("data.modalities", "Names of the modalities, in order.")
    stage = View[str]("position.stage", 'The present stage, "unimodal" or "joint".')
    epoch = View[int]("position.epoch", "Epochs trained on the present path; a rewind lowers it.")
    active = View[tuple[str, ...]]("position.active", "Modalities whose encoders are training.")
    finished = View[bool]("position.finished", "Whether the budget is spent and the result is in the record.")
    updates = View[int]("position.step", "Batches trained so far, those of discarded futures included.")
    batch_size = View[int]("batch_size", "Samples per batch, from the next batch on.")
    probing = View[ProbeProgress | None]("prober.progress", "The long probe that is under way; None at other times.")
    folder = View[RunFolder | None]("folder", "Folder in which the run is kept current.")
    learning_rates = View[dict[str, float]]("engine.learning_rates", "Learning rate of each parameter group.")

    @property
    def controller(self) -> BalanceController:
        """What decides while :attr:`auto` is on."""
        return self._run.controller

    @controller.setter
    def controller(self, controller: BalanceController) -> None:
        self._run.controller = check_controller(controller)

    @property
    def auto(self) -> bool:
        """Whether the controller acts; it may be changed at any time."""
        return self._run.auto

    @auto.setter
    def auto(self, auto: bool) -> None:
        self._run.auto = _validate.flag(auto, "auto")

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.record.metadata.get("name", "")

    @property
    def checkpoints(self) -> CheckpointStore:
        """The states of the probes."""
        return self._checkpoints.store

    @property
    def progress(self) -> tuple[int, int]:
        """Epochs done and epochs to do, those of discarded futures included; in stage 1 to do is the whole budget."""
        done = self._run.position.epochs_run
        return done, done + self._run.epochs_left

    # ---- training ------------------------------------------------------------------------------------------------

    def step(self, epochs: int | None = None, *, batches: int | None = None) -> None:
        """Train for some epochs (default one, to the end of the next) or batches; a finished run stays as it is."""
        if epochs is not None and batches is not None:
            raise ConfigError("`epochs` and `batches` exclude each other; give one of them.")
        name, n = ("batches", batches) if batches is not None else ("epochs", 1 if epochs is None else epochs)
        n = _validate.number(n, name, low=1, integer=True)
        at = self._run.position
        goal = at.epochs_run + n
        with self._run.own_process(), delayed_interrupt() as interrupted:
            self._loop.catch_up()
            while not (self.finished or interrupted.is_set()):
                self._loop.train_batch()
                n -= 1
                if (batches is not None and n == 0) or (batches is None and at.epochs_run >= goal):
                    break

    def fit(self, *, progress: bool = True) -> RunRecord:
        """Train to the end of the budget with the controller in charge, and return the record.

        Interrupting is safe: the batch is completed, and `fit()` goes on from there. `progress=False` hides the bar.
        """
        self.auto = True
        done, total = self.progress
        with progress_bar(total=total, initial=done, unit="epoch", show=progress) as bar:
            while not self.finished or self._loop.behind:
                self.step(epochs=1)
                done, bar.total = self.progress
                bar.update(done - bar.n)
        return self.record

    def probe(self) -> dict[str, Any]:
        """Probe now, append the row to the record and return it; between two epochs also keep a checkpoint."""
        with self._run.own_process():
            row = self._director.probe()
        if not self._run.position.batch:
            self._director.keep_checkpoint()
        return row

    selected_model = forward("_loop", Loop.selected_model)
    predictions = forward("_loop", Loop.predictions)

    # ---- commands ------------------------------------------------------------------------------------------------

    @property
    def _commands(self) -> Commands:
        self._run.permit.check()
        return self._loop.commands

    pause = forward("_commands", Commands.pause)
    resume = forward("_commands", Commands.resume)
    set_learning_rate = forward("_commands", Commands.set_learning_rate)
    set_batch_size = forward("_commands", Commands.set_batch_size)
    set_rule = forward("_commands", Commands.set_rule)
    switch_to_joint = forward("_commands", Commands.switch_to_joint)
    rewind = forward("_commands", Commands.rewind)

    def branch(self, at: int | None = None, name: str = "", *, out_dir: Any = None) -> "Trainer":
        """Return a new, independent trainer that stands at the probe of epoch `at` (default: the latest probe).

        The branch holds copies of model, callbacks, record and checkpoints up to that probe, and has the rest of the
        budget before it. Its metadata hold this run's name as "parent", and `at` as "branched_at". With `out_dir`, a
        new folder, it is kept current there.
        """
        return branch(self, at, name, out_dir)

    state_dict = forward("_run", Run.state_dict)
    load_state_dict = forward("_run", Run.load_state_dict)

    def save(self, path: Any) -> Path:
        """Write record, state and checkpoints to a folder, new or of an earlier state of this run; return it."""
        return save(self, path)

    def close(self) -> None:
        """Let other processes write the run's folder, and end those that read samples; no training after that."""
        close(self)

    @classmethod
    def load(
        cls, path: Any, data: MultimodalData, *, model: LateFusion | None = None,
        controller: BalanceController | None = None, callbacks: Iterable[Callback] | None = None, device: str = "auto",
        accelerator: Any = None, read_only: bool = False, **own: Any,
    ) -> "Trainer":  # fmt: skip
        """Continue a run from the folder of :meth:`save` or of `out_dir`; on the CPU bit for bit.

        Parameters
        ----------
        path : path
            The folder.
        data : MultimodalData
            The same data; its fingerprint is compared.
        model : LateFusion, optional
            Needed if the run used your own encoders or fusion: a model built the same way.
        controller : BalanceController, optional
            Needed if the run used your own rule or policy.
        callbacks : iterable of Callback, optional
            Needed if the run used your own callbacks: made the same way, in the same order.
        device, accelerator
            As for a new trainer.
        read_only : bool
            Only look at the run as it stands now, also while another process trains it; :meth:`branch` may be trained.
        **own
            Your own functions that the run used: `loss`, `optimizer`, `scheduler`, `metrics`, `selection_metric`.

        Raises
        ------
        CheckpointError, ConfigError
            No readable checkpoint, or data, model, callbacks, rules or functions that are not those of the run; a
            folder that another process writes, without `read_only`.
        """
        parts = {"model": model, "controller": controller, "callbacks": callbacks, "read_only": read_only}
        return load(cls, path, data, device=device, accelerator=accelerator, **parts, **own)

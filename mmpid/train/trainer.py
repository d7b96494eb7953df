"""The trainer: the one place that changes a model. Stage 1 alone, stage 2 together, probes between, all undoable."""

import copy
from dataclasses import asdict
from pathlib import Path

from mmpid import _validate
from mmpid._progress import progress_bar
from mmpid.datasets import MultimodalData
from mmpid.errors import CheckpointError, ConfigError
from mmpid.models import LateFusion
from mmpid.rules.controller import BalanceController, check_controller, default_controller
from mmpid.runs.checkpoint import CheckpointStore
from mmpid.runs.folder import RunFolder
from mmpid.runs.metadata import make_metadata
from mmpid.runs.record import RunRecord
from mmpid.train import engine
from mmpid.train.commands import Steering
from mmpid.train.config import TrainConfig
from mmpid.train.interrupt import delayed_interrupt
from mmpid.train.validation import check_fit, pick_device, rebuild_model


class Trainer(Steering):
    """Trains encoders one by one, watches what they know, and starts joint training from the right moment.

    Stage "unimodal" minimizes ``sum_m CE(head_m(encoder_m(x_m)), y)`` over the active modalities; stage "joint"
    minimizes ``CE(joint) + aux_weight * sum_m CE(head_m)``. At each probe the encoders are decomposed on held-out
    samples, the row goes into the record, and, with :attr:`auto` on, the controller decides.

    Parameters
    ----------
    model : LateFusion
        Is trained in place. Parameters of an encoder that are frozen (`requires_grad=False`) stay as they are.
    data : MultimodalData
        Two to six modalities; copied to the device once, or streamed batch by batch.
    controller : BalanceController, optional
        Decides pauses and the switch; by default one with default settings.
    seed : int
        Seed of the sample order and of dropout. The order of epoch e is a function of seed and e alone.
    device : str
        "auto" takes CUDA where there is one.
    out_dir : path, optional
        Folder in which the run is kept current: record and checkpoints. An existing run is not overwritten.
    preset : {"default", "paper"}
        Our settings, or the recipe of arXiv 2509.20840 as its released script has it: its probes, its controller
        (synergy's peak, two pauses at the most, 200 epochs alone), its stage 2 of 100 epochs, and selection on the
        test set. Model and data are yours.
    name : str
        Name of the run, for boards, tables and exports; kept in ``record.metadata["name"]``.
    accelerator : accelerate.Accelerator, optional
        Train in several processes: each takes its share of every batch on the accelerator's device, gradients are
        averaged, and only the main process writes folders. See :mod:`mmpid.train.parallel`.
    **settings
        Fields of :class:`~mmpid.train.TrainConfig`, for example `epochs=60, lr=0.01`.

    Attributes
    ----------
    record : RunRecord
        Everything measured and decided so far.
    auto : bool
        Whether the controller acts; it may be changed at any time.

    Raises
    ------
    ConfigError, InputError
        Settings, model and data that do not fit each other.

    Notes
    -----
    With three or more modalities a probe decomposes each against the rest: ``unique{i}`` is what only modality i has,
    ``redundancy`` and ``synergy`` are means over the modalities, and pairs are given beside them as values.

    All randomness is the trainer's own: on the CPU the same seed gives the same record, and a run that was saved,
    loaded, rewound or branched goes on as the original would have. Test accuracy is computed once, at the end, unless
    `selection="test"` asks for what many papers do. It is that of :meth:`selected_model`, a copy with the weights of
    the epoch that was selected; the model itself has those of the last one.

    References
    ----------
    arXiv 2509.20840 for the two stages; docs/two-stage.md for what is done otherwise here, and why.

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
        out_dir=None,
        preset: str = "default",
        name: str = "",
        accelerator=None,
        **settings,
    ):
        config = TrainConfig.make(preset, **settings)
        seed = _validate.number(seed, "seed", low=0, integer=True)
        self.controller = default_controller(preset) if controller is None else check_controller(controller)
        self.auto = True
        self._parallel = _make_parallel(accelerator)
        check_fit(model, data)
        _validate.instance(name, "name", str, "a text", f"Try {str(name)!r}.")
        super().__init__(model, data, config, seed, accelerator.device if accelerator else pick_device(device))
        self.record = RunRecord(self._make_metadata(preset, name))
        writes = out_dir is not None and self._is_main
        self.folder = RunFolder.create(out_dir, self.record, self._state()) if writes else None
        self.checkpoints = CheckpointStore(self.folder.checkpoints if self.folder else None)

    def __repr__(self) -> str:
        done, total = self.progress
        state = "finished" if self.finished else f"{self.stage}, active: {', '.join(self.active)}"
        title = f"{self.name!r} on {self.data.name!r}" if self.name else repr(self.data.name)
        return f"Trainer({title}, epoch {self.epoch}, {done}/{total} of the budget, {state}, {self.device})"

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.record.metadata.get("name", "")

    # ---- training --------------------------------------------------------------------------------------------

    def step(self, epochs: int | None = None, *, batches: int | None = None) -> None:
        """Train for some epochs (default one, counting from the next epoch's end) or some batches; probes when due.

        A finished run stays as it is.
        """
        if epochs is not None and batches is not None:
            raise ConfigError("`epochs` and `batches` exclude each other; give one of them.")
        name, n = ("batches", batches) if batches is not None else ("epochs", 1 if epochs is None else epochs)
        n = _validate.number(n, name, low=1, integer=True)
        goal = self._at.epochs_run + n
        with self._own_threads_and_random_numbers(), delayed_interrupt() as interrupted:
            while not (self.finished or interrupted.is_set()):
                self._train_batch()
                n -= 1
                if (batches is not None and n == 0) or (batches is None and self._at.epochs_run >= goal):
                    break

    def fit(self, *, progress: bool = True) -> RunRecord:
        """Train to the end of the budget with the controller in charge, and return the record.

        Interrupting is safe: the batch is completed, and `fit()` goes on from there. `progress=False` hides the bar.
        """
        self.auto = True
        done, total = self.progress
        with progress_bar(total=total, initial=done, unit="epoch", show=progress) as bar:
            while not self.finished:
                self.step(epochs=1)
                done, bar.total = self.progress
                bar.update(done - bar.n)
        return self.record

    # ---- other futures -----------------------------------------------------------------------------------------

    def branch(self, at: int | None = None, name: str = "") -> "Trainer":
        """Return a new, independent trainer that stands at the probe of epoch `at` (default: the latest probe).

        This trainer is not changed. The branch holds a copy of the model, of the record and of the checkpoints up to
        that probe, and has the rest of the budget before it. Its metadata names it `name`, this run "parent", and `at`
        "branched_at".
        """
        if at is None:
            probes = self.record.lineage("probe")
            if not probes:
                raise ConfigError("there is no probe to branch from yet; train an epoch first.")
            at = probes[-1]["epoch"]
        state = self._find_checkpoint(_validate.number(at, "at", low=0, integer=True))
        model = copy.deepcopy(self.model)
        for own, copied in zip(self.model.parameters(), model.parameters(), strict=True):
            copied.requires_grad_(id(own) not in self._fixed)  # a pause of this run is none of its branch
        child = Trainer(
            model, self.data, controller=self.controller, seed=self.seed, device=str(self.device),
            name=name, accelerator=self._parallel.accelerator if self._parallel else None, **asdict(self.config),
        )  # fmt: skip
        child.record.metadata |= {"preset": self.record.metadata["preset"], "branched_at": at, "parent": self.name}
        child.record.rows.extend(dict(row) for row in self.record.rows[: state.meta["n_rows"]])
        child.auto = self.auto
        child._restore(state)
        child._take_checkpoints(self)
        child._keep_checkpoint()
        return child

    def save(self, path) -> Path:
        """Write the run to a folder: record, present state, and the checkpoints of its probes. Return the folder.

        A folder that holds an earlier state of this run is brought up to date; one of another run is refused.
        """
        folder = RunFolder(_validate.path(path, "path"))
        if self._is_main:
            folder.write(self.record, self._state(), {key: self.checkpoints.get(key) for key in self.checkpoints})
        return folder.path

    @classmethod
    def load(
        cls,
        path,
        data: MultimodalData,
        *,
        model: LateFusion | None = None,
        controller: BalanceController | None = None,
        device: str = "auto",
        accelerator=None,
    ) -> "Trainer":
        """Continue a run from the folder of :meth:`save` or of `out_dir`; on the CPU bit for bit.

        Parameters
        ----------
        path : path
            The folder.
        data : MultimodalData
            The same data; its fingerprint is compared.
        model : LateFusion, optional
            Needed when the run used encoders of your own: one built the same way.
        controller : BalanceController, optional
            Needed when the run used a rule of your own.
        device, accelerator
            As for a new trainer.

        Raises
        ------
        CheckpointError
            No readable checkpoint, a newer format, other data, or another model.
        """
        _validate.instance(data, "data", MultimodalData, "MultimodalData", "Load the data of the run, with its seed.")
        folder = RunFolder(_validate.path(path, "path"))
        record, state = folder.read()
        metadata = record.metadata
        made_with = metadata["data"]
        if made_with["fingerprint"] != data.fingerprint:
            raise CheckpointError(
                f"the run in {path} was made with data {made_with['name']!r} ({made_with['fingerprint']}, "
                f"options {made_with['options']}); these are {data.name!r} ({data.fingerprint}). "
                f"Load the same data, with its seed."
            )
        trainer = cls(
            rebuild_model(metadata, data) if model is None else model, data,
            seed=metadata["seed"], device=device, accelerator=accelerator,
            controller=controller or BalanceController.from_dict(state.meta.get("controller", metadata["controller"])),
            **TrainConfig.from_dict(metadata["settings"]).to_dict(),
        )  # fmt: skip
        trainer.record = record
        trainer.auto = state.meta["auto"]
        trainer.folder = folder if folder.live and trainer._is_main else None
        trainer.checkpoints = CheckpointStore.open(folder.checkpoints) if trainer.folder else folder.read_checkpoints()
        trainer._restore(state)
        if trainer.folder:
            trainer.folder.resume(trainer.record)
        return trainer

    # ---- the metadata and checks -------------------------------------------------------------------------------

    @property
    def _is_main(self) -> bool:
        """Whether this process writes folders: the only one does, of several the first."""
        return self._parallel is None or self._parallel.is_main

    def _prior_loss(self) -> float:
        """Return the validation loss of who knows class frequencies alone, in nats: the bar of a unimodal head."""
        train, held_out = (self._splits[name].target for name in ("train", "validation"))
        return round(engine.prior_loss(train, held_out, self.data.n_classes, self._class_weight), 6)

    def _make_metadata(self, preset: str, name: str) -> dict:
        return make_metadata(
            self.model,
            self.data,
            prior_loss=self._prior_loss(),
            name=name,
            preset=preset,
            settings=self.config.to_dict(),
            controller=self.controller.to_dict(),
            seed=self.seed,
            device=str(self.device),
            threads=self.threads,
        )


def _make_parallel(accelerator):
    """Return the hooks of several processes, or None for a process that trains alone."""
    if accelerator is None:
        return None
    from mmpid.train.parallel import Parallel

    return Parallel(accelerator)

"""The trainer: the one place that changes a model. Stage 1 alone, stage 2 together, probes between, all undoable."""

import copy
from dataclasses import asdict, replace
from pathlib import Path

from mmpid import _validate
from mmpid._progress import progress_bar
from mmpid.datasets import MultimodalData
from mmpid.errors import CheckpointError, ConfigError, InputError
from mmpid.models import LateFusion
from mmpid.train.card import check_fit, make_card, pick_device, rebuild_model
from mmpid.train.checkpoint import CheckpointStore, State
from mmpid.train.config import TrainConfig
from mmpid.train.controller import BalanceController, default_controller
from mmpid.train.decision import Decision
from mmpid.train.folder import RunFolder
from mmpid.train.interrupt import delayed_interrupt
from mmpid.train.loop import Loop
from mmpid.train.record import RunRecord


class Trainer(Loop):
    """Trains encoders one by one, watches what they know, and starts joint training from the right moment.

    Stage "unimodal" minimizes ``sum_m CE(head_m(encoder_m(x_m)), y)`` over the active modalities; stage "joint"
    minimizes ``CE(joint) + aux_weight * sum_m CE(head_m)``. At each probe the encoders are decomposed on held-out
    samples, the row goes into the record, and, with :attr:`auto` on, the controller decides.

    Parameters
    ----------
    model : LateFusion
        Is trained in place.
    data : MultimodalData
        Two modalities; copied to the device once.
    controller : BalanceController, optional
        Decides pauses and the switch; by default one with default settings.
    seed : int
        Seed of the sample order and of dropout. The order of epoch e is a function of seed and e alone.
    device : str
        "auto" takes CUDA where there is one.
    out_dir : path, optional
        Folder in which the run is kept current: record and checkpoints. An existing run is not overwritten.
    preset : {"default", "paper"}
        Our settings, or the recipe of arXiv 2509.20840.
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
    All randomness is the trainer's own: on the CPU the same seed gives the same record, and a run that was saved,
    loaded, rewound or branched goes on as the original would have. Test accuracy is computed once, at the end, unless
    `selection="test"` asks for what many papers do.

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
        **settings,
    ):
        config = TrainConfig.make(preset, **settings)
        self.controller = controller if controller is not None else default_controller(preset)
        self.auto = True
        check_fit(model, data)
        super().__init__(model, data, config, _validate.number(seed, "seed", low=0, integer=True), pick_device(device))
        self.record = RunRecord(self._make_card(preset))
        self.folder = RunFolder.create(out_dir, self.record) if out_dir is not None else None
        self.checkpoints = CheckpointStore(self.folder.checkpoints if self.folder else None)

    def __repr__(self) -> str:
        done, total = self.progress
        state = "finished" if self.finished else f"{self.stage}, active: {', '.join(self.active)}"
        return f"Trainer({self.data.name!r}, epoch {self.epoch}, {done}/{total} of the budget, {state}, {self.device})"

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
                bar.update(self.progress[0] - bar.n)
        return self.record

    def probe(self) -> dict:
        """Decompose the present embeddings now, append the row to the record and return it."""
        with self._own_threads_and_random_numbers():
            return self._append("probe", **self._active_flags(), **self._prober.measure(self.model))

    def pause(self, modality: str) -> None:
        """Stop training one modality's encoder until :meth:`resume`; at least one other must stay active."""
        self._check_modality(modality)
        if self.active == (modality,):
            raise ConfigError(f"{modality!r} is the only active modality; resume another one before pausing it.")
        if modality in self.active:
            self._obey(Decision(action="pause", reason="by hand", epoch=self.epoch, modality=modality), "user")

    def resume(self, modality: str) -> None:
        """Train a paused modality's encoder again."""
        self._check_modality(modality)
        if modality not in self.active:
            self._obey(Decision(action="resume", reason="by hand", epoch=self.epoch, modality=modality), "user")

    def switch_to_joint(self, rewind: bool | int = True) -> None:
        """Start stage 2.

        Parameters
        ----------
        rewind : bool or int
            True starts from the probe that the controller's rule names best (for :class:`PeakSynergy` the peak),
            False from the present state, a number from the probe at that epoch.
        """
        if self.stage == "joint":
            raise ConfigError("joint training has already started; `rewind(to=epoch)` or `branch(at=epoch)` go back.")
        if rewind is True:
            best = self.controller.rule.best(self.record)
            if best is None:
                raise ConfigError("there is no probe to rewind to yet; train an epoch first, or use rewind=False.")
            rewind = best["epoch"]
        target = None if rewind is False else _validate.number(rewind, "rewind", low=0, integer=True)
        if target is not None:
            self._find_checkpoint(target)
        self._obey(Decision(action="switch", reason="by hand", epoch=self.epoch, rewind_to=target), "user")

    # ---- time travel -----------------------------------------------------------------------------------------

    def rewind(self, to: int) -> None:
        """Go back to the probe at epoch `to`; what came after stays in the record as a discarded future.

        The epochs spent there stay spent: the budget counts them.
        """
        self._rewind(_validate.number(to, "to", low=0, integer=True), "by hand", "user")

    def branch(self, at: int | None = None) -> "Trainer":
        """Return a new, independent trainer that stands at the probe of epoch `at` (default: the latest probe).

        This trainer is not changed. The branch holds a copy of the model and of the record up to that probe, and has
        the rest of the budget before it.
        """
        if at is None:
            probes = self.record.lineage("probe")
            if not probes:
                raise ConfigError("there is no probe to branch from yet; train an epoch first.")
            at = probes[-1]["epoch"]
        state = self._find_checkpoint(_validate.number(at, "at", low=0, integer=True))
        child = Trainer(
            copy.deepcopy(self.model), self.data, controller=self.controller, seed=self.seed, device=str(self.device),
            **asdict(self.config),
        )  # fmt: skip
        child.record.card |= {"preset": self.record.card["preset"], "branched_at": at}
        child.record.rows.extend(dict(row) for row in self.record.rows[: state.meta["n_rows"]])
        child.auto = self.auto
        child._restore(state)
        child._keep_checkpoint()
        return child

    def save(self, path) -> Path:
        """Write the run to a folder: record, present state, and the checkpoints of its probes. Return the folder."""
        folder = RunFolder(Path(path))
        folder.write(self.record, self._state(), {key: self.checkpoints.get(key) for key in self.checkpoints})
        return folder.path

    @classmethod
    def load(
        cls, path, data: MultimodalData, *, model: LateFusion | None = None, controller=None, device: str = "auto"
    ):
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

        Raises
        ------
        CheckpointError
            No readable checkpoint, a newer format, other data, or another model.
        """
        folder = RunFolder(Path(path))
        record, state = folder.read()
        card = record.card
        if card["data"]["fingerprint"] != data.fingerprint:
            raise CheckpointError(
                f"the run in {path} was made with data {card['data']['name']!r} ({card['data']['fingerprint']}, "
                f"options {card['data']['options']}); these are {data.name!r} ({data.fingerprint}). "
                f"Load the same data, with its seed."
            )
        trainer = cls(
            model or rebuild_model(card, data), data, seed=card["seed"], device=device,
            controller=controller or BalanceController.from_dict(card["controller"]),
            **TrainConfig.from_dict(card["settings"]).to_dict(),
        )  # fmt: skip
        trainer.record = record
        trainer.auto = state.meta["auto"]
        trainer.folder = folder if folder.live else None
        trainer.checkpoints = CheckpointStore.open(folder.checkpoints) if folder.live else folder.read_checkpoints()
        trainer._restore(state)
        if trainer.folder:
            trainer.folder.resume(trainer.record)
        return trainer

    # ---- deciding --------------------------------------------------------------------------------------------

    def _probe_and_decide(self) -> None:
        """Probe, keep a checkpoint of this moment, and let the controller act on it."""
        self._append("probe", **self._active_flags(), **self._prober.measure(self.model))
        self._at.decided = False
        self._keep_checkpoint()
        self._before_epoch()

    def _before_epoch(self) -> None:
        """Ask the controller about the latest probe, once, if it is in charge."""
        if self._at.decided or not self.auto or self._at.epochs_run >= self.config.epochs:
            return
        self._at.decided = True
        if self.stage == "joint" and self.config.stage2 != "balance":
            return
        for decision in self.controller.decide(self.record):
            if decision.action == "switch" and not self.config.rewind:
                decision = replace(decision, rewind_to=None)
            self._obey(decision, "controller")

    def _obey(self, decision: Decision, source: str) -> None:
        """Carry out a decision and write it down; the only way in which training is steered."""
        row = {"action": decision.action, "modality": decision.modality, "reason": decision.reason}
        row |= {"rule": decision.rule, "source": source}
        if decision.action == "pause":
            if self.active == (decision.modality,):
                return
            self._set_active(tuple(name for name in self.active if name != decision.modality))
        elif decision.action == "resume":
            self._set_active(tuple(m for m in self.modalities if m in self.active or m == decision.modality))
        elif decision.action == "switch":
            if decision.rewind_to is not None and (decision.rewind_to != self.epoch or self._at.batch):
                self._rewind(decision.rewind_to, f"joint training starts from epoch {decision.rewind_to}", source)
            self._start_joint()
        self._append("decision", **row)

    def _rewind(self, epoch: int, reason: str, source: str) -> None:
        """Restore the probe of an epoch as the start of a new segment."""
        state, parent, now = self._find_checkpoint(epoch), self._at.segment, self._at
        self._restore(state)
        self._at.segment = 1 + max(row["segment"] for row in self.record.rows)
        self._at.step, self._at.epochs_run = now.step, now.epochs_run
        self._at.decided, self._at.finished = True, False
        row = {"action": "rewind", "modality": "", "rule": "", "source": source}
        row |= {"reason": f"{reason} (was at epoch {now.epoch})", "parent": parent, "from_row": state.meta["n_rows"]}
        self._append("decision", **row)

    def _recover(self, reason: str) -> int | None:
        """Return to the latest checkpoint of the present path after a broken loss; return its epoch."""
        epochs = [epoch for epoch, _ in self._path_checkpoints()]
        if not epochs:
            return None
        self._rewind(max(epochs), reason, "trainer")
        return max(epochs)

    # ---- checkpoints -----------------------------------------------------------------------------------------

    def _state(self) -> State:
        state = super()._state()
        return State(state.tensors, {**state.meta, "auto": self.auto})

    def _keep_checkpoint(self) -> None:
        """Keep the present state as the checkpoint of this epoch; never drop the one that a rewind would want."""
        best = self.controller.rule.best(self.record)
        keep = [key for epoch, key in self._path_checkpoints() if best and epoch == best["epoch"]]
        self.checkpoints.add((self._at.segment, self.epoch), self._state(), keep=keep)

    def _path_checkpoints(self) -> list[tuple[int, tuple[int, int]]]:
        """Return (epoch, key) of the checkpoints on the present path."""
        keys = [(row["segment"], row["epoch"]) for row in self.record.lineage("probe")]
        return [(key[1], key) for key in keys if key in self.checkpoints]

    def _find_checkpoint(self, epoch: int) -> State:
        """Return the state at the probe of an epoch on the present path."""
        found = dict(self._path_checkpoints())
        if epoch not in found:
            raise CheckpointError(
                f"there is no checkpoint of epoch {epoch} on the present path; there are those of epochs "
                f"{', '.join(map(str, sorted(found))) or 'none'}. Checkpoints are made at probes."
            )
        return self.checkpoints.get(found[epoch])

    def _end_epoch(self) -> None:
        super()._end_epoch()
        if self.folder:
            self.folder.keep(self.record, self._state())

    def _make_card(self, preset: str) -> dict:
        return make_card(
            self.model,
            self.data,
            preset=preset,
            settings=self.config.to_dict(),
            controller=self.controller.to_dict(),
            seed=self.seed,
            device=str(self.device),
            threads=self.threads,
        )

    def _check_modality(self, modality: str) -> None:
        _validate.choice(modality, "modality", self.modalities, InputError)

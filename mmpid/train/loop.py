"""The training loop: batches, epochs, probes, and its whole state as plain data. It decides nothing."""

import copy
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import numpy as np
import torch

from mmpid.datasets import MultimodalData
from mmpid.errors import CheckpointError, TrainingError
from mmpid.models import LateFusion
from mmpid.train import engine
from mmpid.train.checkpoint import State, pack, pack_optimizer, unpack_optimizer
from mmpid.train.config import TrainConfig
from mmpid.train.probing import Prober
from mmpid.train.record import RunRecord
from mmpid.train.selection import Selector

SMALL_MODEL = 1_000_000  # parameters; below, threads cost more than they bring


@dataclass
class Position:
    """Where a run stands: plain values, saved with every checkpoint."""

    stage: str
    active: tuple[str, ...]
    segment: int = 0
    epoch: int = 0
    batch: int = 0
    step: int = 0
    epochs_run: int = 0
    joint_epochs: int = 0
    decided: bool = True
    finished: bool = False


class Loop(ABC):
    """Trains a model on data, one batch at a time, and can say and restore exactly where it stands.

    What to do after a probe, before an epoch and after a broken loss is left to the trainer, in three hooks.
    """

    record: RunRecord

    def __init__(self, model: LateFusion, data: MultimodalData, config: TrainConfig, seed: int, device: torch.device):
        self.config, self.seed, self.device = config, seed, device
        self.data, self.model = data.to(device), model.to(device)
        small = sum(p.numel() for p in model.parameters()) < SMALL_MODEL
        self.threads = config.threads or (1 if small else torch.get_num_threads())
        self._prober = Prober(self.data, config, seed)
        self._splits = {name: self.data.split(name) for name in self.data.splits}
        self._selector = Selector(config.selection)
        self._rng = torch.Generator().manual_seed(mix(seed, 1)).get_state()
        self._at = Position("unimodal" if config.unimodal_epochs else "joint", tuple(data.modalities))
        self._enter_stage()

    # ---- hooks -----------------------------------------------------------------------------------------------

    @abstractmethod
    def _probe_and_decide(self) -> None:
        """Measure, and act on it."""

    @abstractmethod
    def _before_epoch(self) -> None:
        """Do what is still to be done before training goes on."""

    @abstractmethod
    def _recover(self, reason: str) -> int | None:
        """Return to a good state after a broken loss; return its epoch, None if there is none."""

    # ---- where it stands -------------------------------------------------------------------------------------

    @property
    def stage(self) -> str:
        """The present stage, "unimodal" or "joint"."""
        return self._at.stage

    @property
    def epoch(self) -> int:
        """Epochs trained on the present path; a rewind lowers it."""
        return self._at.epoch

    @property
    def active(self) -> tuple[str, ...]:
        """Modalities whose encoders are training."""
        return self._at.active

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities, in order."""
        return self.data.modalities

    @property
    def finished(self) -> bool:
        """Whether the budget of epochs is used up and the result is in the record."""
        return self._at.finished

    @property
    def updates(self) -> int:
        """Batches trained so far, those of discarded futures included."""
        return self._at.step

    @property
    def progress(self) -> tuple[int, int]:
        """Epochs done and epochs to do, those of discarded futures included."""
        return self._at.epochs_run, self.config.epochs

    # ---- batches and epochs ----------------------------------------------------------------------------------

    def _train_batch(self) -> None:
        at = self._at
        if at.batch == 0:
            self._begin_epoch()
        if at.finished:
            return
        train, index = self._splits["train"], self._order[at.batch]
        inputs = {name: x[index] for name, x in train.inputs.items()}
        self._losses[at.batch] = engine.update(
            self.model, self._optimizer, inputs, train.target[index], at.active, at.stage, self.config.aux_weight
        )
        at.batch += 1
        at.step += 1
        last = at.batch == len(self._order)
        if last or at.batch % self.config.log_every == 0:
            self._log_batches()
        if last:
            self._end_epoch()

    def _begin_epoch(self) -> None:
        """Probe before the very first batch, and lay out the batches of this epoch."""
        if not self.record.rows:
            self._probe_and_decide()
        self._before_epoch()
        self._lay_out_epoch()

    def _lay_out_epoch(self) -> None:
        """Order the training samples; a function of the seed and the epoch alone."""
        train = self._splits["train"]
        generator = torch.Generator().manual_seed(mix(self.seed, 2, self._at.epoch))
        order = torch.randperm(len(train), generator=generator).to(self.device)
        self._order = order.split(self.config.batch_size)
        names = engine.loss_names(self.modalities, self.stage)
        self._losses = torch.full((len(self._order), len(names)), float("nan"), device=self.device)
        self._epoch_start = time.perf_counter()

    def _log_batches(self) -> None:
        """Read the losses since the last reading (the loop's only synchronization), refuse NaN, append a row."""
        at, names = self._at, engine.loss_names(self.modalities, self.stage)
        start = (at.batch - 1) // self.config.log_every * self.config.log_every
        table = self._losses[start : at.batch].tolist()
        used = [i for i, name in enumerate(names) if at.stage == "joint" or name in at.active]
        for offset, values in enumerate(table):
            bad = [names[i] for i in used if not np.isfinite(values[i])]
            if bad:
                self._fail_on_loss(bad[0], start + offset + 1)
        means = {f"loss.{names[i]}": float(np.mean([values[i] for values in table])) for i in used}
        self._append("batch", batch=at.batch, **means)

    def _fail_on_loss(self, name: str, batch: int) -> None:
        """Return to the last good state and raise."""
        where = f"batch {batch} of epoch {self.epoch + 1}"
        good = self._recover(f"the loss of {name} was not finite at {where}")
        raise TrainingError(
            f"the loss of {name!r} was not finite at {where}. The state of epoch {good} has been restored; "
            f"try a smaller `lr` (it was {self.config.lr:g}), or look for extreme values in the data."
        )

    def _end_epoch(self) -> None:
        at = self._at
        losses = self._losses.nanmean(0).tolist()
        at.batch, at.epoch, at.epochs_run = 0, at.epoch + 1, at.epochs_run + 1
        seen = engine.evaluate(self.model, self._splits["validation"])
        fields = {f"loss.{m}": x for m, x in zip(engine.loss_names(self.modalities, self.stage), losses, strict=True)}
        fields = {key: value for key, value in fields.items() if value == value}
        for name in (*self.modalities, "ens", *(["joint"] if self.stage == "joint" else [])):
            fields[f"validation_accuracy.{name}"] = seen.accuracy(name)
            fields[f"validation_loss.{name}"] = seen.loss(name)
        fields |= {f"lr.{group['name']}": group["lr"] for group in self._optimizer.param_groups}
        self._append(
            "epoch", **fields, **self._active_flags(), seconds=round(time.perf_counter() - self._epoch_start, 4)
        )
        if self.config.selection == "test":
            seen = engine.evaluate(self.model, self._splits["test"])
        self._selector.offer(self.model, seen, self.stage, at.epoch)
        self._lower_learning_rate()
        if at.epoch % self.config.probe_every == 0 and not (self.stage == "joint" and self.config.stage2 == "off"):
            self._probe_and_decide()
        if at.epochs_run >= self.config.epochs:
            self._finish()

    def _finish(self) -> None:
        """Judge the selected weights on the test split, once; the model keeps its present weights."""
        judged = copy.deepcopy(self.model)
        self._selector.apply(judged, self.stage)
        seen = engine.evaluate(judged, self._splits["test"])
        names = (*self.modalities, "ens", *(["joint"] if self.stage == "joint" else []))
        chosen = {f"selected_epoch.{head}": choice["epoch"] for head, choice in self._selector.choices.items()}
        fields = {f"test_accuracy.{name}": seen.accuracy(name) for name in names}
        self._append("result", selection=self.config.selection, n_test=len(seen.target), **chosen, **fields)
        self._at.finished = True

    def selected_model(self) -> LateFusion:
        """Return a copy of the model with the weights of the selected epoch, in evaluation mode."""
        model = copy.deepcopy(self.model)
        self._selector.apply(model, self.stage)
        return model.eval()

    # ---- stages and rows -------------------------------------------------------------------------------------

    def _enter_stage(self) -> None:
        """Make the optimizer of the present stage and freeze what must not move."""
        engine.set_trainable(self.model, self.active, self.stage, self.config)
        self._optimizer = engine.make_optimizer(self.model, self.config, self.stage)

    def _start_joint(self) -> None:
        """Begin stage 2 from the present weights, every modality active."""
        at = self._at
        at.stage, at.active, at.batch, at.joint_epochs = "joint", self.modalities, 0, 0
        if self.config.fusion_init == "heads":
            self.model.start_joint_from_heads()
        self._selector.forget()
        self._enter_stage()

    def _set_active(self, active: tuple[str, ...]) -> None:
        self._at.active = active
        engine.set_trainable(self.model, active, self.stage, self.config)

    def _lower_learning_rate(self) -> None:
        """Follow the step schedule of stage 2."""
        at, every = self._at, self.config.lr_step
        at.joint_epochs += at.stage == "joint"
        if every and at.joint_epochs and at.joint_epochs % every == 0:
            for group in self._optimizer.param_groups:
                group["lr"] *= self.config.lr_gamma

    def _append(self, kind: str, **fields) -> dict:
        """Append a row that says where the run stands."""
        at = self._at
        return self.record.append(kind, segment=at.segment, stage=at.stage, epoch=at.epoch, step=at.step, **fields)

    def _active_flags(self) -> dict[str, bool]:
        return {f"active.{name}": name in self.active for name in self.modalities}

    @contextmanager
    def _own_threads_and_random_numbers(self) -> Iterator[None]:
        """Run with this run's own random state and number of threads; leave the global ones as they were."""
        threads = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        try:
            with self._own_random_numbers():
                yield
        finally:
            torch.set_num_threads(threads)

    @contextmanager
    def _own_random_numbers(self) -> Iterator[None]:
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.set_rng_state(self._rng)
            if devices:
                torch.cuda.manual_seed(mix(self.seed, 3, self._at.step))
            try:
                yield
            finally:
                self._rng = torch.get_rng_state()

    # ---- state -----------------------------------------------------------------------------------------------

    def _state(self) -> State:
        """Return everything that the future depends on, as tensors and JSON."""
        optimizer, plain = pack_optimizer(self._optimizer)
        tensors = {
            **pack("model", self.model.state_dict()),
            **optimizer,
            **pack("selected", self._selector.tensors()),
            **pack("codebook", self._prober.state_tensors()),
            "rng": self._rng.clone(),
        }
        if self._at.batch:
            tensors |= pack("epoch", {"losses": self._losses})
        meta = {
            "position": asdict(self._at),
            "optimizer": plain,
            "selected": self._selector.choices,
            "n_rows": len(self.record.rows),
        }
        return State(tensors, meta)

    def _restore(self, state: State) -> None:
        """Stand exactly where :meth:`_state` was called."""
        position = dict(state.meta["position"])
        self._at = Position(**{**position, "active": tuple(position["active"])})
        _load_weights(self.model, state)
        self._enter_stage()
        unpack_optimizer(self._optimizer, state)
        self._selector.load(state.meta["selected"], state.section("selected"), self.device)
        self._prober.load_state_tensors(state.section("codebook"))
        self._rng = state.tensors["rng"].clone()
        if self._at.batch:
            self._lay_out_epoch()
            self._losses = state.section("epoch")["losses"].to(self.device, copy=True)


def mix(*numbers: int) -> int:
    """Return one well-mixed 32-bit seed of several numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def _load_weights(model: LateFusion, state: State) -> None:
    """Load the weights of a state; say which tensors do not fit."""
    weights, own = state.section("model"), model.state_dict()
    unfit = sorted(
        k for k in weights.keys() | own.keys() if k not in weights or k not in own or weights[k].shape != own[k].shape
    )
    if unfit:
        shown = ", ".join(unfit[:4]) + (", ..." if len(unfit) > 4 else "")
        raise CheckpointError(
            f"the checkpoint is of another model: {len(unfit)} of {len(own)} tensors do not fit ({shown}). "
            f"Pass `model=` built as in the original run."
        )
    model.load_state_dict(weights)

"""Where a run stands, as plain data: everything that its future depends on can be written down and restored."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor

from mmpid.datasets import MultimodalData
from mmpid.errors import CheckpointError
from mmpid.models import LateFusion
from mmpid.runs.checkpoint import State, pack, pack_optimizer, unpack_optimizer
from mmpid.runs.record import RunRecord
from mmpid.train import engine
from mmpid.train.config import TrainConfig
from mmpid.train.metrics import EpochMetrics
from mmpid.train.prober import Prober
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
    batch_size: int | None = None  # where it is no longer that of the settings
    cut: tuple[int, int] = (0, 0)  # batches and samples of this epoch that were done when its size was set


class RunState(ABC):
    """Model, optimizer, selected weights, codebooks, random state and position of a run, and how to restore them."""

    record: RunRecord

    def __init__(self, model: LateFusion, data: MultimodalData, config: TrainConfig, seed: int, device: torch.device):
        self.config, self.seed, self.device = config, seed, device
        self.data, self.model = data.to(device), model.to(device)
        self._fixed = engine.fixed_parameters(self.model)
        small = sum(p.numel() for p in model.parameters()) < SMALL_MODEL
        self.threads = config.threads or (1 if small else torch.get_num_threads())
        self._splits = {name: self.data.split(name) for name in self.data.splits}
        self._class_weight = self._class_weights()
        self._prober = Prober(self.data, config, seed, device)
        self._selector = Selector(config.selection)
        self._rng = torch.Generator().manual_seed(mix(seed, 1)).get_state()
        self._rng_is_live = False  # whether the global state is this run's own at the moment
        self._at = Position("unimodal" if config.unimodal_epochs else "joint", tuple(data.modalities))
        self._metrics = EpochMetrics((), (), device)
        self._enter_stage()

    def _class_weights(self) -> Tensor | None:
        if self.config.class_weight == "none":
            return None
        return engine.class_weights(self._splits["train"].target, self.data.n_classes).to(self.device)

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
        """Whether the budget of epochs, or that of stage 2, is used up and the result is in the record."""
        return self._at.finished

    @property
    def updates(self) -> int:
        """Batches trained so far, those of discarded futures included."""
        return self._at.step

    @property
    def progress(self) -> tuple[int, int]:
        """Epochs done and epochs to do, those of discarded futures included.

        In stage 1 the second is the whole budget, also where `joint_epochs` will end the run before it is spent.
        """
        done = self._at.epochs_run
        return done, done + self._epochs_left(done)

    def _epochs_left(self, done: int) -> int:
        """Return how many more epochs the run has after `done` ones, if its stage stays."""
        left, length = self.config.epochs - done, self.config.joint_epochs
        if length is not None and self.stage == "joint":
            left = min(left, length - self._at.joint_epochs)
        return max(left, 0)

    @property
    def _is_spent(self) -> bool:
        """Whether nothing is left to train."""
        return self._epochs_left(self._at.epochs_run) == 0

    @property
    def batch_size(self) -> int:
        """Samples of a batch, now; at first that of the settings."""
        return self._at.batch_size or self.config.batch_size

    @property
    def learning_rates(self) -> dict[str, float]:
        """Learning rate of each modality, and in stage 2 of the joint head ("joint"), from the next batch on."""
        return {group["name"]: group["lr"] for group in self._optimizer.param_groups}

    # ---- stages ----------------------------------------------------------------------------------------------

    def _enter_stage(self, from_scratch: bool = False) -> None:
        """Make the optimizer of the present stage and freeze what must not move."""
        engine.set_trainable(self.model, self.active, self.stage, self.config, self._fixed)
        self._optimizer = engine.make_optimizer(self.model, self.config, self.stage, from_scratch)

    # ---- random numbers --------------------------------------------------------------------------------------

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
            self._rng_is_live = True
            try:
                yield
            finally:
                self._rng, self._rng_is_live = torch.get_rng_state(), False

    def _seed_accelerator(self) -> None:
        """Seed the accelerator by the update that is due: its dropout is the same however a run is cut into steps."""
        if self.device.type == "cuda":
            with torch.cuda.device(self.device):
                torch.cuda.manual_seed(mix(self.seed, 3, self._at.step))

    # ---- state -----------------------------------------------------------------------------------------------

    def _state(self) -> State:
        """Return everything that the future depends on, as tensors and JSON."""
        optimizer, plain = pack_optimizer(self._optimizer)
        tensors = {
            **pack("model", self.model.state_dict()),
            **optimizer,
            **pack("selected", self._selector.tensors()),
            **pack("codebook", self._prober.state_tensors()),
            "rng": torch.get_rng_state() if self._rng_is_live else self._rng.clone(),
        }
        if self._at.batch:
            tensors |= pack("epoch", self._metrics.tensors())
        meta = {
            "position": asdict(self._at),
            "optimizer": plain,
            "selected": {head: dict(choice) for head, choice in self._selector.choices.items()},
            "n_rows": len(self.record.rows),
        }
        return State(tensors, meta)

    def _restore(self, state: State) -> None:
        """Stand exactly where :meth:`_state` was called."""
        position = dict(state.meta["position"])
        pairs = {key: tuple(position[key]) for key in ("active", "cut") if key in position}
        self._at = Position(**{**position, **pairs})
        _load_weights(self.model, state)
        self._enter_stage()
        unpack_optimizer(self._optimizer, state)
        self._selector.load(state.meta["selected"], state.section("selected"), self.device)
        self._prober.load_state_tensors(state.section("codebook"))
        self._rng = state.tensors["rng"].clone()
        if self._rng_is_live:
            torch.set_rng_state(self._rng)
        if self._at.batch:
            self._lay_out_epoch()
            self._metrics.load(state.section("epoch"))

    @abstractmethod
    def _lay_out_epoch(self) -> None:
        """Prepare the batches of the epoch that is under way."""


def mix(*numbers: int) -> int:
    """Return one well-mixed 32-bit seed of several numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def sample_order(seed: int, epoch: int, n: int) -> Tensor:
    """Return the order in which the `n` training samples are taken: a function of the seed and the epoch alone."""
    return torch.randperm(n, generator=torch.Generator().manual_seed(mix(seed, 2, epoch)))


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

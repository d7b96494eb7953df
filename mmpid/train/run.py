"""The parts of one run, and the one state protocol that they share."""

from collections.abc import Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from mmpid import protocols
from mmpid.datasets import MultimodalData
from mmpid.errors import ConfigError, MMPIDWarning, ShapeError, SmallSampleWarning, warn
from mmpid.models import LateFusion
from mmpid.models.weights import load_weights
from mmpid.protocols import RunProtocol
from mmpid.rules.controller import BalanceController
from mmpid.runs.folder import RunFolder
from mmpid.runs.lock import Permit
from mmpid.runs.metadata import make_metadata
from mmpid.runs.record import RunRecord
from mmpid.runs.state import State
from mmpid.train.callbacks import Callbacks, blame
from mmpid.train.config import TrainConfig
from mmpid.train.context import Context
from mmpid.train.dry_pass import check_batch_size, needs_two
from mmpid.train.engine import Engine, classifiers
from mmpid.train.epoch import Epoch
from mmpid.train.evaluation import Evaluation, class_weights, evaluate, prior_loss
from mmpid.train.losses import make_loss
from mmpid.train.observable import settle
from mmpid.train.parallel import Parallel
from mmpid.train.position import Position
from mmpid.train.prober import Prober
from mmpid.train.random_numbers import RandomNumbers
from mmpid.train.selection import Selector
from mmpid.train.trial_state import TrialState

SMALL_MODEL = 1_000_000  # parameters; below, threads cost more than they bring


class Run:
    """Everything a run consists of; each part that changes has `state_dict()` and `load_state_dict()`.

    The parts know nothing of each other but what they are given; whoever acts on several of them (the loop, the
    commands) holds the run.
    """

    record: RunRecord
    folder: RunFolder | None = None  # where it is kept current, epoch by epoch

    def __init__(
        self, model: LateFusion, data: MultimodalData, config: TrainConfig, *, seed: int, device: torch.device,
        controller: BalanceController, callbacks: Callbacks, parallel: Parallel | None,
    ):  # fmt: skip
        config, self.probe_note = settle(_possible(config, model, device, callbacks), data)
        self.config = config
        if self.probe_note:
            warn(self.probe_note, SmallSampleWarning)
        self.seed, self.device, self.parallel = seed, device, parallel
        self.data, self.model = data.to(device), model.to(device)
        self.controller, self.auto, self.callbacks = controller, True, callbacks
        self.permit = Permit()
        small = sum(p.numel() for p in model.parameters()) < SMALL_MODEL
        self.threads = config.threads or (1 if small else torch.get_num_threads())
        self.splits = {name: self.data.split(name) for name in self.data.splits}
        self.class_weight = self._class_weights()
        self.loss = make_loss(self.config.loss, self.class_weight)
        stage = "unimodal" if config.unimodal_epochs else "joint"
        self.position = Position(stage, tuple(data.modalities))
        self.random = RandomNumbers(seed, device)
        self.engine = Engine(self.model, self.config, self.loss, device, parallel.reduce if parallel else None)
        self.prober = Prober(self.data, config, seed, device)
        self.selector = Selector(config.selection, config.selection_metric, device)
        self.epoch = Epoch(self.splits["train"], seed, device, parallel)
        self.trial = TrialState()
        self.context, self._prediction = Context(self), Context(self)
        if callbacks:
            with self.random.forked(6):
                callbacks.call("setup", self.context)
        self.epoch.joins_single = needs_two(self.model)
        check_batch_size(self.config.batch_size, "batch_size", self.epoch.joins_single)
        self.enter_stage()

    def _class_weights(self) -> Tensor | None:
        if self.config.class_weight == "none":
            return None
        return class_weights(self.splits["train"].target, self.data.n_classes).to(self.device)

    # ---- where it stands ---------------------------------------------------------------------------------------

    @property
    def batch_size(self) -> int:
        """Samples per batch, now; at first that of the settings."""
        return self.position.batch_size or self.config.batch_size

    @property
    def columns(self) -> tuple[str, ...]:
        """Classifiers that the present stage trains."""
        return classifiers(self.data.modalities, self.position.stage)

    @property
    def judged(self) -> tuple[str, ...]:
        """Classifiers that an epoch is judged by."""
        return (*self.data.modalities, "ens", *(["joint"] if self.position.stage == "joint" else []))

    @property
    def epochs_left(self) -> int:
        """Epochs that the run still has, if its stage stays."""
        left, length = self.config.epochs - self.position.epochs_run, self.config.joint_epochs
        if length is not None and self.position.stage == "joint":
            left = min(left, length - self.position.joint_epochs)
        return max(left, 0)

    @property
    def is_spent(self) -> bool:
        """Whether nothing is left to train."""
        return self.epochs_left == 0 or self.has_stopped_early

    @property
    def has_stopped_early(self) -> bool:
        """Whether no head became better for so long that the settings end the run."""
        at, patience = self.position, self.config.patience
        if patience is None or (at.stage == "unimodal" and (self.config.unimodal_epochs or 0) < self.config.epochs):
            return False
        return self.selector.epochs_since_best(at.stage, self.data.modalities, at.epoch) >= patience

    @property
    def is_main(self) -> bool:
        """Whether this process writes folders: the only one does, of several the first."""
        return self.parallel is None or self.parallel.is_main

    def append(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Append a row that says where the run stands."""
        at = self.position
        where = {"segment": at.segment, "stage": at.stage, "epoch": at.epoch, "step": at.step}
        return self.record.append(kind, **where, **fields)

    def active_flags(self) -> dict[str, bool]:
        """Return `active.<modality>` of every modality."""
        return {f"active.{name}": name in self.position.active for name in self.data.modalities}

    def metadata(
        self, preset: str, variant: str | None, name: str, protocol: str | RunProtocol | None = None
    ) -> dict[str, Any]:
        """Return all that goes into the run."""
        train, held_out = (self.splits[split].target for split in ("train", "validation"))
        bar = prior_loss(train, held_out, self.data.n_classes, self.class_weight)
        more = {"callbacks": self.callbacks.specs} if self.callbacks else {}
        more |= {"probe_note": self.probe_note} if self.probe_note else {}
        more |= {"variant": variant} if variant else {}
        more |= {"protocol": protocols.get(protocol).tag} if protocol else {}
        return make_metadata(
            self.model, self.data, prior_loss=round(bar, 6), name=name, preset=preset, settings=self.config.to_dict(),
            controller=self.controller.to_dict(), **more, seed=self.seed, device=str(self.device),
            threads=self.threads,
        )  # fmt: skip

    # ---- acting ------------------------------------------------------------------------------------------------

    @contextmanager
    def own_process(self):
        """Compute with this run's own random numbers and number of threads; leave the global ones as they were.

        Raises
        ------
        TrainingError
            The run must not change: it was loaded to be read, or another trainer has taken its folder over.
        """
        threads = torch.get_num_threads()
        with self.permit.use():
            torch.set_num_threads(self.threads)
            try:
                with self.random.swapped_in():
                    yield
            except BaseException:
                self.release_workers()
                raise
            finally:
                torch.set_num_threads(threads)
            if self.position.finished:
                self.release_workers()

    def release_workers(self) -> None:
        """End the processes that read samples; they start again when samples are needed."""
        self.data.release_workers()

    def enter_stage(self, from_scratch: bool = False) -> None:
        """Make the optimizer of the present stage and freeze what must not move."""
        self.engine.enter_stage(self.position.stage, self.position.active, self.epochs_left, from_scratch)

    def evaluate(self, model: LateFusion, split: str, rows: Tensor | None = None) -> Evaluation:
        """Return what a model makes of a split, or of some rows, by the prediction rule of the callbacks if any."""
        predict = partial(self._predict, model) if self.callbacks.has("predict") else None
        samples = self.splits[split] if rows is None else self.splits[split].subset(rows)
        return evaluate(
            model, samples, device=self.device, loss=self.loss, precision=self.config.precision,
            predict=predict,
        )  # fmt: skip

    def _predict(
        self, model: LateFusion, inputs: Mapping[str, Tensor], features: Mapping[str, Tensor], logits: dict[str, Tensor]
    ) -> Tensor:
        """Return the joint logits of a callback."""
        ctx, n = self._prediction, len(logits["joint"])
        ctx.judged = model
        ctx.start_batch(inputs, torch.empty(0, dtype=torch.int64), torch.empty(0, dtype=torch.int64))
        ctx.features, ctx.logits = dict(features), logits
        ((callback, answer),) = self.callbacks.call("predict", ctx)
        ctx.judged = None
        if not isinstance(answer, Tensor) or answer.shape != (n, self.data.n_classes):
            was = f"shape {tuple(answer.shape)}" if isinstance(answer, Tensor) else type(answer).__name__
            problem = ShapeError(f"it must return logits ({n}, {self.data.n_classes}); it returned {was}.")
            raise blame(callback, "predict", problem)
        return answer

    def add_module(self, name: str, module: nn.Module) -> nn.Module:
        """Give the model an extra module, and the optimizer its parameters if there is one already."""
        if name in self.model.extras:
            return self.model.extras[name]
        self.model.extras[name] = module.to(self.device)
        if hasattr(self.engine, "optimizer") and (parameters := list(module.parameters())):
            group = {"name": f"extra:{name}", "params": parameters, "lr": self.engine.optimizer.param_groups[-1]["lr"]}
            self.engine.optimizer.add_param_group(group)
        return module

    # ---- state -------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the future of the run depends on."""
        return {
            "position": self.position.state_dict(),
            "engine": self.engine.state_dict(),
            "selector": self.selector.state_dict(),
            "prober": self.prober.state_dict(),
            "random": self.random.state_dict(),
            "epoch": self.epoch.state_dict(within=self.position.batch > 0),
            "callbacks": self.callbacks.state_dict(),
            "context": self.context.state_dict(),
            "trial": self.trial.state_dict(),
            "controller": self.controller.to_dict(),
            "auto": self.auto,
            "n_rows": len(self.record.rows),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Stand exactly where :meth:`state_dict` was called; record and controller are the caller's."""
        self.position.load_state_dict(state["position"])
        self.callbacks.load_state_dict(state["callbacks"])  # first, since they may add modules
        load_weights(self.model, state["engine"]["model"])
        self.enter_stage()
        self.engine.load_state_dict(state["engine"])
        self.selector.load_state_dict(state["selector"])
        self.prober.load_state_dict(state["prober"])
        self.random.load_state_dict(state["random"])
        self.epoch.load_state_dict(state["epoch"], self.position, self.batch_size, self.columns)
        self.context.load_state_dict(state["context"])
        self.trial = TrialState(**state.get("trial", {}))
        self.auto = state["auto"]

    def snapshot(self) -> State:
        """Return a copy of the state, on the CPU, that later training does not change."""
        return State.pack(self.state_dict())


def _possible(config: TrainConfig, model: LateFusion, device: torch.device, callbacks: Callbacks) -> TrainConfig:
    """Return settings that model and device allow; refuse the rest."""
    if config.precision == "float16" and device.type != "cuda":
        raise ConfigError(f"`precision` 'float16' needs a CUDA device; it was {device}. Try precision='bfloat16'.")
    if config.precision == "float16" and callbacks.has("backward"):
        raise ConfigError(
            "`precision` must be 'float32' or 'bfloat16' with a callback that takes over `backward`, since float16 "
            "scales the loss; it was 'float16'."
        )
    if config.fusion_init == "heads" and not model.starts_from_heads:
        warn(
            f"the fusion {model.fusion_name} cannot start from the unimodal heads, so it starts from its own initial "
            "weights. Give it a method start_from_heads(heads), or pass fusion_init='random'.",
            MMPIDWarning,
        )
        return TrainConfig(**{**config.values(), "fusion_init": "random"})
    return config

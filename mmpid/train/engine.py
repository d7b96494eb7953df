"""One optimizer step: forward pass, losses, gradients, update. No bookkeeping, no decisions."""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce as fold
from operator import add
from typing import Any

import torch
from torch import Tensor, nn

from mmpid.models import LateFusion
from mmpid.train.config import TrainConfig
from mmpid.train.evaluation import autocast
from mmpid.train.losses import Loss
from mmpid.train.optimizers import (
    load_optimizer_state,
    make_optimizer,
    make_scheduler,
    optimizer_state,
    parameters_of,
    step_scheduler,
)
from mmpid.train.wishes import Wishes, note, read_wishes, set_modes

Reduce = Callable[[list[nn.Parameter]], None]
Answer = tuple[dict[str, Tensor], dict[str, Tensor]]  # losses and logits by classifier, without their graph


class Engine:
    """Trains a model batch by batch: owns the optimizer, its scheduler and the gradient scaler.

    Parameters
    ----------
    reduce : callable, optional
        Called with all parameters between the backward pass and the step: several processes average their gradients.
    """

    def __init__(self, model: LateFusion, config: TrainConfig, loss: Loss, device: torch.device, reduce: Reduce | None):
        self.model, self.config, self.loss, self.device = model, config, loss, device
        self.reduce = reduce
        self.wishes = read_wishes(model)
        self.optimizer: torch.optim.Optimizer
        self.scheduler: Any = None
        self.scaler = torch.amp.GradScaler(device.type) if config.precision == "float16" else None

    # ---- stages ------------------------------------------------------------------------------------------------

    def enter_stage(self, stage: str, active: Sequence[str], epochs_left: int, from_scratch: bool = False) -> None:
        """Make optimizer and scheduler of a stage, and freeze what must not move."""
        self.set_trainable(stage, active)
        self.optimizer = make_optimizer(self.model, self.config, stage, from_scratch)
        self.scheduler = make_scheduler(self.optimizer, self.config, epochs_left)

    def set_trainable(self, stage: str, active: Sequence[str]) -> None:
        """Freeze paused modalities, the fusion head in stage 1, and the encoders if the settings say so."""
        still = self.config.paused_encoders == "still"
        set_trainable(self.model, active, stage, self.config.freeze_encoders, self.wishes, still)

    @property
    def learning_rates(self) -> dict[str, float]:
        """Learning rate of each parameter group, by name."""
        return {group["name"]: group["lr"] for group in self.optimizer.param_groups}

    def set_learning_rate(self, lr: float, names: Sequence[str]) -> None:
        """Set the rate of some groups."""
        for group in self.optimizer.param_groups:
            if group["name"] in names:
                group["lr"] = lr

    def end_epoch(self, joint_epochs: int, validation_loss: float) -> None:
        """Follow the schedules: the scheduler's, and the step schedule of stage 2."""
        step_scheduler(self.scheduler, validation_loss)
        every = self.config.lr_step
        if every and joint_epochs and joint_epochs % every == 0:
            for group in self.optimizer.param_groups:
                group["lr"] *= self.config.lr_gamma

    # ---- one step ----------------------------------------------------------------------------------------------

    def update(self, inputs: Mapping[str, Tensor], target: Tensor, active: Sequence[str], stage: str) -> Answer:
        """Take one optimizer step; return losses and logits of the weights before it."""
        with autocast(self.device, self.config.precision):
            logits = self.logits(self.embed(inputs, active, stage), stage)
            losses = {name: self.loss(z, target) for name, z in logits.items()}
            total = self.objective(losses, active, stage)
        self.clear_gradients()
        self.backward(total)
        self.step()
        return detached(losses), detached(logits)

    def embed(self, inputs: Mapping[str, Tensor], active: Sequence[str], stage: str) -> dict[str, Tensor]:
        """Return the features that a stage trains on: in stage 1 of the active modalities."""
        if stage != "unimodal":
            return self.model.embed(inputs)
        if self.config.paused_encoders == "forward":
            with torch.no_grad():
                self.model.embed(inputs, [name for name in self.model.modalities if name not in active])
        return self.model.embed(inputs, active)

    def logits(self, features: Mapping[str, Tensor], stage: str) -> dict[str, Tensor]:
        """Return the logits that a stage trains: of the modalities given, in stage 2 also of the fusion head."""
        return self.model.classify(features, joint=stage == "joint")

    def objective(self, losses: Mapping[str, Tensor], active: Sequence[str], stage: str) -> Tensor:
        """Return the sum that a stage minimizes."""
        if stage == "unimodal":
            return fold(add, losses.values())
        trained, aux = [losses[name] for name in active], self.config.aux_weight
        return losses["joint"] + aux * fold(add, trained) if aux and trained else losses["joint"]

    def clear_gradients(self) -> None:
        """Forget the gradients of the step before."""
        for parameter in parameters_of(self.optimizer):
            parameter.grad = None

    def backward(self, total: Tensor) -> None:
        """Compute the gradients of an objective, if it has any, scaled where float16 needs it."""
        if not total.requires_grad:
            return
        (total if self.scaler is None else self.scaler.scale(total)).backward()

    def finish_gradients(self) -> None:
        """Average the gradients over processes, and give them their true scale."""
        if self.reduce is not None:
            self.reduce(parameters_of(self.optimizer))
        if self.scaler is not None:
            self.scaler.unscale_(self.optimizer)

    def step(self) -> None:
        """Finish the gradients and move the weights."""
        self.finish_gradients()
        self.move()

    def move(self) -> None:
        """Clip the gradients if the settings say so, and move the weights."""
        if self.config.clip_norm is not None:
            nn.utils.clip_grad_norm_(parameters_of(self.optimizer), self.config.clip_norm)
        if self.scaler is None:
            self.optimizer.step()
        elif any(p.grad is not None for p in parameters_of(self.optimizer)):
            self.scaler.step(self.optimizer)
            self.scaler.update()

    # ---- state -------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return weights, optimizer, scheduler and scaler."""
        return {
            "model": dict(self.model.state_dict()),
            "optimizer": optimizer_state(self.optimizer),
            "scheduler": {} if self.scheduler is None else self.scheduler.state_dict(),
            "scaler": {} if self.scaler is None else self.scaler.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load :meth:`state_dict`; the stage must have been entered before."""
        load_optimizer_state(self.optimizer, state["optimizer"])
        if self.scheduler is not None:
            self.scheduler.load_state_dict(dict(state["scheduler"]))
        if self.scaler is not None:
            self.scaler.load_state_dict(dict(state["scaler"]))


def detached(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors without their graph."""
    return {name: x.detach() for name, x in tensors.items()}


def classifiers(modalities: Sequence[str], stage: str) -> tuple[str, ...]:
    """Return the classifiers that a stage trains."""
    return (*modalities, "joint") if stage == "joint" else tuple(modalities)


def set_trainable(
    model: LateFusion, active: Sequence[str], stage: str, freeze_encoders: bool, wishes: Wishes, still: bool = True
) -> None:
    """Freeze what must not move; what the user froze, or put into evaluation mode, stays so throughout."""
    set_modes(model, wishes)
    frozen = stage == "joint" and freeze_encoders
    for name in model.modalities:
        moves = name in active and not frozen
        for parameter in model.modality_parameters(name):
            parameter.requires_grad_(moves and id(parameter) not in wishes.frozen)
        if not moves and (still or frozen):  # it must not update its normalization statistics either
            model.encoders[name].eval()
    for parameter in model.fusion.parameters():
        parameter.requires_grad_(stage == "joint" and id(parameter) not in wishes.frozen)
    note(model, wishes)

"""The inner loop: one update, one evaluation. No bookkeeping, no decisions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from mmpid.datasets import Split
from mmpid.models import LateFusion
from mmpid.train.config import TrainConfig

CHUNK = 1024  # samples a forward pass in evaluation


def make_optimizer(model: LateFusion, config: TrainConfig, stage: str) -> torch.optim.Optimizer:
    """Return an optimizer with one named group a modality and, in stage 2, one for the joint head."""
    scale = 1.0 if stage == "unimodal" or config.unimodal_epochs == 0 else config.joint_lr_scale
    groups = [{"name": name, "params": model.modality_parameters(name)} for name in model.modalities]
    if stage == "joint":
        groups.append({"name": "joint", "params": list(model.fusion.parameters())})
    settings = {"lr": config.lr * scale, "weight_decay": config.weight_decay}
    if config.optimizer == "adamw":
        return torch.optim.AdamW(groups, **settings)
    return torch.optim.SGD(groups, momentum=config.momentum, **settings)


def set_trainable(model: LateFusion, active: Sequence[str], stage: str, config: TrainConfig) -> None:
    """Freeze what must not move: paused modalities, the joint head in stage 1, the encoders if they are frozen."""
    model.train()
    frozen = stage == "joint" and config.freeze_encoders
    for name in model.modalities:
        moves = name in active and not frozen
        for parameter in model.modality_parameters(name):
            parameter.requires_grad_(moves)
        if not moves:  # a frozen encoder must not update its normalization statistics either
            model.encoders[name].eval()
    for parameter in model.fusion.parameters():
        parameter.requires_grad_(stage == "joint")


def loss_names(modalities: Sequence[str], stage: str) -> tuple[str, ...]:
    """Return what the columns of the epoch's loss table mean."""
    return (*modalities, "joint") if stage == "joint" else tuple(modalities)


def update(model, optimizer, inputs: Mapping[str, Tensor], target: Tensor, active, stage: str, aux: float) -> Tensor:
    """Take one optimizer step; return the losses in nats, in the order of :func:`loss_names`, NaN where not used."""
    if stage == "unimodal":
        losses = {name: _unimodal_loss(model, name, inputs, target) for name in active}
        total = sum(losses.values())
    else:
        output = model(inputs)
        losses = {name: functional.cross_entropy(z, target) for name, z in output.unimodal.items()}
        joint = functional.cross_entropy(output.logits, target)
        trained = [losses[name] for name in active]
        total = joint + aux * sum(trained) if aux and trained else joint
        losses["joint"] = joint
    optimizer.zero_grad(set_to_none=True)
    total.backward()
    optimizer.step()
    unused = target.new_full((), float("nan"), dtype=total.dtype)
    return torch.stack([losses.get(name, unused).detach() for name in loss_names(model.modalities, stage)])


def _unimodal_loss(model, name: str, inputs, target: Tensor) -> Tensor:
    return functional.cross_entropy(model.heads[name](model.encoders[name](inputs[name])), target)


@dataclass(frozen=True)
class Evaluation:
    """Logits and embeddings of one split, with the labels."""

    target: Tensor
    logits: dict[str, Tensor]
    embeddings: dict[str, Tensor]

    def accuracy(self, name: str) -> float:
        """Return the share of samples whose largest logit is the label's."""
        return float((self.logits[name].argmax(1) == self.target).float().mean())

    def loss(self, name: str) -> float:
        """Return the mean cross-entropy in nats."""
        return float(functional.cross_entropy(self.logits[name], self.target))


def evaluate(model: LateFusion, split: Split) -> Evaluation:
    """Return logits of each modality, of their average ("ens") and of the joint head, in evaluation mode."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    parts = []
    with torch.inference_mode():
        for start in range(0, len(split), CHUNK):
            parts.append(model({name: x[start : start + CHUNK] for name, x in split.inputs.items()}))
    for module, mode in modes.items():
        module.training = mode
    unimodal = {name: torch.cat([p.unimodal[name] for p in parts]) for name in model.modalities}
    return Evaluation(
        target=split.target,
        logits={
            **unimodal,
            "ens": torch.stack(list(unimodal.values())).mean(0),
            "joint": torch.cat([p.logits for p in parts]),
        },
        embeddings={name: torch.cat([p.embeddings[name] for p in parts]) for name in model.modalities},
    )

"""The inner loop: one update, one evaluation. No bookkeeping, no decisions."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import reduce as fold
from operator import add

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmpid.datasets import Split
from mmpid.models import LateFusion
from mmpid.models.modes import evaluating
from mmpid.train.config import TrainConfig

CHUNK = 1024  # samples a forward pass in evaluation
STREAMED_CHUNK = 128  # the same for data that are read as they are needed, where a chunk must fit into memory
FEW = 4  # tensors that one call a tensor updates faster than one call for all


def make_optimizer(
    model: LateFusion, config: TrainConfig, stage: str, from_scratch: bool = False
) -> torch.optim.Optimizer:
    """Return an optimizer with one named group a modality and, in stage 2, one for the joint head.

    Stage 2 has its own rate, unless it starts from scratch: because a decision says so, or because there is no stage 1.
    All parameters of a group are updated by one call: fused on CUDA, and elsewhere, unless they are few, with the
    arithmetic of the plain loop over parameters, bit for bit.
    """
    from_scratch = from_scratch or config.unimodal_epochs == 0
    scale = 1.0 if stage == "unimodal" or from_scratch else config.joint_lr_scale
    groups = [{"name": name, "params": model.modality_parameters(name)} for name in model.modalities]
    if stage == "joint":
        groups.append({"name": "joint", "params": list(model.fusion.parameters())})
    groups = [group for group in groups if group["params"]]
    settings = {"lr": config.lr * scale, "weight_decay": config.weight_decay}
    if groups[0]["params"][0].is_cuda:
        settings["fused"] = True
    else:
        groups = [{**group, "foreach": len(group["params"]) > FEW} for group in groups]
    if config.optimizer == "adamw":
        return torch.optim.AdamW(groups, **settings)
    return torch.optim.SGD(groups, momentum=config.momentum, **settings)


def fixed_parameters(model: LateFusion) -> frozenset[int]:
    """Return the ids of parameters that whoever built the model has frozen: a part of what belongs to a modality.

    All parameters of a modality at once are frozen by a pause, perhaps of another run.
    """
    fixed: list[int] = []
    for name in model.modalities:
        frozen = [p for p in model.modality_parameters(name) if not p.requires_grad]
        fixed += map(id, frozen if len(frozen) < len(model.modality_parameters(name)) else ())
    return frozenset(fixed)


def set_trainable(
    model: LateFusion, active: Sequence[str], stage: str, config: TrainConfig, fixed: frozenset[int] = frozenset()
) -> None:
    """Freeze what must not move: paused modalities, the joint head in stage 1, the encoders if they are frozen.

    What :func:`fixed_parameters` named stays frozen throughout.
    """
    model.train()
    frozen = stage == "joint" and config.freeze_encoders
    for name in model.modalities:
        moves = name in active and not frozen
        for parameter in model.modality_parameters(name):
            parameter.requires_grad_(moves and id(parameter) not in fixed)
        if not moves:  # a frozen encoder must not update its normalization statistics either
            model.encoders[name].eval()
    for parameter in model.fusion.parameters():
        parameter.requires_grad_(stage == "joint")


def loss_names(modalities: Sequence[str], stage: str) -> tuple[str, ...]:
    """Return the classifiers that a stage trains: the columns of the epoch's tally."""
    return (*modalities, "joint") if stage == "joint" else tuple(modalities)


def autocast(device: torch.device, precision: str) -> AbstractContextManager:
    """Return the context of forward passes and losses: bfloat16 where it is safe, or nothing."""
    if precision == "bfloat16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()


def class_weights(target: Tensor, n_classes: int) -> Tensor:
    """Return n / (k n_c) for each class of some labels, float32 (k,): the weights at which classes count alike."""
    counts = torch.bincount(target, minlength=n_classes).clamp(min=1)
    return (len(target) / (n_classes * counts)).float()


def prior_loss(train: Tensor, held_out: Tensor, n_classes: int, weight: Tensor | None = None) -> float:
    """Return the cross-entropy in nats, on held-out labels, of whoever knows the class frequencies of training alone.

    It is weighted like the losses: with class weights the constant answer that minimizes the weighted loss.
    """
    share = torch.bincount(train, minlength=n_classes).clamp(min=0.5).float()
    logits = (share if weight is None else share * weight.to(share.device)).log()
    return float(cross_entropy(logits.expand(len(held_out), -1), held_out.to(share.device), weight))


def cross_entropy(logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Return the mean cross-entropy in nats in float32, weighted by class: sum_i w_i l_i / sum_i w_i."""
    if logits.dtype is torch.bfloat16:
        logits = logits.float()
    return functional.cross_entropy(logits, target, weight)


def update(
    model: LateFusion,
    optimizer: torch.optim.Optimizer,
    inputs: Mapping[str, Tensor],
    target: Tensor,
    active: Sequence[str],
    stage: str,
    aux: float,
    *,
    weight: Tensor | None = None,
    precision: str = "float32",
    reduce: Callable[[list[nn.Parameter]], None] | None = None,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Take one optimizer step; return losses in nats and logits of every classifier that was used, without their graph.

    Both are of the weights before the step; nothing is computed from them here.

    `reduce` is called with all parameters between backward and step: several processes average their gradients there.
    """
    with autocast(target.device, precision):
        if stage == "unimodal":
            logits = {name: model.heads[name](model.encoders[name](inputs[name])) for name in active}
            losses = {name: cross_entropy(z, target, weight) for name, z in logits.items()}
            total = fold(add, losses.values())
        else:
            output = model(inputs)
            logits = {**output.unimodal, "joint": output.logits}
            losses = {name: cross_entropy(z, target, weight) for name, z in logits.items()}
            trained = [losses[name] for name in active]
            total = losses["joint"] + aux * fold(add, trained) if aux and trained else losses["joint"]
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for parameter in parameters:
        parameter.grad = None
    total.backward()
    if reduce is not None:
        reduce(parameters)
    optimizer.step()
    return {name: x.detach() for name, x in losses.items()}, {name: z.detach() for name, z in logits.items()}


@dataclass(frozen=True)
class Evaluation:
    """Logits and embeddings of one split, with the labels and the class weights of the loss."""

    target: Tensor
    logits: dict[str, Tensor]
    embeddings: dict[str, Tensor]
    weight: Tensor | None = None

    _scores: dict[str, tuple[float, float]] = field(default_factory=dict)

    def accuracy(self, name: str) -> float:
        """Return the share of samples whose largest logit is the label's."""
        return self.score((name,))[name][0]

    def loss(self, name: str) -> float:
        """Return the mean cross-entropy in nats, weighted as in training."""
        return self.score((name,))[name][1]

    def score(self, names: Sequence[str]) -> dict[str, tuple[float, float]]:
        """Return accuracy and loss of some classifiers, read from the device together; they are kept."""
        new = [name for name in names if name not in self._scores]
        if new:
            answers = torch.stack([self.logits[name].argmax(1) for name in new])
            accuracies = answers.eq(self.target).float().mean(1).tolist()
            losses = torch.stack([cross_entropy(self.logits[name], self.target, self.weight) for name in new]).tolist()
            self._scores.update(zip(new, zip(accuracies, losses, strict=True), strict=True))
        return {name: self._scores[name] for name in names}


def evaluate(
    model: LateFusion,
    split: Split,
    *,
    device: torch.device | None = None,
    weight: Tensor | None = None,
    precision: str = "float32",
) -> Evaluation:
    """Return logits of each modality, of their average ("ens") and of the joint head, in evaluation mode.

    The samples are taken to `device`, by default where the labels are.
    """
    device = split.target.device if device is None else device
    with evaluating(model), torch.inference_mode(), autocast(device, precision):
        parts = [model(inputs) for inputs in _chunks(split, device)]
    unimodal = {name: _join([p.unimodal[name] for p in parts]) for name in model.modalities}
    ens = torch.stack(list(unimodal.values())).mean(0)
    return Evaluation(
        target=split.target.to(device),
        logits={**unimodal, "ens": ens, "joint": _join([p.logits for p in parts])},
        embeddings={name: _join([p.embeddings[name] for p in parts]) for name in model.modalities},
        weight=weight,
    )


def _chunks(split: Split, device: torch.device) -> Iterator[dict[str, Tensor]]:
    """Yield the samples of a split in order, as many as fit into memory at a time; those in memory are not copied."""
    if type(split) is not Split:
        order = torch.arange(len(split)).split(STREAMED_CHUNK)
        yield from (inputs for inputs, _ in split.batches(order, device=device))
        return
    for start in range(0, len(split), CHUNK):
        yield {name: x[start : start + CHUNK].contiguous().to(device) for name, x in split.inputs.items()}


def _join(parts: list[Tensor]) -> Tensor:
    """Join the chunks of a split; what mixed precision made is float32 again."""
    whole = parts[0] if len(parts) == 1 else torch.cat(parts)
    return whole.float() if whole.dtype is torch.bfloat16 else whole

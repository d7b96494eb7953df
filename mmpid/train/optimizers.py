"""Optimizers and schedulers, by name or from a factory of the user's own."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, ReduceLROnPlateau

from mmpid.errors import ConfigError
from mmpid.models import LateFusion
from mmpid.train.config import TrainConfig

FEW = 4  # tensors that one call per tensor updates faster than one call for all
BY_DEVICE = ("foreach", "fused")  # settings of an optimizer that belong to the device, not to the run


def make_optimizer(
    model: LateFusion, config: TrainConfig, stage: str, from_scratch: bool = False
) -> torch.optim.Optimizer:
    """Return an optimizer with one named group per modality, one for the fusion head in stage 2, and one per extra.

    Stage 2 has its own rate, unless it starts from scratch: because a decision says so, or because there is no stage 1.
    All parameters of a group are updated by one call: fused on CUDA, and elsewhere, unless they are few, with the
    arithmetic of the plain loop over parameters, bit for bit.
    """
    from_scratch = from_scratch or config.unimodal_epochs == 0
    lr = config.lr * (1.0 if stage == "unimodal" or from_scratch else config.joint_lr_scale)
    groups = parameter_groups(model, stage)
    if callable(config.optimizer):
        return _from_factory(config.optimizer, groups, lr)
    settings: dict[str, Any] = {"lr": lr, "weight_decay": config.weight_decay}
    if groups[0]["params"][0].is_cuda:
        settings["fused"] = True
    else:
        groups = [{**group, "foreach": len(group["params"]) > FEW} for group in groups]
    if config.optimizer == "adamw":
        return torch.optim.AdamW(groups, **settings)
    return torch.optim.SGD(groups, momentum=config.momentum, **settings)


def parameter_groups(model: LateFusion, stage: str) -> list[dict[str, Any]]:
    """Return the named groups of a stage: modalities, in stage 2 the fusion head ("joint"), and extra modules."""
    groups = [{"name": name, "params": model.modality_parameters(name)} for name in model.modalities]
    if stage == "joint":
        groups.append({"name": "joint", "params": list(model.fusion.parameters())})
    groups += [{"name": f"extra:{name}", "params": list(extra.parameters())} for name, extra in model.extras.items()]
    return [group for group in groups if group["params"]]


def _from_factory(factory: Callable[..., Any], groups: list[dict[str, Any]], lr: float) -> torch.optim.Optimizer:
    """Call a factory with parameter groups that carry their name and rate."""
    made = factory([{**group, "lr": lr} for group in groups])
    names = [group.get("name") for group in getattr(made, "param_groups", [])]
    if not isinstance(made, torch.optim.Optimizer) or names != [group["name"] for group in groups]:
        raise ConfigError(
            f"`optimizer` must be a function from parameter groups to a torch optimizer that keeps them; it returned "
            f"{type(made).__name__} with groups {names}. Try optimizer=lambda groups: torch.optim.Adam(groups)."
        )
    return made


def make_scheduler(optimizer: torch.optim.Optimizer, config: TrainConfig, epochs_left: int) -> Any:
    """Return a scheduler that is stepped once per epoch of the stage, or None."""
    if not callable(config.scheduler):
        return CosineAnnealingLR(optimizer, T_max=max(1, epochs_left)) if config.scheduler == "cosine" else None
    made = config.scheduler(optimizer)
    if not isinstance(made, LRScheduler | ReduceLROnPlateau):
        raise ConfigError(
            f"`scheduler` must be a function from an optimizer to a torch scheduler; it returned "
            f"{type(made).__name__}. Try scheduler=lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 10)."
        )
    return made


def step_scheduler(scheduler: Any, loss: float) -> None:
    """Take one step; a scheduler that watches a plateau sees the validation loss."""
    if isinstance(scheduler, ReduceLROnPlateau):
        scheduler.step(loss)
    elif scheduler is not None:
        scheduler.step()


def optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Return an optimizer's state with text as keys."""
    state = optimizer.state_dict()
    return {"groups": state["param_groups"], "entries": {str(i): entry for i, entry in state["state"].items()}}


def load_optimizer_state(optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Load :func:`optimizer_state`; how an update is computed stays what this device asks for."""
    entries = {int(i): {k: _copy(v) for k, v in entry.items()} for i, entry in state["entries"].items()}
    own = [{name: group[name] for name in BY_DEVICE if name in group} for group in optimizer.param_groups]
    groups = [{**group, **mine} for group, mine in zip(state["groups"], own, strict=True)]
    optimizer.load_state_dict({"state": entries, "param_groups": groups})


def _copy(value: Any) -> Any:
    return value.clone() if isinstance(value, torch.Tensor) else value


def parameters_of(optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    """Return all parameters of an optimizer."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]

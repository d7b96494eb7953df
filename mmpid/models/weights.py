"""What a model's `state_dict()` holds: tensors, and the extra state that modules of users add to it."""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mmpid.errors import CheckpointError


def copy_weights(weights: Mapping[str, Any]) -> dict[str, Any]:
    """Return copies that later training does not change."""
    return {k: x.detach().clone() if isinstance(x, Tensor) else copy.deepcopy(x) for k, x in weights.items()}


def extra_state(model: nn.Module) -> dict[str, Any]:
    """Return what `get_extra_state()` of any part adds to the weights, where it is more than a tensor."""
    return {key: value for key, value in model.state_dict().items() if not isinstance(value, Tensor)}


@torch.no_grad()
def put_weights(model: nn.Module, weights: Mapping[str, Any]) -> None:
    """Load some of a model's weights, those of one head for example; the others stay."""
    own = model.state_dict()
    extra = {}
    for key, value in weights.items():
        if isinstance(value, Tensor) and isinstance(own[key], Tensor):
            own[key].copy_(value)
        else:
            extra[key] = copy.deepcopy(value)
    if extra:
        model.load_state_dict(extra, strict=False)


def load_weights(model: nn.Module, weights: Mapping[str, Any]) -> None:
    """Load all weights of a checkpoint.

    Raises
    ------
    CheckpointError
        Some tensors do not fit; the message names them.
    """
    own = model.state_dict()
    unfit = sorted(k for k in weights.keys() | own.keys() if not _fits(k, weights, own))
    if unfit:
        shown = ", ".join(unfit[:4]) + (", ..." if len(unfit) > 4 else "")
        raise CheckpointError(
            f"the checkpoint is of another model: {len(unfit)} of {len(own)} tensors do not fit ({shown}). "
            f"Pass `model=` built as in the original run."
        )
    model.load_state_dict({k: x if isinstance(x, Tensor) else copy.deepcopy(x) for k, x in weights.items()})


def _fits(key: str, weights: Mapping[str, Any], own: Mapping[str, Any]) -> bool:
    if key not in weights or key not in own:
        return False
    new, old = weights[key], own[key]
    return not (isinstance(new, Tensor) and isinstance(old, Tensor)) or new.shape == old.shape

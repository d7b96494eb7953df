"""The dry pass: two samples through the whole model when a trainer is built, before any time is spent on it."""

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from mmpid.datasets import MultimodalData
from mmpid.errors import ConfigError, InputError
from mmpid.models import LateFusion
from mmpid.models.weights import extra_state
from mmpid.runs.state import State
from mmpid.train.random_numbers import mix
from mmpid.train.wishes import fulfill


def prepare_model(model: LateFusion, data: MultimodalData, device: torch.device, seed: int) -> None:
    """Take a model to its device, give it the flags that its user wants, and find its sizes on two samples.

    Weights that are made on the way (heads of encoders whose size was not known, lazy layers) depend on the seed.
    """
    _check_weights(model)
    State.pack(extra_state(model), "model.state_dict()")  # refuses what no checkpoint could hold
    fulfill(model.to(device))
    model.find_sizes(data.sample(2), seed=mix(seed, 8))
    if not any(p.requires_grad for p in model.parameters()):
        raise ConfigError(
            "`model` must have weights to train; all of them are frozen (requires_grad=False). "
            "Try model.requires_grad_(True)."
        )


def _check_weights(model: LateFusion) -> None:
    """Refuse weights that cannot be trained or moved."""
    for name, weight in (*model.named_parameters(), *model.named_buffers()):
        if is_lazy(weight):
            continue
        if weight.is_meta:
            raise InputError(
                f"`model` must have weights with values; {name!r} is on the meta device. Make it on the CPU, or try "
                "model.to_empty(device='cpu') and load its weights."
            )
        if weight.is_inference():
            raise InputError(
                f"`model` must be made outside of torch.inference_mode(); {name!r} was made within it. Make the module "
                "outside, or pass copy.deepcopy(encoder)."
            )


def needs_two(model: LateFusion) -> bool:
    """Whether the model cannot be trained on one sample alone; modules of callbacks count if they normalize batches."""
    batch_norm = nn.modules.batchnorm._BatchNorm
    return model.needs_two or any(isinstance(part, batch_norm) for part in model.extras.modules())


def check_batch_size(n: int, name: str, joins_single: bool) -> None:
    """Refuse batches of one sample where batch normalization needs two."""
    if joins_single and n == 1:
        raise ConfigError(
            f"`{name}` must be at least 2 for a model that cannot be trained on one sample alone, as with batch "
            f"normalization; it was 1. Try {name}=2, or torch.nn.GroupNorm instead of BatchNorm."
        )

"""Checks of what a trainer is given: device, model and data that fit each other."""

from collections import Counter

import torch

from mmpid import _validate
from mmpid.datasets import MultimodalData
from mmpid.errors import CheckpointError, ConfigError, InputError
from mmpid.models import LateFusion
from mmpid.protocols import RunProtocol
from mmpid.protocols.clashes import check_parts


def pick_device(device: str) -> torch.device:
    """Return the device for "auto" (CUDA where there is one), "cpu", "cuda" or "cuda:1"."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind = str(device).partition(":")[0]
    _validate.choice(kind, "device", ("cpu", "cuda", "auto"))
    if kind == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            f"`device` must be available here; it was {device!r}, and this machine has no CUDA device. "
            f"Use device='auto'."
        )
    return torch.device(device)


def check_fit(model: LateFusion, data: MultimodalData, protocol: str | RunProtocol | None = None) -> None:
    """Refuse a model that was built for other data, and what is not as a protocol has it."""
    if not isinstance(model, LateFusion) or not isinstance(data, MultimodalData):
        raise InputError(
            f"a Trainer takes a LateFusion model and MultimodalData; it was given {type(model).__name__} and "
            f"{type(data).__name__}. For other data see MultimodalData.from_arrays."
        )
    if set(model.modalities) != set(data.modalities) or model.n_classes != data.n_classes:
        raise InputError(
            f"`model` must fit `data`: it has modalities {', '.join(model.modalities)} and {model.n_classes} classes, "
            f"the data {', '.join(data.modalities)} and {data.n_classes}. Build it with LateFusion.from_data(data)."
        )
    owners = Counter(id(p) for name in model.modalities for p in set(model.modality_parameters(name)))
    if max(owners.values()) > 1:
        raise InputError(
            "the encoders of `model` must not share parameters: each modality is paused, and has its rate, on its own. "
            "Give each a copy (copy.deepcopy)."
        )
    if protocol is not None:
        check_parts(protocol, data.n_classes, data.options, model.fusion_name, model.spec)


def rebuild_model(metadata: dict, data: MultimodalData) -> LateFusion:
    """Build the model of a run whose encoders are built in."""
    spec = metadata["model"]["spec"]
    if spec is None:
        raise CheckpointError("the run used custom encoders; pass `model=` built the same way.")
    return LateFusion.from_data(data, **spec)

"""Checks of the parts of a late-fusion model."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from mmpid import _validate
from mmpid.datasets import MultimodalData
from mmpid.errors import ConfigError
from mmpid.models.encoders import KINDS


def check_encoder(name: str, module: nn.Module) -> None:
    """Refuse names that torch or a record cannot hold, and encoders that are not modules."""
    if not isinstance(name, str) or not name or "." in name:
        raise ConfigError(f"a modality name must be a non-empty string without dots; it was {name!r}. Rename it.")
    if hasattr(nn.ModuleDict(), name):
        raise ConfigError(f"a modality must not be named {name!r}: torch modules have an attribute of that name.")
    _validate.instance(module, f"encoders[{name!r}]", nn.Module, "a module of torch", "Wrap a function in a module.")


def check_dims(dims: Mapping[str, int], encoders: Mapping[str, nn.Module]) -> dict[str, int]:
    """Return the embedding size of every modality, and of nothing else."""
    _validate.instance(dims, "dims", Mapping, "a mapping of names to sizes", "For example {'audio': 16, 'image': 16}.")
    missing = [name for name in encoders if name not in dims]
    if missing:
        raise ConfigError(f"`dims` must hold every modality; {', '.join(missing)} is missing. Or leave `dims` out.")
    for name in dims:
        _validate.choice(name, "dims", encoders)
    return {name: _validate.number(dims[name], f"dims[{name!r}]", low=1, integer=True) for name in encoders}


def check_kinds(encoder: str | Mapping[str, Any], data: MultimodalData) -> dict[str, Any]:
    """Return the kind of encoder of every modality, and of nothing else."""
    kinds = dict.fromkeys(data.modalities, encoder) if isinstance(encoder, str) else encoder
    hint = f"Choose from {', '.join(KINDS)}."
    _validate.instance(kinds, "encoder", Mapping, "a name, or a mapping with one per modality", hint)
    for name in data.modalities:
        if name not in kinds:
            raise ConfigError(f"`encoder` must name an encoder for each modality; {name!r} is missing. {hint}")
    for name in kinds:
        _validate.choice(name, "encoder", data.modalities)
    return dict(kinds)


def declared_dim(module: nn.Module) -> int:
    """Read an encoder's embedding size from `dim`, `out_features`, or its last linear layer; 0 if it is not visible.

    It is a guess: what is registered last need not be what is returned. Two samples tell, see :func:`find_sizes`.
    """
    for layer in (module, *reversed(list(module.modules()))):
        for attribute in ("dim", "out_features"):
            size = getattr(layer, attribute, None)
            if isinstance(size, int) and not isinstance(size, bool) and size > 0:
                return size
    return 0

"""The run card: everything that went into a run, in one JSON object."""

import platform
from collections import Counter
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

import torch

from mmpid import _validate
from mmpid.datasets import MultimodalData
from mmpid.errors import CheckpointError, ConfigError, InputError
from mmpid.models import LateFusion


def make_card(model: LateFusion, data: MultimodalData, *, prior_loss: float, **settings) -> dict:
    """Return the card of a run: data, model, settings, and the versions that it ran with."""
    return {
        "modalities": list(data.modalities),
        "class_names": list(data.class_names),
        "data": {
            "name": data.name,
            "fingerprint": data.fingerprint,
            "options": data.options,
            "licence": data.license,
            "origin": data.origin,
            "sizes": {name: len(index) for name, index in data.splits.items()},
            "shapes": {name: list(shape) for name, shape in data.shapes.items()},
            "prior_loss": prior_loss,
        }
        | ({"groups": data.n_groups} if data.n_groups else {}),
        "model": {
            "spec": model.spec,
            "encoders": {name: str(encoder) for name, encoder in model.encoders.items()},
            "fusion": model.fusion_name,
            "parameters": sum(p.numel() for p in model.parameters()),
        },
        **settings,
        "versions": versions(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that numbers depend on."""
    found = {"python": platform.python_version()}
    for name in ("mmpid", "torch", "numpy", "scikit-learn"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def pick_device(device: str) -> torch.device:
    """Return the device for "auto" (CUDA where there is one), "cpu", "cuda" or "cuda:1"."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind = str(device).partition(":")[0]
    _validate.choice(kind, "device", ("cpu", "cuda", "auto"))
    if kind == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            f"`device` must be one that there is; it was {device!r}, and this machine has no CUDA device. "
            f"Use device='auto'."
        )
    return torch.device(device)


def check_fit(model: LateFusion, data: MultimodalData) -> None:
    """Refuse a model that was built for other data."""
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


def rebuild_model(card: dict, data: MultimodalData) -> LateFusion:
    """Build the model of a run whose encoders are built in."""
    spec = card["model"]["spec"]
    if spec is None:
        raise CheckpointError("the run used encoders of its own; pass `model=` built the same way.")
    return LateFusion.from_data(data, **spec)

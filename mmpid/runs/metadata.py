"""The metadata: everything that went into a run, in one JSON object."""

import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

from mmpid._version import __version__
from mmpid.datasets import MultimodalData
from mmpid.datasets.scale import scale_problems
from mmpid.datasets.split import TensorInputs
from mmpid.models import LateFusion


def make_metadata(model: LateFusion, data: MultimodalData, *, prior_loss: float, **settings) -> dict:
    """Return the metadata of a run: data, model, settings, and the versions that it ran with."""
    return {
        "modalities": list(data.modalities),
        "class_names": list(data.class_names),
        "data": {
            "name": data.name,
            "fingerprint": data.fingerprint,
            "options": data.options,
            "license": data.license,
            "origin": data.origin,
            "sizes": {name: len(index) for name, index in data.splits.items()},
            "shapes": {name: list(shape) for name, shape in data.shapes.items()},
            "prior_loss": prior_loss,
        }
        | ({"groups": data.n_groups} if data.n_groups else {})
        | ({"notes": list(data.notes)} if data.notes else {})
        | ({"scale": scale} if (scale := _unusual_scale(data)) else {}),
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


def _unusual_scale(data: MultimodalData) -> dict[str, str]:
    """Say what is unusual about the scale of each modality; of streamed samples, what opening them found."""
    if isinstance(data.inputs, TensorInputs):
        return scale_problems(data.inputs, data.splits["train"])
    return dict(data.inputs.scale_problems)


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that numbers depend on."""
    found = {"python": platform.python_version(), "mmpid": __version__}
    for name in ("torch", "numpy", "scikit-learn"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found

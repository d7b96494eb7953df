"""Find the sizes of a model on two samples, and make its heads fit what the encoders return."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from mmpid.errors import ConfigError, InputError, MMPIDWarning, ShapeError, warn
from mmpid.models.care import Care
from mmpid.models.copies import copy_model
from mmpid.models.dry_run import DryRun, dry_run, has_lazy_parts, in_training_mode, own_random_numbers
from mmpid.models.forms import sequence_advice
from mmpid.models.fusion import KINDS
from mmpid.models.modes import evaluating

if TYPE_CHECKING:
    from mmpid.models.late_fusion import LateFusion

UNSIZED = (
    "the sizes of the embeddings are not known yet, since the layers of the encoders do not show them. A Trainer finds "
    "them; or call model.find_sizes(data.sample(2)), or give `dims`."
)


def find_sizes(model: "LateFusion", inputs: Mapping[str, Tensor], seed: int) -> "LateFusion":
    """Try encoders and fusion on two samples; see :meth:`LateFusion.find_sizes`."""
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    missing = [name for name in model.modalities if name not in inputs]
    if missing:
        raise InputError(f"`inputs` must hold every modality; {', '.join(missing)} is missing. Try data.sample(2).")
    with own_random_numbers(device, seed):
        runs = {name: dry_run(net, _two(inputs[name]).to(device), name) for name, net in model.encoders.items()}
        _check_sequences(model, runs)
        dims = {name: run.size for name, run in runs.items()}
        _check_given(model, dims)
        if model.dims != dims:
            model.make_heads(dims)
            model.to(device)
        _fit_dtypes(model, runs)
        model.needs_two = any(run.needs_two for run in runs.values())
        if model.fusion_name not in KINDS:
            model.needs_two |= _try_fusion(model, {name: _two(inputs[name]).to(device) for name in model.modalities})
    mixing = [name for name, run in runs.items() if run.mixes]
    if mixing:
        warn(
            f"the encoder of {', '.join(map(repr, mixing))} embeds a sample alone differently from the same sample "
            "in a batch, even in evaluation mode, so results depend on how samples are batched. An LSTM needs "
            "batch_first=True; see mmpid.testing.check_encoder(module, samples).",
            MMPIDWarning,
        )
    return model


def _two(x: Tensor) -> Tensor:
    """Return two samples; of one alone, twice the same."""
    return x[:2] if len(x) > 1 else torch.cat([x, x])


def _check_sequences(model: "LateFusion", runs: Mapping[str, DryRun]) -> None:
    for name, run in runs.items():
        if run.is_sequence and model.fusion_name in KINDS:
            raise ShapeError(
                f"the encoder of {name!r} must return one embedding per sample, (batch, d), for fusion "
                f"{model.fusion_name!r}; it returned a sequence (batch, T, d). {sequence_advice()}"
            )


def _check_given(model: "LateFusion", dims: dict[str, int]) -> None:
    for name, size in (model.given_dims or {}).items():
        if size != dims[name]:
            raise ConfigError(
                f"`dims[{name!r}]` must be the size of what the encoder returns, {dims[name]}; it was {size}. Pass "
                f"dims={dims}, or leave `dims` out."
            )


def _fit_dtypes(model: "LateFusion", runs: Mapping[str, DryRun]) -> None:
    """Give heads and fusion one dtype, at least float32, and note what encoders of another one need."""
    own = next((p.dtype for p in model.fusion.parameters() if p.is_floating_point()), None)
    dtype = own if own is not None and model.fusion_name not in KINDS else torch.float32
    if dtype is torch.float32 and model.fusion_name in KINDS:
        for run in runs.values():
            dtype = torch.promote_types(dtype, run.dtype)
        model.fusion.to(dtype)
    model.heads.to(dtype)
    model.care = {}
    for name, run in runs.items():
        reads = torch.float64 if run.input_dtype is torch.float64 else None
        care = Care(reads, None if run.dtype is dtype else dtype, run.changes_input)
        if care != Care():
            model.care[name] = care


def _try_fusion(model: "LateFusion", inputs: Mapping[str, Tensor]) -> bool:
    """Try a fusion module of the user's own; return whether it fails on one sample alone in training mode."""
    with torch.no_grad(), evaluating(model):
        features = {name: x.detach() for name, x in model.embed(inputs).items()}
    if has_lazy_parts(model.fusion):
        with torch.no_grad():
            _fuse(model.fusion, features)
    trial = copy_model(model.fusion)
    with torch.no_grad(), evaluating(trial):
        _check_logits(model, _fuse(trial, features), 2)
    in_training_mode(trial)
    with torch.no_grad():
        _check_logits(model, _fuse(trial, features), 2)
        try:
            _check_logits(model, _fuse(trial, {name: x[:1] for name, x in features.items()}), 1)
        except InputError:
            _fuse(trial, features)
            return True
    return False


def _fuse(fusion: nn.Module, features: Mapping[str, Tensor]):
    try:
        return fusion(features)
    except torch.OutOfMemoryError:
        raise
    except Exception as problem:
        shapes = {name: tuple(x.shape) for name, x in features.items()}
        said = f"{type(problem).__name__}: {' '.join(str(problem).split())}"[:400]
        raise InputError(
            f"`fusion` must take a dict of features by modality, {shapes}; it failed: {said}. Try it alone: "
            "model.fusion(model.embed(data.sample(2)))."
        ) from problem


def _check_logits(model: "LateFusion", logits, n: int) -> None:
    if not isinstance(logits, Tensor) or logits.shape != (n, model.n_classes):
        was = f"shape {tuple(logits.shape)}" if isinstance(logits, Tensor) else type(logits).__name__
        raise ShapeError(
            f"`fusion` must return joint logits ({n}, {model.n_classes}), one column per class; it returned {was}. "
            f"End it with torch.nn.Linear(d, {model.n_classes})."
        )

"""Try an encoder on two samples, as training will run it, and see what it returns.

Everything is tried on a copy, so that training flags, statistics, caches, gradients and random numbers of the encoder
stay as they are. Lazy layers are the exception: they get their sizes here, as in any first pass.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from mmpid.errors import InputError, ShapeError
from mmpid.models.copies import copy_model
from mmpid.models.encoders import MLP, ConvNet
from mmpid.models.forms import form_of
from mmpid.models.resnet import ResNet18

BUILT_IN = (MLP, ConvNet, ResNet18)  # known to do as they should: one pass shows whether they fit the data
HALF = (torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class DryRun:
    """What two samples tell of an encoder.

    Attributes
    ----------
    size : int
        Length d of an embedding.
    is_sequence : bool
        Whether it returns (B, T, d).
    dtype : torch.dtype
        Of what it returns.
    input_dtype : torch.dtype
        Of the samples that it reads: float64 if all its weights are.
    needs_two : bool
        Whether it fails on one sample in training mode, as batch normalization does.
    changes_input : bool
        Whether it changes its input in place.
    mixes : bool
        Whether the embedding of a sample, in evaluation mode, depends on the rest of the batch.
    """

    size: int
    is_sequence: bool
    dtype: torch.dtype
    input_dtype: torch.dtype
    needs_two: bool
    changes_input: bool
    mixes: bool


@contextmanager
def own_random_numbers(device: torch.device, seed: int | None = None) -> Iterator[None]:
    """Give the random numbers of torch, NumPy and Python back afterward; `seed` sets those of torch meanwhile."""
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002  what users' modules draw from
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        if seed is not None:
            torch.default_generator.manual_seed(seed)
            if device.type == "cuda":
                torch.cuda.manual_seed(seed)
        try:
            yield
        finally:
            np.random.set_state(numpy_state)  # noqa: NPY002
            random.setstate(python_state)


def dry_run(encoder: nn.Module, batch: Tensor, name: str) -> DryRun:
    """Run an encoder as training will, on two samples.

    Parameters
    ----------
    encoder : nn.Module
        Is left as it is; only lazy layers get their sizes.
    batch : Tensor, shape (2, ...)
        Two samples, on the device of the encoder.
    name : str
        The modality, for errors.

    Raises
    ------
    InputError
        It fails, or returns something else than embeddings (B, d) or sequences (B, T, d), for two samples or for one.
    """
    dtype = input_dtype(encoder, batch)
    batch = batch.to(dtype)
    if type(encoder) in BUILT_IN:
        with torch.no_grad(), _evaluation(encoder):
            out = _call(encoder, batch, name)
        return DryRun(out.shape[-1], False, out.dtype, dtype, False, False, False)
    with own_random_numbers(batch.device):
        if has_lazy_parts(encoder):
            with torch.no_grad(), _evaluation(encoder):
                _call(encoder, batch, name)
        trial = copy_model(encoder)
        seen = [batch.clone(), batch[1:].clone(), batch.clone()]
        with torch.no_grad(), _evaluation(trial):
            two, one, again = (_call(trial, x, name) for x in seen)
        form = _check_form(two, 2, name)
        _check_form(one, 1, name)
        needs_two = _try_training(trial, batch, name)
    if not torch.isfinite(two).all():
        raise InputError(
            f"the encoder of {name!r} must return finite numbers; for two samples it returned NaN or infinity. Look "
            "for log(0), a division by 0 or overflow in its `forward`, and for NaN among its weights."
        )
    return DryRun(
        size=form.size,
        is_sequence=form.is_sequence,
        dtype=two.dtype,
        input_dtype=dtype,
        needs_two=needs_two,
        changes_input=not torch.equal(seen[0], batch),
        mixes=torch.equal(two, again) and not _close(two[1], one[0]),
    )


def has_lazy_parts(module: nn.Module) -> bool:
    """Whether some weights have no size yet."""
    return any(is_lazy(p) for p in (*module.parameters(), *module.buffers()))


def is_kept_still(module: nn.Module) -> bool:
    """Whether a module is frozen and in evaluation mode as a whole, so that training leaves it so."""
    weights = list(module.parameters())
    frozen = bool(weights) and not any(p.requires_grad for p in weights)
    return frozen and not any(part.training for part in module.modules())


def in_training_mode(module: nn.Module) -> None:
    """Put a module into the mode that it trains in: parts that its owner put into evaluation mode stay so."""
    if not any(part.training for part in module.modules()) and not is_kept_still(module):
        module.train()


@contextmanager
def _evaluation(module: nn.Module) -> Iterator[None]:
    """Put a module into evaluation mode; unlike `evaluating`, also one whose layers change their class meanwhile."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode


def _call(encoder: nn.Module, batch: Tensor, name: str):
    try:
        return encoder(batch)
    except torch.OutOfMemoryError:
        raise
    except Exception as problem:
        raise _refusal(encoder, batch, name, problem) from problem


def _try_training(trial: nn.Module, batch: Tensor, name: str) -> bool:
    """Take forward and backward passes in training mode; return whether one sample alone fails."""
    in_training_mode(trial)
    _pass(trial, batch, name)
    try:
        _pass(trial, batch[:1], name)
    except InputError:
        _pass(trial, batch, name)  # fails, too, if it is not the number of samples that was wrong
        return True
    _pass(trial, batch, name)
    return False


def _pass(trial: nn.Module, batch: Tensor, name: str) -> None:
    """Take one forward and backward pass in training mode; no gradient is kept."""
    with torch.enable_grad():
        out = _call(trial, batch.clone(), name)
        _check_form(out, len(batch), name)
        weights = [p for p in trial.parameters() if p.requires_grad]
        if not (weights and out.requires_grad):
            return
        try:
            torch.autograd.grad(out.float().sum(), weights, allow_unused=True)
        except torch.OutOfMemoryError:
            raise
        except Exception as problem:
            raise _refusal(trial, batch, name, problem) from problem


def _check_form(out, n: int, name: str):
    """Return the form of an output; refuse what is not an embedding."""
    form = form_of(out, n)
    if form.problem:
        samples = "one sample" if n == 1 else f"a batch of {n}"
        raise ShapeError(
            f"the encoder of {name!r} must return embeddings (batch, d); for {samples} it returned {form.problem}. "
            f"{form.advice}"
        )
    return form


def _refusal(encoder: nn.Module, batch: Tensor, name: str, problem: Exception) -> InputError:
    """Return the error for an encoder that cannot read its samples."""
    halves = {p.dtype for p in encoder.parameters()} & set(HALF)
    said = f"{type(problem).__name__}: {' '.join(str(problem).split())}"[:400]
    if halves:
        advice = "Its weights are in half precision: try encoder.float(), and Trainer(..., precision='bfloat16')."
    elif any(isinstance(part, nn.Embedding | nn.EmbeddingBag) for part in encoder.modules()):
        advice = f"Samples arrive as {batch.dtype}. For whole numbers wrap it: mmpid.models.Tokens(encoder)."
    else:
        advice = f"Try it alone: model.encoders[{name!r}](data.sample(2)[{name!r}]), in the mode named here."
    mode = "training" if encoder.training else "evaluation"
    return InputError(
        f"the encoder of {name!r} failed in {mode} mode on samples {tuple(batch.shape)}, {batch.dtype}: {said}. "
        f"{advice}"
    )


def input_dtype(encoder: nn.Module, batch: Tensor) -> torch.dtype:
    """Return float64 for an encoder whose weights are all float64, else the dtype of the samples."""
    kinds = {p.dtype for p in encoder.parameters() if p.is_floating_point()}
    return torch.float64 if kinds == {torch.float64} and batch.is_floating_point() else batch.dtype


def _close(one: Tensor, other: Tensor) -> bool:
    """Whether two embeddings are the same but for rounding."""
    if one.shape != other.shape:
        return False
    scale = float(one.abs().max().clamp_min(1e-12)) if torch.isfinite(one).all() else 1.0
    return torch.allclose(one.double(), other.double(), rtol=1e-2, atol=1e-3 * scale, equal_nan=True)

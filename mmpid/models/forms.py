"""What an encoder returned, in plain words, and how to make embeddings (B, d) of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

WRITTEN = "mmpid.models."


@dataclass(frozen=True)
class Form:
    """The form of an output: `problem` says what is wrong with it, `advice` what to type; both empty if it is fine."""

    size: int = 0
    is_sequence: bool = False
    problem: str = ""
    advice: str = ""


def form_of(out: Any, n: int) -> Form:
    """Return the form of what an encoder made of `n` samples; the advice calls the encoder `encoder`."""
    if isinstance(out, Tensor):
        return _form_of_tensor(out, n)
    parts = parts_of(out)
    if not parts:
        return Form(problem=type(out).__name__, advice="Return a tensor (batch, d) from `forward`.")
    tensors = {key: x for key, x in parts.items() if isinstance(x, Tensor)}
    kind = type(out).__name__
    shown = ", ".join(
        f"{key!r}: {tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__}" for key, x in parts.items()
    )
    return Form(problem=f"{kind} ({shown})", advice=_advice_for_parts(tensors, n))


def sequence_advice() -> str:
    """Say how one embedding is made of a sequence."""
    return (
        f"Wrap it: {WRITTEN}Pool(encoder) is the mean over tokens (batch, T, d), {WRITTEN}Pool(encoder, axis=2) over "
        f"time of (batch, d, T). A fusion module of your own takes sequences as they are."
    )


def parts_of(out: Any) -> dict[str | int, Any]:
    """Return the parts of a dict, a tuple or an object with attributes, by what :class:`Take` calls them."""
    if isinstance(out, Mapping):
        return dict(out)
    if isinstance(out, Sequence) and not isinstance(out, str | bytes):
        return dict(enumerate(out))
    held = getattr(out, "__dict__", {})
    return {key: x for key, x in held.items() if isinstance(x, Tensor)}


def _form_of_tensor(out: Tensor, n: int) -> Form:
    """Return the form of a tensor: (n, d), (n, T, d), or what is wrong with it."""
    shape = tuple(out.shape)
    what = f"a tensor of shape {shape}"
    if out.is_nested or out.is_sparse or out.is_quantized:
        return Form(problem="a nested, sparse or quantized tensor", advice="Return a dense tensor (batch, d).")
    if out.is_complex() or not out.is_floating_point():
        return Form(problem=f"{what}, {out.dtype}", advice="Return real numbers of a floating-point dtype: x.float().")
    if 0 in shape:
        return Form(problem=f"{what}, without numbers", advice="Return at least one number per sample.")
    if out.ndim in (2, 3) and shape[0] == n:
        return Form(size=shape[-1], is_sequence=out.ndim == 3)
    return Form(problem=what, advice=_advice_for_tensor(out, n))


def _advice_for_tensor(out: Tensor, n: int) -> str:
    shape = tuple(out.shape)
    if out.ndim == 1 and (n == 1 or shape[0] == n):
        lost = "`squeeze()` drops the axis of the samples" if n == 1 else "One number per sample needs an axis"
        return f"{lost}. Wrap it: {WRITTEN}Flat(encoder)."
    if out.ndim >= 4 and shape[0] == n:
        axes = ", ".join(str(axis) for axis in range(2, out.ndim))
        return (
            f"Wrap it: {WRITTEN}Pool(encoder, axis=({axes})) is the mean of a map of features, {WRITTEN}Flat(encoder) "
            "keeps all its numbers."
        )
    if out.ndim >= 2 and shape[1] == n:
        return "The samples are on the second axis: pass `batch_first=True`, or return x.transpose(0, 1)."
    if out.ndim == 2 and n == 1:
        return "The axis of the samples is lost: use `squeeze(dim)` of one axis in place of `squeeze()`."
    return f"The first axis must index the {n} samples: do not sum, average or reshape across it."


def _advice_for_parts(tensors: Mapping[str | int, Tensor], n: int) -> str:
    """Return the expression that takes a usable part: one of shape (n, d), else of (n, T, d)."""
    for axes in (2, 3):
        for key, x in tensors.items():
            if x.ndim == axes and len(x) == n and x.is_floating_point():
                taken = f"{WRITTEN}First(encoder)" if key == 0 else f"{WRITTEN}Take(encoder, {key!r})"
                if axes == 2:
                    return f"Wrap it: {taken}."
                return (
                    f"Wrap it: {WRITTEN}Pool({taken}) is the mean over the sequence, {WRITTEN}Pool({taken}, 'last') "
                    "its last entry."
                )
    return f"Return one tensor (batch, d) from `forward`, or take a part: {WRITTEN}Take(encoder, key)."

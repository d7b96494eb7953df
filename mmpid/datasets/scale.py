"""The scale of each modality: numbers that networks can learn from, and what float32 can hold."""

from collections.abc import Mapping

import torch
from torch import Tensor

from mmpid.errors import InputError, ScaleWarning, warn

SPREAD = (0.03, 10.0)  # standard deviations with which encoders of the usual initialization train
LOOKED_AT = 2048  # samples; more of them would tell no more
OFFSET = 10.0  # how many standard deviations the mean may lie from 0


def describe_scale(x: Tensor) -> tuple[float, float]:
    """Return the mean and the standard deviation of samples (n, d, ...), root mean squares over the second axis."""
    columns = x.to(torch.float64).movedim(1, -1).reshape(-1, x.shape[1])
    peak = max(float(columns.abs().max()), 1e-300)  # squares of large values would overflow
    unit = columns / peak
    center = unit.mean(0)
    spread = (unit - center).square().mean(0)
    return peak * float(center.square().mean().sqrt()), peak * float(spread.mean().sqrt())


def scale_problem(x: Tensor) -> str:
    """Say what is unusual about the scale of training samples (n, d, ...); empty if nothing is."""
    x = x[evenly(len(x), LOOKED_AT)]
    center, spread = describe_scale(x)
    if spread == 0 or (SPREAD[0] <= spread <= SPREAD[1] and center <= OFFSET * max(spread, 1.0)):
        return ""
    low, high = float(x.min()), float(x.max())
    return f"values run from {low:.4g} to {high:.4g}, with a standard deviation of {spread:.3g} around {center:.3g}"


def scale_problems(inputs: Mapping[str, Tensor], train: Tensor) -> dict[str, str]:
    """Say what is unusual about the scale of each modality; those with nothing unusual are left out."""
    some = train[evenly(len(train), LOOKED_AT).to(train.device)]
    found = {name: scale_problem(x[some]) for name, x in inputs.items()}
    return {name: text for name, text in found.items() if text}


def warn_scale(problems: Mapping[str, str]) -> None:
    """Warn once of all modalities whose scale networks may not learn from."""
    found = {name: text for name, text in problems.items() if text}
    if not found:
        return
    listed = "; ".join(f"modality {name!r}: {text}" for name, text in found.items())
    names = ", ".join(f"{name!r}: True" for name in found)
    warn(
        f"{listed}. Networks learn best from values around 0 with a standard deviation near 1; at this scale an "
        f"encoder may stay at chance level. Pass standardize={{{names}}}, or scale the values yourself. "
        f"(Numbers of words, for an embedding, are fine as they are.)",
        ScaleWarning,
    )


def as_float32(x: Tensor, name: str) -> Tensor:
    """Return samples as float32; refuse numbers beyond its range, and warn where it loses what tells samples apart."""
    out = x.to(torch.float32)
    if x.dtype not in (torch.float64, torch.int64, torch.int32):
        return out
    over = torch.isinf(out)
    if bool(over.any()) and bool(torch.isfinite(x[over]).all()):
        raise InputError(
            f"`inputs[{name!r}]` must fit into float32, up to 3.4e38; {int(over.sum())} entries do not, the largest is "
            f"{float(x.abs().max()):.3g}. Divide by a constant first."
        )
    if _lost(x, out):
        warn(
            f"modality {name!r}: stored as float32, {_lost(x, out)} of {x[0].numel()} values per sample lose digits "
            f"that tell samples apart: they are large. Pass standardize={{{name!r}: True}}, which subtracts the mean "
            f"first; renumber identifiers with numpy.unique(x, return_inverse=True)[1].",
            ScaleWarning,
        )
    return out


def _lost(x: Tensor, out: Tensor) -> int:
    """Count values of a sample that float32 rounds by more than a hundredth of their spread; integers must be exact."""
    some = evenly(len(x), LOOKED_AT)
    x, error = x[some].flatten(1), (out[some].to(torch.float64) - x[some].to(torch.float64)).abs().flatten(1)
    if not x.is_floating_point():
        return int((error > 0).any(0).sum())
    error, column = error.nan_to_num().amax(0), x.to(torch.float64).nan_to_num()
    spread = column.std(0) if len(x) > 1 else torch.zeros_like(error)
    return int(((error > 0.01 * spread) & (spread > 1e-10 * column.abs().amax(0))).sum())


def evenly(length: int, most: int) -> Tensor:
    """Return at most `most` positions at even distances."""
    return torch.linspace(0, length - 1, min(most, length)).round().long()

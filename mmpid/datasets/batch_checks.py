"""Checks of one batch of streamed samples: what is wrong is said with the numbers of the samples."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from mmpid import _validate
from mmpid.errors import InputError


def pair(batch, what: str) -> tuple[Mapping, object]:
    """Return (inputs, label) or say what came instead."""
    if isinstance(batch, (tuple, list)) and len(batch) == 2 and isinstance(batch[0], Mapping):
        return batch[0], batch[1]
    got = type(batch).__name__
    if isinstance(batch, (tuple, list)):
        got += " of " + ", ".join(type(part).__name__ for part in batch)
    raise InputError(
        f"{what} must be a pair ({{modality name: tensor}}, label); it was a {got}. "
        f"Return such pairs from the dataset, or from `collate_fn`."
    )


def batch_tensor(value, name: str, rows: Sequence[int]) -> Tensor:
    """Return one modality of a batch as a tensor of real numbers with one entry per sample."""
    if value is None or (isinstance(value, (list, tuple)) and any(x is None for x in value)):
        raise InputError(
            f"every sample must hold modality {name!r}; it is missing (None) in sample{'s' * (len(rows) > 1)} "
            f"{shown(rows)}. Leave such samples out (torch.utils.data.Subset), or fill the gap: a batch cannot be "
            f"masked. `missing='drop'` is for arrays."
        )
    if not isinstance(value, Tensor | np.ndarray):  # default_collate makes a list of tensors out of lists, transposed
        raise InputError(
            f"modality {name!r} must be a tensor of real numbers in every sample; in samples {shown(rows)} it was "
            f"{type(value).__name__}. Convert it in the dataset, for example with `torch.as_tensor`."
        )
    try:
        value = _validate.as_tensor(value, name).detach()
    except InputError as problem:
        raise InputError(f"modality {name!r} in samples {shown(rows)}: {problem}") from problem
    if value.ndim == 0 or len(value) != len(rows):
        raise InputError(
            f"modality {name!r} must have one entry for each of the {len(rows)} samples {shown(rows)}; its shape was "
            f"{tuple(value.shape)}. `collate_fn` must keep every sample, on the first axis."
        )
    return value


def check_shapes(found: dict, expected: dict, where: str) -> None:
    """Refuse a modality that is missing, new, or of another shape than in the first sample."""
    if not expected:
        return
    missing, extra = [n for n in expected if n not in found], [n for n in found if n not in expected]
    if missing or extra:
        what = f"modality {missing[0]!r} is missing" if missing else f"modality {extra[0]!r} is new"
        raise InputError(
            f"every sample must hold the modalities {', '.join(expected)}; {what} in {where}. "
            f"Leave such samples out (torch.utils.data.Subset), or fill the gap."
        )
    for name, shape in expected.items():
        if found[name] != shape:
            raise InputError(
                f"all samples of modality {name!r} must have one shape, {shape} as in the first sample; it was "
                f"{found[name]} in {where}. Crop, pad or resample them to one length, which must be the same in every "
                f"batch: with n the longest, `torch.nn.functional.pad(x, (0, n - x.shape[-1]))` in the dataset."
            )


def check_finite(x: Tensor, name: str, rows: Sequence[int]) -> None:
    """Refuse NaN and infinity, and name the first sample that holds them."""
    if not x.is_floating_point() or bool(torch.isfinite(x.sum())):  # a sum is finite only if all its terms are
        return
    bad = (~torch.isfinite(x.flatten(1))).any(1).nonzero().flatten().tolist()
    if bad:  # else the sum overflowed
        raise InputError(
            f"modality {name!r} must be finite; sample {rows[bad[0]]} holds NaN or infinity "
            f"({len(bad)} of {len(rows)} samples in its batch). Leave it out (torch.utils.data.Subset), or impute it: "
            f"a batch cannot be masked. `missing='drop'` is for arrays."
        )


def single(x: Tensor, name: str, rows: Sequence[int]) -> Tensor:
    """Return float64 as float32, which is what networks get; refuse what overflows."""
    if x.dtype != torch.float64:
        return x
    out = x.to(torch.float32)
    if bool(torch.isinf(out).any()):
        raise InputError(
            f"modality {name!r} must fit into float32, up to 3.4e38; in samples {shown(rows)} it reaches "
            f"{float(x.abs().max()):.3g}. Divide by a constant in the dataset."
        )
    return out


def batch_labels(labels, rows: Sequence[int]) -> Tensor:
    """Return integer labels (n,) on the CPU; whole floats and a column (n, 1) are integers, too."""
    if isinstance(labels, (list, tuple)) and any(isinstance(label, str | bytes) for label in labels):
        raise InputError(
            f"labels must be class indices, one integer per sample; for samples {shown(rows)} they were text, "
            f"{labels[0]!r}. Give them as `target=[label for _, label in dataset]`, where text is understood."
        )
    try:
        return _validate.labels(labels, "labels", len(rows)).cpu()
    except InputError as problem:
        got = f"{labels.dtype} of shape {tuple(labels.shape)}" if isinstance(labels, Tensor) else type(labels).__name__
        raise InputError(
            f"labels must be class indices, one integer per sample; for samples {shown(rows)} they were {got}. "
            f"Return an int as label, or give the classes as `target=`. {problem}"
        ) from problem


def shown(rows: Sequence[int]) -> str:
    """Return the numbers of the first few samples."""
    return ", ".join(map(str, rows[:3])) + (f", ... ({len(rows)} in all)" if len(rows) > 3 else "")

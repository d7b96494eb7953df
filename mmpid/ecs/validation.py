"""Checks of the inputs of proxies."""

from collections.abc import Mapping
from math import isfinite

import torch
from torch import Tensor

from mmpid._validate import as_tensor, finite, instance, labels
from mmpid.errors import InputError, ShapeError

_WIDE = (torch.float32, torch.float64)


def as_matrices(source, name: str, length: int) -> dict[str, Tensor] | None:
    """Return the arrays of a mapping as matrices of `length` rows in single or double precision, or None for none."""
    if source is None:
        return None
    if not instance(source, name, Mapping, "a mapping of names to arrays", 'For example {"audio": a, "image": v}.'):
        return None
    checked = {}
    for key, value in source.items():
        tensor = value if isinstance(value, Tensor) else as_tensor(value, f"{name}[{key!r}]")
        tensor = tensor.detach() if tensor.requires_grad else tensor
        if tensor.ndim != 2 or tensor.shape[0] != length:
            raise ShapeError(
                f"`{name}[{key!r}]` must have shape ({length}, d), a row for each label in `target`; "
                f"it was {tuple(tensor.shape)}. Flatten it, or take the labels of the same samples."
            )
        checked[key] = tensor if tensor.dtype in _WIDE else tensor.float()
    return checked


def in_order(
    embeddings: Mapping[str, Tensor] | None, logits: Mapping[str, Tensor] | None
) -> Mapping[str, Tensor] | None:
    """Return embeddings in the order of the logits, which names the results; raise for other modalities."""
    if not embeddings or not logits or tuple(embeddings) == tuple(logits):
        return embeddings
    if set(embeddings) != set(logits):
        raise ShapeError(
            f"`embeddings` must have the modalities of `unimodal_logits`, {', '.join(logits)}; they had "
            f"{', '.join(embeddings)}. Take both from one forward pass."
        )
    return {name: embeddings[name] for name in logits}


def check_finite(together: Tensor, matrices: Mapping[str, Tensor], name: str) -> None:
    """Raise if numbers are not finite; a finite sum has finite terms, so only other sums need a closer look."""
    if not isfinite(float(together.sum())):
        for key, matrix in matrices.items():
            finite(matrix, f"{name}[{key!r}]")


def widths_of(matrices: Mapping[str, Tensor] | None) -> set[int]:
    """Return the different numbers of columns."""
    return {value.shape[1] for value in (matrices or {}).values()}


def count_classes(evidence) -> int:
    """Return K from what is given: as a number, in the columns of the logits, or in the labels, which must fit it."""
    widths = widths_of(evidence.unimodal_logits)
    if len(widths) > 1:
        raise ShapeError(
            f"`unimodal_logits` must have the same number of classes for every modality; they had {sorted(widths)}. "
            "Give every scorer one output per class."
        )
    smallest, largest = (int(end) for end in evidence.target.aminmax())
    largest += 1
    n_classes = evidence.n_classes or (widths.pop() if widths else largest)
    if smallest < 0 or largest > n_classes:
        raise InputError(
            f"`target` must hold class indices 0..{n_classes - 1}; it ran from {smallest} "
            f"to {largest - 1}. Map the labels to 0..K-1 first."
        )
    return int(n_classes)


def target_of_batch(evidence) -> Tensor:
    """Return the labels of `inputs`: those given, or `target` where it is the same batch."""
    size = len(next(iter(evidence.inputs.values())))
    if evidence.inputs_target is not None:
        return labels(evidence.inputs_target, "inputs_target", size)
    if size != len(evidence.target):
        raise ShapeError(
            f"`inputs_target` must be given when `inputs` and `target` are different batches: {size} inputs against "
            f"{len(evidence.target)} labels. Pass the labels of `inputs`."
        )
    return evidence.target

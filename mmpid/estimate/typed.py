"""Functions of torch and of `mmpid._validate` that come without types, with the types that the estimators rely on."""

from collections.abc import Iterable, Mapping
from typing import Any, cast

import torch
from torch import Tensor

from mmpid import _validate

# Untyped here, so that each function below states the types of one call.
_checks: Any = _validate
_torch: Any = torch


def share(value: object, name: str) -> float:
    """Return a number from 0 to 1, or raise."""
    return _checks.number(value, name, low=0, high=1)


def positive(value: object, name: str) -> float:
    """Return a number above 0, or raise."""
    return _checks.number(value, name, low=0, open_low=True)


def one_of(value: object, name: str, options: Iterable[str]) -> None:
    """Raise unless a value is one of some names."""
    _checks.choice(value, name, options)


def is_text(value: object) -> bool:
    """Whether an array, a list or a pandas column holds text."""
    return _checks.is_text(value)


def text_labels(value: object, name: str, length: int) -> tuple[Tensor, tuple[str, ...]] | None:
    """Return labels that are text as int64 (N,), and the text of 0, 1, ...; None for other labels."""
    return _checks.text_labels(value, name, length)


def integer_labels(value: object, name: str, length: int) -> Tensor:
    """Return integer labels as int64 (N,), or raise."""
    return _checks.labels(value, name, length)


def sequence_of(value: object) -> tuple[object, ...] | None:
    """Return the entries of a tuple or a list, None for anything else."""
    return tuple(cast("list[object]", value)) if isinstance(value, tuple | list) else None


def mapping_of(value: object) -> Mapping[object, object] | None:
    """Return a mapping as it is, None for anything else."""
    return cast("Mapping[object, object]", value) if isinstance(value, Mapping) else None


def unique(values: Tensor, dim: int | None = None) -> Tensor:
    """Return the distinct entries, or slices along an axis, in ascending order."""
    return cast(Tensor, _torch.unique(values, dim=dim))


def unique_inverse(values: Tensor, dim: int | None = None) -> tuple[Tensor, Tensor]:
    """Return the distinct entries in ascending order, and for each entry the index of its own."""
    return cast("tuple[Tensor, Tensor]", _torch.unique(values, return_inverse=True, dim=dim))


def broadcast(one: Tensor, two: Tensor) -> tuple[Tensor, Tensor]:
    """Return two tensors expanded to their common shape."""
    return cast("tuple[Tensor, Tensor]", _torch.broadcast_tensors(one, two))


def eigh(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Return the eigenvalues of a symmetric matrix, in ascending order, and its eigenvectors as columns."""
    return cast("tuple[Tensor, Tensor]", _torch.linalg.eigh(matrix))


def solve(matrix: Tensor, right: Tensor) -> Tensor:
    """Solve systems of linear equations."""
    return cast(Tensor, _torch.linalg.solve(matrix, right))


def contract(one: Tensor, two: Tensor) -> Tensor:
    """Sum products over the last axis of the first and the first axis of the second tensor."""
    return cast(Tensor, _torch.tensordot(one, two, 1))


def normal_cdf(x: Tensor) -> Tensor:
    """Return the distribution function of the standard normal."""
    return cast(Tensor, _torch.special.ndtr(x))


def xlogy(x: Tensor, y: Tensor) -> Tensor:
    """Return x log y, 0 where x is 0."""
    return cast(Tensor, _torch.special.xlogy(x, y))

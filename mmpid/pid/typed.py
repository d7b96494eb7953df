"""Functions of torch and of `mmpid._validate` that come without types, with the types that the solver relies on."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmpid import _validate

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false


def integer(value: object, name: str, low: int, high: int | None = None) -> int:
    """Return an integer within bounds, or raise."""
    return int(_validate.number(value, name, low=low, high=high, integer=True))


def optional_integer(value: object, name: str, low: int) -> int | None:
    """Return an integer of at least `low`, or None, or raise."""
    return None if value is None else integer(value, name, low)


def positive(value: object, name: str, *, finite: bool = False) -> float:
    """Return a number above 0, or raise."""
    return float(_validate.number(value, name, low=0.0, open_low=True, finite=finite))


def real(value: object, name: str, low: float, high: float | None = None) -> float:
    """Return a number within bounds, or raise."""
    return float(_validate.number(value, name, low=low, high=high))


def choice(value: str, name: str, options: tuple[str, ...]) -> str:
    """Return `value` if it is one of `options`, or raise."""
    return _validate.choice(value, name, options)


def as_tensor(value: object, name: str) -> Tensor:
    """Return numbers as a tensor, or raise."""
    return _validate.as_tensor(value, name)


def integers_of(tensor: Tensor) -> list[int]:
    """Return a tensor of one axis as a list of integers."""
    return cast("list[int]", tensor.tolist())


def floats_of(tensor: Tensor) -> list[float]:
    """Return a tensor of one axis as a list of floats."""
    return cast("list[float]", tensor.tolist())


def tensor_of(array: NDArray[Any]) -> Tensor:
    """Return an array as a tensor that shares its memory."""
    return torch.from_numpy(array)


def array_of(tensor: Tensor) -> NDArray[np.float64]:
    """Return a tensor on the CPU as an array that shares its memory."""
    return cast("NDArray[np.float64]", tensor.numpy())


def entr(p: Tensor) -> Tensor:
    """Return -p log p, 0 at 0."""
    return cast(Tensor, torch.special.entr(p))


def cholesky_ex(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Return Cholesky factors, and numbers above 0 where a factorization failed."""
    return cast("tuple[Tensor, Tensor]", torch.linalg.cholesky_ex(matrix))


def solve_triangular(factor: Tensor, right: Tensor, *, upper: bool, left: bool = True) -> Tensor:
    """Solve triangular systems."""
    return cast(Tensor, torch.linalg.solve_triangular(factor, right, upper=upper, left=left))


def largest_norm(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Return the largest absolute value over some axes, which are kept."""
    return cast(Tensor, torch.linalg.vector_norm(x, torch.inf, axes, keepdim=True))


def sparse_coo(indices: Tensor, values: Tensor, shape: Sequence[int], *, coalesced: bool) -> Tensor:
    """Return a sparse tensor in coordinate format, whose indices are taken to be valid."""
    return torch.sparse_coo_tensor(indices, values, tuple(shape), check_invariants=False, is_coalesced=coalesced)


def gamma(concentration: Tensor, generator: torch.Generator) -> Tensor:
    """Draw from gamma distributions of these concentrations."""
    return torch._standard_gamma(concentration, generator=generator)  # pyright: ignore[reportPrivateUsage, reportPrivateImportUsage]

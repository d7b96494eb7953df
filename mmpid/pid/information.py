"""Entropy and mutual information of discrete joints: batched, in bits, differentiable."""

from typing import Any, cast

import torch
from torch import Tensor

from mmpid import _validate
from mmpid.errors import InputError, ShapeError
from mmpid.pid.constants import LN2, SUM_TOLERANCE
from mmpid.pid.typed import as_tensor, entr, integer


class _NegativeXLogX(torch.autograd.Function):
    """-x log x of several tables x, with derivative -(log x + 1), and 0 where x is 0: the slope there is infinite."""

    @staticmethod
    def forward(ctx: Any, *tables: Tensor) -> tuple[Tensor, ...]:
        ctx.save_for_backward(*tables)
        return tuple(entr(x) for x in tables)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, ...]:
        pairs = zip(grads, ctx.saved_tensors, strict=True)
        return tuple(grad * torch.where(x > 0, -(x.log() + 1), 0.0) for grad, x in pairs)


def entropies(*tables: Tensor) -> list[Tensor]:
    """Entropies in nats of several tables (b, ...) at once; for the solvers, which check first: unchecked here."""
    return [part.sum(tuple(range(1, part.ndim))) for part in _negative_xlogx(*tables)]


def _negative_xlogx(*tables: Tensor) -> tuple[Tensor, ...]:
    return cast("tuple[Tensor, ...]", _NegativeXLogX.apply(*tables))  # pyright: ignore[reportUnknownMemberType]


def entropy_bits(p: Tensor, axes: int = 1) -> Tensor:
    """Entropy in bits over the last `axes` axes; unchecked, for inner loops."""
    return _negative_xlogx(p)[0].flatten(p.ndim - axes).sum(-1) / LN2


def mutual_bits(p: Tensor) -> Tensor:
    """Mutual information in bits of the last two axes; unchecked, for inner loops."""
    return entropy_bits(p.sum(-1), 1) + entropy_bits(p.sum(-2), 1) - entropy_bits(p, 2)


def _checked(given: object, axes: int) -> Tensor:
    """Return `p` as a floating tensor whose last `axes` axes hold distributions, or say what is wrong with it."""
    p = as_tensor(given, "p")
    if p.ndim < axes or 0 in p.shape[p.ndim - axes :]:
        raise ShapeError(
            f"`p` must have at least {axes} axes of one state or more; its shape was {tuple(p.shape)}. "
            "Leading axes are a batch, the last ones the states."
        )
    p = p if p.is_floating_point() else p.to(torch.float64)
    flat = p.detach().flatten(p.ndim - axes)
    totals = flat.sum(-1, dtype=torch.float64)
    near = (totals - 1).abs() <= max(SUM_TOLERANCE, torch.finfo(p.dtype).eps)
    if not bool((near & (flat.amin(-1) >= 0)).all()):  # NaN fails both; what is wrong is asked only then
        _refuse(
            _validate.finite(p.detach(), "p", "Look for a table that was divided by a sum of 0."), axes, totals[~near]
        )
    return p


def _refuse(p: Tensor, axes: int, off: Tensor) -> None:
    _validate.not_negative(p, "p")
    last = -1 if axes == 1 else tuple(range(-axes, 0))
    raise InputError(
        f"`p` must sum to 1 over its last axes ({axes}); {len(off)} of its tables do not, the first sums to "
        f"{float(off[0]):.6g}. Divide by `p.sum({last}, keepdim=True)` first; a table of zeros is not a distribution."
    )


def entropy(p: object, axes: int = 1) -> Tensor:
    """Entropy H = -sum p log2 p over the last `axes` axes.

    Parameters
    ----------
    p : array or tensor, shape (..., s1, ..., s_axes)
        Probabilities; each problem of the batch sums to 1 over its last `axes` axes.
    axes : int
        How many trailing axes are states, at least 1; the others are a batch.

    Returns
    -------
    Tensor, shape (...)
        Bits, at least 0.

    Raises
    ------
    ShapeError
        If `p` has fewer than `axes` axes.
    InputError
        If entries are negative, NaN or infinite, or a table does not sum to 1.

    Notes
    -----
    Differentiable. At p = 0 the slope is infinite; the gradient returned there is 0.

    Examples
    --------
    >>> from mmpid.pid.information import entropy
    >>> entropy([0.5, 0.25, 0.25]).item()
    1.5
    """
    axes = integer(axes, "axes", 1)
    return entropy_bits(_checked(p, axes), axes)


def mutual_information(p: object) -> Tensor:
    """Mutual information I(A; B) = H(A) + H(B) - H(A, B) of the last two axes.

    Parameters
    ----------
    p : array or tensor, shape (..., a, b)
        Joint probabilities, summing to 1 over the last two axes.

    Returns
    -------
    Tensor, shape (...)
        Bits, from 0 to min(H(A), H(B)).

    Raises
    ------
    ShapeError
        If `p` has fewer than two axes.
    InputError
        If entries are negative, NaN or infinite, or a table does not sum to 1.

    Examples
    --------
    >>> from mmpid.pid.information import mutual_information
    >>> mutual_information([[0.5, 0.0], [0.0, 0.5]]).item()
    1.0
    """
    return mutual_bits(_checked(p, 2))


def conditional_mutual_information(p: object) -> Tensor:
    """Conditional mutual information I(A; B | C) = H(A, C) + H(B, C) - H(A, B, C) - H(C), C being the last axis.

    Parameters
    ----------
    p : array or tensor, shape (..., a, b, c)
        Joint probabilities, summing to 1 over the last three axes.

    Returns
    -------
    Tensor, shape (...)
        Bits, at least 0.

    Raises
    ------
    ShapeError
        If `p` has fewer than three axes.
    InputError
        If entries are negative, NaN or infinite, or a table does not sum to 1.

    Examples
    --------
    Two fair bits and their exclusive or: independent, but not given the third.

    >>> from mmpid.pid.information import conditional_mutual_information
    >>> conditional_mutual_information([[[0.25, 0.0], [0.0, 0.25]], [[0.0, 0.25], [0.25, 0.0]]]).item()
    1.0
    """
    table = _checked(p, 3)
    pairs = entropy_bits(table.sum(-2), 2) + entropy_bits(table.sum(-3), 2)
    return pairs - entropy_bits(table, 3) - entropy_bits(table.sum((-3, -2)), 1)

"""Entropy and mutual information of discrete joints: batched, in bits, differentiable."""

import math

import torch
from torch import Tensor

from mmpid._validate import as_tensor
from mmpid.errors import ShapeError

LN2 = math.log(2.0)


class _NegativeXLogX(torch.autograd.Function):
    """-x log x of several tables x, with derivative -(log x + 1), and 0 where x is 0: the slope there is infinite."""

    @staticmethod
    def forward(ctx, *tables: Tensor) -> tuple[Tensor, ...]:
        ctx.save_for_backward(*tables)
        return tuple(torch.special.entr(x) for x in tables)

    @staticmethod
    def backward(ctx, *grads: Tensor) -> tuple[Tensor, ...]:
        pairs = zip(grads, ctx.saved_tensors, strict=True)
        return tuple(grad * torch.where(x > 0, -(x.log() + 1), 0.0) for grad, x in pairs)


def entropies(*tables: Tensor) -> list[Tensor]:
    """Entropies in nats of several tables (b, ...) at once."""
    return [part.sum(tuple(range(1, part.ndim))) for part in _NegativeXLogX.apply(*tables)]


def _bits(p: Tensor, axes: int) -> Tensor:
    """Entropy in bits over the last `axes` axes."""
    return _NegativeXLogX.apply(p)[0].flatten(p.ndim - axes).sum(-1) / LN2


def _checked(p, name: str, axes: int) -> Tensor:
    p = as_tensor(p, name)
    if p.ndim < axes:
        raise ShapeError(
            f"`{name}` must have at least {axes} axes of states; its shape was {tuple(p.shape)}. "
            "Leading axes are a batch, the last ones the states."
        )
    return p if p.is_floating_point() else p.to(torch.float64)


def entropy(p, axes: int = 1) -> Tensor:
    """Entropy H = -sum p log2 p over the last `axes` axes.

    Parameters
    ----------
    p : array or tensor, shape (..., s1, ..., s_axes)
        Probabilities; each problem of the batch sums to 1 over its last `axes` axes. Not checked.
    axes : int
        How many trailing axes are states; the others are a batch.

    Returns
    -------
    Tensor, shape (...)
        Bits, at least 0.

    Raises
    ------
    ShapeError
        If `p` has fewer than `axes` axes.

    Notes
    -----
    Differentiable. At p = 0 the slope is infinite; the gradient returned there is 0.

    Examples
    --------
    >>> from mmpid.pid.information import entropy
    >>> entropy([0.5, 0.25, 0.25]).item()
    1.5
    """
    return _bits(_checked(p, "p", axes), axes)


def mutual_information(p) -> Tensor:
    """Mutual information I(A; B) = H(A) + H(B) - H(A, B) of the last two axes.

    Parameters
    ----------
    p : array or tensor, shape (..., a, b)
        Joint probabilities, summing to 1 over the last two axes. Not checked.

    Returns
    -------
    Tensor, shape (...)
        Bits, from 0 to min(H(A), H(B)).

    Raises
    ------
    ShapeError
        If `p` has fewer than two axes.

    Examples
    --------
    >>> from mmpid.pid.information import mutual_information
    >>> mutual_information([[0.5, 0.0], [0.0, 0.5]]).item()
    1.0
    """
    p = _checked(p, "p", 2)
    return _bits(p.sum(-1), 1) + _bits(p.sum(-2), 1) - _bits(p, 2)


def conditional_mutual_information(p) -> Tensor:
    """Conditional mutual information I(A; B | C) = H(A, C) + H(B, C) - H(A, B, C) - H(C), C being the last axis.

    Parameters
    ----------
    p : array or tensor, shape (..., a, b, c)
        Joint probabilities, summing to 1 over the last three axes. Not checked.

    Returns
    -------
    Tensor, shape (...)
        Bits, at least 0.

    Raises
    ------
    ShapeError
        If `p` has fewer than three axes.

    Examples
    --------
    Two fair bits and their exclusive or: independent, but not given the third.

    >>> from mmpid.pid.information import conditional_mutual_information
    >>> conditional_mutual_information([[[0.25, 0.0], [0.0, 0.25]], [[0.0, 0.25], [0.25, 0.0]]]).item()
    1.0
    """
    p = _checked(p, "p", 3)
    return _bits(p.sum(-2), 2) + _bits(p.sum(-3), 2) - _bits(p, 3) - _bits(p.sum((-3, -2)), 1)

"""min f as a differentiable function of the pairwise marginals, to a tolerance in bits that includes rounding."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor

from mmpid.pid.certificate import rounding_bits
from mmpid.pid.constants import FINEST_TOL, GRADIENT_TOL, LN2
from mmpid.pid.effort import Effort
from mmpid.pid.enclosure import enclose
from mmpid.pid.interior_point import Bounds
from mmpid.pid.optimum import Storage


def enclose_bits(p1: Tensor, p2: Tensor, effort: Effort, storage: Storage = "dense") -> Bounds:
    """Enclose min f, in nats, for p1 (b, n1, k) and p2 (b, n2, k); the gap with rounding is to be `effort.tol` bits."""
    aim = max(effort.tol - rounding_bits(p1, p2), FINEST_TOL) * LN2
    with torch.inference_mode():  # nothing in there has a gradient, and each call is cheaper
        return enclose(p1.detach(), p2.detach(), replace(effort, tol=aim), storage)


def minimal_f(p1: Tensor, p2: Tensor, effort: Effort, storage: Storage = "dense") -> tuple[Tensor, Bounds]:
    """Return min f in nats, with a gradient, and the bounds behind it, without one."""
    if p1.requires_grad and torch.is_grad_enabled():
        effort = replace(effort, tol=min(effort.tol, GRADIENT_TOL))
    bounds = enclose_bits(p1, p2, effort, storage)
    apply = cast("Callable[[Tensor, Tensor, Bounds], Tensor]", _MinimalF.apply)  # pyright: ignore[reportUnknownMemberType]
    return apply(p1, p2, bounds), bounds


class _MinimalF(torch.autograd.Function):
    """min f as a function of the pairwise marginals; its gradient is the pair of multipliers."""

    @staticmethod
    def forward(ctx: Any, p1: Tensor, p2: Tensor, bounds: Bounds) -> Tensor:
        # not by save_for_backward, which refuses tensors of the inference mode; nobody else holds them
        ctx.multipliers = bounds.lam, bounds.mu.mT
        return bounds.upper.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grad_outputs: Tensor
    ) -> tuple[Tensor, Tensor, None]:
        lam, mu = ctx.multipliers
        grad = grad_outputs[0].view(-1, 1, 1)
        return grad * lam, grad * mu, None

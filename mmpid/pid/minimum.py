"""min f as a differentiable function of the pairwise marginals, to a tolerance in bits that includes rounding."""

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from mmpid.pid.certificate import FINEST, rounding_bits
from mmpid.pid.enclosure import enclose
from mmpid.pid.information import LN2
from mmpid.pid.interior_point import Bounds

GRADIENT_TOL = 1e-9  # bits: the multipliers, and with them the gradient, are accurate at this gap


def enclose_bits(p1: Tensor, p2: Tensor, tol: float, max_iter: int, budget: int | None, *, keep_q: bool) -> Bounds:
    """Enclose min f, in nats, for p1 (b, n1, k) and p2 (b, n2, k), so that the gap with rounding is `tol` bits."""
    aim = max(tol - rounding_bits(p1, p2), FINEST) * LN2
    with torch.inference_mode():  # nothing in there has a gradient, and each call is cheaper
        return enclose(p1.detach(), p2.detach(), aim, max_iter, budget, keep_q=keep_q)


def minimal_f(p1: Tensor, p2: Tensor, tol: float, max_iter: int, budget: int | None) -> tuple[Tensor, Bounds]:
    """Return min f in nats, with a gradient, and the bounds behind it, without one."""
    aim = min(tol, GRADIENT_TOL) if p1.requires_grad and torch.is_grad_enabled() else tol
    bounds = enclose_bits(p1, p2, aim, max_iter, budget, keep_q=True)
    value = _MinimalF.apply(p1, p2, bounds)
    assert isinstance(value, Tensor)
    return value, bounds


class _MinimalF(torch.autograd.Function):
    """min f as a function of the pairwise marginals; its gradient is the pair of multipliers."""

    @staticmethod
    def forward(ctx: FunctionCtx, p1: Tensor, p2: Tensor, bounds: Bounds) -> Tensor:
        # not by save_for_backward, which refuses tensors of the inference mode; nobody else holds them
        ctx.multipliers = bounds.lam, bounds.mu.mT  # pyright: ignore[reportAttributeAccessIssue]
        return bounds.upper.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad: Tensor):
        lam, mu = ctx.multipliers
        grad = grad.view(-1, 1, 1)
        return grad * lam, grad * mu, None

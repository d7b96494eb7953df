"""decompose(joint): the front door of the solver."""

import warnings

import torch
from torch import Tensor

from mmpid import _validate
from mmpid.errors import ConvergenceWarning, InputError, ShapeError
from mmpid.pid import interior_point
from mmpid.pid.information import LN2, entropy, mutual_information
from mmpid.pid.results import PIDResult

METHODS = ("exact",)
_SUM_TOLERANCE = 1e-4
_CHUNK_BYTES = 2**25


def decompose(joint, method: str = "exact", tol: float = 1e-6) -> PIDResult:
    """Decompose I(Y; X1, X2) into redundancy, two unique parts and synergy."""
    _validate.choice(method, "method", METHODS)
    tol = _validate.number(tol, "tol", low=0.0, open_low=True)
    joint = checked_joint(joint)
    batch = joint.shape[:-3]
    p = joint.to(torch.float64).reshape(-1, *joint.shape[-3:])
    p = p / p.sum((1, 2, 3), keepdim=True)
    value, gap, optimum, n_iter = _MinimalF.apply(p.sum(2), p.sum(1), tol)
    h_y = entropy(p.sum((1, 2)))
    own1, own2 = mutual_information(p.sum(2)), mutual_information(p.sum(1))
    total = mutual_information(p.flatten(1, 2))
    achieved = h_y + value / LN2
    parts = {
        "redundancy": own1 + own2 - achieved,
        "unique1": achieved - own2,
        "unique2": achieved - own1,
        "synergy": total - achieved,
        "gap": gap / LN2,
        "converged": gap / LN2 <= tol,
        "n_iter": n_iter,
    }
    parts = {name: value.reshape(batch) for name, value in parts.items()}
    result = PIDResult(**parts, optimum=optimum.reshape(joint.shape), method=method)
    warn_if_missed(result, tol)
    return result


def checked_joint(joint) -> Tensor:
    """Return `joint` as a floating tensor that holds distributions, or say what is wrong with it."""
    joint = _validate.as_tensor(joint, "joint")
    if joint.ndim < 3:
        raise ShapeError(
            f"`joint` must have at least three axes (..., x1, x2, y); its shape was {tuple(joint.shape)}. "
            "The target comes last; for one source add an axis of length 1."
        )
    if not joint.is_floating_point():
        raise InputError(
            f"`joint` must hold probabilities in a floating dtype; its dtype was {joint.dtype}. "
            "If these are counts, divide by their sum: `joint / joint.sum()`."
        )
    if 0 in joint.shape[-3:]:
        raise ShapeError(f"`joint` must have at least one state on each axis; its shape was {tuple(joint.shape)}.")
    _validate.finite(joint, "joint")
    if joint.numel() and joint.min() < 0:
        where = tuple(int(i) for i in (joint < 0).nonzero()[0])
        raise InputError(
            f"`joint` must be non-negative; {int((joint < 0).sum())} entries are negative, the smallest "
            f"{float(joint.min()):.3g}, the first at index {where}. Clip them at 0 and normalize again."
        )
    totals = joint.detach().sum((-3, -2, -1), dtype=torch.float64)
    off = (totals - 1).abs() > _SUM_TOLERANCE
    if off.any():
        worst = float(totals[off].flatten()[0])
        counts = bool((joint == joint.round()).all()) and worst > 1
        hint = "These look like counts: divide" if counts else "Divide"
        raise InputError(
            f"`joint` must sum to 1 over its last three axes; {int(off.sum())} of {totals.numel()} do not, the "
            f"first sums to {worst:.6g}. {hint} by `joint.sum((-3, -2, -1), keepdim=True)` first."
        )
    return joint


def warn_if_missed(result: PIDResult, tol: float) -> None:
    """Give a ConvergenceWarning that says how many problems missed the tolerance and by how much."""
    missed = int((~result.converged).sum())
    if missed:
        warnings.warn(
            f"{missed} of {result.converged.numel()} problems missed tol = {tol:.3g} bit; the worst gap is "
            f"{float(result.gap.max()):.3g} bit. The atoms of these are off by up to their `gap`.",
            ConvergenceWarning,
            stacklevel=3,
        )


class _MinimalF(torch.autograd.Function):
    """min f as a function of the pairwise marginals; its gradient is the pair of dual variables."""

    @staticmethod
    def forward(ctx, p1: Tensor, p2: Tensor, tol: float):
        b, n1, k = p1.shape
        n2 = p2.shape[1]
        p2 = p2.transpose(1, 2).contiguous()
        size = max(1, _CHUNK_BYTES // (24 * max(n1, n2) * k * n2 * k))
        parts = [interior_point.solve(p1[i : i + size], p2[i : i + size], 0.5 * tol * LN2, 100) for i in range(0, b, size)]
        if not parts:
            parts = [interior_point.solve(p1, p2, tol * LN2, 100)]
        value = torch.cat([part.upper for part in parts])
        gap = (value - torch.cat([part.lower for part in parts])).clamp_min(0.0)
        optimum = torch.cat([part.q for part in parts]).permute(0, 1, 3, 2)
        n_iter = torch.cat([part.n_iter for part in parts])
        lam, mu = torch.cat([part.lam for part in parts]), torch.cat([part.mu for part in parts])
        ctx.save_for_backward(lam, mu.transpose(1, 2))
        ctx.mark_non_differentiable(gap, optimum, n_iter)
        return value, gap, optimum, n_iter

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad: Tensor, *_):
        lam, mu = ctx.saved_tensors
        grad = grad.view(-1, 1, 1)
        return grad * lam, grad * mu, None

"""What decompose accepts: one clear error for each way in which a joint can be wrong."""

import math

import torch
from torch import Tensor

from mmpid import _validate
from mmpid.errors import InputError, ShapeError
from mmpid.pid.constants import SUM_TOLERANCE, TINY
from mmpid.pid.distributions import is_distribution, joint_of_distribution
from mmpid.pid.typed import array_of, as_tensor

NOT_FINITE = "Look for a table that was divided by a sum of 0."
_COARSEST = 1e-2  # of half precision, whose rounding alone may take a sum this far from 1


def checked_joint(joint: object) -> Tensor:
    """Return `joint` as a floating tensor that holds distributions, or say what is wrong with it."""
    given = joint_of_distribution(joint, "joint") if is_distribution(joint) else joint
    joint = as_tensor(given, "joint")
    if joint.ndim < 3:
        raise ShapeError(
            f"`joint` must have at least three axes (..., x1, x2, y), the target last; its shape was "
            f"{tuple(joint.shape)}. If there is only one source, add an axis of length 1."
        )
    if 0 in joint.shape[-3:]:
        raise ShapeError(f"`joint` must have at least one state on each axis; its shape was {tuple(joint.shape)}.")
    if not joint.is_floating_point():
        raise InputError(
            f"`joint` must hold probabilities in a floating dtype; its dtype was {joint.dtype}. "
            "If these are counts, divide each table by its sum first."
        )
    slack = max(SUM_TOLERANCE, min(_COARSEST, torch.finfo(joint.dtype).eps))
    entries = joint.detach().double()
    if not _are_distributions(entries, slack):
        _validate.finite(entries, "joint", NOT_FINITE)
        _validate.not_negative(entries, "joint")
        _check_sums(entries, slack)
    return joint


def _are_distributions(joint: Tensor, slack: float) -> bool:
    """Answer all that is asked of the entries at once; NaN fails both. What is wrong is asked only then."""
    if joint.ndim == 3 and not joint.is_cuda:  # the same by NumPy, whose calls cost less
        table = array_of(joint)
        return bool(table.min() >= 0 and abs(table.sum() - 1) <= slack)
    lowest, totals = joint.amin((-3, -2, -1)), joint.sum((-3, -2, -1))
    return bool(((lowest >= 0) & ((totals - 1).abs() <= slack)).all())


def _check_sums(joint: Tensor, slack: float) -> None:
    totals = joint.sum((-3, -2, -1))
    off = (totals - 1).abs() > slack
    if off.any():
        worst = totals[off].flatten()[0]
        whole = joint[off].flatten(-3)[0]
        if worst == 0:
            hint = "An empty table has no distribution: leave it out, or look at how it was filled."
            raise InputError(
                f"`joint` must sum to 1 over its last three axes; {int(off.sum())} of {totals.numel()} tables do not, "
                f"the first sums to 0. {hint}"
            )
        counts = bool(worst > 1) and bool((whole == whole.round()).all())
        hint = "These look like counts: divide" if counts else "These do not look like counts; divide"
        raise InputError(
            f"`joint` must sum to 1 over its last three axes; {int(off.sum())} of {totals.numel()} tables do not, "
            f"the first sums to {float(worst):.6g}. {_batch_hint(joint, totals, slack)}"
            f"{hint} by `joint.sum((-3, -2, -1), keepdims=True)`."
        )


def _batch_hint(joint: Tensor, totals: Tensor, slack: float) -> str:
    """Say that leading axes are a batch, and what to do with a joint of more than two sources."""
    if joint.ndim == 3:
        return ""
    shape = tuple(joint.shape)
    read = f"Leading axes are a batch: this was read as {totals.numel()} joints of shape {shape[-3:]}. "
    together = "They sum to 1 together. " if abs(float(totals.sum()) - 1) <= slack * totals.numel() else ""
    merged = (shape[0], math.prod(shape[1:-1]), shape[-1])
    return (
        f"{read}{together}If this is one joint of {joint.ndim - 1} sources and a target, decompose the first source "
        f"against the others, `joint.reshape{merged}`, divided by its sum, or use `mmpid.estimate_pid_multi` on the "
        "samples. If it is a batch: "
    )


def checked_marginals(first: object, second: object) -> tuple[Tensor, Tensor, torch.Size]:
    """Return p(x1, y) and p(x2, y), float64, (b, n, k), normalized and of one p(y), and the batch shape."""
    p1, p2 = _checked_marginal(first, "p1"), _checked_marginal(second, "p2")
    if p1.shape[:-2] != p2.shape[:-2] or p1.shape[-1] != p2.shape[-1]:
        raise ShapeError(
            "`p1` (..., n1, k) and `p2` (..., n2, k) must have the same batch axes and as many classes; their shapes "
            f"were {tuple(p1.shape)} and {tuple(p2.shape)}. The target is the last axis of both."
        )
    if p1.device != p2.device:
        raise InputError(
            f"`p2` must be on the device of `p1`, {p1.device}; it was on {p2.device}. Try `p2.to(p1.device)`."
        )
    batch = p1.shape[:-2]
    p1, p2 = (p.to(torch.float64).reshape(-1, *p.shape[-2:]) for p in (p1, p2))
    p1, p2 = p1 / p1.sum((1, 2), keepdim=True), p2 / p2.sum((1, 2), keepdim=True)
    prior1, prior2 = p1.sum(1, keepdim=True), p2.sum(1, keepdim=True)
    difference = (prior1 - prior2).abs()
    if bool((difference > SUM_TOLERANCE).any()) or bool(((prior1 > 0) != (prior2 > 0)).any()):
        raise InputError(
            f"`p1` and `p2` must have the same p(y); theirs differ by up to {float(difference.max()):.3g}. If the two "
            "samples hold the classes in other shares, choose one: p2 = p2 / p2.sum(-2, keepdims=True) * "
            "p1.sum(-2, keepdims=True), for classes that both samples hold."
        )
    return p1, p2 * torch.where(prior2 > 0, prior1 / prior2.clamp_min(TINY), 0.0), batch


def _checked_marginal(given: object, name: str) -> Tensor:
    p = as_tensor(given, name)
    if p.ndim < 2 or 0 in p.shape[-2:]:
        raise ShapeError(
            f"`{name}` must have at least two axes (..., x, y) of one state or more, the target last; its shape was "
            f"{tuple(p.shape)}."
        )
    if not p.is_floating_point():
        raise InputError(
            f"`{name}` must hold probabilities in a floating dtype; its dtype was {p.dtype}. "
            "If these are counts, divide each table by its sum first."
        )
    entries = p.detach().double()
    _validate.finite(entries, name, NOT_FINITE)
    _validate.not_negative(entries, name)
    totals = entries.sum((-2, -1))
    off = (totals - 1).abs() > max(SUM_TOLERANCE, min(_COARSEST, torch.finfo(p.dtype).eps))
    if off.any():
        raise InputError(
            f"`{name}` must sum to 1 over its last two axes; {int(off.sum())} of {off.numel()} tables do not, the "
            f"first sums to {float(totals[off].flatten()[0]):.6g}. Divide by `{name}.sum((-2, -1), keepdims=True)`."
        )
    return p

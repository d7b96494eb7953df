"""What decompose accepts: one clear error for each way in which a joint can be wrong."""

import torch
from torch import Tensor

from mmpid import _validate
from mmpid.errors import InputError, ShapeError

_SUM_TOLERANCE = 1e-4
_COARSEST = 1e-2  # of half precision, whose rounding alone may take a sum this far from 1


def checked_joint(joint) -> Tensor:
    """Return `joint` as a floating tensor that holds distributions, or say what is wrong with it."""
    joint = _validate.as_tensor(joint, "joint")
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
    slack = max(_SUM_TOLERANCE, min(_COARSEST, torch.finfo(joint.dtype).eps))
    entries = joint.detach().double()
    if not _are_distributions(entries, slack):
        _validate.finite(entries, "joint")
        _validate.not_negative(entries, "joint")
        _check_sums(entries, slack)
    return joint


def _are_distributions(joint: Tensor, slack: float) -> bool:
    """Answer all that is asked of the entries at once; NaN fails both. What is wrong is asked only then."""
    lowest, totals = joint.amin((-3, -2, -1)), joint.sum((-3, -2, -1))
    return bool(((lowest >= 0) & ((totals - 1).abs() <= slack)).all())


def _check_sums(joint: Tensor, slack: float) -> None:
    totals = joint.sum((-3, -2, -1))
    off = (totals - 1).abs() > slack
    if off.any():
        worst = totals[off].flatten()[0]
        whole = joint[off].flatten(-3)[0]
        counts = bool(worst > 1) and bool((whole == whole.round()).all())
        hint = "These look like counts: divide" if counts else "These do not look like counts; divide"
        raise InputError(
            f"`joint` must sum to 1 over its last three axes; {int(off.sum())} of {totals.numel()} tables do not, "
            f"the first sums to {float(worst):.6g}. {hint} by `joint.sum((-3, -2, -1), keepdim=True)` first."
        )

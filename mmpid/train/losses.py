"""Losses by name: functions of logits (B, k), labels (B,) and class weights (k,), in nats."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from mmpid import _validate
from mmpid.errors import ConfigError, TrainingError

Loss = Callable[[Tensor, Tensor], Tensor]
SMOOTHING = 0.1  # share of the label that label smoothing spreads over all classes
FOCUS = 2.0  # exponent of the focal loss


def cross_entropy(logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Return the mean cross-entropy in float32, weighted by class: ``sum_i w_i l_i / sum_i w_i``."""
    return functional.cross_entropy(_full(logits), target, weight)


def label_smoothing(logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Return the cross-entropy to labels that are spread over all classes by a tenth.

    References
    ----------
    Szegedy et al. (2016), Rethinking the inception architecture for computer vision, section 7.
    """
    return functional.cross_entropy(_full(logits), target, weight, label_smoothing=SMOOTHING)


def focal(logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Return the mean of ``(1 - p_y)^2 * -log p_y``, which counts samples less that are already right.

    References
    ----------
    Lin et al. (2017), Focal loss for dense object detection, eq. 4, with gamma 2.
    """
    each = functional.cross_entropy(_full(logits), target, reduction="none")
    each = (1 - (-each).exp()) ** FOCUS * each
    if weight is None:
        return each.mean()
    own = weight[target]
    return (own * each).sum() / own.sum()


LOSSES = {"cross_entropy": cross_entropy, "label_smoothing": label_smoothing, "focal": focal}


def make_loss(loss: str | Callable[..., Any], weight: Tensor | None) -> Loss:
    """Return a function of logits and labels.

    A loss of the user's own is called with logits (B, k) and labels (B,) and must return one number.
    """
    if isinstance(loss, str):
        named = LOSSES[_validate.choice(loss, "loss", LOSSES)]
        return lambda logits, target: named(logits, target, weight if weight is None else weight.to(_full(logits)))
    if weight is not None:
        raise ConfigError(
            "`class_weight` must be 'none' with a loss of your own, which weighs classes itself; it was 'balanced'. "
            "For example loss=torch.nn.CrossEntropyLoss(weight=...)."
        )
    return lambda logits, target: _checked(loss(_full(logits), target), loss)


def _full(logits: Tensor) -> Tensor:
    """Return logits in float32 where mixed precision made them shorter."""
    return logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits


def _checked(value: Any, loss: Callable[..., Any]) -> Tensor:
    if isinstance(value, Tensor) and value.ndim == 0 and value.is_floating_point():
        return value
    was = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
    raise TrainingError(
        f"`loss` must return one number, a tensor without axes; {loss!r} returned {was}. End it with .mean()."
    )

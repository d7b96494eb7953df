"""MMPareto: combine each encoder's multimodal and unimodal gradient so that neither loss suffers."""

import torch
from torch import Tensor

from mmpid import _validate
from mmpid.train.callbacks import Callback
from mmpid.train.context import Context


def combine(joint: list[Tensor], own: list[Tensor], gamma: float) -> tuple[list[Tensor], float]:
    """Return the combined gradient of one encoder and the weight of the multimodal one.

    With g, u the gradients of the multimodal and of the unimodal loss over the whole encoder: both count alike where
    ``g . u > 0``; else ``w = (u . u - g . u) / |g - u|^2`` minimizes ``|w g + (1 - w) u|``. Then each tensor
    ``h = 2 w g + 2 (1 - w) u`` is brought to at least the length of ``g + u`` and multiplied by gamma.
    """
    dot = sum(float((g * u).sum()) for g, u in zip(joint, own, strict=True))
    square = sum(float((u * u).sum()) for u in own)
    apart = sum(float(((g - u) ** 2).sum()) for g, u in zip(joint, own, strict=True))
    weight = 0.5 if dot > 0 or apart == 0 else (square - dot) / apart
    combined = []
    for g, u in zip(joint, own, strict=True):
        h = 2 * weight * g + 2 * (1 - weight) * u
        length = float(h.norm())
        stretch = max(1.0, float((g + u).norm()) / length) if length > 0 else 1.0
        combined.append(gamma * stretch * h)
    return combined, weight


class MMPareto(Callback):
    """Pareto integration of multimodal and unimodal gradients (MMPareto).

    Takes over the backward pass of stage 2: heads get the gradient of the sum of the losses, each encoder that of
    :func:`combine`.

    Parameters
    ----------
    gamma : float
        Factor of every encoder's gradient; 1.5 in the released code, also where nothing conflicts.

    Notes
    -----
    Costs one additional backward pass per modality. Works for every fusion and any number of modalities. `aux_weight`
    is not used: the method has its own weights.

    References
    ----------
    Wei and Hu (2024), MMPareto: boosting multimodal learning with innocent unimodal assistance, ICML, section 3.3.

    Examples
    --------
    >>> import torch
    >>> combine([torch.tensor([1.0, 0.0])], [torch.tensor([0.0, 1.0])], gamma=1.0)[1]
    0.5
    """

    def __init__(self, gamma: float = 1.5):
        self.gamma = _validate.number(gamma, "gamma", low=0, open_low=True, finite=True)

    def backward(self, ctx: Context) -> bool:
        """Fill the gradients of heads and encoders."""
        if ctx.stage != "joint":
            return False
        parts = {name: [p for p in ctx.parameters(name) if p.requires_grad] for name in ctx.modalities}
        gradients = {}
        for name, parameters in parts.items():
            if parameters:
                pair = (ctx.gradients_of(ctx.losses["joint"], name), ctx.gradients_of(ctx.losses[name], name))
                joint, own = (
                    [ctx.mean(torch.zeros_like(p) if g is None else g) for g, p in zip(each, parameters, strict=True)]
                    for each in pair
                )  # over the whole batch, because the next step is not linear
                gradients[name], weight = combine(joint, own, self.gamma)
                ctx.log(f"weight.{name}", weight)
        torch.stack(list(ctx.losses.values())).sum().backward()
        for name, combined in gradients.items():
            for parameter, gradient in zip(parts[name], combined, strict=True):
                parameter.grad = gradient
        return True

"""ARL: give the encoder with the surest predictions a larger share of the learning."""

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor

from mmpid import _validate
from mmpid.train.callbacks import Callback
from mmpid.train.context import Context

LEAST_ENTROPY = 0.3  # lower limit on a modality's share of the total entropy


def weights(logits: list[Tensor], sharpness: float, mean: Callable[[Tensor], Tensor] = torch.clone) -> Tensor:
    """Return the weights of the modalities, which add up to 1.

    With c_m the share of ``mean |o_m|``, H_m the mean entropy of the predictions and ``h_m = max(H_m / sum H, .3)``, it
    is the softmax over modalities of ``sharpness * (1 - c_m) * u_m``, where ``u_m`` is 1 / h_m divided by its sum.
    `mean` averages sizes and entropies over processes that hold parts of the batch.
    """
    size = mean(torch.stack([z.abs().mean() for z in logits]))
    log_p = [z.log_softmax(1) for z in logits]
    entropy = mean(torch.stack([-(p.exp() * p).sum(1).mean() for p in log_p]))
    total, all_sizes = float(entropy.sum()), float(size.sum())
    share = entropy / total if total > 0 else torch.full_like(entropy, 1 / len(logits))
    sure = 1 / share.clamp_min(LEAST_ENTROPY)
    small = 1 - size / all_sizes if all_sizes > 0 else torch.full_like(size, 1 - 1 / len(logits))
    return (sharpness * small * sure / sure.sum()).softmax(0)


class ARL(Callback):
    """Asymmetric representation learning (ARL): the gradient of each embedding is scaled by one plus its weight.

    Weights come from :func:`weights`. The loss is that of the joint head plus `gamma` times the losses of the joint
    head with all embeddings but one set to zero.

    Parameters
    ----------
    gamma : float
        Weight of the unimodal losses; 4 in the released code.
    sharpness : float
        Sharpness of the softmax over modalities; 8 in the released code.
    start : int
        Epochs of joint training before gradients are scaled; 6 in the released code.

    Notes
    -----
    Works for every fusion. Published for two modalities; with more, 1 - c_m stands for the share of all others
    together. Costs one more pass through the fusion head per modality.

    How it can mislead. The released code does not run as it is, and once repaired, it never assigns its weights: every
    gradient is multiplied by 1.5. No published result supports the weights. Adam and its relatives cancel a constant
    factor: use SGD.

    References
    ----------
    Wei et al. (2025), Improving multimodal learning via imbalanced learning, ICCV, section 3.

    Examples
    --------
    >>> z = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    >>> weights([z, z], sharpness=8.0).tolist()
    [0.5, 0.5]
    """

    def __init__(self, gamma: float = 4.0, *, sharpness: float = 8.0, start: int = 6):
        self.gamma = _validate.number(gamma, "gamma", low=0, finite=True)
        self.sharpness = _validate.number(sharpness, "sharpness", low=0, finite=True)
        self.start = _validate.number(start, "start", low=0, integer=True)

    def on_features(self, ctx: Context) -> None:
        """Scale the gradients that flow back into the encoders."""
        if ctx.stage != "joint" or ctx.joint_epoch < self.start:
            return
        with torch.no_grad():
            found = weights(list(ctx.scores("ablation").values()), self.sharpness, ctx.mean)
        for name, weight in zip(ctx.modalities, found, strict=True):
            ctx.log(f"weight.{name}", weight)
            if ctx.features[name].requires_grad:
                ctx.features[name].register_hook(partial(torch.mul, 1 + weight))

    def compute_loss(self, ctx: Context) -> Mapping[str, Tensor] | None:
        """Return the weighted unimodal losses."""
        if ctx.stage != "joint":
            return None
        ctx.loss_weights |= dict.fromkeys(ctx.modalities, 0.0)
        return {f"arl.{name}": self.gamma * ctx.loss(z, ctx.target) for name, z in ctx.scores("ablation").items()}

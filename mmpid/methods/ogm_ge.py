"""OGM-GE: slow the encoder that is ahead, batch by batch."""

import torch

from mmpid import _validate
from mmpid.methods._unimodal import SCORERS, ratios, right_probabilities
from mmpid.train.callbacks import Callback
from mmpid.train.context import Context


def coefficients(scores: list[float], alpha: float, variant: str = "released", rule: str = "pairs") -> list[float]:
    """Return the factor of each encoder's gradient: ``1 - tanh(alpha * ratio)`` where its ratio exceeds 1, else 1.

    The ratio of m is the mean of ``s_m / s_j`` over the others ("pairs"), or ``s_m / sum_j s_j`` ("others").
    """
    leads = ratios(scores, rule)
    slow = torch.tanh(alpha * torch.tensor(leads, dtype=torch.float64)).tolist()
    tie = variant == "released" and len(scores) == 2 and leads[0] == 1  # a tie slows the first modality
    return [1 - x if ratio > 1 or (tie and i == 0) else 1.0 for i, (x, ratio) in enumerate(zip(slow, leads))]  # noqa: B905


class OGMGE(Callback):
    """On-the-fly gradient modulation with generalization enhancement (OGM-GE).

    With s_m the sum over the batch of the probability of the right class, the gradient of an encoder that is ahead is
    scaled down by :func:`coefficients`. Noise of the size of the unscaled gradient is added to all encoders ("GE").

    Parameters
    ----------
    alpha : float
        Strength; .8 for CREMA-D and .1 for VGGSound in the authors' README.
    enhance : bool
        Add the noise.
    last : int
        Last epoch, counted from 0, in which the method acts.
    all_tensors : bool
        Also change tensors that are not convolutions, which the released code leaves alone: dense encoders need it.
    how : {"auto", "split", "head", "ablation"}
        Where unimodal scores come from, see `LateFusion.score`; "auto" is "split" if the fusion is a sum, as released,
        else "ablation".
    rule, variant : str
        Ratio for three or more modalities, "pairs" or "others"; and "released" or "paper", which differ only at a tie.

    Notes
    -----
    Costs next to nothing. Adam and its relatives cancel a constant factor: use SGD.

    References
    ----------
    Peng et al. (2022), Balanced multimodal learning via on-the-fly gradient modulation, CVPR, eq. 9 to 11.
    """

    def __init__(
        self, alpha: float = 0.8, *, enhance: bool = True, last: int = 50, all_tensors: bool = True,
        how: str = "auto", rule: str = "pairs", variant: str = "released",
    ):  # fmt: skip
        self.alpha = _validate.number(alpha, "alpha", low=0, finite=True)
        self.enhance, self.all_tensors = _validate.flag(enhance, "enhance"), _validate.flag(all_tensors, "all_tensors")
        self.last = _validate.number(last, "last", low=0, integer=True)
        self.how = _validate.choice(how, "how", SCORERS)
        self.rule = _validate.choice(rule, "rule", ("pairs", "others"))
        self.variant = _validate.choice(variant, "variant", ("released", "paper"))

    @torch.no_grad()
    def on_after_backward(self, ctx: Context) -> None:
        """Scale the gradients of the encoders, and add noise."""
        if ctx.stage != "joint" or ctx.epoch > self.last:
            return
        scores = right_probabilities(ctx, self.how)
        factors = coefficients(scores, self.alpha, self.variant, self.rule)
        for name, factor in zip(ctx.modalities, factors, strict=True):
            ctx.log(f"coefficient.{name}", factor)
            for gradient in ctx.gradients(name):
                if self.all_tensors or gradient.ndim == 4:
                    spread = float(gradient.std()) + 1e-8 if self.enhance and gradient.numel() > 1 else 0.0
                    noise = torch.randn(gradient.shape, generator=ctx.generator, dtype=gradient.dtype)
                    gradient.mul_(factor).add_(noise.to(gradient.device), alpha=spread)

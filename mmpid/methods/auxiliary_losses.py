"""Auxiliary losses: joint training with an additional loss for each modality."""

from collections.abc import Sequence

from mmpid.methods._unimodal import by_modality, numbers
from mmpid.train.callbacks import Callback
from mmpid.train.context import Context


class AuxiliaryLosses(Callback):
    """Joint training with a weighted loss for each unimodal head (joint + auxiliary losses).

    Stage 2 minimizes ``CE(f, y) + sum_m w_m CE(f_m, y)``, with f the joint logits and f_m those of the head of m.

    Parameters
    ----------
    weight : float or sequence of float
        Weight w_m, of at least 0: one number, or one per modality in their order.

    Notes
    -----
    Costs nothing, because the heads already exist. Works with every fusion and any number of modalities. It replaces
    the setting `aux_weight`, which is one number for all modalities. It is meant as a baseline: many methods contain
    these losses, so credit a method with a gain over plain joint training only if that gain exceeds the gain of this
    baseline.

    References
    ----------
    Wang, Tran and Feiszli (2020), What makes training multi-modal classification networks hard?, CVPR: the
    multi-task baseline.

    Examples
    --------
    >>> from mmpid import methods
    >>> methods.AuxiliaryLosses(weight=[0.5, 1.0]).settings()  # Trainer(..., callbacks=[method])
    {'weight': [0.5, 1.0]}
    """

    def __init__(self, weight: float | Sequence[float] = 1.0):
        self.weight = numbers(weight, "weight")

    def setup(self, ctx: Context) -> None:  # noqa: D102
        self._weights = by_modality(self.weight, "weight", ctx.modalities)

    def compute_loss(self, ctx: Context) -> None:  # noqa: D102
        if ctx.stage == "joint":
            ctx.loss_weights |= {name: self._weights[name] for name in ctx.active}

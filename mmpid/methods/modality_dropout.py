"""Modality dropout: hide whole modalities from the joint head, sample by sample."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mmpid.methods._unimodal import by_modality, numbers
from mmpid.train.callbacks import Callback
from mmpid.train.context import Context


def keep_mask(draws: Tensor, p: Tensor, seen: Tensor | None = None) -> Tensor:
    """Return which modalities each sample keeps (B, M): those with ``draw >= p``, and at least one.

    If none would be left, the one with the largest ``draw - p`` stays. `seen` marks the modalities that were there
    before.
    """
    seen = torch.ones_like(draws, dtype=torch.bool) if seen is None else seen
    keep = (draws >= p) & seen
    best = (draws - p).masked_fill(~seen, -2.0).argmax(1, keepdim=True)
    rescued = torch.zeros_like(keep).scatter_(1, best, value=True) & seen
    return torch.where(keep.any(1, keepdim=True), keep, rescued)


class ModalityDropout(Callback):
    """Modality dropout: each sample loses each modality with probability p, but never all of them.

    Features of a modality that a sample loses are zero, for the joint head and for the modality's own head.

    Parameters
    ----------
    p : float or sequence of float
        Probability in [0, 1]: one number, or one per modality in their order.

    Notes
    -----
    Costs nothing. Works with every fusion and any number of modalities. Acts in the batches of stage 2 only; evaluation
    sees every modality. Features that are kept are not rescaled, so the joint head sees smaller sums in training than
    in evaluation: that shift alone can cause a gain or a loss. Because one modality always stays, the actual dropout
    rate is smaller than p; for two modalities it is ``p - p^2 / 2``.

    References
    ----------
    Neverova et al. (2016), ModDrop: adaptive multi-modal gesture recognition, IEEE TPAMI 38(8).

    Examples
    --------
    >>> import torch
    >>> keep_mask(torch.tensor([[0.9, 0.1], [0.2, 0.1]]), torch.tensor([0.3, 0.3]))
    tensor([[ True, False],
            [ True, False]])
    """

    def __init__(self, p: float | Sequence[float] = 0.3):
        self.p = numbers(p, "p", high=1.0)

    def setup(self, ctx: Context) -> None:  # noqa: D102
        self._p = torch.tensor(list(by_modality(self.p, "p", ctx.modalities).values()))

    def on_batch_start(self, ctx: Context) -> None:  # noqa: D102
        if ctx.stage != "joint":
            return
        n = len(ctx.target)
        muted = [ctx.muted[name].cpu() if name in ctx.muted else torch.zeros(n).bool() for name in ctx.modalities]
        draws = ctx.own_part(torch.rand(n * ctx.n_parts, len(muted), generator=ctx.generator))
        keep = keep_mask(draws, self._p, ~torch.stack(muted, 1))
        for name, kept in zip(ctx.modalities, keep.T, strict=True):
            ctx.muted[name] = ~kept.to(ctx.target.device)
            ctx.log(f"dropped.{name}", ctx.mean(1 - kept.to(ctx.target.device).float().mean()))

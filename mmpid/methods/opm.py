"""OPM: drop features of the modality that is ahead, with a probability that follows its lead."""

from collections.abc import Mapping, Sequence
from math import tanh

import torch
from torch import Tensor

from mmpid import _validate
from mmpid.methods._unimodal import SCORERS, ratios, right_probabilities
from mmpid.train.callbacks import Callback
from mmpid.train.context import Context

LARGEST_SHARE = 0.99  # largest share of features that a batch loses; at 1 the rest could not be rescaled


def drop_rates(scores: Sequence[float], base: float, slope: float, rule: str = "pairs") -> list[float]:
    """Return ``q_m = base * (1 + slope * tanh(r_m - 1))`` within [0, 1] where the lead r_m exceeds 1, else 0."""
    leads = ratios(scores, rule)
    return [min(max(base * (1 + slope * tanh(r - 1)), 0.0), 1.0) if r > 1 else 0.0 for r in leads]


def drop(features: Mapping[str, Tensor], rates: Sequence[float], keep: Tensor) -> tuple[dict[str, Tensor], float]:
    """Return features with the samples outside `keep` (M, B) set to zero, divided by ``1 - theta``, and theta.

    theta is the expected share of feature entries that are dropped.
    """
    sizes = [x[0].numel() for x in features.values()]
    theta = min(sum(d * q for d, q in zip(sizes, rates, strict=True)) / sum(sizes), LARGEST_SHARE)
    kept = {
        name: x * row.to(x).view(-1, *[1] * (x.ndim - 1)) / (1 - theta)
        for (name, x), row in zip(features.items(), keep, strict=True)
    }
    return kept, theta


class OPM(Callback):
    """On-the-fly prediction modulation (OPM): drop features of the modality that is ahead.

    With s_m the sum over the batch of the probability of the right class, a modality whose lead r_m exceeds 1 loses
    its features in each sample with probability q_m of :func:`drop_rates`. The remaining features of all modalities are
    divided by ``1 - theta``, with theta the expected share of lost entries.

    Parameters
    ----------
    base, slope : float
        q_base in [0, 1] and lambda; both .5 in the released code.
    p : float
        Probability that a batch is changed; .7 in the released code.
    warmup : int
        Number of epochs at the start of stage 2 in which the method does not act.
    how : {"auto", "split", "head", "ablation"}
        Where unimodal scores come from, see `LateFusion.score`; "auto" is "split" if the fusion is a sum, else
        "ablation".
    rule : {"pairs", "others"}
        Lead for three or more modalities: mean of ``s_m / s_j`` over the others, or ``s_m / sum_j s_j``.

    Notes
    -----
    Costs next to nothing. Works with every fusion and any number of modalities; the weakest one never loses anything,
    so no sample loses all. Acts in training only. The rescaling also enlarges features, and gradients, of the weaker
    modality: part of the effect is a larger learning rate. Unimodal heads see the same dropped features, so use
    `aux_weight=0` for the published objective. The released file does not parse; the comparison used its lines after a
    repair.

    References
    ----------
    Wei, Hu, Du and Wen (2024), On-the-fly modulation for balanced multimodal learning, IEEE TPAMI.

    Examples
    --------
    >>> [round(q, 3) for q in drop_rates([6.0, 3.0], base=0.5, slope=0.5)]
    [0.69, 0.0]
    """

    def __init__(
        self, base: float = 0.5, slope: float = 0.5, *, p: float = 0.7, warmup: int = 6, how: str = "auto",
        rule: str = "pairs",
    ):  # fmt: skip
        self.base = _validate.number(base, "base", low=0, high=1)
        self.slope = _validate.number(slope, "slope", low=0, finite=True)
        self.p = _validate.number(p, "p", low=0, high=1)
        self.warmup = _validate.number(warmup, "warmup", low=0, integer=True)
        self.how = _validate.choice(how, "how", SCORERS)
        self.rule = _validate.choice(rule, "rule", ("pairs", "others"))

    def on_features(self, ctx: Context) -> None:
        """Drop features of the batch."""
        if ctx.stage != "joint" or ctx.joint_epoch < self.warmup:
            return
        rates = drop_rates(right_probabilities(ctx, self.how), self.base, self.slope, self.rule)
        for name, rate in zip(ctx.modalities, rates, strict=True):
            ctx.log(f"rate.{name}", rate)
        if float(torch.rand((), generator=ctx.generator)) >= self.p:
            return
        draws = torch.rand(len(rates), len(ctx.target) * ctx.n_parts, generator=ctx.generator)
        draws = ctx.own_part(draws.T).T
        keep = (draws >= torch.tensor(rates)[:, None]).to(ctx.target.device)
        ctx.features, theta = drop({name: ctx.features[name] for name in ctx.modalities}, rates, keep)
        ctx.log("theta", theta)

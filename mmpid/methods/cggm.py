"""CGGM: side classifiers measure each modality's gain, which scales and steers the encoders' gradients."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, one_hot

from mmpid import _validate
from mmpid.errors import ConfigError
from mmpid.methods._unimodal import TINY
from mmpid.train.callbacks import Callback
from mmpid.train.context import Context

SMALL = 1e-8  # added to the sum of all gains, as released


def gain_factors(gains: Sequence[float], bounded: bool = True) -> list[float]:
    """Return ``B_m = (D - d_m) / D`` with d the gains in accuracy and D their sum; `bounded` keeps it in [0, M]."""
    total = sum(gains) + SMALL
    factors = [(total - gain) / total for gain in gains]
    return [min(max(factor, 0.0), float(len(gains))) for factor in factors] if bounded else factors


def direction_loss(factors: Sequence[float], cosines: Sequence[Tensor]) -> Tensor:
    """Return ``(sum |B_m| - sum B_m cos_m) / M``: small where the weighted classifiers agree with the joint head."""
    return torch.stack([abs(b) - b * cosine for b, cosine in zip(factors, cosines, strict=True)]).mean()


class CGGM(Callback):
    """Classifier-guided gradient modulation (CGGM): the modality that gains less gets more of the gradient.

    A linear side classifier per modality reads its detached features. With d_m the classifier's gain in accuracy, the
    gradient of encoder m is multiplied by ``rho * B_m`` (see :func:`gain_factors`), and all gradients are clipped; the
    next batch also minimizes `weight` times :func:`direction_loss`.

    Parameters
    ----------
    rho : float
        Common factor for all encoders; 1.3 in the released code.
    weight : float
        Weight of the direction loss; .2 and .05 in the released code.
    clip : float, optional
        Norm at which all gradients together are clipped; None leaves that to `clip_norm`.
    decay : float
        Decay of the exponential means of the accuracies over batches; only for "paper".
    variant : {"paper", "released"}
        "released" takes gains between consecutive batches, without bounds, and the cosines of head weights, for which
        the fusion must be "concat" or "sum". "paper" keeps B_m in [0, M], and compares gradients: those of the two
        cross-entropies with respect to their logits, for every fusion.

    Notes
    -----
    Costs one linear layer per modality. Works with any number of modalities. The factors add up to M - 1, so with two
    modalities each encoder gets ``rho / 2`` of its gradient on average: part of the effect is a smaller learning rate.
    In the released variant, gains of different signs make a factor negative, so the step climbs the loss; gains that
    cancel give factors of 1e7, which the clipping reduces to a step in one direction. The side classifiers are trained
    by the optimizer of the run, not by one of their own.

    References
    ----------
    Guo, Jin, Chen and Zhao (2024), Classifier-guided gradient modulation for enhanced multimodal learning, NeurIPS.

    Examples
    --------
    >>> [round(b, 3) for b in gain_factors([0.1, 0.05])], gain_factors([0.125, -0.125])
    ([0.333, 0.667], [0.0, 2.0])
    """

    def __init__(
        self, rho: float = 1.3, *, weight: float = 0.2, clip: float | None = 0.8, decay: float = 0.9,
        variant: str = "paper",
    ):  # fmt: skip
        self.rho = _validate.number(rho, "rho", low=0, finite=True)
        self.weight = _validate.number(weight, "weight", low=0, finite=True)
        self.clip = None if clip is None else _validate.number(clip, "clip", low=0, open_low=True)
        self.decay = _validate.number(decay, "decay", low=0, high=1)
        self.variant = _validate.choice(variant, "variant", ("paper", "released"))

    def setup(self, ctx: Context) -> None:
        """Add the side classifiers."""
        if self.variant == "released" and not getattr(ctx.model.fusion, "has_shares", False):
            raise ConfigError(
                f"CGGM as released compares weights of a linear fusion head; `fusion` was {ctx.model.fusion_name!r}. "
                "Choose variant='paper', or fusion='concat' or 'sum'."
            )
        new = {name: nn.Linear(size, ctx.n_classes) for name, size in ctx.model.dims.items()}
        self._sides = {name: ctx.add_module(f"cggm_{name}", side) for name, side in new.items()}
        self._accuracies: list[float] = []
        self._factors: list[float] = []

    def compute_loss(self, ctx: Context) -> dict[str, Tensor]:
        """Return the losses of the side classifiers and the direction loss, and update the gains."""
        if ctx.stage != "joint":
            return {}
        logits = {name: self._sides[name](x.detach()) for name, x in ctx.model.pool(ctx.features).items()}
        terms = {f"cggm.{name}": ctx.loss(z, ctx.target) for name, z in logits.items()}
        if self._factors:
            cosines = self._weight_cosines(ctx) if self.variant == "released" else _gradient_cosines(ctx, logits)
            terms["cggm.direction"] = self.weight * direction_loss(self._factors, cosines)
        right = torch.stack([z.argmax(1).eq(ctx.target).float().mean() for z in logits.values()])
        self._take_up(ctx.mean(right).tolist())
        return terms

    def _take_up(self, accuracies: list[float]) -> None:
        """Turn the accuracies of a batch into the factors of its gradients; the first batch has none."""
        before, released = self._accuracies, self.variant == "released"
        if before and not released:
            pairs = zip(before, accuracies, strict=True)
            accuracies = [self.decay * old + (1 - self.decay) * new for old, new in pairs]
        gains = [new - old for old, new in zip(before, accuracies, strict=False)]
        self._accuracies, self._factors = accuracies, gain_factors(gains, bounded=not released)

    def _weight_cosines(self, ctx: Context) -> list[Tensor]:
        """Return the cosine between the weights of each side classifier and of its part of the fusion head."""
        dims, fusion = ctx.model.dims, ctx.model.fusion
        joint = list(fusion.weight.split(list(dims.values()), 1)) if hasattr(fusion, "weight") else []
        joint = joint or [fusion[name].weight for name in dims]
        sides = [side.get_parameter("weight") for side in self._sides.values()]
        return [cosine_similarity(w.flatten(), v.flatten(), 0) for w, v in zip(joint, sides, strict=True)]

    def on_after_backward(self, ctx: Context) -> None:
        """Scale the gradients of the encoders, and clip all."""
        if ctx.stage != "joint" or not self._factors:
            return
        for name, factor in zip(ctx.modalities, self._factors, strict=True):
            ctx.log(f"factor.{name}", self.rho * factor)
            for gradient in ctx.gradients(name):
                gradient.mul_(self.rho * factor)
        if self.clip is not None:
            nn.utils.clip_grad_norm_([p for group in ctx.groups() for p in ctx.parameters(group)], self.clip)

    def state_dict(self) -> dict[str, Any]:  # noqa: D102
        return {"accuracies": self._accuracies, "factors": self._factors}

    def load_state_dict(self, state: dict[str, Any]) -> None:  # noqa: D102
        self._accuracies, self._factors = state["accuracies"], state["factors"]


def _gradient_cosines(ctx: Context, logits: dict[str, Tensor]) -> list[Tensor]:
    """Return the cosine between the gradients of each side loss and of the joint loss, ``softmax - label``."""
    right = one_hot(ctx.target, ctx.n_classes)
    joint = ctx.logits["joint"].softmax(1) - right
    return [_cosine(ctx, z.softmax(1) - right, joint) for z in logits.values()]


def _cosine(ctx: Context, x: Tensor, y: Tensor) -> Tensor:
    """Return the cosine between two tensors with one row per sample, over the whole batch in every process."""
    product, xx, yy = ctx.mean(torch.stack([(x * y).sum(), (x * x).sum(), (y * y).sum()]))
    return product / (xx * yy).clamp_min(TINY).sqrt()

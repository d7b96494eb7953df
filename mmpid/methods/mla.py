"""MLA: modalities take turns within a batch on a shared head."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from mmpid import _validate
from mmpid.errors import ConfigError
from mmpid.train.callbacks import Callback
from mmpid.train.context import Context


def project(p: Tensor, h: Tensor, alpha: float, scalar: bool) -> Tensor:
    """Return ``P - k k' / (alpha + h' k)`` at length 1, ``k = P h``; as released the divisor is ``alpha + k h'``.

    The vector h is the mean of the features of a batch.
    """
    k = p @ h
    p = p - torch.outer(k, k) / (alpha + (h @ k if scalar else torch.outer(k, h)))
    return p / p.norm()


def entropy_weights(logits: list[Tensor], per_sample: bool) -> Tensor:
    """Return weights (M, B) that favor low entropy, ``softmax_m(-H_m)``; one H per batch as released."""
    p = torch.stack([z.softmax(1 if per_sample else 0) for z in logits])
    entropy = -(p * p.clamp_min(1e-300).log()).sum(-1)
    entropy = entropy if per_sample else entropy.sum(1, keepdim=True).expand(-1, len(logits[0]))
    return (-entropy).softmax(0)


class MLA(Callback):
    """MLA: in each batch every modality takes a step of its own on a shared head; confidence weighs predictions.

    Parameters
    ----------
    variant : {"released", "forced", "rls"}
        The released code never projects the head's gradient; "forced" projects it by the lines of that code, "rls" by
        the equations of the paper.
    per_sample : bool
        Weigh predictions sample by sample; the released code does so batch by batch.

    Notes
    -----
    Costs one step per modality and replaces fusion. All embeddings must have the same size.

    References
    ----------
    Zhang et al. (2024), Multimodal representation learning by alternating unimodal adaptation, CVPR, eq. 4 to 9.
    """

    def __init__(self, variant: str = "released", *, per_sample: bool = True):
        self.variant = _validate.choice(variant, "variant", ("released", "forced", "rls"))
        self.per_sample = _validate.flag(per_sample, "per_sample")

    def setup(self, ctx: Context) -> None:  # noqa: D102
        if len(sizes := set(ctx.model.dims.values())) > 1:
            raise ConfigError(f"MLA needs embeddings of the same size; they had {ctx.model.dims}. Choose equal sizes.")
        self._head = ctx.add_module("mla_head", nn.Linear(size := sizes.pop(), ctx.n_classes))
        self._p, self._calls = torch.eye(size, device=ctx.device), 0

    def step_plan(self, ctx: Context) -> Iterator[tuple[tuple[str, ...], dict[str, Tensor]]]:  # noqa: D102
        for name, self._features in ctx.model.pool(ctx.features).items():
            yield (name, "extra:mla_head"), {f"mla.{name}": ctx.loss(self._head(self._features), ctx.target)}

    def on_after_backward(self, ctx: Context) -> None:  # noqa: D102
        if self.variant != "released" and self._calls:
            alpha = 0.1 ** (1 + ctx.batch / ctx.n_batches)
            h = ctx.mean(self._features.detach().mean(0))
            self._p = project(self._p, h, alpha, scalar=self.variant == "rls")
            weight = self._head.get_parameter("weight")
            weight.grad = None if weight.grad is None else weight.grad @ self._p.T
        self._calls += 1

    def predict(self, ctx: Context) -> Tensor:  # noqa: D102
        head = ctx.model.extras["mla_head"]
        logits = [head(z) for z in ctx.model.pool(ctx.features).values()]
        return (entropy_weights(logits, self.per_sample)[..., None] * torch.stack(logits)).sum(0)

    def state_dict(self) -> dict[str, Any]:  # noqa: D102
        return {"p": self._p, "calls": self._calls}

    def load_state_dict(self, state: dict[str, Any]) -> None:  # noqa: D102
        self._p, self._calls = state["p"].to(self._p.device), state["calls"]

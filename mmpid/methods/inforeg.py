"""InfoReg: hold the leading encoder near where its epoch began, as long as it still acquires information fast."""

from collections.abc import Mapping, Sequence
from math import exp, tanh
from typing import Any

import torch
from torch import Tensor

from mmpid import _validate
from mmpid.errors import ConfigError
from mmpid.train.callbacks import Callback
from mmpid.train.context import Context

WINDOW = 10  # epochs over which the growth of the Fisher trace is taken


def growth(trace: Sequence[float]) -> float:
    """Return ``(T_e - T_{e-10}) / (sum of the last ten)`` of a Fisher trace by epoch; zeros stand before its start.

    Before the first epoch it is 1. If all of the last ten are zero, there is no ratio, and the result is 0.
    """
    if not trace:
        return 1.0
    padded = [0.0] * WINDOW + list(trace)
    total = sum(padded[-WINDOW:])
    return (padded[-1] - padded[-1 - WINDOW]) / total if total > 0 else 0.0


def pulls(scores: Sequence[float], strengths: Sequence[float]) -> list[float]:
    """Return how strongly each encoder is held: the leader by ``strength * exp(tanh(s - mean of the others))``.

    The others are not held; on a tie, no encoder is.
    """
    held = [0.0] * len(scores)
    best = max(range(len(scores)), key=lambda i: scores[i])
    if sum(s == scores[best] for s in scores) == 1:
        others = (sum(scores) - scores[best]) / (len(scores) - 1)
        held[best] = strengths[best] * exp(tanh(scores[best] - others))
    return held


def fisher_trace(squares: Sequence[Tensor]) -> float:
    """Return the sum over weight tensors of the mean of their summed squared gradients; biases do not count."""
    return sum(float(each.mean()) for each in squares if each.ndim > 1)


class InfoReg(Callback):
    """InfoReg: while encoders acquire information fast, a spring pulls the leader to its weights at the epoch's start.

    The gradient of the leader gets ``beta (theta - theta_0)`` added, where theta_0 denotes its weights at the start of
    the epoch and beta comes from :func:`pulls`. This happens in epochs in which the :func:`growth` of the trace of the
    Fisher information exceeds `threshold`. Scores s_m are summed over the batch: the probability of the label.

    Parameters
    ----------
    strength : float or sequence of float
        One number for all modalities, or one per modality in their order; .95 for audio and .1 for video in the
        released code.
    threshold : float
        Smallest growth of the trace at which the method acts; .05 in the released code.
    score : {"sum", "mean"}
        Whether scores are means over the batch or, as published, sums. The differences between sums nearly always
        saturate the tanh.
    how : {"head", "split", "ablation"}
        Where unimodal scores come from, see `LateFusion.score`; "split" needs fusion "concat" or "sum". Each score's
        loss is part of the objective, with weight 1.
    variant : {"paper", "released"}
        The released code looks at the trace of the first modality for all of them; "paper" takes the leader's own.

    Notes
    -----
    Works for two to six modalities; with three or more, the leader is compared with the mean of the others. Costs
    almost no time, but needs memory for three copies of the encoders.

    How it can mislead. Ten zeros stand before the trace, so the method acts in nearly all of the first ten epochs,
    whatever the trace does. The trace is made of gradients of whole batches, which fall with the loss: it is not the
    Fisher information of the model.

    References ---------- Huang et al. (2025), Adaptive unimodal regulation for balanced multimodal information
    acquisition, CVPR, eq. 8 to 12.

    Examples
    --------
    >>> growth([0.1, 0.2, 0.3, 0.4]), pulls([5.0, 1.0], [0.1, 0.1])[1]
    (0.4, 0.0)
    """

    def __init__(
        self, strength: float | Sequence[float] = 0.95, *, threshold: float = 0.05, score: str = "sum",
        how: str = "head", variant: str = "paper",
    ):  # fmt: skip
        each = strength if isinstance(strength, Sequence) else [strength]
        checked = [_validate.number(x, "strength", low=0, finite=True) for x in each]
        self.strength = checked if isinstance(strength, Sequence) else checked[0]
        self.threshold = _validate.number(threshold, "threshold", finite=True)
        self.score = _validate.choice(score, "score", ("sum", "mean"))
        self.how = _validate.choice(how, "how", ("head", "split", "ablation"))
        self.variant = _validate.choice(variant, "variant", ("paper", "released"))
        self._start: dict[str, list[Tensor]] = {}
        self._squares: dict[str, list[Tensor]] = {}
        self._traces: dict[str, list[float]] = {}

    def setup(self, ctx: Context) -> None:  # noqa: D102
        n, given = len(ctx.modalities), self.strength
        if isinstance(given, list) and len(given) != n:
            raise ConfigError(f"`strength` must be one number, or one for each of {n} modalities; it was {given}.")
        self._strengths = list(given) if isinstance(given, list) else [given] * n
        self._traces, self._device = {name: [] for name in ctx.modalities}, ctx.device

    def on_epoch_start(self, ctx: Context) -> None:
        """Store the current weights of the encoders."""
        if ctx.stage == "joint":
            self._start = {name: [p.detach().clone() for p in ctx.parameters(name)] for name in ctx.modalities}
            self._squares = {name: [torch.zeros_like(p) for p in start] for name, start in self._start.items()}

    def compute_loss(self, ctx: Context) -> Mapping[str, Tensor] | None:
        """Train the scorers with weight 1."""
        if ctx.stage != "joint":
            return None
        if self.how == "head":
            ctx.loss_weights |= dict.fromkeys(ctx.active, 1.0)
            return None
        return {f"inforeg.{name}": ctx.loss(z, ctx.target) for name, z in ctx.scores(self.how).items()}

    @torch.no_grad()
    def on_after_backward(self, ctx: Context) -> None:
        """Pull the leader back, and sum up squared gradients."""
        if ctx.stage != "joint":
            return
        right = [z.softmax(1).gather(1, ctx.target[:, None]).double() for z in ctx.scores(self.how).values()]
        sums = ctx.mean(torch.stack([p.sum() for p in right])) * ctx.n_parts
        scores = sums if self.score == "sum" else sums / (ctx.n_parts * len(ctx.target))
        betas = pulls(scores.tolist(), self._strengths)
        for name, beta in zip(ctx.modalities, betas, strict=True):
            trace = self._traces[ctx.modalities[0] if self.variant == "released" else name]
            beta = beta if growth(trace) > self.threshold else 0.0
            ctx.log(f"pull.{name}", beta)
            for parameter, start, squares in zip(
                ctx.parameters(name), self._start[name], self._squares[name], strict=True
            ):
                if parameter.grad is not None:
                    parameter.grad.add_(parameter - start, alpha=beta)
                    squares.addcmul_(parameter.grad, parameter.grad)

    def on_epoch_end(self, ctx: Context) -> None:
        """Store the trace of the epoch."""
        if ctx.stage == "joint" and self._squares:
            for name, squares in self._squares.items():
                self._traces[name].append(fisher_trace(squares))
                ctx.log(f"fisher.{name}", self._traces[name][-1])

    def state_dict(self) -> dict[str, Any]:  # noqa: D102
        return {"start": self._start, "squares": self._squares, "traces": self._traces}

    def load_state_dict(self, state: dict[str, Any]) -> None:  # noqa: D102
        self._start, self._squares = (
            {name: [x.to(self._device) for x in tensors] for name, tensors in state[key].items()}
            for key in ("start", "squares")
        )
        self._traces = state["traces"]

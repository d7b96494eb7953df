"""LFM: first bring the modalities' predictions together, then let the classification loss take over."""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from mmpid import _validate
from mmpid.train.callbacks import Callback
from mmpid.train.context import Context

FITTED = (7.95376296e-1, -3.35472727e-3, -1.22989557e-4, 2.92947416e-6, -2.23835486e-8, 5.39717505e-11)
SAMPLES, LOW, HIGH, HALVED_EVERY = 8, 0.05, 0.95, 20  # of the learned share


def fitted_share(epoch: int) -> float:
    """Return the share of the alignment in an epoch, counted from 0: the authors' polynomial, held within [0, 1].

    It is 0 beyond epoch 182, which their training never reached: there the polynomial leaves [0, 1] and comes back.
    """
    value = sum(c * epoch**i for i, c in enumerate(FITTED)) if epoch < 183 else 0.0
    return min(max(value, 0.0), 1.0)


def alignment(logits: Sequence[Tensor], variant: str = "paper") -> Tensor:
    """Return the mean over pairs of the divergence of p and q from their middle m, in nats.

    "paper" is Jensen-Shannon's, ``(KL(p || m) + KL(q || m)) / 2``; "released" has the arguments the other way around,
    ``(KL(m || p) + KL(m || q)) / 2``, which has no bound.
    """
    parts = []
    for pair in combinations([z.log_softmax(1) for z in logits], 2):
        middle = torch.stack(pair).logsumexp(0) - torch.log(torch.tensor(2.0, dtype=pair[0].dtype))
        for log_p in pair:
            ends = (middle, log_p) if variant == "paper" else (log_p, middle)
            parts.append(functional.kl_div(*ends, reduction="batchmean", log_target=True))
    return torch.stack(parts).mean()


def learned_share(
    share: float, classify: Tensor, total: Tensor, parameters: Sequence[Tensor], lr: float,
    mean: Callable[[Tensor], Tensor] = torch.clone,
) -> float:  # fmt: skip
    """Return ``share - lr * mean(H u)``, held within [.05, .95].

    H is the Hessian of the total loss and u the gradient of the classification loss, over all parameters; the mean is
    over the entries of the first parameter's part, and by `mean` over processes that have samples of their own.
    """
    u = torch.autograd.grad(classify, parameters, retain_graph=True, allow_unused=True)
    slope = torch.autograd.grad(total, parameters, create_graph=True, allow_unused=True)
    along = [
        (g * v).sum() for g, v in zip(slope, u, strict=True) if g is not None and v is not None and g.requires_grad
    ]
    if not along:
        return share
    (product,) = torch.autograd.grad(torch.stack(along).sum(), parameters[:1], retain_graph=True, allow_unused=True)
    step = 0.0 if product is None else lr * float(mean(product.mean()))
    return min(max(share - step, LOW), HIGH) if step == step else share


class LFM(Callback):
    """Learning to rebalance by integrating alignment and classification (LFM).

    The loss is ``2 ((1 - a) CE + a A)``: CE of the mean of the unimodal logits, and A of :func:`alignment`. The share a
    falls over the epochs of joint training.

    Parameters
    ----------
    share : {"fitted", "learned"} or float
        How a moves: by :func:`fitted_share`, by :func:`learned_share` once per epoch, or not at all.
    lr : float
        Step of the learned share, halved every 20 epochs; 1e-4 in the released code.
    fused : {"heads", "joint"}
        What classifies and predicts: the mean of the unimodal logits, as published, or the fusion head, whose unimodal
        heads then keep their losses of weight `aux_weight`.
    variant : {"paper", "released"}
        Jensen-Shannon's divergence, or what the released code computes; see :func:`alignment`.

    Notes
    -----
    Works for two to six modalities, over all pairs, and every fusion with `fused="joint"`. Costs next to nothing; the
    learned share adds one second-order backward pass over eight samples per epoch. These are the first samples of the
    epoch's first batch; with several processes, each takes the first eight of its part.

    How it can mislead. Agreement is not knowledge: where the modalities know different things, a large share teaches
    each to ignore what the other cannot see. The fitted share belongs to the authors' 100 to 200 epochs: in 30 epochs
    it only falls to .66. The mean of the second-order product covers a single tensor and changes the share by almost
    nothing.

    References ---------- Yang et al. (2024), Facilitating multimodal classification via dynamically learning modality
    gap, NeurIPS, section 3.

    Examples
    --------
    >>> round(fitted_share(0), 3), round(fitted_share(100), 3), fitted_share(500)
    (0.795, 0.461, 0.0)
    """

    def __init__(
        self, share: str | float = "fitted", *, lr: float = 1e-4, fused: str = "heads", variant: str = "paper"
    ):
        if isinstance(share, str):
            self.share = _validate.choice(share, "share", ("fitted", "learned"))
        else:
            self.share = _validate.number(share, "share", low=0, high=1)
        self.lr = _validate.number(lr, "lr", low=0, finite=True)
        self.fused = _validate.choice(fused, "fused", ("heads", "joint"))
        self.variant = _validate.choice(variant, "variant", ("paper", "released"))
        self._share = HIGH if self.share == "learned" else 0.0 if isinstance(self.share, str) else float(self.share)

    def compute_loss(self, ctx: Context) -> Mapping[str, Tensor] | None:
        """Return both parts of the loss, which replace the joint loss."""
        if ctx.stage != "joint":
            return None
        scores = ctx.scores("head")
        logits = ctx.logits["joint"] if self.fused == "joint" else torch.stack(list(scores.values())).mean(0)
        ctx.loss_weights |= dict.fromkeys(ctx.losses if self.fused == "heads" else ("joint",), 0.0)
        if ctx.batch == 0:
            self._move(ctx, logits, list(scores.values()))
        ctx.log("share", self._share)
        terms = {
            "lfm.classify": ctx.loss(logits, ctx.target),
            "lfm.align": alignment(list(scores.values()), self.variant),
        }
        factors = (2 * (1 - self._share), 2 * self._share)
        return {name: factor * term for factor, (name, term) in zip(factors, terms.items(), strict=True)}

    def _move(self, ctx: Context, logits: Tensor, scores: list[Tensor]) -> None:
        """Set the share of this epoch."""
        if self.share == "fitted":
            self._share = fitted_share(ctx.joint_epoch)
        elif self.share == "learned":
            classify = ctx.loss(logits[:SAMPLES], ctx.target[:SAMPLES])
            align = alignment([z[:SAMPLES] for z in scores], self.variant)
            parameters = [p for name in ctx.modalities for p in ctx.parameters(name) if p.requires_grad]
            if parameters:
                total = (1 - self._share) * classify + self._share * align
                lr = self.lr * 0.5 ** (ctx.joint_epoch // HALVED_EVERY)
                self._share = learned_share(self._share, classify, total, parameters, lr, ctx.mean)

    def predict(self, ctx: Context) -> Tensor:  # noqa: D102
        if self.fused == "joint":
            return ctx.logits["joint"]
        return torch.stack([ctx.logits[name] for name in ctx.modalities]).mean(0)

    def state_dict(self) -> dict[str, Any]:  # noqa: D102
        return {"share": self._share}

    def load_state_dict(self, state: dict[str, Any]) -> None:  # noqa: D102
        self._share = state["share"]

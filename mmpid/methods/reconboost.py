"""ReconBoost: modalities take turns, each learning what the others still get wrong, then all learn together."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmpid import _validate
from mmpid.errors import ConfigError
from mmpid.train.callbacks import Callback
from mmpid.train.context import Context


def boosting_loss(own: Tensor, others: Tensor, target: Tensor, weights: Sequence[float]) -> Tensor:
    """Return ``mean_i -(w1 - w2 q_i) log p_i / k``, with p, q the label's probability by own and other logits."""
    log_p = functional.log_softmax(own, 1).gather(1, target[:, None])
    q = others.detach().softmax(1).gather(1, target[:, None])
    return -((weights[0] - weights[1] * q) * log_p).mean() / own.shape[1]


def agreement(own: Tensor, previous: Tensor) -> Tensor:
    """Return the mean squared difference of two modalities' probabilities; only `own` is moved by it."""
    return functional.mse_loss(own.softmax(1), previous.detach().softmax(1))


class Scale(nn.Module):
    """A learned scalar that multiplies the sum of the logits."""

    def __init__(self):
        super().__init__()
        self.rate = nn.Parameter(torch.ones(()))


def total(ctx: Context, scores: dict[str, Tensor]) -> Tensor:
    """Return the scaled sum of logits."""
    return ctx.model.extras["reconboost"].rate * torch.stack(list(scores.values())).sum(0)


class ReconBoost(Callback):
    """ReconBoost: one modality at a time learns what the sum of the others misses; then all learn together.

    Joint training is divided into rounds. For `alone` epochs one modality minimizes :func:`boosting_loss` plus `alpha`
    times :func:`agreement` with the modality of the round before; for `together` epochs all minimize the loss of ``rate
    * sum_m o_m``, with unimodal logits o_m and a learned rate. That sum is also the prediction.

    Parameters
    ----------
    alone, together : int
        Epochs of the two parts of a round; 4 and 4 in the released code.
    weights : sequence of two floats
        w1 and w2: 5 and 1 for CREMA-D, 4 and 1 for AVE and ModelNet40, 1 and .25 for MOSEI.
    alpha : float
        Weight of the agreement.
    variant : {"paper", "released"}
        The released code detaches both sides of the agreement, so this term changes nothing.

    Raises
    ------
    ConfigError
        The encoders are frozen.

    Notes
    -----
    Replaces fusion; any number of modalities, whose logits add up. Every round starts with an empty optimizer. An epoch
    costs as much as a joint one, but in half of the epochs only one encoder learns: the authors train for twice as
    many. They start from trained unimodal models, as a unimodal stage provides. The boosting loss is divided by k, as
    in the released code, which makes its steps small.

    How it can mislead. Accuracies of single modalities come from classifiers that were trained to correct the others.

    References
    ----------
    Hua et al. (2024), ReconBoost: boosting can achieve modality reconcilement, ICML, section 3.

    Examples
    --------
    >>> nothing = torch.zeros(2, 4)
    >>> round(float(boosting_loss(nothing, nothing, torch.tensor([0, 1]), (5, 1))), 4)  # 4.75 * log(4) / 4
    1.6462
    """

    def __init__(
        self, alone: int = 4, together: int = 4, *, weights: Sequence[float] = (5.0, 1.0), alpha: float = 0.5,
        variant: str = "paper",
    ):  # fmt: skip
        self.alone = _validate.number(alone, "alone", low=1, integer=True)
        self.together = _validate.number(together, "together", low=1, integer=True)
        self.weights = [_validate.number(w, "weights", low=0, finite=True) for w in weights]
        if len(self.weights) != 2 or self.weights[0] < self.weights[1]:
            raise ConfigError(f"`weights` must be two numbers, the larger first; it was {weights}. Try (5, 1).")
        self.alpha = _validate.number(alpha, "alpha", low=0, finite=True)
        self.variant = _validate.choice(variant, "variant", ("paper", "released"))

    def setup(self, ctx: Context) -> None:  # noqa: D102
        if ctx.config.freeze_encoders:
            raise ConfigError("ReconBoost trains the encoders in turn; `freeze_encoders` must be False.")
        ctx.add_module("reconboost", Scale())

    def on_epoch_start(self, ctx: Context) -> None:
        """Discard the momentum at the start of each part of a round."""
        if ctx.stage == "joint" and ctx.joint_epoch % (self.alone + self.together) in (0, self.alone):
            ctx.optimizer.state.clear()

    def step_plan(self, ctx: Context) -> Iterator[tuple[tuple[str, ...], dict[str, Tensor]]] | None:
        """Plan one step, of one modality or of all."""
        if ctx.stage != "joint":
            return None
        stage, epoch = divmod(ctx.joint_epoch, self.alone + self.together)
        own, previous = (ctx.modalities[(stage - back) % len(ctx.modalities)] for back in (0, 1))
        scores = ctx.scores("head")
        if epoch >= self.alone or own not in ctx.active:
            groups = (*ctx.modalities, *(f"head:{name}" for name in ctx.modalities), "extra:reconboost")
            return iter([(groups, {"reconboost.all": ctx.loss(total(ctx, scores), ctx.target)})])
        others = total(ctx, {name: z for name, z in scores.items() if name != own})
        logits = scores[own] if self.variant == "paper" else scores[own].detach()
        terms = {
            f"reconboost.{own}": boosting_loss(scores[own], others, ctx.target, self.weights),
            "reconboost.agreement": self.alpha * agreement(logits, scores[previous]),
        }
        return iter([((own, f"head:{own}"), terms)])

    def predict(self, ctx: Context) -> Tensor:  # noqa: D102
        return total(ctx, {name: ctx.logits[name] for name in ctx.modalities})

"""MSLR: a learning rate for each modality, moved by its validation accuracy."""

from collections.abc import Sequence
from typing import Any

import torch

from mmpid import _validate
from mmpid.methods._unimodal import SCORERS, by_modality, numbers, scorer
from mmpid.train.callbacks import Callback
from mmpid.train.context import Context


def rate_factor(initial: float, accuracies: Sequence[float], window: int = 5) -> float:
    """Return ``initial * latest / mean of the window before it``, and `initial` until the window is full."""
    before = accuracies[-window - 1 : -1]
    if len(before) < window or sum(before) == 0:
        return initial
    return initial * accuracies[-1] * window / sum(before)


class MSLR(Callback):
    """Modality-specific learning rates (MSLR) that follow each modality's validation accuracy.

    In each epoch of stage 2 the learning rate of a modality, encoder and head, is multiplied by
    ``c_m * A_m / mean(A_m of the five epochs before)``, with A_m its latest validation accuracy; in the first six
    epochs it is multiplied by c_m alone.

    Parameters
    ----------
    initial : float or sequence of float
        Factor c_m: one number, or one per modality in their order. Published code has audio .9 and visual 1.1 for
        CREMA-D, and 1.3 and .7 for AV-MNIST.
    strategy : {"dynamic", "keep"}
        "keep" leaves the factors at c_m.
    window : int
        Number of epochs in the mean.
    how : {"auto", "split", "head", "ablation"}
        Where unimodal accuracies come from, see `LateFusion.score`; "auto" is "split" if the fusion is a sum, else
        "ablation".

    Notes
    -----
    Costs one more pass over the validation split per epoch; nothing with how="head". Works with every fusion and any
    number of modalities. It sets actual learning rates, also for Adam and with momentum. The code that it was tested
    against multiplies gradients instead; for plain SGD the two are the same. The factor compares a modality with its
    own past, not with the others: it rewards a modality that still improves and ignores balance. `initial` matters more
    than the dynamics, so give the other methods the same budget for tuning. This method uses validation accuracy in
    training.

    References
    ----------
    Yao and Mihalcea (2022), Modality-specific learning rates for effective multimodal additive late-fusion, Findings
    of ACL.

    Examples
    --------
    >>> rate_factor(0.9, [0.40, 0.42, 0.44, 0.46, 0.48, 0.55])
    1.125
    """

    def __init__(
        self, initial: float | Sequence[float] = 1.0, *, strategy: str = "dynamic", window: int = 5, how: str = "auto"
    ):
        self.initial = numbers(initial, "initial")
        self.strategy = _validate.choice(strategy, "strategy", ("dynamic", "keep"))
        self.window = _validate.number(window, "window", low=1, integer=True)
        self.how = _validate.choice(how, "how", SCORERS)

    def setup(self, ctx: Context) -> None:  # noqa: D102
        self._initial = by_modality(self.initial, "initial", ctx.modalities)
        self._accuracies: dict[str, list[float]] = {name: [] for name in ctx.modalities}
        self._rates: dict[str, Any] = {}

    def on_after_backward(self, ctx: Context) -> None:
        """Scale the learning rates for the next step."""
        self._restore(ctx)  # after a step that failed
        for group in ctx.optimizer.param_groups if ctx.stage == "joint" else ():
            if (name := group["name"]) in self._initial:
                factor = rate_factor(self._initial[name], self._accuracies[name], self.window)
                ctx.log(f"factor.{name}", factor)
                self._rates[name], group["lr"] = group["lr"], group["lr"] * factor

    def on_after_step(self, ctx: Context) -> None:  # noqa: D102
        self._restore(ctx)

    def _restore(self, ctx: Context) -> None:
        """Give the learning rates back to the schedule."""
        for group in ctx.optimizer.param_groups:
            group["lr"] = self._rates.pop(group["name"], group["lr"])

    @torch.no_grad()
    def on_epoch_end(self, ctx: Context) -> None:
        """Note the unimodal accuracies of the epoch."""
        if ctx.stage != "joint" or self.strategy == "keep":
            return
        if (how := scorer(ctx, self.how)) == "head":
            found = {name: ctx.validation[name]["accuracy"] for name in ctx.modalities}
        else:
            seen = ctx.evaluate("validation")
            logits = ctx.model.score(embeddings=seen.embeddings, how=how)
            found = {name: float(z.argmax(1).eq(seen.target).float().mean()) for name, z in logits.items()}
        for name, accuracy in found.items():
            self._accuracies[name].append(accuracy)

    def state_dict(self) -> dict[str, Any]:  # noqa: D102
        return {"accuracies": self._accuracies}

    def load_state_dict(self, state: dict[str, Any]) -> None:  # noqa: D102
        self._accuracies, self._rates = state["accuracies"], {}

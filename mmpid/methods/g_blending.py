"""G-Blending: weigh the losses of all heads by how much they generalize and how much they overfit."""

from collections.abc import Sequence
from math import inf
from typing import Any

from mmpid import _validate
from mmpid.train.callbacks import Callback
from mmpid.train.context import Context

Losses = tuple[float, float]  # training, held out


def blend(before: Losses, after: Losses, variant: str = "paper", floor: float = 0.05) -> float:
    """Return the unscaled weight of one head, ``G / O^2``, from its losses before and after a window of training.

    With L the held-out and T the training loss, ``G = L_before - L_after`` and ``O = (L - T)_after - (L - T)_before``.
    "released" takes the absolute value, "final" the end values ``L_after / (L - T)_after^2`` instead of differences.
    An O of less than `floor` nats counts as `floor`.
    """
    overfit = after[1] - after[0]
    gain = after[1]
    if variant != "final":
        overfit = abs(overfit - (before[1] - before[0]))
        gain = before[1] - after[1]
    ratio = gain / max(overfit, floor) ** 2
    return ratio if variant == "paper" else abs(ratio)


def shares(raw: Sequence[float]) -> list[float]:
    """Return weights that add up to 1; heads that became worse get 0. If none improved, all weights are equal."""
    better = [x if 0 < x < inf else 0.0 for x in raw]  # false if a copy diverged
    total = sum(better)
    return [x / total for x in better] if total > 0 else [1 / len(raw)] * len(raw)


class GBlending(Callback):
    """Gradient blending (G-Blending): weigh joint and unimodal losses by generalization over overfitting.

    Stage 2 minimizes ``w_0 CE(f, y) + sum_m w_m CE(f_m, y)``. The weights are estimated from copies of the current
    model, each trained on one of the losses alone for some epochs: :func:`blend` of the copy's losses, scaled to add up
    to 1.

    Parameters
    ----------
    every : int, optional
        Number of stage-2 epochs between estimates of the weights (online); None estimates them once (offline).
    window : int
        Number of epochs for which each copy is trained.
    floor : float
        Overfitting O in nats below which heads count as equal; 1e-4 in the MultiBench code, which lets noise decide.
    variant : {"paper", "released", "final"}
        How the ratio is taken. "released" and "final" are the two rules of the MultiBench code; the authors published
        a table of weights, not their estimator.

    Notes
    -----
    Costs one training of `window` epochs for each of the M + 1 heads per estimate: with `every` equal to `window` M + 1
    times as many epochs as joint training, which a budget in epochs does not show. Works with every fusion and any
    number of modalities. The held-out losses are those of the validation split, which then both trains and selects.
    The ratio of two small noisy numbers jumps: a head that happens not to overfit can take most of the weight. The
    joint head makes the predictions, so they suffer if another head takes that weight. The weights add up to 1, so each
    head learns more slowly than with the plain sum of the losses: tune the learning rate. With "paper", a head whose
    held-out loss rises gets weight 0, and all get the same weight if every held-out loss rises; the absolute value in
    "released" rewards a head for getting worse.

    References
    ----------
    Wang, Tran and Feiszli (2020), What makes training multi-modal classification networks hard?, CVPR.

    Examples
    --------
    >>> raw = [blend((1.8, 1.8), (0.4, 1.3)), blend((1.8, 1.8), (1.2, 1.4)), blend((1.8, 1.8), (0.3, 1.9))]
    >>> [round(x, 3) for x in shares(raw)]
    [0.058, 0.942, 0.0]
    """

    def __init__(self, every: int | None = 10, *, window: int = 10, floor: float = 0.05, variant: str = "paper"):
        self.every = None if every is None else _validate.number(every, "every", low=1, integer=True)
        self.window = _validate.number(window, "window", low=1, integer=True)
        self.floor = _validate.number(floor, "floor", low=0, open_low=True, finite=True)
        self.variant = _validate.choice(variant, "variant", ("paper", "released", "final"))
        self._weights: dict[str, float] = {}

    def on_epoch_start(self, ctx: Context) -> None:
        """Estimate the weights if it is time."""
        age = ctx.joint_epoch
        if ctx.stage != "joint" or (age % self.every if self.every else self._weights):
            return
        raw = {}
        for head in (*ctx.modalities, "joint"):
            losses = ctx.train_copy([head], self.window)[head]
            before, after = ((losses["train"][i], losses["validation"][i]) for i in (0, 1))
            raw[head] = blend(before, after, self.variant, self.floor)
        self._weights = dict(zip(raw, shares(list(raw.values())), strict=True))

    def compute_loss(self, ctx: Context) -> None:
        """Weigh the losses."""
        if ctx.stage == "joint":
            ctx.loss_weights.update(self._weights)
            for head, weight in self._weights.items():
                ctx.log(f"weight.{head}", weight)

    def state_dict(self) -> dict[str, Any]:  # noqa: D102
        return {"weights": self._weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:  # noqa: D102
        self._weights = state["weights"]

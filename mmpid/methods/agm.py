"""AGM: scale each modality's part of the gradient by how its lead compares with its usual lead."""

from collections.abc import Callable, Sequence
from itertools import combinations
from math import exp, factorial
from typing import Any

import torch
from torch import Tensor

from mmpid import _validate
from mmpid.methods._unimodal import weighted_sum
from mmpid.models.modes import evaluating
from mmpid.train.callbacks import Callback
from mmpid.train.context import Context

LARGEST_EXPONENT = 50.0
FLOOR = 1e-8  # of a probability

Players = Sequence[str]


def shapley(value: Callable[[frozenset[str]], Tensor], players: Players) -> dict[str, Tensor]:
    """Return the Shapley value of each player of the game `value`, with the empty coalition worth 0.

    ``phi_m = sum_S |S|! (M - |S| - 1)! / M! * (v(S + m) - v(S))`` over the sets S without m; their sum is v(all).
    """
    m = len(players)
    worth = {frozenset(s): value(frozenset(s)) for size in range(1, m + 1) for s in combinations(players, size)}
    phi = {}
    for player in players:
        others = [name for name in players if name != player]
        terms, weights = [], []
        for size in range(m):
            for group in map(frozenset, combinations(others, size)):
                share = factorial(size) * factorial(m - size - 1) / factorial(m)
                terms += [worth[group | {player}], *([worth[group]] if group else [])]
                weights += [share, *([-share] if group else [])]
        phi[player] = weighted_sum(terms, weights)
    return phi


def lead(losses: Sequence[float]) -> list[float]:
    """Return ``exp(M / (M - 1) * (mean loss - loss_m))``: above 1 for a modality that is better than the others."""
    m, mean = len(losses), sum(losses) / len(losses)
    return [exp(min(m / (m - 1) * (mean - s), LARGEST_EXPONENT)) for s in losses]


def coefficients(losses: Sequence[float], usual: Sequence[float], alpha: float, cap: float) -> list[float]:
    """Return ``exp(alpha * min(t_m - r_m, cap))``, with r_m the lead and t_m that of the usual losses."""
    gaps = (min(t - r, cap) for r, t in zip(lead(losses), lead(usual), strict=True))
    return [exp(min(alpha * gap, LARGEST_EXPONENT)) for gap in gaps]


def response_loss(phi: Tensor, y: Tensor) -> Tensor:
    """Return the mean cross-entropy of one modality's response, in nats, with probabilities of at least 1e-8."""
    return -phi.detach().softmax(1).gather(1, y[:, None]).clamp(min=FLOOR).log().mean()


def scaled(phi: dict[str, Tensor], factors: Sequence[float]) -> Tensor:
    """Return the sum of the responses, with the gradient of each multiplied by its factor."""
    for response, factor in zip(phi.values(), factors, strict=True):
        if response.requires_grad:
            response.register_hook(lambda gradient, k=factor: gradient * k)
    return torch.stack(list(phi.values())).sum(0)


class AGM(Callback):
    """Adaptive gradient modulation (AGM): Shapley responses, whose gradients follow their relative losses.

    The joint logits are divided among modalities by the Shapley value phi_m of masked passes. With s_m the
    cross-entropy of phi_m, the gradient into phi_m is multiplied by :func:`coefficients` of s and of the mean of s over
    all previous steps: a modality that leads by more than usual slows down, others speed up.

    Parameters
    ----------
    alpha : float
        Strength; 2.5 for AV-MNIST and 1.5 for CREMA-D in the authors' code, whose default is 1.
    cap : float
        Largest gap that counts; 10 for CREMA-D and 7 for UR-FUNNY in the authors' code.
    absent : {"inputs", "features"}
        What is set to zero for a masked modality: its inputs, as in the released code, with masked passes in evaluation
        mode; or its features, which saves the second pass through the encoders.

    Notes
    -----
    Costs a second pass through the encoders, and ``2^M - 1`` passes through the fusion head: 3 for two modalities, 63
    for six. Works with every fusion and any number of modalities. Coefficients above 1 are normal, so part of the
    effect is a larger learning rate. With an additive fusion the method equals scaling each encoder's gradient; with
    interactions it does not, because the masked passes also train the model. The bias of the fusion head is part of
    every response, so phi is not a bias-free classifier. Use `aux_weight=0` for the published objective; the authors'
    clipping at norm 1 (UR-FUNNY 5) is the setting `clip_norm`. Some reimplementations have the opposite sign, which for
    two modalities swaps the coefficients.

    References
    ----------
    Li et al. (2023), Boosting multi-modal model performance with adaptive gradient modulation, ICCV.

    Examples
    --------
    >>> [round(k, 3) for k in coefficients([0.9, 1.6], usual=[1.1, 1.5], alpha=1.0, cap=10.0)]
    [0.593, 1.19]
    """

    def __init__(self, alpha: float = 1.0, *, cap: float = 10.0, absent: str = "inputs"):
        self.alpha = _validate.number(alpha, "alpha", low=0, finite=True)
        self.cap = _validate.number(cap, "cap", low=0, finite=True)
        self.absent = _validate.choice(absent, "absent", ("inputs", "features"))
        self._usual: list[float] = []
        self._steps = 0

    def compute_loss(self, ctx: Context) -> None:
        """Replace the joint loss with one that has the same value and scaled gradients."""
        if ctx.stage != "joint":
            return
        model, everyone = ctx.model, frozenset(ctx.modalities)
        seen, masked = ctx.features, {name: torch.zeros_like(x) for name, x in ctx.features.items()}
        if self.absent == "inputs":
            with evaluating(model):
                seen = model.embed(ctx.inputs)
                masked = model.embed({name: torch.zeros_like(x[:1]) for name, x in ctx.inputs.items()})
            masked = {name: x.expand_as(seen[name]) for name, x in masked.items()}

        def value(present: frozenset[str]) -> Tensor:
            if present == everyone:
                return ctx.logits["joint"]
            with evaluating(model):
                return model.fuse({name: (seen if name in present else masked)[name] for name in ctx.modalities})

        phi = shapley(value, ctx.modalities)
        losses = ctx.mean(torch.stack([response_loss(each, ctx.target) for each in phi.values()])).tolist()
        usual = self._usual or [0.0] * len(losses)
        factors = coefficients(losses, usual, self.alpha, self.cap)
        self._steps += 1
        self._usual = [mean + (s - mean) / self._steps for mean, s in zip(usual, losses, strict=True)]
        for name, factor in zip(phi, factors, strict=True):
            ctx.log(f"coefficient.{name}", factor)
        ctx.losses["joint"] = ctx.loss(scaled(phi, factors), ctx.target)

    def state_dict(self) -> dict[str, Any]:  # noqa: D102
        return {"usual": self._usual, "steps": self._steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:  # noqa: D102
        self._usual, self._steps = state["usual"], state["steps"]

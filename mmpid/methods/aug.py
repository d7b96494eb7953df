"""AUG: the modality that lags gets another small classifier in addition to those it has."""

from collections.abc import Iterator, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmpid import _validate
from mmpid.errors import ConfigError
from mmpid.train.callbacks import Callback
from mmpid.train.context import Context

ROUNDS = 10  # number of chances to grow per run
AHEAD = 1.01  # ratio of scores above which one modality lags


def boosted_loss(stages: Sequence[Tensor], target: Tensor, sigma: float = 0.5) -> Tensor:
    """Return the loss of a sum of classifiers, in nats; the last one is pushed away from what the others know.

    With f the sum of all logits, g that of all but the last, l the last: ``CE(f) + CE(g) + CE(l) - sigma * mean(-w log
    p_l)``, where w and p_l are the probabilities that g and l give the label. With one classifier it is ``CE(f)``.
    """
    whole = torch.stack(list(stages)).sum(0)
    if len(stages) == 1:
        return functional.cross_entropy(whole, target)
    before, last = torch.stack(list(stages[:-1])).sum(0), stages[-1]
    known = before.detach().softmax(1).gather(1, target[:, None])
    apart = -(known * last.log_softmax(1).gather(1, target[:, None])).mean()
    return sum((functional.cross_entropy(z, target) for z in (whole, before, last)), -sigma * apart)


class Stacks(nn.Module):
    """Small classifiers ``V relu(W_k z + b_k) + c`` for each modality, which share one output layer V, c."""

    def __init__(self, dims: dict[str, int], n_classes: int, most: int):
        super().__init__()
        width = min(dims.values())
        self.out = nn.Linear(width, n_classes)
        layers = {name: nn.ModuleList(nn.Linear(d, width) for _ in range(most)) for name, d in dims.items()}
        self.layers = nn.ModuleDict(layers)
        self.counts = nn.Buffer(torch.ones(len(dims), dtype=torch.int64))  # how many are used
        for layer in (one for stack in layers.values() for one in stack):
            nn.init.xavier_uniform_(cast(nn.Linear, layer).weight)

    def stages(self, name: str, z: Tensor) -> list[Tensor]:
        """Return the logits of a modality's classifiers."""
        stack, n = cast(nn.ModuleList, self.layers[name]), int(self.counts[list(self.layers).index(name)])
        return [self.out(torch.relu(layer(z))) for layer in list(stack)[:n]]


def stacks_of(ctx: Context) -> Stacks:
    """Return the classifiers of the model."""
    return cast(Stacks, ctx.model.extras["aug"])


class AUG(Callback):
    """AUG: classifiers are added to the modality that lags until all modalities classify equally well.

    In each batch every modality takes a step of its own on :func:`boosted_loss`. A modality's score is the sum of its
    probabilities of the right class over an epoch. If the best score is more than 1.01 times the weakest, the weakest
    modality gets another classifier. The prediction is the weighted sum of the modalities' logits.

    Parameters
    ----------
    every : int, optional
        Epochs between two chances to grow; a tenth of `epochs` by default.
    sigma : float
        Weight of the term that pushes the last classifier away; .5 in the released code.
    shares : sequence of float, optional
        Weight of each modality in the prediction; equal by default, .4 for audio and .6 for video in the released code.
    variant : {"paper", "released"}
        In the released code the optimizer does not know about an added classifier, which therefore keeps its initial
        weights.

    Notes
    -----
    Replaces fusion; two to six modalities. Costs one step per modality and batch. All classifiers that may be added are
    created at the start and stay unused until needed.

    How it can mislead. A modality that lags because it knows less, not because it is held back, gets more and more
    classifiers. The scores are measured on training samples.

    References
    ----------
    Jiang et al. (2025), AUG: rethinking multimodal imbalance through classification ability, NeurIPS.

    Examples
    --------
    >>> z = torch.zeros(2, 4)
    >>> round(float(boosted_loss([z], torch.tensor([0, 1]))), 4)
    1.3863
    """

    def __init__(
        self, every: int | None = None, *, sigma: float = 0.5, shares: Sequence[float] | None = None,
        variant: str = "paper",
    ):  # fmt: skip
        self.every = None if every is None else _validate.number(every, "every", low=1, integer=True)
        self.sigma = _validate.number(sigma, "sigma", low=0, finite=True)
        self.shares = None if shares is None else [_validate.number(x, "shares", low=0, finite=True) for x in shares]
        self.variant = _validate.choice(variant, "variant", ("paper", "released"))

    def setup(self, ctx: Context) -> None:  # noqa: D102
        n = len(ctx.modalities)
        if self.shares is not None and (len(self.shares) != n or not sum(self.shares)):
            raise ConfigError(f"`shares` must be one weight for each of {n} modalities; it was {self.shares}.")
        self._shares = self.shares or [1 / n] * n
        stacks = cast(Stacks, ctx.add_module("aug", Stacks(dict(ctx.model.dims), ctx.n_classes, ROUNDS + 1)))
        if self.variant == "released":
            for stack in stacks.layers.values():
                cast(nn.ModuleList, stack)[1:].requires_grad_(requires_grad=False)
        self._scores = dict.fromkeys(ctx.modalities, 0.0)

    def step_plan(self, ctx: Context) -> Iterator[tuple[tuple[str, ...], dict[str, Tensor]]] | None:
        """Plan one step per modality."""
        return self._steps(ctx) if ctx.stage == "joint" else None

    def _steps(self, ctx: Context) -> Iterator[tuple[tuple[str, ...], dict[str, Tensor]]]:
        for name, z in ctx.model.pool(ctx.features).items():
            stages = stacks_of(ctx).stages(name, z)
            right = torch.stack(stages).sum(0).detach().softmax(1).gather(1, ctx.target[:, None])
            self._scores[name] += float(ctx.mean(right.double().sum()) * ctx.n_parts)
            yield (name, "extra:aug"), {f"aug.{name}": boosted_loss(stages, ctx.target, self.sigma)}

    def on_epoch_end(self, ctx: Context) -> None:
        """Give the weakest modality another classifier, if it is time and it lags."""
        if ctx.stage != "joint":
            return
        every = self.every or max(1, ctx.config.epochs // ROUNDS)
        counts = stacks_of(ctx).counts
        least = min(range(len(counts)), key=lambda i: self._scores[ctx.modalities[i]])
        lags = max(self._scores.values()) > AHEAD * self._scores[ctx.modalities[least]]
        if lags and (ctx.joint_epoch - 1) % every == 0 and int(counts[least]) <= ROUNDS:
            counts[least] += 1
        for name, count in zip(ctx.modalities, counts.tolist(), strict=True):
            ctx.log(f"classifiers.{name}", count)
        self._scores = dict.fromkeys(self._scores, 0.0)

    def predict(self, ctx: Context) -> Tensor:  # noqa: D102
        pooled, stacks = ctx.model.pool(ctx.features), stacks_of(ctx)
        own = [torch.stack(stacks.stages(name, z)).sum(0) for name, z in pooled.items()]
        return torch.stack([share * z for share, z in zip(self._shares, own, strict=True)]).sum(0)

    def state_dict(self) -> dict[str, Any]:  # noqa: D102
        return {"scores": self._scores}

    def load_state_dict(self, state: dict[str, Any]) -> None:  # noqa: D102
        self._scores = state["scores"]

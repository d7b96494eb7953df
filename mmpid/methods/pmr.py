"""PMR: pull the slower modality toward class prototypes, and at first keep the faster one away from them."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mmpid import _validate
from mmpid.train.callbacks import Callback
from mmpid.train.context import Context


def prototypes(z: Tensor, y: Tensor, n_classes: int, old: Tensor | None = None, momentum: float = 0.0) -> Tensor:
    """Return the mean embedding of each class (k, d), mixed with `momentum` times the old one.

    A class that is absent from the sample keeps its old prototype; if it has none, its row is infinite.
    """
    member = torch.nn.functional.one_hot(y, n_classes).to(z)
    count = member.sum(0)[:, None]
    new = member.T @ z / count.clamp(min=1)
    if old is None:
        return torch.where(count > 0, new, torch.inf)
    mixed = torch.where(old.isinf(), new, (1 - momentum) * new + momentum * old.nan_to_num(posinf=0.0))
    return torch.where(count > 0, mixed, old)


def similarities(z: Tensor, centers: Tensor) -> Tensor:
    """Return minus the distance of each sample to each prototype (B, k); minus infinity where there is no prototype."""
    unknown = centers.isinf().any(1)
    distance = (z[:, None] - centers.masked_fill(unknown[:, None], 0.0)).norm(dim=2)
    return (-distance).masked_fill(unknown, -torch.inf)


def pull(scores: Sequence[float], variant: str) -> list[float]:
    """Return how strongly each modality is pulled: ``clip(s_best / s_m - 1, 0, 1)``; as released 1 below the best."""
    best = max(scores)
    if variant == "released":
        return [float(s < best) for s in scores]
    return [min(best / s - 1, 1.0) if s > 0 else 1.0 for s in scores]


def entropy(similarity: Tensor) -> Tensor:
    """Return the sum over samples of the entropy in nats of the softmax over prototypes."""
    return torch.special.entr(similarity.softmax(1)).sum()


class PMR(Callback):
    """Prototypical modality rebalance (PMR): prototypes of the classes speed up the slower modality.

    Adds ``alpha * sum_m c_m P_m`` to the loss of stage 2, with P_m the cross-entropy of the softmax over minus the
    distance of z_m to each class prototype, and c_m from :func:`pull`. In the first epochs "paper" also subtracts
    ``mu * max_m c_m * H``, with H the entropy of that softmax for the modality that leads.

    Parameters
    ----------
    alpha : float
        Strength; 1 in the released code.
    momentum : float
        Share of the old prototypes, which are renewed before each epoch.
    share : float
        Share of the training split that prototypes are computed from, drawn again each time, at least one batch.
    last : int
        Last epoch of stage 2, counted from 0, in which the method acts.
    mu, early : float, int
        Strength of the entropy term and its number of epochs; both are our choice, because we could not check the
        paper's.
    variant : {"paper", "released"}
        The released code pulls every modality that is behind with full strength, however small the gap, and has no
        entropy term.

    Notes
    -----
    Costs a forward pass over `share` of the data per epoch. Works with every fusion and any number of modalities; with
    three or more, each is compared with the best. Classes that the sample lacks keep their prototype (the released code
    makes NaN of them), and samples of a class without any do not count. Distances grow with the width of embeddings, so
    the same alpha is a different strength for other encoders. Prototypes suit classes that form one cluster; a class
    with several clusters is pulled together.

    References
    ----------
    Fan, Xu, Wang, Wang and Guo (2023), PMR: prototypical modal rebalance for multimodal learning, CVPR.

    Examples
    --------
    >>> pull([4.0, 3.2], "paper"), pull([4.0, 3.2], "released")
    ([0.0, 0.25], [0.0, 1.0])
    """

    def __init__(
        self, alpha: float = 1.0, *, momentum: float = 0.2, share: float = 0.1, last: int = 100, mu: float = 0.1,
        early: int = 10, variant: str = "paper",
    ):  # fmt: skip
        self.alpha = _validate.number(alpha, "alpha", low=0, finite=True)
        self.momentum = _validate.number(momentum, "momentum", low=0, high=1)
        self.share = _validate.number(share, "share", low=0, high=1, open_low=True)
        self.last = _validate.number(last, "last", low=0, integer=True)
        self.mu = _validate.number(mu, "mu", low=0, finite=True)
        self.early = _validate.number(early, "early", low=0, integer=True)
        self.variant = _validate.choice(variant, "variant", ("paper", "released"))
        self._centers: dict[str, Tensor] = {}

    def on_epoch_start(self, ctx: Context) -> None:
        """Renew the prototypes; those of the untrained network are discarded."""
        if ctx.stage != "joint" or ctx.joint_epoch > self.last:
            return
        n = min(max(round(self.share * ctx.n_samples), ctx.config.batch_size), ctx.n_samples)
        seen = ctx.evaluate("train", torch.randperm(ctx.n_samples, generator=ctx.generator)[:n])
        momentum = self.momentum if ctx.joint_epoch > 1 else 0.0
        self._centers = {
            name: prototypes(seen.embeddings[name], seen.target, ctx.n_classes, self._centers.get(name), momentum)
            for name in ctx.modalities
        }

    def compute_loss(self, ctx: Context) -> dict[str, Tensor]:
        """Return the pull toward the prototypes."""
        if ctx.stage != "joint" or ctx.joint_epoch > self.last or not self._centers:
            return {}
        features, y = ctx.model.pool(ctx.features), ctx.target
        near = {name: similarities(features[name], self._centers[name]) for name in ctx.modalities}
        known = ~next(iter(self._centers.values())).isinf().any(1)[y]
        n_known = float(ctx.mean(known.sum().double()))  # over all processes, which may each have a part of the batch
        if not n_known:
            return {}
        near, y = {name: x[known] for name, x in near.items()}, y[known]
        right = [x.detach().softmax(1).gather(1, y[:, None]).sum() for x in near.values()]
        scores = ctx.mean(torch.stack(right)).tolist()
        factors = pull(scores, self.variant)
        for name, factor in zip(near, factors, strict=True):
            ctx.log(f"pull.{name}", factor)
        losses = [torch.nn.functional.cross_entropy(x, y, reduction="sum") / n_known for x in near.values()]
        term = torch.stack([self.alpha * c * x for c, x in zip(factors, losses, strict=True)]).sum()
        if self.variant == "paper" and ctx.joint_epoch < self.early:
            leader = ctx.modalities[scores.index(max(scores))]
            term = term - self.mu * max(factors) * entropy(near[leader]) / n_known
        return {"pmr": term}

    def state_dict(self) -> dict[str, Any]:  # noqa: D102
        return {"centers": self._centers}

    def load_state_dict(self, state: dict[str, Any]) -> None:  # noqa: D102
        self._centers = state["centers"]

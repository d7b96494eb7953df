"""Greedy: a modality that learns through the others gets a fixed gate for a few steps, so that it learns on its own."""

from math import log10
from typing import Any, cast

import torch
from torch import Tensor, nn

from mmpid import _validate
from mmpid.errors import ConfigError
from mmpid.train.callbacks import Callback
from mmpid.train.context import Context


def relative_speed(pairs: list[tuple[Tensor, Tensor]]) -> float:
    """Return ``|gradient|^2 / |weights|^2`` over the (weights, gradient) pairs of a network part; 0 without any."""
    size = sum(float(w.detach().double().square().sum()) for w, _ in pairs)
    return sum(float(g.double().square().sum()) for _, g in pairs) / size if size > 0 else 0.0


class SpeedDifference:
    """Sums up the speeds of main branches and bypasses, and says which modality's gate is to be fixed.

    With M_m and B_m the sums for modality m, d is the largest ``log10(B_m / M_m)`` minus the mean of the others'.
    Where d exceeds `threshold`, that modality is curated for `window` steps, during which the sums do not change.
    """

    def __init__(self, n: int, threshold: float, window: int):
        self.main, self.bypass = [0.0] * n, [0.0] * n
        self.threshold, self.window = threshold, window
        self.left, self.curated, self.ratios = 0, 0, [0.0] * n

    def update(self, main: list[float], bypass: list[float], may_curate: bool) -> None:
        """Add the speeds of one step."""
        if self.left:
            self.left -= 1
            return
        self.main = [total + x for total, x in zip(self.main, main, strict=True)]
        self.bypass = [total + x for total, x in zip(self.bypass, bypass, strict=True)]
        if min(*self.main, *self.bypass) <= 0:  # some part does not learn at all, so there is nothing to compare
            return
        self.ratios = [log10(b / m) for b, m in zip(self.bypass, self.main, strict=True)]
        self.curated = max(range(len(self.ratios)), key=lambda i: self.ratios[i])
        if may_curate and self.difference > self.threshold:
            self.left = self.window

    @property
    def difference(self) -> float:
        """How far the modality with the largest ratio is ahead of the mean of the others."""
        largest = self.ratios[self.curated]
        return largest - (sum(self.ratios) - largest) / (len(self.ratios) - 1)

    def state_dict(self) -> dict[str, Any]:
        """Return all sums and the state of the current curation."""
        return {key: getattr(self, key) for key in ("main", "bypass", "left", "curated", "ratios")}


class Gates(nn.Module):
    """Each embedding is multiplied by ``2 sigmoid(G_m s)``, ``s = relu(S [z_1; ...; z_M])``: it sees the others."""

    def __init__(self, dims: dict[str, int]):
        super().__init__()
        total = sum(dims.values())
        self.squeeze = nn.Linear(total, max(1, total // 4))
        self.gates = nn.ModuleDict({name: nn.Linear(max(1, total // 4), d) for name, d in dims.items()})

    def forward(self, pooled: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the gate (B, d) of each modality."""
        squeezed = torch.relu(self.squeeze(torch.cat([pooled[name] for name in self.gates], 1)))
        return {name: 2 * torch.sigmoid(layer(squeezed)) for name, layer in self.gates.items()}


class Greedy(Callback):
    """Balanced learning against greed: a modality whose own branch lags behind its gate is trained with a fixed gate.

    Gates between encoders and heads let each modality see the others. :class:`SpeedDifference` compares how fast
    encoder and head of a modality learn with how fast its gate does. The modality whose own branch lags most gets the
    running mean of its gate for `window` steps.

    Parameters
    ----------
    threshold : float
        Smallest difference at which a modality is curated; .01 in the released code.
    window : int
        Number of steps that a curation lasts; 5 in the released code.
    start : int
        Epochs of joint training before the first curation.
    fused : {"heads", "joint"}
        What is trained and predicts: the mean of the unimodal logits behind the gates, as published, or the fusion
        head.
    variant : {"paper", "released"}
        In the released code every gate uses the running mean of the first one, so all embeddings must have the same
        size.

    Notes
    -----
    Published with gates between layers of convolutional networks; here one gate per modality sits behind its
    encoder, so every encoder and every fusion works. Costs next to nothing. With three or more modalities, the largest
    ratio is compared with the mean of the others.

    How it can mislead. Unimodal accuracies and probes read the embeddings before the gates, on which the heads were not
    trained. The sums run over all of training, so the difference hardly moves late in a run.

    References
    ----------
    Wu et al. (2022), Characterizing and overcoming the greedy nature of learning in multi-modal deep neural networks,
    ICML, section 4.

    Examples
    --------
    >>> speed = SpeedDifference(2, threshold=0.01, window=5)
    >>> speed.update([1.0, 1.0], [10.0, 1.0], may_curate=True)
    >>> speed.curated, speed.left, speed.difference
    (0, 5, 1.0)
    """

    def __init__(
        self, threshold: float = 0.01, *, window: int = 5, start: int = 1, fused: str = "heads", variant: str = "paper"
    ):
        self.threshold = _validate.number(threshold, "threshold", low=0)
        self.window = _validate.number(window, "window", low=1, integer=True)
        self.start = _validate.number(start, "start", low=0, integer=True)
        self.fused = _validate.choice(fused, "fused", ("heads", "joint"))
        self.variant = _validate.choice(variant, "variant", ("paper", "released"))

    def setup(self, ctx: Context) -> None:  # noqa: D102
        dims = dict(ctx.model.dims)
        if self.variant == "released" and len(set(dims.values())) > 1:
            raise ConfigError(
                f"Greedy(variant='released') needs embeddings of the same size; they had {dims}. Choose 'paper'."
            )
        ctx.add_module("greedy", Gates(dims))
        self._speed = SpeedDifference(len(dims), self.threshold, self.window)
        self._means = {name: torch.zeros(d, device=ctx.device) for name, d in dims.items()}
        self._seen = 0

    def on_features(self, ctx: Context) -> None:
        """Gate the embeddings."""
        if ctx.stage != "joint":
            return
        gates = gates_of(ctx)(ctx.model.pool(ctx.features))
        curated = ctx.modalities[self._speed.curated] if self._speed.left and self._seen else ""
        if not curated:
            self._seen += 1
            for name, mean in self._means.items():
                seen = gates[ctx.modalities[0] if self.variant == "released" else name]
                mean.lerp_(ctx.mean(seen.detach().to(mean.dtype).mean(0)), 1 / self._seen)
        else:
            gates[curated] = self._means[curated].to(gates[curated].dtype).expand_as(gates[curated])
        ctx.features = _gated(ctx.features, gates)

    def compute_loss(self, ctx: Context) -> None:
        """Train the heads instead of the fusion head."""
        if ctx.stage == "joint" and self.fused == "heads":
            ctx.loss_weights |= {name: float(name != "joint") for name in ctx.losses}

    def on_after_backward(self, ctx: Context) -> None:
        """Compare the speeds of the branches."""
        if ctx.stage != "joint":
            return
        gates, main, bypass = gates_of(ctx), [], []
        shared = _pairs(gates.squeeze)
        for name in ctx.modalities:
            own = [p for group in (name, f"head:{name}") for p in ctx.parameters(group)]
            main.append(relative_speed([(p, p.grad) for p in own if p.grad is not None]))
            bypass.append(relative_speed(_pairs(gates.gates[name]) + shared))
        self._speed.update(main, bypass, may_curate=ctx.joint_epoch >= self.start)
        ctx.log("difference", self._speed.difference)
        ctx.log("curating", float(self._speed.left > 0))

    def predict(self, ctx: Context) -> Tensor:  # noqa: D102
        features = _gated(ctx.features, gates_of(ctx)(ctx.model.pool(ctx.features)))
        if self.fused == "joint":
            return ctx.model.fuse(features)
        return torch.stack(list(ctx.model.classify(features, joint=False).values())).mean(0)

    def state_dict(self) -> dict[str, Any]:  # noqa: D102
        return {"speed": self._speed.state_dict(), "means": self._means, "seen": self._seen}

    def load_state_dict(self, state: dict[str, Any]) -> None:  # noqa: D102
        vars(self._speed).update(state["speed"])
        self._means = {name: x.to(self._means[name].device) for name, x in state["means"].items()}
        self._seen = state["seen"]


def gates_of(ctx: Context) -> Gates:
    """Return the gates of the model."""
    return cast(Gates, ctx.model.extras["greedy"])


def _pairs(module: nn.Module) -> list[tuple[Tensor, Tensor]]:
    return [(p, p.grad) for p in module.parameters() if p.grad is not None]


def _gated(features: dict[str, Tensor], gates: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return features, which may be sequences of tokens, times their gates."""
    return {name: x * (gates[name] if x.ndim == 2 else gates[name][:, None]) for name, x in features.items()}

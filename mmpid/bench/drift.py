"""A callback in which every batch depends on all batches before it, a state that a resume must not lose."""

from typing import Any

import torch
from torch import Tensor

from mmpid.train.callbacks import Callback
from mmpid.train.context import Context


class Drift(Callback):
    """Keeps running means of the features, adds a loss term that reads them, and noise to the gradients.

    Parameters
    ----------
    decay : float
        Share of the running mean that remains after a batch.
    """

    def __init__(self, decay: float = 0.9):
        self.decay = decay
        self._means: dict[str, Tensor] = {}
        self._batches = 0

    def compute_loss(self, ctx: Context) -> dict[str, Tensor]:
        """Return the distance between the features and their running means, blurred by noise."""
        terms = []
        for name, x in ctx.features.items():
            now = x.detach().mean(0)
            self._means[name] = now if name not in self._means else torch.lerp(now, self._means[name], self.decay)
            noise = torch.randn(x.shape, generator=ctx.generator)
            terms.append((x - self._means[name] + 0.1 * noise).square().mean())
        return {"drift": 0.01 * torch.stack(terms).sum()}

    def on_after_backward(self, ctx: Context) -> None:
        """Add noise that fades with the number of batches."""
        self._batches += 1
        for name in ctx.active:
            for gradient in ctx.gradients(name):
                gradient.add_(torch.randn(gradient.shape, generator=ctx.generator), alpha=0.01 / self._batches)
        ctx.log("batches", self._batches)

    def state_dict(self) -> dict[str, Any]:
        """Return the means and the number of batches."""
        return {"means": self._means, "batches": self._batches}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load the result of :meth:`state_dict`."""
        self._means, self._batches = dict(state["means"]), state["batches"]

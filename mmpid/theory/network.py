"""The network of the solvable model, its gradient in closed form, and the test error.

Weights have shape (S, 2, K m, d) for S seeds, both modalities, K classes with m neurons, d input dimensions, and are
stored in units of beta, so that the smoothed ReLU is clamp(v, 0, 1)^q / q + max(v - 1, 0) and its slope a power.
"""

from itertools import product

import torch
from torch import Tensor

from mmpid.theory.data import Samples, draw
from mmpid.theory.settings import ModelSettings

_CHUNK = 1_000_000  # activations held at a time, so that they stay in the cache


def power_(base: Tensor, exponent: float) -> Tensor:
    """Raise to a power in place, by products where the exponent is a small integer: `pow` is ten times slower."""
    if exponent == 1:
        return base
    if exponent == 2:
        return base.mul_(base)
    if exponent == 3:
        return base.mul_(base * base)
    return base.pow_(exponent)


class Descent:
    """Full-batch gradient descent of a group of seeds, written out, with its buffers reused from step to step."""

    def __init__(self, settings: ModelSettings, samples: Samples, weights: Tensor):
        self.settings = settings
        self.weights = weights
        self.load(samples)

    def load(self, samples: Samples) -> None:
        """Take new training samples and make the buffers fit."""
        self.rows = samples.inputs
        self.columns = samples.inputs.mT.contiguous()
        self.one_hot = torch.nn.functional.one_hot(samples.target, self.settings.n_classes).T.to(self.rows)
        shape = (*self.weights.shape[:3], self.rows.shape[2])
        if getattr(self, "slope", self.rows).shape != shape:
            self.activation, self.power, self.slope = (self.rows.new_empty(shape) for _ in range(3))

    def keep(self, seeds: Tensor) -> None:
        """Drop all seeds but these (a mask)."""
        self.weights = self.weights[seeds]
        self.rows, self.columns = self.rows[seeds], self.columns[seeds]
        self.activation, self.power, self.slope = (
            b[: len(self.rows)] for b in (self.activation, self.power, self.slope)
        )

    def step(self, joint: Tensor, trained: Tensor) -> None:
        """Move the weights once: seeds in `joint` (S,) on the joint loss, others on the unimodal ones.

        `trained` (S, 2) is 1 for the modalities that learn and 0 for those that wait.
        """
        logits = self._forward()
        fused = torch.where(joint.view(-1, 1, 1, 1), logits.sum(1, keepdim=True), logits)
        residual = (fused.softmax(2) - self.one_hot) * trained.view(-1, 2, 1, 1)
        self._by_class(self.slope).mul_(residual.unsqueeze(3))
        gradient = self.slope @ self.rows
        scale = self.settings.eta * self.settings.n_classes / (self.settings.beta * self.rows.shape[2])
        self.weights.sub_(gradient, alpha=scale)

    def _forward(self) -> Tensor:
        """Unimodal logits (S, 2, K, n); leaves the slopes of the activation in their buffer."""
        torch.matmul(self.weights, self.columns, out=self.activation)
        torch.clamp(self.activation, 0, 1, out=self.power)
        q = self.settings.q
        if q == 3:
            torch.mul(self.power, self.power, out=self.slope)
        else:
            power_(self.slope.copy_(self.power), q - 1)
        curved = self._by_class(self.power.mul_(self.slope)).sum(3)
        linear = self._by_class(self.activation.clamp_min_(1)).sum(3).sub_(self.settings.n_neurons)
        return linear.add_(curved, alpha=1 / q).mul_(self.settings.beta)

    def _by_class(self, values: Tensor) -> Tensor:
        return values.view(*values.shape[:2], self.settings.n_classes, self.settings.n_neurons, -1)


def unimodal_logits(settings: ModelSettings, weights: Tensor, inputs: Tensor) -> Tensor:
    """Logits (S, 2, n, K) of both modalities for inputs (S, 2, n, d)."""
    size = max(1, _CHUNK // (weights.shape[0] * 2 * weights.shape[2]))
    parts = []
    for rows in inputs.split(size, dim=2):
        v = rows @ weights.mT
        bent = v.clamp(0, 1)
        value = v.clamp_min_(1).sub_(1).add_(power_(bent, settings.q), alpha=1 / settings.q)
        parts.append(value.unflatten(3, (settings.n_classes, settings.n_neurons)).sum(4))
    return torch.cat(parts, 2) * settings.beta


def leading(settings: ModelSettings, weights: Tensor) -> Tensor:
    """Lambda (S, K, 2): the largest positive product of a class's neurons with its own dictionary column."""
    by_class = weights.unflatten(2, (settings.n_classes, settings.n_neurons))
    own = by_class.diagonal(dim1=2, dim2=4)
    return own.amax(2).clamp_min(0).mul(settings.beta).mT


def stratified_error(
    settings: ModelSettings, weights: Tensor, amplitude: Tensor, n_test: int, generators: list[torch.Generator]
) -> tuple[Tensor, Tensor]:
    """Test errors by stratum: (S, 2, 2) of the sum of both modalities and (S, 2, 2, 2) of each alone.

    Entry [a, b] is the error given that modality 1 is insufficient (a = 1) or not, and modality 2 likewise (b).
    """
    per_class = max(1, n_test // settings.n_classes)
    fused, alone = [], []
    for pattern in product((False, True), repeat=2):
        samples = draw(settings, amplitude, per_class, generators, pattern)
        logits = unimodal_logits(settings, weights, samples.inputs)
        fused.append((logits.sum(1).argmax(-1) != samples.target).double().mean(-1))
        alone.append((logits.argmax(-1) != samples.target).double().mean(-1))
    return torch.stack(fused, -1).unflatten(-1, (2, 2)), torch.stack(alone, -1).unflatten(-1, (2, 2))


def pattern_weights(settings: ModelSettings) -> Tensor:
    """Probability (2, 2) that modality 1 is insufficient (first axis) and modality 2 is (second axis)."""
    one, two = (torch.tensor([1 - mu, mu], dtype=torch.float64) for mu in settings.rates)
    return one.unsqueeze(1) * two

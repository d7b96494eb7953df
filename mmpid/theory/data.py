"""Samples of the solvable model, in the coordinates of the dictionary: the first K dimensions are the classes'."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mmpid.theory.settings import ModelSettings

#: The simulation runs in single precision: gradient descent at small scale, not a solver.
DTYPE = torch.float32
#: Mean size of the own class in a sufficient sample, U[1, 1.5], in units of the amplitude.
MEAN_SIZE = 1.25


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Inputs (S, 2, n, K + D) of both modalities, size (S, 2, n) of the own class in them, and target (n,)."""

    inputs: Tensor
    own: Tensor
    target: Tensor


def amplitudes(settings: ModelSettings, generator: torch.Generator) -> Tensor:
    """Draw amplitudes a (2, K), log-normal around 1."""
    log_a = settings.amplitude_spread * torch.randn(2, settings.n_classes, generator=generator)
    log_a[1] += torch.tensor(settings.amplitude_ratio).log()
    return log_a.exp()


def draw_one(
    settings: ModelSettings, amplitude: Tensor, target: Tensor, insufficient: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw inputs (2, n, K + D) and own sizes (2, n) for one world; `insufficient` (2, n) says which samples are."""
    n, k = len(target), settings.n_classes
    active = torch.rand(2, n, k, generator=generator) < min(settings.clutter_rate / k, 1.0)
    latent = settings.clutter_size * torch.rand(2, n, k, generator=generator) * active
    confused = _confusers(settings, target, generator) & insufficient.unsqueeze(-1)
    latent = torch.where(confused, settings.rho, latent)
    sufficient_size = 1 + 0.5 * torch.rand(2, n, generator=generator)
    own = torch.where(insufficient, settings.gamma, sufficient_size)
    latent.scatter_(2, target.expand(2, n).unsqueeze(2), own.unsqueeze(2))
    latent *= amplitude.unsqueeze(1)
    inputs = settings.noise * torch.randn(2, n, settings.n_dims, generator=generator)
    inputs[..., :k] += latent
    return inputs, own * amplitude[:, target]


def _confusers(settings: ModelSettings, target: Tensor, generator: torch.Generator) -> Tensor:
    """Mark the confuser classes (2, n, K) of each sample, were it insufficient."""
    n, k = len(target), settings.n_classes
    keys = torch.rand(2, n, k, generator=generator)
    keys.scatter_(2, target.expand(2, n).unsqueeze(2), -1.0)
    chosen = keys.topk(min(settings.n_confusers, k - 1), dim=2).indices
    return torch.zeros(2, n, k, dtype=torch.bool).scatter_(2, chosen, True)


def draw(
    settings: ModelSettings, amplitude: Tensor, n_per_class: int, generators: list[torch.Generator], pattern=None
) -> Samples:
    """Draw samples in class order for worlds `amplitude` (S, 2, K), each from its own generator.

    `pattern` fixes which modalities are insufficient, for example (True, False); without it the rates `mu` do.
    """
    target = torch.arange(settings.n_classes).repeat_interleave(n_per_class)
    rate = torch.tensor(settings.rates).unsqueeze(1)
    drawn = []
    for world, generator in zip(amplitude.cpu(), generators, strict=True):
        chance = torch.rand(2, len(target), generator=generator)
        insufficient = chance < rate if pattern is None else torch.tensor(pattern).unsqueeze(1).expand_as(chance)
        drawn.append(draw_one(settings, world, target, insufficient, generator))
    inputs, own = (torch.stack(parts).to(amplitude) for parts in zip(*drawn, strict=True))
    return Samples(inputs=inputs, own=own, target=target.to(amplitude.device))

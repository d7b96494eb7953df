"""Look at a state of the solvable model: fresh samples, logits, test error, predictions, a torch module of it."""

from dataclasses import replace
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from mmpid._validate import number
from mmpid.theory.data import Samples, draw
from mmpid.theory.network import pattern_weights, stratified_error, unimodal_logits
from mmpid.theory.settings import ModelSettings
from mmpid.theory.strength import State

MODALITIES = ("modality1", "modality2")


def sample(state: State, n_per_class: int, seed: int = 0) -> Samples:
    """Draw fresh samples, insufficient ones at their rate, for each world of `state`.

    Parameters
    ----------
    state : State
        One world or a batch of S.
    n_per_class : int, at least 1
        Samples of each class; they come in class order.
    seed : int
        World s draws from seed + s.

    Returns
    -------
    Samples
        `inputs` (S, 2, n, d), `own` (S, 2, n), `target` (n,); S is 1 for a single world.
    """
    number(n_per_class, "n_per_class", low=1, integer=True)
    amplitude = batched(state).amplitude
    generators = [torch.Generator().manual_seed(seed + index) for index in range(len(amplitude))]
    return draw(state.settings, amplitude, n_per_class, generators)


def logits(state: State, inputs: Tensor) -> Tensor:
    """Unimodal logits (S, 2, n, K) for inputs (S, 2, n, d); their sum over modalities is the joint output."""
    return unimodal_logits(state.settings, batched(state).weights, inputs)


def stratified_test_error(state: State, n_test: int = 4000, seed: int = 0) -> Tensor:
    """Stratified test error (S,) of a state: errors given which modalities are insufficient, weighted exactly."""
    full = batched(state)
    generators = [torch.Generator().manual_seed(seed + index) for index in range(len(full.weights))]
    strata, _ = stratified_error(state.settings, full.weights, full.amplitude, n_test, generators)
    return (strata * pattern_weights(state.settings).to(strata)).sum((-2, -1))


def prediction_joint(state: State, n_per_class: int = 4000, seed: int = 0) -> Tensor:
    """Joint distribution (S, K, K, K) of the two modalities' predicted classes and the target, from fresh samples.

    The last axis is the target, as `mmpid.decompose` wants it. With N samples the plug-in bias of the total
    information is at most about (K - 1) (K^2 - 1) / (2 N log 2) bits.
    """
    batch, k = sample(state, n_per_class, seed), state.settings.n_classes
    one, two = logits(state, batch.inputs).argmax(-1).unbind(1)
    cells = (one * k + two) * k + batch.target
    counts = torch.zeros(len(cells), k**3, dtype=torch.float64, device=cells.device)
    counts.scatter_add_(1, cells, torch.ones_like(cells, dtype=torch.float64))
    return (counts / len(batch.target)).view(-1, k, k, k)


def batched(state: State) -> State:
    """Give a single world a leading axis of length 1."""
    if state.weights.ndim == 4:
        return state
    return replace(state, **{name: getattr(state, name).unsqueeze(0) for name in _TENSORS})


def pick(state: State, index: int) -> State:
    """One world of a batch."""
    return replace(state, **{name: getattr(state, name)[index] for name in _TENSORS})


def mix(first: State, second: State) -> State:
    """Take modality 1 from one state and modality 2 from another of the same worlds."""
    weights = torch.stack([first.weights[..., 0, :, :], second.weights[..., 1, :, :]], -3)
    return replace(first, weights=weights)


_TENSORS = ("weights", "data_strength", "amplitude")


class NetworkOutput(NamedTuple):
    """Joint logits, unimodal logits and embeddings, as a late-fusion model gives them."""

    logits: Tensor
    unimodal: dict[str, Tensor]
    embeddings: dict[str, Tensor]


class SmoothedReLULayer(nn.Module):
    """sigma(W x) with the smoothed ReLU of the model."""

    def __init__(self, settings: ModelSettings, weight: Tensor):
        super().__init__()
        self.settings = settings
        self.weight = nn.Parameter(weight.clone() * settings.beta)

    def forward(self, inputs: Tensor) -> Tensor:
        """Activations (n, K m) of inputs (n, d)."""
        v = inputs @ self.weight.T / self.settings.beta
        q = self.settings.q
        return self.settings.beta * ((v - 1).clamp_min(0) + v.clamp(0, 1).pow(q) / q)


class ClassSum(nn.Module):
    """Sum over the neurons of each class: the fixed scorer of the model."""

    def __init__(self, n_classes: int):
        super().__init__()
        self.n_classes = n_classes

    def forward(self, embedding: Tensor) -> Tensor:
        """Logits (n, K) of activations (n, K m)."""
        return embedding.unflatten(-1, (self.n_classes, -1)).sum(-1)


class SparseCodingNet(nn.Module):
    """One world of the solvable model as an ordinary late-fusion module, so that proxies for real networks run on it.

    Parameters
    ----------
    state : State
        A single world, see `pick`.
    """

    def __init__(self, state: State):
        super().__init__()
        self.modalities = MODALITIES
        pairs = zip(MODALITIES, state.weights, strict=True)
        self.encoders = nn.ModuleDict({name: SmoothedReLULayer(state.settings, w) for name, w in pairs})
        self.heads = nn.ModuleDict({name: ClassSum(state.settings.n_classes) for name in MODALITIES})

    def forward(self, inputs: dict[str, Tensor]) -> NetworkOutput:
        """Joint logits (the sum), unimodal logits and embeddings."""
        embeddings = {name: encoder(inputs[name]) for name, encoder in self.encoders.items()}
        unimodal = {name: self.heads[name](z) for name, z in embeddings.items()}
        return NetworkOutput(cast(Tensor, sum(unimodal.values())), unimodal, embeddings)

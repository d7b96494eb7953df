"""Encoders of forms that users bring, shared by the tests of models, training and checks."""

import warnings

import numpy as np
import torch
from torch import nn

from mmpid import LateFusion, MultimodalData, Trainer
from tests.small_runs import QUICK

WIDTH, STEPS = 4, 5  # a sample of "b" is (STEPS, WIDTH)


class Then(nn.Module):
    """A module and what is done with its output."""

    def __init__(self, net, do):
        super().__init__()
        self.net, self.do = net, do

    def forward(self, x):
        return self.do(self.net(x))


class Cached(nn.Module):
    """Keeps its last features, with their graph, and makes a constant in its first pass."""

    def __init__(self):
        super().__init__()
        self.net, self.last, self.scale, self.history = flat(), None, None, []

    def forward(self, x):
        if self.scale is None:
            self.scale = torch.full((8,), 2.0, dtype=x.dtype)
        self.last = self.net(x)
        self.history = [*self.history[-1:], {"features": self.last}]
        return self.last * self.scale


class Counting(nn.Module):
    """Scales by a number that grows in training, which it saves as extra state."""

    def __init__(self, pack=lambda state: state):
        super().__init__()
        self.net, self.steps, self.pack = flat(), 0, pack

    def forward(self, x):
        self.steps += self.training
        return self.net(x) * (1 + self.steps / 100)

    def get_extra_state(self):
        return self.pack({"steps": self.steps, "last": [self.steps, None]})

    def set_extra_state(self, state):
        self.steps = state["steps"]


class InPlace(nn.Module):
    """Centers its input where it lies."""

    def __init__(self):
        super().__init__()
        self.net = flat()

    def forward(self, x):
        x -= 0.5
        return self.net(x)


def flat(d=8):
    return nn.Sequential(nn.Flatten(), nn.Linear(STEPS * WIDTH, d), nn.ReLU())


def lazy():
    return nn.Sequential(nn.LazyConv1d(4, 3), nn.LazyBatchNorm1d(), nn.ReLU(), nn.Flatten(), nn.LazyLinear(7))


def old_weight_norm():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch has another one by now, which users do not
        return nn.Sequential(nn.Flatten(), nn.utils.weight_norm(nn.Linear(STEPS * WIDTH, 8)))


def wrapped(norm):
    return nn.Sequential(nn.Flatten(), norm(nn.Linear(STEPS * WIDTH, 8)))


def batch_norm(**options):
    return nn.Sequential(nn.Flatten(), nn.Linear(STEPS * WIDTH, 8), nn.BatchNorm1d(8, **options))


USUAL = {
    "lazy": lazy,
    "old weight_norm": old_weight_norm,
    "old spectral_norm": lambda: wrapped(nn.utils.spectral_norm),
    "weight_norm": lambda: wrapped(nn.utils.parametrizations.weight_norm),
    "spectral_norm": lambda: wrapped(nn.utils.parametrizations.spectral_norm),
    "batch norm": batch_norm,
    "cached": Cached,
    "in place": InPlace,
    "extra state": Counting,
    "float64": lambda: flat().double(),
    "no weights": nn.Flatten,
    "wrong last layer": lambda: Then(flat(), lambda z: z[:, :5]),
}


def make_data(n=215, seed=0):
    """Return two modalities about three classes; 215 samples have 129 for training."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    inputs = {"a": rng.normal(size=(n, 6)) + y[:, None], "b": rng.normal(size=(n, STEPS, WIDTH)) + y[:, None, None]}
    split = np.full(n, "test", dtype=object)
    split[: n - 86], split[n - 86 : n - 53], split[n - 53 : n - 33] = "train", "probe", "validation"
    return MultimodalData.from_arrays(inputs, y, split=split, seed=0)


def make_model(encoder, **options):
    torch.manual_seed(3)
    return LateFusion(
        {"a": nn.Linear(6, 4), "b": encoder if isinstance(encoder, nn.Module) else encoder()}, 3, **options
    )


def make_trainer(model, data, **settings):
    settings = {
        "epochs": 2,
        "unimodal_epochs": 1,
        "batch_size": 64,
        "probe_samples": 20,
        "ecs": (),
        "seed": 0,
        **QUICK,
        **settings,
    }
    return Trainer(model, data, **settings)

"""Small data and runs of a blink, shared by the tests of training, rules, runs and studies."""

import numpy as np
import pytest
import torch

from mmpid import LateFusion, MultimodalData, Trainer

QUICK = {"n_boot": 0, "n_null": 0, "correction": "none", "device": "cpu"}


def weights(trainer) -> torch.Tensor:
    """Return all weights of a trainer's model as one vector."""
    return torch.cat([p.detach().flatten() for p in trainer.model.state_dict().values() if isinstance(p, torch.Tensor)])


@pytest.fixture(scope="session")
def small_data():
    """Two modalities of different strength about four classes."""
    rng = np.random.default_rng(0)
    y = np.arange(400) % 4
    centers = {name: rng.normal(size=(4, 6)) for name in ("a", "b")}
    inputs = {name: centers[name][y] + s * rng.normal(size=(400, 6)) for name, s in (("a", 0.7), ("b", 1.4))}
    return MultimodalData.from_arrays(inputs, y, seed=0, name="small")


@pytest.fixture
def make_trainer(small_data):
    """Return a function that makes a trainer of the small data; keywords are settings."""

    def make(**settings):
        seed = settings.pop("seed", 0)
        model = settings.pop("model", None) or LateFusion.from_data(small_data, seed=seed)
        return Trainer(model, small_data, seed=seed, **{"epochs": 6, "unimodal_epochs": 3, **QUICK, **settings})

    return make

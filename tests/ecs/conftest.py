import pytest
import torch
from torch import nn

from mmpid.ecs import ProxyEvidence
from mmpid.models.late_fusion import LateFusion


def make_model(seed=0, dims=None, n_classes=3, dropout=0.0):
    dims = dims or {"image": 5, "audio": 4}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoders = {
            name: nn.Sequential(nn.Linear(d, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(dropout), nn.Linear(6, 4))
            for name, d in dims.items()
        }
        return LateFusion(encoders, n_classes, dims=dict.fromkeys(dims, 4))


def make_batch(seed=1, n=12, dims=None, n_classes=3):
    dims = dims or {"image": 5, "audio": 4}
    generator = torch.Generator().manual_seed(seed)
    inputs = {name: torch.randn(n, d, generator=generator) for name, d in dims.items()}
    return inputs, torch.arange(n) % n_classes


@pytest.fixture
def model():
    return make_model(dropout=0.5)


@pytest.fixture
def batch():
    return make_batch()


@pytest.fixture
def evidence(model, batch):
    return ProxyEvidence.from_model(model, *batch)

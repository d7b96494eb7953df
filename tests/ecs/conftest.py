import pytest
import torch
from torch import nn

from mmpid.ecs import ProxyEvidence
from mmpid.models.late_fusion import LateFusion

DIMS, N_CLASSES = {"image": 5, "audio": 4}, 3


def encoder(kind, d):
    if kind == "dense":  # the activation works in place, to see whether the proxies are fooled
        return nn.Sequential(nn.Linear(d, 6), nn.ReLU(inplace=True), nn.Linear(6, 4, bias=False))
    return nn.Sequential(nn.Linear(d, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.5), nn.Linear(6, 4))


@pytest.fixture(params=["dense", "normalized"])
def model(request):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoders = {name: encoder(request.param, d) for name, d in DIMS.items()}
        return LateFusion(encoders, N_CLASSES, dims=dict.fromkeys(DIMS, 4))


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    inputs = {name: torch.randn(12, d, generator=generator) for name, d in DIMS.items()}
    return inputs, torch.arange(12) % N_CLASSES


@pytest.fixture
def evidence(model, batch):
    return ProxyEvidence.from_model(model, *batch)

import numpy as np
import pytest


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def blobs(rng):
    """Embeddings of 400 samples, 3 classes: source 1 tells them well, source 2 a little, source 3 nothing."""
    target = rng.integers(3, size=400)
    centers = rng.normal(size=(3, 8))
    strong = 2.0 * centers[target] + rng.normal(size=(400, 8))
    weak = 0.5 * centers[target] + rng.normal(size=(400, 8))
    return strong, weak, rng.normal(size=(400, 8)), target

"""Joints on which solvers are compared: dense ones, and histograms of a finite sample."""

import torch
from torch import Tensor

from mmpid.pid import joints

SAMPLE_SIZE = 1280


def dense(n1: int, n2: int, k: int, seed: int = 0) -> Tensor:
    """Draw a joint from a flat Dirichlet distribution: every cell is positive."""
    return joints.random(n1, n2, k, seed=seed)


def histogram(n1: int, n2: int, k: int, seed: int = 0, n_samples: int = SAMPLE_SIZE) -> Tensor:
    """Draw the table of a sample from a joint with few nonempty cells."""
    joint = joints.random(n1, n2, k, concentration=0.1, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    cells = torch.multinomial(joint.flatten(), n_samples, replacement=True, generator=generator)
    counts = torch.bincount(cells, minlength=joint.numel()).to(joint.dtype)
    return counts.view(joint.shape) / n_samples


def clustered(n1: int, n2: int, k: int, seed: int = 0, n_samples: int = SAMPLE_SIZE) -> Tensor:
    """Draw the table of a sample in which each source shows the class through a few clusters of its own."""
    generator = torch.Generator().manual_seed(seed)

    def draw(high):
        return torch.randint(high, (n_samples,), generator=generator)

    y = draw(k)
    x1, x2 = (y * n1 // k + draw(max(2, n1 // 4))) % n1, (y * n2 // k + draw(max(2, n2 // 3))) % n2
    table = torch.zeros(n1, n2, k, dtype=torch.float64)
    table.index_put_((x1, x2, y), torch.ones(n_samples, dtype=torch.float64), accumulate=True)
    return table / n_samples


def predicted(n1: int, n2: int, k: int, seed: int = 0, n_samples: int = 5_000) -> Tensor:
    """Draw the table of predicted classes of two heads, mostly right; errors are mainly among a few similar classes.

    The first head is right for about 75 % of the samples, the second for about 65 %; n1 = n2 = k.
    """
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(k, (n_samples,), generator=generator)

    def predict(states: int, accuracy: float) -> Tensor:
        alike = torch.randint(states, (k, 4), generator=generator)
        draw = torch.rand(n_samples, generator=generator)
        near = alike[y, torch.randint(4, (n_samples,), generator=generator)]
        anywhere = torch.randint(states, (n_samples,), generator=generator)
        return torch.where(draw < accuracy, y % states, torch.where(draw < 0.8 + 0.2 * accuracy, near, anywhere))

    table = torch.zeros(n1, n2, k, dtype=torch.float64)
    index = predict(n1, 0.75), predict(n2, 0.65), y
    table.index_put_(index, torch.ones(n_samples, dtype=torch.float64), accumulate=True)
    return table / n_samples


FAMILIES = {"dense": dense, "histogram": histogram, "clustered": clustered, "predicted": predicted}

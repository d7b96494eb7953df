"""What the solver is checked against: gates in closed form, an exponential-cone program, and nasty joints."""

import math

import numpy as np
import torch

from mmpid.bench import peers, problems
from mmpid.pid import joints
from mmpid.pid.information import LN2, entropy, mutual_information

# redundancy, unique1, unique2, synergy in bits
AND = 0.75 * math.log2(4 / 3)
CLOSED_FORMS = {
    "xor": (0, 0, 0, 1),
    "and_": (AND, 0, 0, 0.5),
    "or_": (AND, 0, 0, 0.5),
    "rdn": (1, 0, 0, 0),
    "unq": (0, 1, 1, 0),
    "unq1": (0, 1, 0, 0),
    "sum_": (0.5, 0, 0, 1),
    "xor_and": (0.5, 0, 0, 1),
    "rdn_xor": (1, 0, 0, 1),
    "rdn_unq_xor": (1, 1, 1, 1),
    "constant": (0, 0, 0, 0),
}


def atoms_by_cone(joint: torch.Tensor) -> torch.Tensor:
    """Redundancy, unique1, unique2, synergy in bits from an exponential-cone program."""
    achieved = entropy(joint.sum((0, 1))) + peers.sparse_program(joint.numpy()) / LN2
    own1, own2 = mutual_information(joint.sum(1)), mutual_information(joint.sum(0))
    total = mutual_information(joint.flatten(0, 1))
    return torch.stack([own1 + own2 - achieved, achieved - own2, achieved - own1, total - achieved])


def varied(count: int) -> list[torch.Tensor]:
    """`count` joints of many shapes and three kinds."""
    shapes = [
        (2, 2, 2),
        (2, 5, 3),
        (3, 4, 2),
        (4, 4, 4),
        (5, 3, 7),
        (6, 6, 2),
        (1, 4, 3),
        (7, 2, 5),
        (5, 5, 9),
        (8, 8, 3),
    ]
    kinds = list(problems.FAMILIES.values())
    return [kinds[i % 3](*shapes[(i // 3) % len(shapes)], seed=i) for i in range(count)]


def _near_copy(noise: float) -> torch.Tensor:
    joint = torch.zeros(4, 4, 3, dtype=torch.float64)
    for i in range(4):
        joint[i, i] = joints.random(4, 1, 3, seed=5)[i, 0]
    joint /= joint.sum()
    return joints.noisy(joint, noise)


def _skewed_prior(rate: float) -> torch.Tensor:
    joint = joints.random(5, 5, 3, seed=1)
    joint[..., 0] *= rate
    return joint / joint.sum()


def _with_tiny_cells(size: float) -> torch.Tensor:
    joint = joints.random(5, 5, 3, seed=2)
    joint[::2, 1::2] *= size
    return joint / joint.sum()


def _one_point() -> torch.Tensor:
    joint = torch.zeros(3, 4, 2, dtype=torch.float64)
    joint[1, 2, 1] = 1.0
    return joint


def _zero_rows_and_class() -> torch.Tensor:
    joint = joints.random(6, 5, 4, seed=3)
    joint[2] = 0.0
    joint[:, 4] = 0.0
    joint[..., 1] = 0.0
    return joint / joint.sum()


def _log_normal(sigma: float) -> torch.Tensor:
    joint = torch.from_numpy(np.exp(sigma * np.random.default_rng(0).standard_normal((5, 5, 3))))
    return joint / joint.sum()


def _blocks() -> torch.Tensor:
    joint = torch.zeros(6, 6, 4, dtype=torch.float64)
    joint[:3, :3, :2] = joints.random(3, 3, 2, seed=7)
    joint[3:, 3:, 2:] = joints.random(3, 3, 2, seed=8)
    return joint / joint.sum()


NASTY = {
    "one point": _one_point,
    "one class": lambda: joints.random(5, 4, 1, seed=4),
    "constant first source": lambda: joints.random(1, 5, 3, seed=4),
    "constant second source": lambda: joints.random(5, 1, 3, seed=4),
    "class prior 1e-8": lambda: _skewed_prior(1e-8),
    "class prior 1e-3": lambda: _skewed_prior(1e-3),
    "cells of 1e-12": lambda: _with_tiny_cells(1e-12),
    "cells of 1e-200": lambda: _with_tiny_cells(1e-200),
    "target a function of the first source": lambda: joints.gate(lambda a, b: a % 3, 5, 4),
    "target a function of both": lambda: joints.gate(lambda a, b: (3 * a + b * b) % 4, 5, 5),
    "zero rows and an empty class": _zero_rows_and_class,
    "two blocks": _blocks,
    "near copy 1e-4": lambda: _near_copy(1e-4),
    "near copy 1e-9": lambda: _near_copy(1e-9),
    "copy of itself": lambda: _near_copy(0.0),
    "log-normal 6": lambda: _log_normal(6.0),
    "log-normal 12": lambda: _log_normal(12.0),
    "copy gate of 6 states": lambda: joints.copy(6),
}

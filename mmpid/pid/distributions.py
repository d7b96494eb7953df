"""Read a distribution object of the package dit, without importing it."""

from typing import Any, TypeGuard

import torch
from torch import Tensor

from mmpid.errors import InputError

_METHODS = ("copy", "get_base", "outcome_length")
_FIELDS = ("alphabet", "outcomes", "pmf")


def is_distribution(value: object) -> TypeGuard[Any]:
    """Whether `value` looks like a dit.Distribution."""
    return all(callable(getattr(value, name, None)) for name in _METHODS) and all(hasattr(value, f) for f in _FIELDS)


def joint_of_distribution(value: Any, name: str) -> Tensor:
    """Return the joint (x1, x2, y) of a distribution of three variables, states in the order of its alphabets."""
    length = int(value.outcome_length())
    if length != 3:
        groups = [[0], list(range(1, length - 1)), [length - 1]]
        hint = f" Join sources first, for example {name}.coalesce({groups})." if length > 3 else ""
        raise InputError(
            f"`{name}` must have three variables (x1, x2, y), the target last; this distribution has {length}.{hint}"
        )
    linear = value if value.get_base() == "linear" else value.copy(base="linear")
    places = [{state: i for i, state in enumerate(states)} for states in linear.alphabet]
    joint = torch.zeros([len(states) for states in places], dtype=torch.float64)
    for outcome, mass in zip(linear.outcomes, linear.pmf, strict=True):
        joint[tuple(place[state] for place, state in zip(places, outcome, strict=True))] += float(mass)
    return joint

"""Canonical joints p(x1, x2, y) with known atoms, target last, float64: the gates of the PID literature."""

import math
from collections.abc import Callable, Iterable
from typing import Any, cast

import torch
from torch import Tensor

from mmpid.errors import InputError
from mmpid.pid.inputs import checked_joint
from mmpid.pid.typed import gamma, integer, integers_of, positive, real

LARGEST_SEED = 2**64 - 1  # of torch's generators


def _state(value: Any, name: str) -> int:
    """Return a state, counted from 0; whole floats, True and False are read as integers."""
    try:
        whole = int(value) if not isinstance(value, str) and int(value) == value else None
    except (TypeError, ValueError, OverflowError):
        whole = None
    if whole is None or whole < 0:
        raise InputError(
            f"`{name}` must be an integer of at least 0, states being counted from 0; it was {value!r} "
            f"({type(value).__name__}). For thresholds write int(condition), for halves `//`."
        )
    return whole


def _outcome(row: Any, name: str) -> tuple[int, ...]:
    """Return the three states of an outcome."""
    try:
        states = tuple(row)
    except TypeError:  # a number, or a tensor without axes
        states = ()
    if len(states) != 3:
        raise InputError(f"`{name}` must be three states (x1, x2, y); it was {row!r}. For example (0, 1, 1).")
    return tuple(_state(value, name) for value in states)


def from_outcomes(outcomes: Iterable[tuple[int, int, int]]) -> Tensor:
    """Joint in which the listed (x1, x2, y) outcomes are equally likely, repeats counting.

    Parameters
    ----------
    outcomes : iterable of (int, int, int)
        Outcomes, states counted from 0.

    Returns
    -------
    Tensor, shape (n1, n2, k)
        Probabilities in float64, with as many states as the largest outcome needs.

    Raises
    ------
    InputError
        Without outcomes, or if one is not three integers of at least 0.

    Examples
    --------
    >>> from mmpid.pid import joints
    >>> joints.from_outcomes([(0, 0, 0), (1, 1, 1)]).shape
    torch.Size([2, 2, 2])
    """
    hint = "For example [(0, 0, 0), (1, 1, 1)]."
    given = cast(object, outcomes)
    if not isinstance(given, Iterable) or getattr(outcomes, "ndim", 2) == 0:
        raise InputError(f"`outcomes` must be a list of outcomes (x1, x2, y); it was {outcomes!r}. {hint}")
    rows = [_outcome(row, f"outcomes[{i}]") for i, row in enumerate(outcomes)]
    if not rows:
        raise InputError(f"`outcomes` must hold at least one outcome (x1, x2, y); it was empty. {hint}")
    return _equally_likely(rows)


def _equally_likely(rows: list[tuple[int, ...]]) -> Tensor:
    index = torch.tensor(rows, dtype=torch.int64).T
    joint = torch.zeros(tuple(integers_of(index.amax(1) + 1)), dtype=torch.float64)
    joint.index_put_(tuple(index), torch.ones(index.shape[1], dtype=torch.float64), accumulate=True)
    return joint / index.shape[1]


def gate(target: Callable[[int, int], int], n1: int = 2, n2: int = 2) -> Tensor:
    """Joint of two independent uniform sources and a target that is a function of both.

    Parameters
    ----------
    target : callable
        Maps (x1, x2) to a class index, an integer of at least 0.
    n1, n2 : int
        Number of states of the sources, at least 1.

    Returns
    -------
    Tensor, shape (n1, n2, k)
        Probabilities in float64.

    Raises
    ------
    InputError
        If `target` cannot be called, or gives something else than a class index.
    ConfigError
        If `n1` or `n2` is not an integer of at least 1.

    Examples
    --------
    >>> from mmpid.pid import joints
    >>> joints.gate(lambda a, b: a ^ b).sum().item()
    1.0
    """
    given: object = target
    if not callable(given):
        raise InputError(
            f"`target` must be a function of (x1, x2); it was {type(given).__name__}. For example lambda a, b: a ^ b."
        )
    n1 = integer(n1, "n1", 1)
    n2 = integer(n2, "n2", 1)
    pairs = [(a, b) for a in range(n1) for b in range(n2)]
    return _equally_likely([(a, b, _state(target(a, b), f"target({a}, {b})")) for a, b in pairs])


def xor() -> Tensor:
    """Y = X1 xor X2: synergy 1 bit."""
    return gate(lambda a, b: a ^ b)


def and_() -> Tensor:
    """Y = X1 and X2: redundancy 0.3113 bit, synergy 0.5 bit."""
    return gate(lambda a, b: a & b)


def or_() -> Tensor:
    """Y = X1 or X2: the atoms of `and_`."""
    return gate(lambda a, b: a | b)


def rdn() -> Tensor:
    """Y = X1 = X2: redundancy 1 bit."""
    return from_outcomes((a, a, a) for a in range(2))


def unq() -> Tensor:
    """Y = (X1, X2) for independent bits: 1 bit unique to each source."""
    return copy(2)


def copy(n: int = 2) -> Tensor:
    """Y = (X1, X2) for independent uniform sources of `n` states: log2(n) bits unique to each."""
    n = integer(n, "n", 1)
    return gate(lambda a, b: n * a + b, n, n)


def unq1() -> Tensor:
    """Y = X1, X2 an independent bit: 1 bit unique to the first source."""
    return gate(lambda a, b: a)


def sum_() -> Tensor:
    """Y = X1 + X2: redundancy 0.5 bit, synergy 1 bit."""
    return gate(lambda a, b: a + b)


def xor_and() -> Tensor:
    """Y = (X1 xor X2, X1 and X2): the classes of `sum_` under other names, so the same atoms."""
    return gate(lambda a, b: 2 * (a & b) + (a ^ b))


def rdn_xor() -> Tensor:
    """Return a shared bit beside an exclusive or: redundancy 1 bit, synergy 1 bit."""
    bits = [(a, b, c) for a in range(2) for b in range(2) for c in range(2)]
    return from_outcomes((2 * c + a, 2 * c + b, 2 * c + (a ^ b)) for a, b, c in bits)


def rdn_unq_xor() -> Tensor:
    """Return a shared bit, a private bit each, and an exclusive or: 1 bit in each of the four atoms."""
    bits = [(a, b, r, u, v) for a in (0, 1) for b in (0, 1) for r in (0, 1) for u in (0, 1) for v in (0, 1)]
    return from_outcomes(
        (4 * r + 2 * u + a, 4 * r + 2 * v + b, 8 * r + 4 * u + 2 * v + (a ^ b)) for a, b, r, u, v in bits
    )


def constant() -> Tensor:
    """Return a target with a single class: nothing to know."""
    return gate(lambda a, b: 0)


def random(n1: int = 3, n2: int = 3, k: int = 3, *, concentration: float = 1.0, seed: int = 0) -> Tensor:
    """Joint drawn from a symmetric Dirichlet distribution over all n1 * n2 * k cells.

    Parameters
    ----------
    n1, n2, k : int
        States of the two sources and of the target, at least 1 each.
    concentration : float
        Dirichlet parameter, above 0; small values give joints that live on a few cells.
    seed : int
        At least 0. The same seed gives the same joint; the global generator is untouched.

    Returns
    -------
    Tensor, shape (n1, n2, k)
        Probabilities in float64.

    Raises
    ------
    ConfigError
        If a size, `concentration` or `seed` is out of range.

    Examples
    --------
    >>> from mmpid.pid import joints
    >>> joints.random(4, 3, 2, seed=1).shape
    torch.Size([4, 3, 2])
    """
    sizes = {"n1": n1, "n2": n2, "k": k}
    shape = [integer(size, name, 1) for name, size in sizes.items()]
    alpha = positive(concentration, "concentration", finite=True)
    seed = integer(seed, "seed", 0, LARGEST_SEED)
    generator = torch.Generator().manual_seed(seed)
    draws = gamma(torch.full(shape, alpha, dtype=torch.float64), generator).clamp_min(1e-300)
    return draws / draws.sum()


def noisy(joint: Tensor, noise: float) -> Tensor:
    """Mix a joint with the uniform one: (1 - noise) * joint + noise * uniform.

    Parameters
    ----------
    joint : Tensor, shape (..., n1, n2, k)
        Probabilities.
    noise : float
        From 0 to 1.

    Returns
    -------
    Tensor, shape (..., n1, n2, k)
        Probabilities; every cell is positive when `noise` is.

    Raises
    ------
    ConfigError
        If `noise` is not a number from 0 to 1.
    InputError
        If `joint` does not hold distributions, see :func:`mmpid.decompose`.

    Examples
    --------
    >>> from mmpid.pid import joints
    >>> round(joints.noisy(joints.xor(), 0.2).max().item(), 6)
    0.225
    """
    joint = checked_joint(joint)
    noise = real(noise, "noise", 0, 1)
    return (1.0 - noise) * joint + noise / math.prod(joint.shape[-3:])

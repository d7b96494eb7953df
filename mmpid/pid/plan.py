"""Predict how long a decomposition takes and how much memory it needs, before it is started."""

import functools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from mmpid.pid import joints
from mmpid.pid.costs import CPU_BUDGET, SMALL_BYTES, Size, bytes_per_problem
from mmpid.pid.decompose import decompose
from mmpid.pid.typed import cholesky_ex, integer, optional_integer

_REFERENCE = (1.4e-3, 8.0e-3)  # seconds of the two tasks of `_speed` on the machine on which the times were fitted
_RIGHT = 0.75  # share of predicted classes that are right
_ALIKE = 4  # classes that a class is mostly taken for ...
_MOSTLY = 0.8  # ... in this share of the errors


@dataclass(frozen=True, kw_only=True)
class CostEstimate:
    """What a call of :func:`mmpid.decompose` is expected to cost.

    Attributes
    ----------
    seconds : float
        CPU seconds on one thread.
    bytes : int
        Memory on top of what the process has before the call, the input excluded.
    """

    seconds: float
    bytes: int


def estimate_cost(*, n1: int, n2: int, k: int, n_samples: int | None = None, batch: int = 1) -> CostEstimate:
    """Predict time and memory of `decompose` for tables of n1 x n2 states and k classes.

    Parameters
    ----------
    n1, n2, k : int
        States of the two sources and classes of the target, at least 1.
    n_samples : int, optional
        Size of the sample that is counted into the table: a small one leaves entries of the pairwise marginals empty,
        and empty entries cost nothing. Without it every entry counts as positive.
    batch : int
        Number of tables in the call.

    Returns
    -------
    CostEstimate
        `seconds` and `bytes`.

    Raises
    ------
    ConfigError
        If a number is not an integer of at least 1.

    Notes
    -----
    The law is fitted to measured times, and calibrated by two short timings (about 0.1 s) at the first call. It counts
    the operations of the method that `decompose` would choose: with m live entries (x2, y) of the second marginal,
    m cubed operations per step dominate large problems. Samples are taken to be spread evenly over the entries, or,
    where n1 = n2 = k, to be predicted classes of which 75 % are right. It can mislead by more than a factor of two
    where the table is far from both, where the machine is busy, and on a GPU.

    Examples
    --------
    >>> import mmpid
    >>> cost = mmpid.estimate_cost(n1=20, n2=20, k=6, n_samples=1280)
    >>> cost.seconds < 1 and cost.bytes < 10**9
    True
    """
    given = {"n1": n1, "n2": n2, "k": k, "batch": batch}
    n1, n2, k, batch = (integer(value, name, 1) for name, value in given.items())
    size = _expected_size(n1, n2, k, optional_integer(n_samples, "n_samples", 1))
    alone = size.leaves_batch(batch)
    calls, products = size.work_alone() if alone else size.work_in_batch(batch)
    cells = n1 * n2 * k
    speed = _speed()
    seconds = batch * (calls * speed[0] + products * speed[1] + 2.5e-5 * cells * speed[1]) / 1e3
    tables = 8 * batch * cells * 3  # the normalized table, the optimum, and what sums leave behind
    if alone:
        working = size.bytes_alone(size.live**2 // max(1, min(n1 * n2, size.live)))
    else:
        single = bytes_per_problem(n1, k, n2)
        working = max(single, min(batch * single, CPU_BUDGET)) // 2  # as measured: not all of it is in use at once
    return CostEstimate(seconds=seconds, bytes=SMALL_BYTES + tables + working)


def _expected_size(n1: int, n2: int, k: int, n_samples: int | None) -> Size:
    """Return the size of a table with this many samples."""
    if n_samples is None:
        return Size(n1, n2, k, n1 * k, n2 * k, n1 * n2 * k)
    a_class = n_samples / k
    if n1 == n2 == k and k > _ALIKE + 1:
        errors = (1 - _RIGHT) * a_class
        near = _occupied(_ALIKE, _MOSTLY * errors)
        states1 = states2 = 1 + near + _occupied(k - 1 - _ALIKE, (1 - _MOSTLY) * errors)
    else:
        states1, states2 = _occupied(n1, a_class), _occupied(n2, a_class)
    live = min(states1 * states2 * k, n1 * n2 * k)
    return Size(n1, n2, k, math.ceil(states1 * k), math.ceil(states2 * k), math.ceil(live))


def _occupied(cells: int, samples: float) -> float:
    """Return how many of so many equally likely cells are seen."""
    return cells * -math.expm1(-samples / cells)


@functools.cache
def _speed() -> tuple[float, float]:
    """Return how many times as long as on the reference machine short calls take, and products and factorizations."""
    joint = joints.random(5, 5, 3, seed=0)
    matrix = torch.eye(500, dtype=torch.float64) + 1e-3

    def products() -> None:
        cholesky_ex(matrix @ matrix)

    found = _quickest(lambda: decompose(joint)), _quickest(products)
    return found[0] / _REFERENCE[0], found[1] / _REFERENCE[1]


def _quickest(task: Callable[[], object]) -> float:
    """Return the shortest CPU time of several runs."""
    times: list[float] = []
    for _ in range(7):
        start = time.thread_time()
        task()
        times.append(time.thread_time() - start)
    return min(times)

"""How much work a call may do: tolerance, iterations and memory."""

from dataclasses import dataclass

from mmpid import _validate
from mmpid.pid.constants import MAX_ITER


@dataclass(frozen=True)
class Effort:
    """Settings of the exact solver; the tolerance is in bits at the public functions and in nats below them."""

    tol: float
    max_iter: int = MAX_ITER
    memory_budget: int | None = None  # bytes of a chunk of problems
    memory_limit: int | None = None  # bytes of one problem

    @classmethod
    def checked(cls, tol, max_iter, memory_budget, memory_limit) -> "Effort":
        """Check what a user passed."""
        tol = _validate.number(tol, "tol", low=0.0, open_low=True)
        max_iter = _validate.number(max_iter, "max_iter", low=1, integer=True)
        if memory_budget is not None:
            memory_budget = _validate.number(memory_budget, "memory_budget", low=1, integer=True)
        if memory_limit is not None:
            memory_limit = _validate.number(memory_limit, "memory_limit", low=1, integer=True)
        return cls(tol, max_iter, memory_budget, memory_limit)

"""How much work a call may do: tolerance, iterations and memory."""

from dataclasses import dataclass

from mmpid.pid.constants import MAX_ITER
from mmpid.pid.typed import integer, optional_integer, positive


@dataclass(frozen=True)
class Effort:
    """Settings of the exact solver; the tolerance is in bits at the public functions and in nats below them."""

    tol: float
    max_iter: int = MAX_ITER
    memory_budget: int | None = None  # bytes of a chunk of problems
    memory_limit: int | None = None  # bytes of one problem

    @classmethod
    def checked(cls, tol: object, max_iter: object, memory_budget: object, memory_limit: object) -> "Effort":
        """Check what a user passed."""
        return cls(
            positive(tol, "tol"),
            integer(max_iter, "max_iter", 1),
            optional_integer(memory_budget, "memory_budget", 1),
            optional_integer(memory_limit, "memory_limit", 1),
        )

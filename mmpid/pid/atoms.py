"""From min f in nats to the four atoms in bits, and the result that holds them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mmpid.errors import ConvergenceWarning, warn
from mmpid.pid.constants import LN2
from mmpid.pid.information import entropies
from mmpid.pid.results import PIDResult
from mmpid.pid.typed import sparse_coo


@dataclass
class Terms:
    """What of the atoms depends on p alone, in nats: H(Y), I(Y; X1), I(Y; X2) and f(p) = -H(Y | X1, X2)."""

    target: Tensor
    first: Tensor
    second: Tensor
    own: Tensor

    @classmethod
    def of(cls, p: Tensor, p1: Tensor, p2: Tensor) -> "Terms":
        """Compute them from p and its pairwise marginals."""
        y, x1, x2, x1y, x2y, both, own = entropies(p1.sum(1), p1.sum(2), p2.sum(2), p1, p2, p.sum(3), p)
        return cls(y, x1 + y - x1y, x2 + y - x2y, both - own)


def make_result(
    terms: Terms, value: Tensor, gap: Tensor, q: Tensor, n_iter: Tensor, shape: torch.Size, method: str, tol: float
) -> PIDResult:
    """Turn min f and its gap in nats into atoms in bits; q is (b, n1, n2, k)."""
    achieved = terms.target + value
    unique1, unique2 = achieved - terms.second, achieved - terms.first
    nats = torch.stack([terms.first - unique1, unique1, unique2, terms.own - value, gap])
    redundancy, unique1, unique2, synergy, gap = (nats / LN2).view(5, *shape[:-3]).unbind()
    return PIDResult(
        redundancy=redundancy,
        unique1=unique1,
        unique2=unique2,
        synergy=synergy,
        gap=gap,
        converged=gap <= tol,
        # copies: what the inference mode leaves behind cannot take part in a graph
        n_iter=n_iter.clone().view(shape[:-3]),
        optimum=_with_batch_axes(q, shape)
        if q.is_sparse
        else q.clone(memory_format=torch.contiguous_format).view(shape),
        method=method,
    )


def _with_batch_axes(q: Tensor, shape: torch.Size) -> Tensor:
    """Give a sparse q (b, n1, n2, k) the batch axes of the input."""
    problem, *cells = q.indices().clone().unbind()
    axes = torch.unravel_index(problem, shape[:-3]) if len(shape) > 3 else ()
    return sparse_coo(torch.stack([*axes, *cells]), q.values().clone(), shape, coalesced=True)


def warn_if_missed(result: PIDResult, tol: float) -> None:
    """Give a ConvergenceWarning that says how many problems missed the tolerance and by how much."""
    if not result.converged.all():
        missed = int((~result.converged).sum())
        warn(
            f"{missed} of {result.converged.numel()} problems missed tol = {tol:.3g} bit; the worst gap is "
            f"{float(result.gap.max()):.3g} bit. Each atom of these is off by at most its `gap`; try a larger "
            '`max_iter`, or a larger `tol`, or method="exact" if it was "fastpid".',
            ConvergenceWarning,
        )

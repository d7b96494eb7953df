"""decompose(joint): the front door of the solver."""

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor

from mmpid import _validate
from mmpid.errors import ConvergenceWarning
from mmpid.pid import fastpid
from mmpid.pid.certificate import rounding_bits, round_to_marginals
from mmpid.pid.information import LN2, entropies
from mmpid.pid.inputs import checked_joint
from mmpid.pid.minimum import minimal_f
from mmpid.pid.results import PIDResult

METHODS = ("exact", "fastpid")
MAX_ITER = {"exact": 100, "fastpid": fastpid.Settings.max_iter}
_NEGLIGIBLE = 1e-60  # cells below this are worth less than 1e-57 bit: 0 to the solver, whose products would underflow


def decompose(
    joint,
    method: str = "exact",
    tol: float = 1e-6,
    *,
    max_iter: int | None = None,
    memory_budget: int | None = None,
    sinkhorn_sweeps: int = fastpid.Settings.sinkhorn_sweeps,
    lr: float = fastpid.Settings.lr,
    stop: float = fastpid.Settings.stop,
) -> PIDResult:
    """Decompose I(Y; X1, X2) into redundancy, two unique parts and synergy, with a certificate.

    Among all joints q with the pairwise marginals q(x1, y) = p(x1, y) and q(x2, y) = p(x2, y), the one with the
    smallest I_q(Y; X1, X2) is found. With q* that joint, synergy = I_p(Y; X1, X2) - I_q*(Y; X1, X2),
    unique1 = I_q*(Y; X1 | X2), unique2 = I_q*(Y; X2 | X1), and redundancy = I_p(Y; X1) - unique1.

    Parameters
    ----------
    joint : array or tensor, shape (..., n1, n2, k)
        Probabilities p(x1, x2, y), the target last; leading axes are a batch, which may be empty. Each problem sums
        to 1 within 1e-4, or what half precision rounds, and is normalized. Any floating dtype and device; the work is
        done there, in float64. Cells below 1e-60 count as 0.
    method : {"exact", "fastpid"}
        "exact": a primal-dual interior point. "fastpid": the method of the FastPID paper with its published settings,
        in float32; kept for comparison, its error shows in `gap`.
    tol : float
        Tolerance in bits on the certified gap, above 0. Rounding alone is up to 1e-13, so what is smaller is not met.
    max_iter : int, optional
        Most iterations of a problem; 100 for "exact", 2000 for "fastpid".
    memory_budget : int, optional
        Bytes of working memory of one chunk of a batch; 32 MiB on the CPU, where a chunk should fit the cache, and
        4 GiB on a GPU. At least one problem is in a chunk. Input and result come on top.
    sinkhorn_sweeps : int
        "fastpid" only: sweeps of the projection in each step. 100 repair most of its error, at ten times the time.
    lr : float
        "fastpid" only: learning rate of Adam.
    stop : float
        "fastpid" only: stop when no entry of q moves by this much. 0 means never.

    Returns
    -------
    PIDResult
        The atoms, shape (...), in bits; `gap`, a bound on the error of each atom, rounding included, that holds whether
        or not the solver converged; `converged`, where the gap is at most `tol`; `optimum`, the q found, moved to the
        exact marginals.

    Raises
    ------
    InputError
        If entries are negative, not finite, of an integer dtype, or do not sum to 1.
    ShapeError
        If there are fewer than three axes, or one of them is empty.
    ConfigError
        If a setting is unknown or out of range.

    Warns
    -----
    ConvergenceWarning
        If the gap of some problem exceeds `tol`; says how many, and by how much.

    Notes
    -----
    All four atoms are one number, min f(q) = -max H_q(Y | X1, X2), plus terms of p alone: one certificate covers all.
    The upper bound is f at the returned optimum, the lower bound the value of a feasible point of the dual. Atoms can
    be below 0 by at most `gap`.

    The result is differentiable in `joint` (the target of the gradient is p normalized): the gradient of min f is
    lam_iy + mu_jy by the envelope theorem, that of the information terms is exact, `optimum` carries none. If
    `joint` requires a gradient the solver aims for a gap of 1e-9 bit, so that the multipliers are accurate. Where a
    pairwise marginal p(x, y) is 0, min f has a kink: the multipliers there are an arbitrary finite choice, and terms
    with an infinite slope, p log p at 0, contribute 0. There the gradient is a subgradient at best.

    The decomposition depends on which variable is the target, and it says nothing about sampling error: the atoms of
    a histogram are biased upwards, see :func:`mmpid.estimate_pid`. With "fastpid" the atoms are those of its own q,
    which violates the marginals; `gap` bounds their error with the help of an exact solve, which costs little in
    comparison, and its gradient is the exact one.

    References
    ----------
    Bertschinger, Rauh, Olbrich, Jost, Ay (2014), Quantifying unique information, Entropy 16, equations 10 to 13.
    Mehrotra (1992), On the implementation of a primal-dual interior point method, SIAM J. Optim. 2.
    Altschuler, Weed, Rigollet (2017), Near-linear time approximation algorithms for optimal transport, algorithm 2.

    Examples
    --------
    >>> import mmpid
    >>> result = mmpid.pid.decompose(mmpid.pid.joints.and_())
    >>> round(result.redundancy.item(), 4), round(result.synergy.item(), 4)
    (0.3113, 0.5)
    >>> bool(result.converged)
    True
    """
    _validate.choice(method, "method", METHODS)
    tol = _validate.number(tol, "tol", low=0.0, open_low=True)
    max_iter = MAX_ITER[method] if max_iter is None else max_iter
    max_iter = _validate.number(max_iter, "max_iter", low=1, integer=True)
    if memory_budget is not None:
        memory_budget = _validate.number(memory_budget, "memory_budget", low=1, integer=True)
    settings = fastpid.Settings(
        sinkhorn_sweeps=_validate.number(sinkhorn_sweeps, "sinkhorn_sweeps", low=1, integer=True),
        lr=_validate.number(lr, "lr", low=0.0, open_low=True),
        max_iter=max_iter,
        stop=_validate.number(stop, "stop", low=0.0),
    )
    joint = checked_joint(joint)
    p = joint.to(torch.float64).reshape(-1, *joint.shape[-3:])
    p = _without_dust(p / p.sum((1, 2, 3), keepdim=True))
    p1, p2 = p.sum(2), p.sum(1)
    limit = max_iter if method == "exact" else MAX_ITER["exact"]
    value, bounds = minimal_f(p1, p2, tol, limit, memory_budget)
    gap, q, n_iter = bounds.gap.clamp_min(0.0), bounds.q, bounds.n_iter
    terms = _Terms.of(p, p1, p2)
    if method == "fastpid":
        value, gap, q, n_iter = _as_published(p.detach(), value, gap, settings)
    else:
        value, gap, q = _at_least_as_good_as_input(p.detach(), terms.own.detach(), value, gap, q)
    result = _result(terms, value, gap + rounding_bits(p1, p2) * LN2, q, n_iter, joint.shape, method, tol)
    _warn_if_missed(result, tol)
    return result


def _without_dust(p: Tensor) -> Tensor:
    """Set cells that count for nothing to 0; their gradient is that of a cell of mass 0."""
    with torch.no_grad():
        dust = torch.nn.functional.threshold(p, _NEGLIGIBLE, 0.0) - p
    return p + dust


@dataclass
class _Terms:
    """What of the atoms depends on p alone, in nats: H(Y), I(Y; X1), I(Y; X2) and f(p) = -H(Y | X1, X2)."""

    target: Tensor
    first: Tensor
    second: Tensor
    own: Tensor

    @classmethod
    def of(cls, p: Tensor, p1: Tensor, p2: Tensor) -> "_Terms":
        """Compute them from p and its pairwise marginals."""
        y, x1, x2, x1y, x2y, both, own = entropies(p1.sum(1), p1.sum(2), p2.sum(2), p1, p2, p.sum(3), p)
        return cls(y, x1 + y - x1y, x2 + y - x2y, both - own)


def _at_least_as_good_as_input(p: Tensor, own: Tensor, value: Tensor, gap: Tensor, q: Tensor):
    """Take p itself where its f is not above the one found: then synergy is 0 exactly."""
    excess = (value.detach() - own).clamp_min(0.0)
    if not excess.any():
        return value, gap, q
    q = torch.where((excess > 0).view(-1, 1, 1, 1), p.transpose(2, 3), q)
    return value - excess, (gap - excess).clamp_min(0.0), q


def _as_published(p: Tensor, value: Tensor, gap: Tensor, settings: fastpid.Settings):
    """Replace the exact value by the one of the paper's method, and the gap by a bound on that value's error."""
    p1, p2 = p.sum(2), p.sum(1).mT.contiguous()
    q, n_iter = fastpid.solve(p1, p2, settings)
    upper = value.detach()
    own = fastpid.negative_conditional_entropy(q)
    error = torch.maximum((own - (upper - gap)).abs(), (own - upper).abs())
    return value + (own - upper), error, round_to_marginals(q, p1, p2), n_iter


def _result(terms: _Terms, value, gap, q, n_iter, shape, method: str, tol: float) -> PIDResult:
    """Turn min f in nats into atoms in bits."""
    achieved = terms.target + value
    unique1, unique2 = achieved - terms.second, achieved - terms.first
    nats = torch.stack([terms.first - unique1, unique1, unique2, terms.own - value, gap])
    bits = (nats / LN2).view(5, *shape[:-3]).unbind()
    parts = dict(zip(("redundancy", "unique1", "unique2", "synergy", "gap"), bits, strict=True))
    return PIDResult(
        **parts,
        converged=parts["gap"] <= tol,
        # copies: what the inference mode leaves behind cannot take part in a graph
        n_iter=n_iter.clone().view(shape[:-3]),
        optimum=q.transpose(2, 3).clone(memory_format=torch.contiguous_format).view(shape),
        method=method,
    )


def _warn_if_missed(result: PIDResult, tol: float) -> None:
    """Give a ConvergenceWarning that says how many problems missed the tolerance and by how much."""
    if not result.converged.all():
        missed = int((~result.converged).sum())
        warnings.warn(
            f"{missed} of {result.converged.numel()} problems missed tol = {tol:.3g} bit; the worst gap is "
            f"{float(result.gap.max()):.3g} bit. Each atom of these is off by at most its `gap`; try a larger "
            '`max_iter`, or a larger `tol`, or method="exact" if it was "fastpid".',
            ConvergenceWarning,
            stacklevel=3,
        )

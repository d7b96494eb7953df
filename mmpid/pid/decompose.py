"""decompose(joint): the public function of the solver."""

from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from mmpid.pid import fastpid, small
from mmpid.pid.atoms import Terms, make_result, warn_if_missed
from mmpid.pid.certificate import round_to_marginals, rounding_bits
from mmpid.pid.constants import DEFAULT_TOL, LN2, MAX_ITER, NEGLIGIBLE, PID_METHODS
from mmpid.pid.effort import Effort
from mmpid.pid.inputs import checked_joint
from mmpid.pid.minimum import minimal_f
from mmpid.pid.optimum import Storage, sparse_tensor
from mmpid.pid.results import PIDResult
from mmpid.pid.typed import choice, integer, positive, real

_MAX_ITER = {"exact": MAX_ITER, "fastpid": fastpid.Settings.max_iter}


def decompose(
    joint: object,
    method: str = "exact",
    tol: float = DEFAULT_TOL,
    *,
    max_iter: int | None = None,
    memory_budget: int | None = None,
    memory_limit: int | None = None,
    optimum: Literal["dense", "sparse"] = "dense",
    sinkhorn_sweeps: int = fastpid.Settings.sinkhorn_sweeps,
    lr: float = fastpid.Settings.lr,
    stop: float = fastpid.Settings.stop,
) -> PIDResult:
    """Decompose I(Y; X1, X2) into redundancy, two unique parts and synergy, with a certificate.

    The solver finds the joint q* with the smallest I_q(Y; X1, X2) among all q with the pairwise marginals q(x1, y) =
    p(x1, y) and q(x2, y) = p(x2, y). Then synergy = I_p(Y; X1, X2) - I_q*(Y; X1, X2),
    unique1 = I_q*(Y; X1 | X2), unique2 = I_q*(Y; X2 | X1), and redundancy = I_p(Y; X1) - unique1.

    Parameters
    ----------
    joint : array, tensor or dit.Distribution, shape (..., n1, n2, k)
        Probabilities p(x1, x2, y), the target last; leading axes are a batch, which may be empty. Each problem sums
        to 1 within 1e-4, or what half precision rounds, and is normalized. Any floating dtype and device; the
        computation runs there, in float64. Cells below 1e-60 count as 0. A `dit.Distribution` must have three
        variables.
    method : {"exact", "fastpid"}
        "exact": a primal-dual interior point. "fastpid": the method of the FastPID paper with its published settings,
        in float32; kept for comparison, its error shows in `gap`.
    tol : float
        Tolerance in bits on the certified gap, above 0. Rounding alone is up to 1e-13, so no result meets a smaller
        tolerance.
    max_iter : int, optional
        Most iterations of a problem; 100 for "exact", 2000 for "fastpid".
    memory_budget : int, optional
        Bytes of working memory of one chunk of a batch; 32 MiB on the CPU, where a chunk should fit the cache, and
        4 GiB on a GPU. A chunk has at least one problem. Input and result need further memory.
    memory_limit : int, optional
        Bytes of working memory that a single problem may need; 8 GiB. A problem that needs more raises an error before
        anything is allocated. Only cells (x1, x2, y) with p(x1, y) > 0 and p(x2, y) > 0 cost memory where these are
        few.
    optimum : {"dense", "sparse"}
        How to store `optimum`: a tensor like the joint, or a sparse tensor in coordinate format, which for a hundred
        predicted classes takes a hundredth of the memory.
    sinkhorn_sweeps : int
        "fastpid" only: sweeps of the projection in each step. 100 sweeps remove most of its error and take ten times
        as long.
    lr : float
        "fastpid" only: learning rate of Adam.
    stop : float
        "fastpid" only: stop when no entry of q moves by this much. 0 means never.

    Returns
    -------
    PIDResult
        The atoms, shape (...), in bits; `gap`, a bound on the error of each atom, rounding included, that holds whether
        or not the solver converged; `converged`, where the gap is at most `tol`; `optimum`, the q found, moved to the
        exact marginals. The multipliers behind the gap come from :func:`mmpid.pid.dual_multipliers`.

    Raises
    ------
    InputError
        If entries are negative, not finite, of an integer dtype, or do not sum to 1, or if a problem needs more memory
        than `memory_limit`.
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

    The decomposition depends on which variable is the target. It says nothing about sampling error: the atoms of a
    histogram are biased upward, see :func:`mmpid.estimate_pid`. With "fastpid" the atoms are those of its own q,
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
    choice(method, "method", PID_METHODS)
    choice(optimum, "optimum", ("dense", "sparse"))
    max_iter = _MAX_ITER[method] if max_iter is None else max_iter
    effort = Effort.checked(tol, max_iter, memory_budget, memory_limit)
    settings = fastpid.Settings(
        sinkhorn_sweeps=integer(sinkhorn_sweeps, "sinkhorn_sweeps", 1),
        lr=positive(lr, "lr"),
        max_iter=effort.max_iter,
        stop=real(stop, "stop", 0.0),
    )
    table = checked_joint(joint)
    if method == "exact" and optimum == "dense" and (found := small.decompose(table, effort)) is not None:
        return found
    if method == "fastpid":
        result = _published(table, replace(effort, max_iter=MAX_ITER), settings, optimum)
    else:
        result = _exact(table, effort, optimum)
    warn_if_missed(result, effort.tol)
    return result


def _exact(joint: Tensor, effort: Effort, storage: Storage) -> PIDResult:
    """Decompose by the exact solver."""
    p = _normalized(joint)
    p1, p2 = p.sum(2), p.sum(1)
    value, bounds = minimal_f(p1, p2, effort, storage)
    terms = Terms.of(p, p1, p2)
    excess = (value.detach() - terms.own.detach()).clamp_min(0.0)
    gap, q = bounds.gap.clamp_min(0.0), bounds.q
    if excess.any():  # p itself is at least as good a q: then synergy is 0 exactly
        value, gap = value - excess, (gap - excess).clamp_min(0.0)
        q = _replaced(q, p.detach(), excess > 0)
    gap = gap + rounding_bits(p1, p2) * LN2
    return make_result(terms, value, gap, q, bounds.n_iter, joint.shape, "exact", effort.tol)


def _replaced(q: Tensor, p: Tensor, where: Tensor) -> Tensor:
    """Take p for q in the problems `where`."""
    if not q.is_sparse:
        return torch.where(where.view(-1, 1, 1, 1), p, q)
    indices, values = q.indices(), q.values()
    keep = ~where[indices[0]]
    index = where.nonzero()[:, 0]
    own = p[index].to_sparse()
    places = own.indices().clone()
    places[0] = index[places[0]]
    return sparse_tensor([(indices[:, keep], values[keep]), (places, own.values())], tuple(q.shape), p)


def _published(joint: Tensor, effort: Effort, settings: fastpid.Settings, storage: Storage) -> PIDResult:
    """Decompose by the paper's method; the gap bounds the error of its value with the help of the exact one."""
    p = _normalized(joint)
    p1, p2 = p.sum(2), p.sum(1)
    value, bounds = minimal_f(p1, p2, effort, "none")
    gap, upper = bounds.gap.clamp_min(0.0), value.detach()
    terms = Terms.of(p, p1, p2)
    p1, p2 = p1.detach(), p2.detach().mT.contiguous()
    q, n_iter = fastpid.solve(p1, p2, settings)
    own = fastpid.negative_conditional_entropy(q)
    error = torch.maximum((own - (upper - gap)).abs(), (own - upper).abs()) + rounding_bits(p1, p2.mT) * LN2
    q = round_to_marginals(q, p1, p2).transpose(2, 3)
    q = q.to_sparse() if storage == "sparse" else q
    return make_result(terms, value + (own - upper), error, q, n_iter, joint.shape, "fastpid", effort.tol)


def _normalized(joint: Tensor) -> Tensor:
    """Return the problems (b, n1, n2, k) in float64; cells that count for nothing are 0, their gradient that of 0."""
    p = joint.to(torch.float64).reshape(-1, *joint.shape[-3:])
    p = p / p.sum((1, 2, 3), keepdim=True)
    with torch.no_grad():
        if not bool(((p > 0) & (p < NEGLIGIBLE)).any()):
            return p
        dust = torch.nn.functional.threshold(p, NEGLIGIBLE, 0.0) - p
    return p + dust

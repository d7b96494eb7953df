"""What the two pairwise marginals alone determine: redundancy, unique information, and the multipliers behind them."""

from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from mmpid.errors import ConvergenceWarning, warn
from mmpid.pid.certificate import rounding_bits
from mmpid.pid.constants import DEFAULT_TOL, LN2, MAX_ITER
from mmpid.pid.effort import Effort
from mmpid.pid.information import entropies
from mmpid.pid.inputs import checked_marginals
from mmpid.pid.minimum import enclose_bits, minimal_f


@dataclass(frozen=True, kw_only=True)
class DualMultipliers:
    """The best late fusion without synergy that the pairwise marginals p(x1, y) and p(x2, y) allow, in bits.

    Attributes
    ----------
    lam : Tensor, shape (..., n1, k)
        lam(x1, y); -inf where p(x1, y) = 0.
    mu : Tensor, shape (..., n2, k)
        mu(x2, y); -inf where p(x2, y) = 0.
    value : Tensor, shape (...)
        E[lam(x1, y) + mu(x2, y)] under the marginals; at most min -H_q(Y | X1, X2) over all q with these marginals.
    gap : Tensor, shape (...)
        Certified bound on how far `value` is below that minimum.
    """

    lam: Tensor
    mu: Tensor
    value: Tensor
    gap: Tensor

    def __getitem__(self, index: Any) -> "DualMultipliers":
        return replace(self, **{f.name: getattr(self, f.name)[index] for f in fields(self)})


def dual_multipliers(
    p1: object,
    p2: object,
    tol: float = DEFAULT_TOL,
    *,
    max_iter: int = MAX_ITER,
    memory_budget: int | None = None,
    memory_limit: int | None = None,
) -> DualMultipliers:
    """Return multipliers lam(x1, y) and mu(x2, y), a predictor of y from x1 and x2 that uses no synergy.

    In bits, over all q that have the pairwise marginals p(x1, y) and p(x2, y),

        min_q -H_q(Y | X1, X2) = max E[lam(x1, y) + mu(x2, y)]  where  sum_y 2**(lam(x1, y) + mu(x2, y)) <= 1.

    The multipliers returned satisfy the constraints for every pair (x1, x2), whatever the tolerance.

    Parameters
    ----------
    p1, p2 : array or tensor, shapes (..., n1, k) and (..., n2, k)
        Pairwise marginals p(x1, y) and p(x2, y) with equal p(y); leading axes are a batch. See `decompose_marginals`.
    tol : float
        Tolerance in bits on the certified gap, above 0.
    max_iter : int
        Most iterations of a problem.
    memory_budget, memory_limit : int, optional
        Bytes of working memory of a chunk of problems and of one problem, as in :func:`mmpid.decompose`.

    Returns
    -------
    DualMultipliers
        `lam`, `mu`, `value` and `gap`, in bits. Nothing carries a gradient. A gap above `tol` gives no warning.

    Raises
    ------
    InputError, ShapeError, ConfigError
        As :func:`decompose_marginals`.

    Notes
    -----
    2**(lam(x1, y) + mu(x2, y)) is a prediction of y whose probabilities add up to at most 1. The constraints do not
    depend on the marginals: by weak duality its mean logarithm under any joint is at most that joint's own
    min_q -H_q(Y | X1, X2), so that it can be scored on samples that did not choose it. Only lam + mu matters: any c(y)
    can move from one to the other.

    Examples
    --------
    >>> from mmpid.pid import dual_multipliers, joints
    >>> joint = joints.and_()
    >>> found = dual_multipliers(joint.sum(1), joint.sum(0))
    >>> mass = torch.exp2(found.lam[:, None] + found.mu[None]).sum(-1)
    >>> bool((mass <= 1 + 1e-12).all()), round(found.value.item(), 4)
    (True, -0.5)
    """
    effort = Effort.checked(tol, max_iter, memory_budget, memory_limit)
    first, second, batch = checked_marginals(p1, p2)
    first, second = first.detach(), second.detach()
    bounds = enclose_bits(first, second, effort, "none")
    # where a marginal is 0 the constraints were met with exp(lam) = 0
    lam = (bounds.lam / LN2).masked_fill(first <= 0, -torch.inf).clone()
    mu = (bounds.mu.mT / LN2).masked_fill(second <= 0, -torch.inf).contiguous().clone()
    gap = bounds.gap.clamp_min(0.0) / LN2 + rounding_bits(first, second)
    return DualMultipliers(
        lam=lam.view(*batch, *lam.shape[1:]),
        mu=mu.view(*batch, *mu.shape[1:]),
        value=(bounds.lower / LN2).clone().view(batch),
        gap=gap.clone().view(batch),
    )


@dataclass(frozen=True, kw_only=True)
class MarginalPID:
    """What p(x1, y) and p(x2, y) tell about the decomposition of I(Y; X1, X2); every number in bits.

    Attributes
    ----------
    redundancy, unique1, unique2 : Tensor, shape (...)
        These atoms are the same for every joint with the two marginals; each is at least -gap.
    synergy_range : tuple of two Tensors, shape (...)
        Least and largest synergy of a joint with the two marginals. The least, 0, is attained. The largest is a bound.
    gap : Tensor, shape (...)
        Certified bound on the error of the three atoms; the range has it on top.
    converged : Tensor of bool, shape (...)
        Whether the gap is within the tolerance that was asked for.
    """

    redundancy: Tensor
    unique1: Tensor
    unique2: Tensor
    synergy_range: tuple[Tensor, Tensor]
    gap: Tensor
    converged: Tensor


def decompose_marginals(
    p1: object,
    p2: object,
    tol: float = DEFAULT_TOL,
    *,
    max_iter: int = MAX_ITER,
    memory_budget: int | None = None,
    memory_limit: int | None = None,
) -> MarginalPID:
    """Decompose without a joint: redundancy and unique parts from p(x1, y) and p(x2, y), and the range of synergy.

    The three atoms depend on the pairwise marginals alone (see :func:`mmpid.decompose`), so they can come from two
    samples that are labeled, but not paired. Synergy is S = I(Y; X1, X2) - I_q*(Y; X1, X2), and of its joint only

        0 <= S <= min(H(Y), H(X1) + H(X2) - sum_y p(y) H_min(y)) - I_q*(Y; X1, X2)

    is known. H_min(y) is the entropy of the greatest lower bound of p(x1|y) and p(x2|y) in the order of majorization;
    no joint of the two has less.

    Parameters
    ----------
    p1, p2 : array or tensor, shapes (..., n1, k) and (..., n2, k)
        Pairwise marginals p(x1, y) and p(x2, y), the target last; leading axes are a batch, the same of both. Each
        sums to 1 within 1e-4 and is normalized. Both must have the same p(y) within 1e-4; the second is scaled to the
        p(y) of the first.
    tol : float
        Tolerance in bits on the certified gap, above 0.
    max_iter : int
        Most iterations of a problem.
    memory_budget, memory_limit : int, optional
        Bytes of working memory of a chunk of problems and of one problem, as in :func:`mmpid.decompose`.

    Returns
    -------
    MarginalPID
        `redundancy`, `unique1`, `unique2`, `synergy_range`, `gap`, `converged`; differentiable in `p1` and `p2`.

    Raises
    ------
    InputError
        If entries are negative, not finite or of an integer dtype, if a table does not sum to 1, or if p(y) differ.
    ShapeError
        If there are fewer than two axes, an empty one, or batch axes or numbers of classes that differ.
    ConfigError
        If a setting is out of range.

    Warns
    -----
    ConvergenceWarning
        If the gap of some problem exceeds `tol`.

    Notes
    -----
    The lower end of the range is exact: the optimum q* has these marginals and no synergy. The upper end holds for
    every joint but need not be attained; for exclusive or it is, with H(Y) = 1 bit. Samples that are paired say more:
    use :func:`mmpid.decompose` on their joint.

    References
    ----------
    Bertschinger, Rauh, Olbrich, Jost, Ay (2014), Quantifying unique information, Entropy 16, lemma 4.
    Cicalese, Gargano, Vaccaro (2019), Minimum-entropy couplings and their applications, IEEE Trans. Inf. Theory 65.

    Examples
    --------
    >>> from mmpid.pid import decompose_marginals, joints
    >>> joint = joints.and_()
    >>> found = decompose_marginals(joint.sum(1), joint.sum(0))
    >>> round(found.redundancy.item(), 4), round(found.synergy_range[1].item(), 4)
    (0.3113, 0.5)
    """
    effort = Effort.checked(tol, max_iter, memory_budget, memory_limit)
    first, second, batch = checked_marginals(p1, p2)
    value, bounds = minimal_f(first, second, effort, "none")
    gap = bounds.gap.clamp_min(0.0) / LN2 + rounding_bits(first, second)
    prior, mass1, mass2 = first.sum(1), first.sum(2), second.sum(2)
    h_y, h_1, h_2, h_1y, h_2y = entropies(prior, mass1, mass2, first, second)
    achieved = h_y + value
    unique1, unique2 = achieved - (h_2 + h_y - h_2y), achieved - (h_1 + h_y - h_1y)
    most = torch.minimum(h_y, h_1 + h_2 - _least_joint_entropy(first, second, h_y)) - achieved
    redundancy = h_1 + h_y - h_1y - unique1
    bits = [(x / LN2).view(batch) for x in (redundancy, unique1, unique2, most)]
    gap = gap.clone().view(batch)
    result = MarginalPID(
        redundancy=bits[0],
        unique1=bits[1],
        unique2=bits[2],
        synergy_range=(torch.zeros_like(bits[3]), bits[3].clamp_min(0.0) + gap),
        gap=gap,
        converged=gap <= effort.tol,
    )
    if not result.converged.all():
        missed = int((~result.converged).sum())
        warn(
            f"{missed} of {gap.numel()} problems missed tol = {effort.tol:.3g} bit; the worst gap is "
            f"{float(gap.max()):.3g} bit. Each atom of these is off by at most its `gap`; try a larger `max_iter`, or "
            "a larger `tol`.",
            ConvergenceWarning,
        )
    return result


def _least_joint_entropy(p1: Tensor, p2: Tensor, h_y: Tensor) -> Tensor:
    """Bound H(X1, X2 | Y) from below, in nats, given p1 (b, n1, k) and p2 (b, n2, k).

    Partial sums of the sorted states of any joint of p(x1|y) and p(x2|y) are at most those of either; entropy can only
    fall when they rise.
    """
    size = max(p1.shape[1], p2.shape[1])
    sums: list[Tensor] = []
    for p in (p1, p2):
        padded = torch.nn.functional.pad(p, (0, 0, 0, size - p.shape[1]))
        sums.append(padded.sort(1, descending=True).values.cumsum(1))
    least = torch.minimum(sums[0], sums[1])
    meet = torch.diff(least, dim=1, prepend=torch.zeros_like(least[:, :1])).clamp_min(0.0)
    return entropies(meet)[0] - h_y

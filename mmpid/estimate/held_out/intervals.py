"""From scores of the five predictors to atoms and 95 % intervals, in bits.

With c the mean held-out score over that of the prior, and r the same when trained and scored on everything, c is low
and r mostly high; m = (c + r) / 2 for I1, I2 and the union information U, which is at least I1 and I2. Points:

    R = m1 + m2 - U        U1 = U - m2        U2 = U - m1.

Given the training parts a held-out mean is a mean of independent numbers, so the central limit theorem gives its
standard error, over groups where there are any. With up = U + (r_u - c_u) / 4:

    U1 in [c_u - c_2 - z' se, up - m_2 + z se]       R in [m_1 + m_2 - up - z se, m_1 + m_2 - c_u + z se].

Here z is the 97.5 % quantile and z', for proofs, the 99 % one. The lower end of S is c_f - (c_u + U) / 2 - z' se: the
predictor without synergy is allowed half of what it lacks.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from mmpid.estimate.held_out.predictors import Predictors
from mmpid.estimate.libraries import student_quantile
from mmpid.pid.constants import LN2

LEVEL = 0.95
# Chance of a wrong proof that the lower ends of U1, U2 and S allow for: less than an end of a 95 % interval does.
FALSE_PROOF = 0.01
# Share of the optimism of the union information, r - c, that an upper end allows for beyond the point.
ALLOWANCE = 0.25
# Bits that lower ends give away: what smoothing and the tolerance of the solver can leave where nothing varies.
RESOLUTION = 1e-3


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What the scores say, in bits.

    ``scores`` (5, N) of the predictors; ``points`` (3,) of R, U1 and U2; ``low``, ``high`` (3,) of their intervals;
    ``union`` and ``union_low`` the point and the held-out value of the union information; ``synergy_low`` the lower
    end of S; ``synergy_margin`` the half-width that sampling gives it; ``held``, ``trained`` (3,): R, U1, U2 from c, r.
    ``told``: whether one source tells the other.
    """

    scores: Tensor
    points: Tensor
    low: Tensor
    high: Tensor
    union: float
    union_low: float
    synergy_low: float
    synergy_margin: float
    held: Tensor
    trained: Tensor
    told: bool


def read(fitted: Predictors, groups: Tensor | None) -> Reading:
    """Compute points and intervals by the formulas above."""
    prior, s1, s2, su, sf = scores = fitted.held / LN2
    c = (scores[1:4] - prior).mean(1)
    r = (fitted.whole[1:] - fitted.whole[0]) / LN2
    m = (c + r) / 2
    union = m.max()
    up = union + ALLOWANCE * (r[2] - c[2]).clamp(min=0)
    both = fitted.joint / LN2
    differences = torch.stack([s1 + s2 - su - prior, su - s2, su - s1, sf - su])
    # where one source alone was chosen, U1 or U2 varies by nothing: upper ends go by the best predictor of both
    wider = torch.stack([s1 + s2 - both - prior, both - s2, both - s1])
    z, proof = (_quantile(p, len(prior), groups) for p in ((1 + LEVEL) / 2, 1 - FALSE_PROOF))
    error = standard_error(differences, groups)
    wide = torch.maximum(error[:3], standard_error(wider, groups))
    common = m[0] + m[1]
    low = (
        torch.stack([common - up, c[2] - c[1], c[2] - c[0]])
        - torch.stack([z * wide[0], proof * error[1], proof * error[2]])
        - RESOLUTION
    )
    high = torch.stack([common - c[2], up - m[1], up - m[0]]) + z * wide
    return Reading(
        scores=scores,
        points=_atoms(m[0], m[1], union),
        low=low,
        high=high,
        union=float(union),
        union_low=float(c[2]),
        synergy_low=float((sf - prior).mean() - (c[2] + union) / 2 - proof * error[3]) - RESOLUTION,
        synergy_margin=float(z * error[3]),
        held=_atoms(c[0], c[1], c[2]),
        trained=_atoms(r[0], r[1], r.max()),
        told=fitted.told,
    )


def _atoms(one: Tensor, two: Tensor, union: Tensor) -> Tensor:
    """R, U1 and U2 from I1, I2 and the union information."""
    return torch.stack([one + two - union, union - two, union - one])


def standard_error(values: Tensor, groups: Tensor | None) -> Tensor:
    """Return the standard error (m,) of the means of values (m, N); samples of a group depend on each other."""
    centered = values - values.mean(1, keepdim=True)
    n_samples = values.shape[1]
    if groups is not None:
        n_groups = int(groups.max()) + 1
        centered = centered.new_zeros(len(values), n_groups).index_add_(1, groups.to(values.device), centered)
    n_units = centered.shape[1]
    return (centered.square().sum(1) * n_units / (n_units - 1)).sqrt() / n_samples


def _quantile(level: float, n_samples: int, groups: Tensor | None) -> float:
    """Quantile of Student's t for the number of independent units."""
    n_units = n_samples if groups is None else int(groups.max()) + 1
    return student_quantile(level, n_units - 1)

"""Partial information decomposition of discrete joints: exact, certified, batched, differentiable. Numbers only."""

from mmpid.pid import information, joints
from mmpid.pid.decompose import decompose
from mmpid.pid.marginals import DualMultipliers, MarginalPID, decompose_marginals, dual_multipliers
from mmpid.pid.plan import CostEstimate, estimate_cost
from mmpid.pid.results import PIDResult

__all__ = [
    "CostEstimate",
    "DualMultipliers",
    "MarginalPID",
    "PIDResult",
    "decompose",
    "decompose_marginals",
    "dual_multipliers",
    "estimate_cost",
    "information",
    "joints",
]

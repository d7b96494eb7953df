"""Partial information decomposition of discrete joints: exact, certified, batched, differentiable. Numbers only."""

from mmpid.pid import information, joints
from mmpid.pid.decompose import decompose
from mmpid.pid.marginals import DualMultipliers, MarginalPID, decompose_marginals, dual_multipliers
from mmpid.pid.results import PIDResult

__all__ = [
    "DualMultipliers",
    "MarginalPID",
    "PIDResult",
    "decompose",
    "decompose_marginals",
    "dual_multipliers",
    "information",
    "joints",
]

"""Partial information decomposition of discrete joints: exact, certified, batched, differentiable. Numbers only."""

from mmpid.pid import information, joints
from mmpid.pid.decompose import decompose
from mmpid.pid.results import PIDResult

__all__ = ["PIDResult", "decompose", "information", "joints"]

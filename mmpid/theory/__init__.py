"""The solvable model of modality competition, in which Effective Competitive Strength is exact."""

from mmpid.theory.results import Simulation
from mmpid.theory.settings import ModelSettings
from mmpid.theory.simulate import simulate
from mmpid.theory.strength import State, ecs, predicted_discovery_time, strength

__all__ = ["ModelSettings", "Simulation", "State", "ecs", "predicted_discovery_time", "simulate", "strength"]

"""What decides, from the record alone: switch rules, pause policies, give-up rules, and their controller."""

from mmpid.rules.controller import BalanceController
from mmpid.rules.decision import Decision
from mmpid.rules.replay import replay
from mmpid.rules.switch import FixedEpoch, Manual, PeakSynergy, RedundancyPlateau, SwitchRule

__all__ = [
    "BalanceController",
    "Decision",
    "FixedEpoch",
    "Manual",
    "PeakSynergy",
    "RedundancyPlateau",
    "SwitchRule",
    "replay",
]

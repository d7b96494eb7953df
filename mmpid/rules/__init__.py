"""What decides, from the record alone: switch rules, pause policies, give-up rules, and their controller."""

from mmpid.rules.base import GiveUpRule, PausePolicy, SwitchRule
from mmpid.rules.controller import BalanceController
from mmpid.rules.decision import Decision
from mmpid.rules.fixed import FixedEpoch, Manual
from mmpid.rules.give_up import NothingLearned
from mmpid.rules.lead_pause import LeadPause
from mmpid.rules.peak import PeakSynergy
from mmpid.rules.plateau import RedundancyPlateau
from mmpid.rules.released import FallenSynergy, PauseForGood
from mmpid.rules.replay import replay

__all__ = [
    "BalanceController",
    "Decision",
    "FallenSynergy",
    "FixedEpoch",
    "GiveUpRule",
    "LeadPause",
    "Manual",
    "NothingLearned",
    "PauseForGood",
    "PausePolicy",
    "PeakSynergy",
    "RedundancyPlateau",
    "SwitchRule",
    "replay",
]

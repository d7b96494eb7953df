"""Training in two stages: trainer, controller, switch rules, record, and the controls to compare with."""

from mmpid.train.config import TrainConfig
from mmpid.train.controller import BalanceController
from mmpid.train.decision import Decision
from mmpid.train.export import to_mlflow, to_tensorboard
from mmpid.train.record import RunRecord
from mmpid.train.replay import replay
from mmpid.train.roster import pause_all, sessions
from mmpid.train.rules import FixedEpoch, Manual, PeakSynergy, RedundancyPlateau, SwitchRule
from mmpid.train.session import Session
from mmpid.train.stack import train_seeds
from mmpid.train.trainer import Trainer

__all__ = [
    "BalanceController",
    "Decision",
    "FixedEpoch",
    "Manual",
    "PeakSynergy",
    "RedundancyPlateau",
    "RunRecord",
    "Session",
    "SwitchRule",
    "TrainConfig",
    "Trainer",
    "pause_all",
    "replay",
    "sessions",
    "to_mlflow",
    "to_tensorboard",
    "train_seeds",
]

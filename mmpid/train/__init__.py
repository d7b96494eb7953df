"""One run: the trainer and its parts."""

from mmpid.train.callbacks import Callback
from mmpid.train.config import TrainConfig
from mmpid.train.context import Context
from mmpid.train.trainer import Trainer

__all__ = ["Callback", "Context", "TrainConfig", "Trainer"]

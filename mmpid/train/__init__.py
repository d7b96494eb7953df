"""One run: the trainer and its parts."""

from mmpid.train.config import TrainConfig
from mmpid.train.trainer import Trainer

__all__ = ["TrainConfig", "Trainer"]

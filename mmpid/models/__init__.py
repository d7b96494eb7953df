"""Networks: encoders for each modality and late fusion with a scorer for each modality."""

from mmpid.models.encoders import MLP, ConvNet
from mmpid.models.late_fusion import LateFusion, Output
from mmpid.models.linear_probe import linear_probe

__all__ = ["MLP", "ConvNet", "LateFusion", "Output", "linear_probe"]

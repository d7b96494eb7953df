"""Networks: encoders for each modality and late fusion with a scorer for each modality."""

from mmpid.models.encoders import MLP, ConvNet
from mmpid.models.late_fusion import LateFusion, Output
from mmpid.models.linear_probe import linear_probe
from mmpid.models.resnet import ResNet18

__all__ = ["MLP", "ConvNet", "LateFusion", "Output", "ResNet18", "linear_probe"]

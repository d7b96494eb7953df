"""Networks: encoders for each modality and late fusion with a scorer for each modality.

Adapters wrap an encoder of another form: :class:`First` and :class:`Take` for tuples and dicts, :class:`Pool` for
sequences and maps of features, :class:`Flat` for lost or further axes, :class:`Tokens` for whole numbers.
"""

from mmpid.models.adapters import First, Flat, Pool, Take, Tokens
from mmpid.models.encoders import MLP, ConvNet
from mmpid.models.late_fusion import LateFusion, Output
from mmpid.models.linear_probe import linear_probe
from mmpid.models.resnet import ResNet18

__all__ = [
    "MLP",
    "ConvNet",
    "First",
    "Flat",
    "LateFusion",
    "Output",
    "Pool",
    "ResNet18",
    "Take",
    "Tokens",
    "linear_probe",
]

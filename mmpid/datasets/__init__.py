"""Data sets: what comes with the package, and the doors for your own arrays, datasets, loaders and folders."""

from mmpid.datasets.builtin import available, load, register
from mmpid.datasets.inspection import Inspection, inspect_folder
from mmpid.datasets.make_folder import make_folder
from mmpid.datasets.multimodal import MultimodalData
from mmpid.datasets.preprocessing import Preprocessing
from mmpid.datasets.readers import read
from mmpid.datasets.split import Split

__all__ = [
    "Inspection",
    "MultimodalData",
    "Preprocessing",
    "Split",
    "available",
    "inspect_folder",
    "load",
    "make_folder",
    "read",
    "register",
]

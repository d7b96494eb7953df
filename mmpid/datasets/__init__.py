"""Data sets: what comes with the package, and the door for your own arrays."""

from mmpid.datasets.builtin import available, load
from mmpid.datasets.multimodal import MultimodalData
from mmpid.datasets.split import Split

__all__ = ["MultimodalData", "Split", "available", "load"]

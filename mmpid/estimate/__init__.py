"""From samples to a partial information decomposition that says how far it can be trusted."""

from mmpid.estimate.discretize import (
    CodesDiscretizer,
    Discretizer,
    KMeansDiscretizer,
    PredictionDiscretizer,
    QuantileDiscretizer,
)
from mmpid.estimate.estimate import estimate_pid
from mmpid.estimate.histogram import joint_histogram, soft_histogram
from mmpid.estimate.results import PIDEstimate

__all__ = [
    "CodesDiscretizer",
    "Discretizer",
    "KMeansDiscretizer",
    "PIDEstimate",
    "PredictionDiscretizer",
    "QuantileDiscretizer",
    "estimate_pid",
    "joint_histogram",
    "soft_histogram",
]

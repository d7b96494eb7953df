"""From samples to a partial information decomposition that says how far it can be trusted."""

from mmpid.estimate.compare_discretizers import compare_discretizers
from mmpid.estimate.discretize import (
    CodesDiscretizer,
    Discretizer,
    KMeansDiscretizer,
    PredictionDiscretizer,
    QuantileDiscretizer,
)
from mmpid.estimate.estimate import estimate_pid
from mmpid.estimate.histogram import joint_histogram, soft_histogram
from mmpid.estimate.marginal_results import MarginalEstimate
from mmpid.estimate.marginals import estimate_marginals
from mmpid.estimate.multi import PIDMultiEstimate, estimate_pid_multi
from mmpid.estimate.posterior import PosteriorDiscretizer
from mmpid.estimate.results import PIDEstimate
from mmpid.estimate.rows import estimate_row
from mmpid.estimate.soft import soft_pid

__all__ = [
    "CodesDiscretizer",
    "Discretizer",
    "KMeansDiscretizer",
    "MarginalEstimate",
    "PIDEstimate",
    "PIDMultiEstimate",
    "PosteriorDiscretizer",
    "PredictionDiscretizer",
    "QuantileDiscretizer",
    "compare_discretizers",
    "estimate_marginals",
    "estimate_pid",
    "estimate_pid_multi",
    "estimate_row",
    "joint_histogram",
    "soft_histogram",
    "soft_pid",
]

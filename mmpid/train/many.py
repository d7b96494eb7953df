"""Three to six modalities in one probe: see :func:`mmpid.estimate.estimate_row`, which does the work."""

from collections.abc import Mapping

from torch import Tensor

from mmpid.estimate import estimate_row


def estimate_many(sources: Mapping[str, Tensor], target: Tensor, **settings) -> dict:
    """Return the fields of a probe row, in bits, by the counted estimator."""
    return estimate_row(sources, target, estimator="counted", **settings)

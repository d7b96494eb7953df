"""What still holds where codes of the second source were merged, so that it knows less than it stands for.

For a function f of source 2, R, U2 and the union information are at most, and U1 is at least, what they are for the
source itself. Synergy can go either way; it is at most H(Y) less the union information.
"""

from dataclasses import replace
from math import log2

from mmpid.estimate.results import PIDEstimate
from mmpid.pid.names import unique_key

MERGED = (
    "source 2 has more combinations of codes than are kept apart, so they were merged: redundancy and unique2 are "
    "lower bounds, unique1 is an upper bound, and synergy may be made by merging. Use fewer codes per modality."
)


def bound_merged(estimate: PIDEstimate) -> PIDEstimate:
    """Widen the intervals to what holds before merging; unique1 and synergy count as not identified, nor as proven."""
    identified = estimate.identified | {unique_key(1): False, "synergy": False}
    if not estimate.interval:
        return replace(estimate, identified=identified)
    (r_low, r_high), (u1_low, u1_high), (u2_low, _), (s_low, s_high) = estimate.interval.values()
    entropy = log2(estimate.n_classes)
    known = sum(max(low, 0.0) for low in (r_low, u2_low))
    interval = {
        "redundancy": (r_low, r_high + max(u1_high, 0.0)),
        unique_key(1): (min(u1_low, 0.0), u1_high),
        unique_key(2): (u2_low, max(u2_low, entropy - max(r_low, 0.0))),
        "synergy": (min(s_low, 0.0), max(s_high, entropy - known)),
    }
    return replace(estimate, identified=identified, interval=interval)

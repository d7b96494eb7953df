import numpy as np
import pytest

from mmpid.estimate.grouped import confusion, draw_groups, grouped_joint, simulate_groups
from mmpid.estimate.terms import ATOMS


def test_groups_are_drawn_around_the_common_joint(rng):
    one, two, y, groups = draw_groups((0.7, 0.5), 3, 3000, 4, 0.3, rng)
    counts = np.zeros((3, 3, 3))
    np.add.at(counts, (one, two, y), 1 / len(y))
    assert np.abs(counts - grouped_joint((0.7, 0.5), 3).numpy()).max() < 0.01
    assert (y[groups == 7] == y[groups == 7][0]).all() and len(np.unique(groups)) == 3000
    right = (one == y).reshape(3000, 4) - confusion(0.7, 3)[0, 0]
    assert (right[:, 0] * right[:, 1]).mean() / 0.21 == pytest.approx(0.3, abs=0.05)


def test_intervals_of_alike_samples_hold_the_truth_only_with_their_groups():
    by_sample, by_group = simulate_groups(42, 0.25, 8)
    for atom in ATOMS:
        assert by_group[f"{atom}_coverage"] >= 0.8
    for atom in ("redundancy", "unique1"):
        assert by_group[f"{atom}_width"] > 1.4 * by_sample[f"{atom}_width"]
    assert np.mean([by_sample[f"{atom}_coverage"] for atom in ATOMS[:3]]) < 0.65

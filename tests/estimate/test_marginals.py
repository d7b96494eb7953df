"""Two labeled samples without pairs: the atoms that need none, with intervals, and what synergy can be."""

import numpy as np
import pytest
import torch

import mmpid
from mmpid.errors import ConfigError, InputError
from mmpid.estimate.families import known_joints, like_heads, two_heads
from mmpid.estimate.study import draw, truth
from mmpid.pid import joints

ATOMS = ("redundancy", "unique1", "unique2")
CODES = {"discretizer": "codes", "warn": False}


def apart(joint, n1, n2, rng, shares=None):
    """A sample of each source with its class; `shares` are the class shares of the second sample."""
    one, other = draw(joint, n1, rng), draw(joint, n2, rng)
    if shares is not None:
        given = joint / joint.sum((0, 1))
        other = draw(given * torch.as_tensor(shares), n2, rng)
    return one[0], one[2], other[1], other[2]


def held(estimate, true):
    return [low - 2e-3 <= true[atom] <= high + 2e-3 for atom, (low, high) in estimate.interval.items()]


@pytest.mark.parametrize(
    "joint",
    [
        like_heads()["6 classes, 90% and 90%, 0% together"],
        two_heads(4, (0.8, 0.5), 0.5),
        known_joints()["independent given class"],
    ],
    ids=["equal", "apart", "tables"],
)
def test_intervals_hold_the_truth_and_nothing_unique_is_invented(joint):
    rng, true, hits, false = np.random.default_rng(3), truth(joint), [], []
    for seed in range(8):
        estimate = mmpid.estimate_marginals(*apart(joint, 600, 900, rng), seed=seed, **CODES)
        hits += held(estimate, true)
        false += [estimate.proven[atom] for atom in ATOMS[1:] if true[atom] < 1e-4]
        assert estimate.synergy_range[0] == 0 and true["synergy"] <= estimate.synergy_range[1]
        assert not estimate.proven["synergy"]
    assert np.mean(hits) >= 0.9 and not any(false)


def test_many_samples_give_what_the_marginals_give():
    joint = two_heads(3, (0.9, 0.6), 0.2)
    exact = mmpid.decompose_marginals(joint.sum(1), joint.sum(0))
    found = mmpid.estimate_marginals(*apart(joint, 40_000, 60_000, np.random.default_rng(0)), **CODES)
    for atom in ATOMS:
        assert getattr(found, atom) == pytest.approx(float(getattr(exact, atom)), abs=0.02)
    assert found.synergy_range[1] >= float(exact.synergy_range[1]) - 0.01


def test_an_exclusive_or_may_be_all_synergy():
    found = mmpid.estimate_marginals(*apart(joints.xor(), 500, 400, np.random.default_rng(0)), **CODES)
    assert found.synergy_range[1] >= 1 - 1e-9 and not any(found.proven.values())


def test_other_class_shares_in_one_sample_are_weighted_away():
    joint, rng = two_heads(4, (0.85, 0.7), 0.0), np.random.default_rng(1)
    skewed = apart(joint, 900, 900, rng, shares=(0.55, 0.25, 0.1, 0.1))
    found = mmpid.estimate_marginals(*skewed, class_shares=[0.25] * 4, **CODES)
    assert all(held(found, truth(joint)))
    pooled = mmpid.estimate_marginals(*skewed, **CODES)
    assert any("other shares" in note for note in pooled.notes) and pooled.class_shares[0] > 0.35
    mixed = (joint / joint.sum((0, 1))) * torch.tensor(pooled.class_shares)
    assert all(held(pooled, truth(mixed)))


def test_labels_mean_the_same_in_both_samples():
    x1, y1, x2, y2 = apart(two_heads(3, (0.9, 0.6), 0.0), 300, 200, np.random.default_rng(2))
    plain = mmpid.estimate_marginals(x1, y1, x2, y2, **CODES)
    words = np.array(["ant", "bee", "cow"])
    text = mmpid.estimate_marginals(x1, words[y1].tolist(), x2, words[y2], **CODES)
    assert text.interval == plain.interval and text.unique1 == plain.unique1
    assert list(plain.to_frame().index) == [*ATOMS, "synergy"] and "not paired" in repr(plain)


def test_groups_of_copies_do_not_narrow_an_interval():
    x1, y1, x2, y2 = apart(two_heads(3, (0.9, 0.6), 0.0), 300, 300, np.random.default_rng(2))
    four = [np.repeat(values, 4) for values in (x1, y1, x2, y2)]
    units = {"groups1": np.repeat(np.arange(300), 4), "groups2": np.repeat(np.arange(300), 4)}
    alone, copied, grouped = (
        mmpid.estimate_marginals(*sample, **CODES, **more)
        for sample, more in (((x1, y1, x2, y2), {}), (four, {}), (four, units))
    )
    width = [np.ptp(each.interval["unique1"]) for each in (alone, copied, grouped)]
    assert width[1] < 0.7 * width[0] < width[2] < 1.3 * width[0]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"target2": [0, 1] * 20}, "`target2` must hold every class"),
        ({"target2": list("abc") * 13 + ["a"]}, "labels of one kind"),
        ({"class_shares": [0.5, 0.5, 0.5]}, "`class_shares` must hold 3"),
        ({"discretizer": ["codes"]}, "two of them"),
        ({"groups2": [0, 1]}, "`groups2`"),
        ({"source1": [[float("nan")]] * 30}, "`source1`"),
        ({"target1": [0] * 30, "target2": [0] * 40}, "at least two classes"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(change, match):
    given = {"source1": [0, 1, 2] * 10, "target1": [0, 1, 2] * 10}
    given |= {"source2": [0, 1] * 20, "target2": ([0, 1, 2] * 14)[:40]}
    with pytest.raises((InputError, ConfigError), match=match):
        mmpid.estimate_marginals(**(given | CODES | change))

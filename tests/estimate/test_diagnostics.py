"""Where an estimate doubts itself: often where simulation says that its intervals miss, seldom where they hold."""

import numpy as np
import pytest
import torch

from mmpid.estimate import estimate_pid
from mmpid.estimate.diagnostics import EQUAL, look_equal, note_diagnostics
from mmpid.estimate.families import head_joints, known_joints, other_joints
from mmpid.estimate.notes import Notes
from mmpid.estimate.study import draw

COUNTED = {"estimator": "counted", "warn": False}
WIDE = {"unique1": (-0.2, 0.6), "unique2": (-0.2, 0.6)}
ABOVE_ZERO = {"unique1": (0.1, 0.3), "unique2": (0.1, 0.3)}
ATOMS = torch.tensor([1.0, 0.2, 0.2, 0.1])
NULL = torch.tensor([0.05, 0.05, 0.07, 0.4])


def doubted(joint, n_samples, n_draws=12):
    """Shares of draws in which unique information, and synergy, is doubted."""
    rng = np.random.default_rng(5)
    notes = [
        " ".join(estimate_pid(*draw(joint, n_samples, rng), discretizer="codes", seed=i, n_boot=60, **COUNTED).notes)
        for i in range(n_draws)
    ]
    return [sum(start in text for text in notes) / n_draws for start in (EQUAL, "synergy probably reads low")]


@pytest.mark.parametrize("n_samples", [240, 1200])
def test_the_unique_parts_of_two_heads_that_know_nearly_the_same_are_doubted(n_samples):
    joint = head_joints()["10 classes, 85 and 80 %, 30 % together"]
    assert doubted(joint, n_samples)[0] >= 0.5


@pytest.mark.parametrize("n_samples", [240, 1200])
@pytest.mark.parametrize("heads", ["6 classes, 90 and 50 %, 30 % together", "6 classes, 80 and 60 % right"])
def test_unique_information_that_is_there_is_not_doubted(heads, n_samples):
    assert doubted(head_joints()[heads], n_samples) == [0, 0]


@pytest.mark.parametrize("name", list(known_joints()))
def test_nothing_is_doubted_where_intervals_hold_the_truth(name):
    assert doubted(known_joints()[name], 5000, n_draws=3) == [0, 0]


def test_a_synergy_that_reads_low_is_doubted_where_codes_nearly_settle_the_class():
    assert doubted(*other_joints()["Dirichlet 0.1, 8x12x10"], n_draws=5)[1] == 1


@pytest.mark.parametrize(
    ("boot", "interval", "doubt"),
    [
        ((0.05, 0.05, 0.12), ABOVE_ZERO, True),  # Iq has more bias than I1 + I2
        ((0.05, 0.05, 0.12), WIDE, False),
        ((0.05, 0.05, 0.07), ABOVE_ZERO, False),  # smooth, and the replicates see what shuffled labels show
        ((0.01, 0.01, 0.01), ABOVE_ZERO, True),  # the replicates see little
        ((0.01, 0.01, 0.01), WIDE, False),
        ((-0.01, 0.0, 0.01), ABOVE_ZERO, True),
    ],
)
def test_unique_parts_are_doubted_above_zero_where_resampling_sees_a_kink_or_next_to_nothing(boot, interval, doubt):
    assert look_equal(torch.tensor([*boot, 0.3]), NULL, ATOMS, interval) == doubt
    little_in_common = torch.tensor([0.1, 0.2, 0.2, 0.1])
    assert not look_equal(torch.tensor([*boot, 0.3]), NULL, little_in_common, interval)


@pytest.mark.parametrize(
    ("boot_of_all", "identified", "doubt"), [(0.08, True, True), (0.08, False, False), (0.3, True, False)]
)
def test_synergy_is_doubted_where_it_is_identified_and_shuffled_labels_show_far_more_bias(
    boot_of_all, identified, doubt
):
    notes = Notes()
    note_diagnostics(torch.tensor([0.05, 0.05, 0.07, boot_of_all]), NULL, ATOMS, WIDE, identified, notes)
    assert [sentence.startswith("synergy probably reads low") for sentence in notes.sentences] == [True] * doubt
    assert not notes.alerts


def test_a_doubt_is_shown_and_needs_an_interval_and_a_correction():
    joint = head_joints()["10 classes, 85 and 80 %, 30 % together"]
    sample = draw(joint, 1200, np.random.default_rng(5))
    estimate, bare, plain = (
        estimate_pid(*sample, discretizer="codes", **COUNTED, **options)
        for options in ({}, {"n_boot": 0}, {"correction": "none"})
    )
    assert EQUAL in estimate.notes and EQUAL in repr(estimate) and "may be counting error" in estimate._repr_html_()
    assert EQUAL not in bare.notes and EQUAL not in plain.notes

"""What a counted estimate says of its own limits."""

import numpy as np
import pytest
import torch

from mmpid.estimate import estimate_pid
from mmpid.estimate.diagnostics import EQUAL, note_diagnostics
from mmpid.estimate.families import head_joints, known_joints, other_joints
from mmpid.estimate.notes import Notes
from mmpid.estimate.study import draw

COUNTED = {"estimator": "counted", "warn": False}
NULL = torch.tensor([0.05, 0.05, 0.07, 0.4])


def reads_low(joint, n_samples, n_draws=3):
    """Share of draws in which synergy is said to read low."""
    rng = np.random.default_rng(5)
    notes = [
        " ".join(estimate_pid(*draw(joint, n_samples, rng), discretizer="codes", seed=i, n_boot=60, **COUNTED).notes)
        for i in range(n_draws)
    ]
    return sum("synergy probably reads low" in text for text in notes) / n_draws


@pytest.mark.parametrize("name", list(known_joints()))
def test_nothing_is_doubted_where_intervals_hold_the_truth(name):
    assert reads_low(known_joints()[name], 5000) == 0


def test_a_synergy_that_reads_low_is_doubted_where_codes_nearly_settle_the_class():
    assert reads_low(*other_joints()["Dirichlet 0.1, 8x12x10"], n_draws=5) == 1


@pytest.mark.parametrize(
    ("boot_of_all", "identified", "doubt"), [(0.08, True, True), (0.08, False, False), (0.3, True, False)]
)
def test_synergy_is_doubted_where_it_is_identified_and_shuffled_labels_show_far_more_bias(
    boot_of_all, identified, doubt
):
    notes = Notes()
    note_diagnostics(torch.tensor([0.05, 0.05, 0.07, boot_of_all]), NULL, identified, notes)
    assert notes.sentences[0] == EQUAL and not notes.alerts
    assert [sentence.startswith("synergy probably reads low") for sentence in notes.sentences[1:]] == [True] * doubt


def test_counted_intervals_and_only_they_say_what_they_cannot_see():
    sample = draw(head_joints()["10 classes, 85 and 80 %, 30 % together"], 1200, np.random.default_rng(5))
    estimate, bare, held_out = (
        estimate_pid(*sample, discretizer="codes", warn=False, **options)
        for options in ({"estimator": "counted"}, {"estimator": "counted", "n_boot": 0}, {})
    )
    assert EQUAL in estimate.notes and EQUAL in repr(estimate)
    assert EQUAL not in bare.notes and EQUAL not in held_out.notes

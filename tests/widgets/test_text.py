"""What the board says: plain strings."""

from dataclasses import replace

import numpy as np
import pytest

from mmpid.live.session import STATES, Failure
from mmpid.plots.traces import Trace
from mmpid.widgets.board import text
from mmpid.widgets.parts import markup

NOW = text.State(
    state="playing",
    stage="unimodal",
    epoch=12,
    active=("image",),
    modalities=("audio", "image"),
    auto=True,
    device="cpu",
    done=12,
    total=60,
)


def changed(**fields):
    return replace(NOW, **fields)


@pytest.mark.parametrize("state", STATES)
def test_every_state_has_a_word_and_a_message_at_rest(state):
    assert text.STATES[state] and text.resting(changed(state=state)).words


def test_at_rest_it_says_what_is_waited_for():
    assert text.resting(changed(waiting_for="R still rises")).words == "The controller waits: R still rises."
    assert "You decide" in text.resting(changed(auto=False)).words
    assert "another board" in text.resting(changed(state="closed", replaced=True)).words


@pytest.mark.parametrize(("n", "words"), [(0, "0 batches"), (1, "1 batch"), (2, "2 batches"), (1200, "1,200 batches")])
def test_batches_are_counted_in_good_english(n, words):
    assert text.progress(changed(batches=n)).endswith(f"{words} here")


def test_nothing_from_outside_is_taken_as_html():
    hostile = "<img src=x onerror=alert(1)>"
    row = {"action": "pause", "modality": hostile, "epoch": 1, "reason": hostile, "source": hostile, "rule": hostile}
    trace = Trace(key="x", label=hostile, color="red", dash="solid", epoch=np.zeros(1), value=np.zeros(1))
    for html in (
        text.decisions([row]),
        markup.legend([trace], hostile),
        markup.curves_table([trace], hostile),
        markup.title(hostile, hostile),
    ):
        assert "<img" not in html


def test_decisions_are_listed_newest_first_and_not_without_end():
    rows = [
        {"action": "pause", "modality": "audio", "epoch": e, "reason": f"why {e}", "source": "user"} for e in range(70)
    ]
    said = text.decisions(rows)
    assert said.index("why 69") < said.index("why 68")
    assert "and 20 earlier ones" in said
    assert "why 19<" not in said


def test_the_table_has_a_row_an_epoch_and_leaves_holes_open():
    common = {"color": "red", "dash": "solid"}
    one = Trace(key="a", label="audio", epoch=np.array([1, 2]), value=np.array([0.5, 0.25]), **common)
    low, high = np.array([0.1]), np.array([0.3])
    two = Trace(key="b", label="image", epoch=np.array([2]), value=np.array([0.2]), low=low, high=high, **common)
    said = markup.curves_table([one, two], "Accuracy")
    assert '<tr><th scope="row">1</th><td>0.500</td><td></td></tr>' in said
    assert "<td>0.200 [0.10, 0.30]</td>" in said
    assert "no data yet" in markup.curves_table([], "Accuracy")


def test_the_legend_shows_each_dash():
    said = markup.legend(
        [Trace(key="a", label="a", color="#123456", dash="dotted", epoch=np.zeros(0), value=np.zeros(0))]
    )
    assert 'stroke="#123456"' in said and 'stroke-dasharray="2 4"' in said


def test_runs_are_compared_in_words_and_their_names_are_escaped():
    run = {"name": "<b>early", "dash": "dotted", "chosen": False, "state": "paused", "branched_at": 5, "parent": "main"}
    run |= {"switch": 7.0, "epoch": 9, "judged_on": "validation, epoch 9", "decisions": 3, "by_user": 1}
    said = text.runs_table([run | {"scores": {"joint": 0.5, "audio": 0.25, "ens": 0.4}}])
    assert '<th scope="col">audio</th><th scope="col">average</th><th scope="col">joint</th>' in said
    assert "&lt;b&gt;early" in said and "<td>main, epoch 5</td>" in said and "<td>3 (1)</td>" in said
    assert "<td>0.250</td><td>0.400</td><td>0.500</td><td>validation, epoch 9</td>" in said


def test_a_problem_of_the_board_is_not_called_one_of_the_training():
    problem = Failure(error=ValueError("no"), text="")
    assert text.failure_summary(problem) == "ValueError: no"
    assert text.failure_summary(problem, of_training=False) == "Something went wrong in the board: ValueError: no"

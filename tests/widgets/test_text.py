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


def test_the_status_names_state_stage_active_modalities_and_device():
    said = text.status(NOW)
    for words in ("Training", "stage 1 of 2", "training image", "paused: audio", "on cpu"):
        assert words in said
    assert 'role="status" aria-live="polite"' in said


@pytest.mark.parametrize("state", STATES)
def test_every_state_has_a_word(state):
    assert f'data-state="{state}"' in text.status(changed(state=state))


def test_the_hint_says_what_is_waited_for():
    assert "The controller waits: R still rises." in text.hint(changed(waiting_for="R still rises"))
    assert "You decide" in text.status(changed(auto=False))
    for now in (changed(stage="joint"), changed(auto=False), changed(state="finished")):
        assert text.hint(now) == ""


def test_changing_numbers_are_outside_of_the_region_that_is_read_aloud():
    assert text.status(NOW) == text.status(changed(epoch=13, done=13, waiting_for="R rose by 0.1 bit"))
    share, words, look = text.progress(changed(epoch=13, done=13))
    assert (share, look) == (13 / 60, "") and words.startswith("epoch 13 · 13 of 60")


def test_nothing_from_outside_is_taken_as_html():
    hostile = "<img src=x onerror=alert(1)>"
    row = {"action": "pause", "modality": hostile, "epoch": 1, "reason": hostile, "source": hostile, "rule": hostile}
    failure = Failure(error=RuntimeError(hostile), text=hostile, advice=hostile)
    trace = Trace(key="x", label=hostile, color="red", dash="solid", epoch=np.zeros(1), value=np.zeros(1))
    now = changed(active=(hostile,), modalities=(hostile, "image"), device=hostile, notice=hostile, waiting_for=hostile)
    said = [
        text.status(now),
        text.hint(now),
        text.decisions([row]),
        text.failure(failure),
        markup.legend([trace], hostile),
    ]
    for html in [*said, markup.curves_table([trace], hostile), markup.title(hostile, hostile)]:
        assert "<img" not in html


def test_decisions_are_listed_newest_first_and_not_without_end():
    rows = [
        {"action": "pause", "modality": "audio", "epoch": e, "reason": f"why {e}", "source": "user"} for e in range(70)
    ]
    said = text.decisions(rows)
    assert said.index("why 69") < said.index("why 68")
    assert "and 20 earlier ones" in said
    assert "why 19<" not in said


def test_a_failure_shows_advice_and_keeps_the_traceback_folded():
    said = text.failure(Failure(error=RuntimeError("no"), text="line 1\nline 2", advice="do this"))
    assert "RuntimeError: no" in said and "do this" in said
    assert "<details><summary>Traceback</summary><pre>line 1" in said
    assert text.failure(None) == ""


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
    assert '<th scope="col">audio</th><th scope="col">ens</th><th scope="col">joint</th>' in said
    assert "&lt;b&gt;early" in said and "<td>main, epoch 5</td>" in said and "<td>3 (1)</td>" in said
    assert "<td>0.250</td><td>0.400</td><td>0.500</td><td>validation, epoch 9</td>" in said


def test_a_problem_of_the_board_is_not_called_one_of_the_training():
    problem = Failure(error=ValueError("no"), text="")
    assert "Training stopped" in text.failure(problem)
    assert "Something went wrong in the board: ValueError: no" in text.failure(problem, of_training=False)

"""Who is paused and resumed, and when pauses end stage 1."""

from math import nan

import pytest

from mmpid import BalanceController, Manual
from mmpid.rules import LeadPause
from tests.rules.records import METADATA, actions, later, record, with_nan


def test_the_controller_pauses_who_runs_ahead_by_more_than_the_ratio_and_the_noise():
    ahead = dict(unique1=[0.1, 0.4, 0.6, 0.9], unique2=[0.1, 0.1, 0.1, 0.1])
    assert actions(BalanceController().decide(record(**ahead)))[0] == ("pause", "audio")
    assert BalanceController().decide(record(**ahead))[0].values == {
        "unique": 0.9, "least": 0.1, "weakest": "image", "ratio": pytest.approx(9.0), "threshold": 3.0,
        "lead": 0.8, "noise": pytest.approx(0.02 * 2**0.5),
    }  # fmt: skip
    assert actions(BalanceController(pause=LeadPause(ratio=10)).decide(record(**ahead))) == [("hold", "")]
    assert actions(BalanceController().decide(record(**ahead, width=0.8))) == [("hold", "")]


def test_two_numbers_near_zero_are_no_imbalance():
    tiny = dict(unique1=[0.04] * 5, unique2=[0.001] * 5)
    assert actions(BalanceController().decide(record(**tiny, width=0.0))) == [("hold", "")]


@pytest.mark.parametrize(("u1", "action"), [(0.25, [("hold", "")]), (0.2, [("resume", "audio"), ("hold", "")])])
def test_hysteresis_keeps_a_paused_modality_until_the_ratio_is_well_below(u1, action):
    made = record(unique1=[u1] * 5, unique2=[0.1] * 5, paused=["audio"])
    assert actions(BalanceController(pause=LeadPause(hysteresis=0.7, max_pause=None)).decide(made)) == action


@pytest.mark.parametrize(("since", "action"), [(3, "hold"), (2, "resume"), (0, "resume")])
def test_a_pause_ends_after_the_longest_allowed(since, action):
    made = record(unique1=[0.9] * 5, unique2=[0.1] * 5, paused=["audio"])
    row = dict(segment=0, stage="unimodal", step=1, action="pause", modality="audio", source="controller")
    made.append("decision", epoch=since, **row)
    first = BalanceController(pause=LeadPause(max_pause=2, dwell=1)).decide(made)[0]
    assert first.action == action
    if action == "resume":
        assert (first.rule, first.values["probes"], first.values["max_pause"]) == ("max_pause", 4 - since, 2)
    assert BalanceController(pause=LeadPause(max_pause=None, dwell=1)).decide(made)[0].action == "hold"


def test_where_the_lead_changes_hands_the_other_resumes_first():
    """The last active modality cannot be paused: asked for first, the pause would be counted and never come."""
    made = record(unique1=[0.9] * 5, unique2=[0.1] * 5, paused=["image"])
    assert actions(BalanceController().decide(made)) == [("resume", "image"), ("pause", "audio"), ("hold", "")]


def test_what_the_user_paused_stays_paused():
    made = record(unique1=[0.1] * 5, unique2=[0.1] * 5, paused=["audio"])
    made.append(
        "decision", segment=0, stage="unimodal", epoch=1, step=1, action="pause", modality="audio", source="user"
    )
    assert actions(BalanceController().decide(made)) == [("hold", "")]


def test_nothing_changes_within_the_dwell():
    made = record(unique1=[0.9] * 5, unique2=[0.1] * 5)
    row = dict(segment=0, stage="unimodal", step=1, action="resume", modality="audio", source="controller")
    made.append("decision", epoch=4, **row)
    assert actions(BalanceController(pause=LeadPause(dwell=1)).decide(made)) == [("hold", "")]
    assert actions(BalanceController(pause=LeadPause(dwell=0)).decide(made))[0] == ("pause", "audio")


def test_stage_one_ends_at_the_second_pause_where_two_are_the_most_allowed():
    made = record(redundancy=[0.1, 0.2, 0.5, 0.2], unique1=[0.9] * 4, unique2=[0.1] * 4)
    free, bound = BalanceController(rule=Manual()), BalanceController(rule=Manual(), pause=LeadPause(max_pauses=2))
    assert actions(bound.decide(made)) == actions(free.decide(made)) == [("pause", "audio"), ("hold", "")]
    row = dict(segment=0, stage="unimodal", step=1, action="pause", modality="image")
    made.append("decision", epoch=0, source="user", **row)
    assert actions(bound.decide(made))[-1] == ("hold", ""), "what the user paused is no reversal"
    made.append("decision", epoch=1, source="controller", **row)
    assert actions(free.decide(made)) == [("pause", "audio"), ("hold", "")]
    pause, switch = bound.decide(made)
    assert (pause.action, switch.action, switch.rule, switch.rewind_to) == ("pause", "switch", "max_reversals", 2)
    assert switch.values == {"pauses": 2, "max_pauses": 2}
    made.append("probe", **later(made, epoch=4, unique1=0.1))
    assert actions(bound.decide(made)) == [("hold", "")], "one pause is on record, and this probe asks for none"


def test_several_pauses_at_one_probe_are_one_reversal_and_those_of_a_discarded_future_none():
    metadata = {**METADATA, "modalities": ["audio", "image", "text"]}
    made = record(unique1=[0.9] * 4, unique2=[0.1] * 4, unique3=[0.9] * 4, metadata=metadata)
    bound = BalanceController(rule=Manual(), pause=LeadPause(max_pauses=2, dwell=0))
    assert actions(bound.decide(made)) == [("pause", "audio"), ("pause", "text"), ("hold", "")]
    row = dict(stage="unimodal", step=1, modality="image", source="controller")
    made.append("decision", segment=0, epoch=3, action="pause", **row)
    made.append("probe", **later(made, epoch=4))
    assert bound.decide(made)[-1].action == "switch"
    back = dict(parent=0, from_row=4, action="rewind")
    made.append("decision", segment=1, epoch=3, **row, **back)
    assert bound.decide(made)[-1].action == "hold"


def test_nobody_is_paused_or_resumed_for_a_lead_that_is_not_a_number():
    for active in (True, False):
        run = with_nan([0.5, 0.6, 0.5, nan], **{"active.audio": active})
        assert [d.action for d in BalanceController(rule=Manual(), pause=LeadPause(dwell=0)).decide(run)] == ["hold"]


def test_an_encoder_that_learns_ten_times_faster_is_paused_within_two_probes(make_trainer):
    trainer = make_trainer(epochs=20, unimodal_epochs=20, lr=0.003, controller=BalanceController(rule=Manual()))
    trainer.step(epochs=3)
    paused_before = [row for row in trainer.record.rows if row.get("action") == "pause"]
    trainer.set_learning_rate(0.03, "a")
    trainer.step(epochs=2)
    paused = [row for row in trainer.record.rows if row.get("action") == "pause"]
    assert not paused_before and [row["modality"] for row in paused] == ["a"]


@pytest.mark.parametrize("end", ["unique1_low", "unique2_high"])
def test_nobody_is_paused_where_the_end_of_an_interval_is_not_a_number(end):
    made = record(unique1=[0.9] * 5, unique2=[0.1] * 5)
    assert actions(LeadPause().decide(made)) == [("pause", "audio")]
    made.rows[-1][end] = nan
    assert LeadPause().decide(made) == []


def test_by_all_that_a_modality_knows_what_both_share_counts_as_well():
    made = record(redundancy=[1.0] * 5, unique1=[0.9] * 5, unique2=[0.1] * 5)
    assert LeadPause(measure="information").decide(made) == []
    (pause,) = LeadPause(measure="information", ratio=1.5).decide(made)
    assert pause.values["information"] == pytest.approx(1.9) and pause.values["least"] == pytest.approx(1.1)

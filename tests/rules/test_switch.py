"""Controller and rules are pure functions of the record: tables of (record, decision), no training."""

from math import nan

import pytest

from mmpid import BalanceController, FixedEpoch, Manual, PeakSynergy, RedundancyPlateau, RunRecord, replay
from mmpid.errors import ConfigError
from mmpid.rules import Decision, SwitchRule
from mmpid.rules.switch import what_changed

CARD = {"modalities": ["audio", "image"], "settings": {"unimodal_epochs": 99}}


def record(*, width=0.02, metadata=CARD, paused=(), **atoms) -> RunRecord:
    """Make a record with one probe an epoch; each atom is given as a list, with the same interval half-width."""
    made = RunRecord(metadata)
    n = max(len(values) for values in atoms.values())
    for epoch in range(n):
        row = {name: 0.0 for name in ("redundancy", "unique1", "unique2", "synergy")}
        row |= {name: values[epoch] for name, values in atoms.items()}
        row |= {f"{name}_low": row[name] - width for name in list(row)} | {
            f"{name}_high": row[name] + width for name in list(row)
        }
        row |= {f"active.{m}": m not in paused for m in metadata["modalities"]}
        made.append("probe", segment=0, stage="unimodal", epoch=epoch, step=epoch, synergy_identified=True, **row)
    return made


def later(made: RunRecord, **changed) -> dict:
    """Return the fields of the latest probe as another one."""
    probe = [row for row in made.rows if row["kind"] == "probe"][-1]
    return {key: x for key, x in probe.items() if key != "kind"} | changed


def actions(decisions):
    return [(d.action, d.modality) for d in decisions]


def test_peak_synergy_switches_below_the_drop_and_names_the_peak():
    falling = record(synergy=[0, 0, 0.3, 0.5, 0.45, 0.39])
    decision = PeakSynergy(drop=0.8).decide(falling)
    assert (decision.action, decision.rewind_to, decision.epoch) == ("switch", 3, 5)
    assert "0.39 bit, peak 0.50 at epoch 3" in decision.reason
    assert PeakSynergy(drop=0.7).decide(falling).action == "hold"


def test_peak_synergy_ignores_a_fall_within_its_noise():
    noisy = record(synergy=[0, 0, 0.3, 0.5, 0.45, 0.39], width=0.1)
    assert "within its noise" in PeakSynergy().decide(noisy).reason
    assert PeakSynergy(noise_aware=False).decide(noisy).action == "switch"


def test_peak_synergy_waits_for_an_identified_synergy():
    made = record(synergy=[0, 0, 0.3, 0.5, 0.45, 0.1])
    made.rows[-1] |= {"synergy_identified": False, "n_samples": 240}
    assert PeakSynergy().decide(made).reason == "synergy is not identified with 240 samples"


def test_peak_synergy_leaves_out_the_warm_up():
    assert PeakSynergy(warmup=2).best(record(synergy=[0.9, 0.8, 0.1, 0.3, 0.2]))["epoch"] == 3


def test_redundancy_plateau_switches_when_the_gain_is_noise():
    rising = record(redundancy=[0, 0.2, 0.5, 0.8, 1.1, 1.3, 1.5])
    assert RedundancyPlateau(patience=3).decide(rising).action == "hold"
    flat = record(redundancy=[0, 0.2, 0.5, 0.8, 1.1, 1.3, 1.31, 1.32, 1.31])
    decision = RedundancyPlateau(patience=3).decide(flat)
    assert (decision.action, decision.rewind_to) == ("switch", 8)


def test_joint_training_starts_from_the_latest_probe_that_is_as_good_as_the_best():
    """Equal within the noise: the one trained longest. A fall beyond the noise: back to before it."""
    assert Manual().best(record(redundancy=[0, 1.3, 1.32, 1.31]))["epoch"] == 3
    assert Manual().best(record(redundancy=[0, 1.3, 1.32, 1.31], width=0.0))["epoch"] == 2
    fallen = record(redundancy=[0, 0.5, 1.0, 1.3, 1.32, 1.31, 1.3, 1.1])
    assert RedundancyPlateau(patience=3).decide(fallen).rewind_to == 6


def test_redundancy_plateau_waits_until_its_share_of_the_budget_is_spent():
    metadata = {**CARD, "settings": {"epochs": 12, "unimodal_epochs": 99}}
    flat = record(redundancy=[1.0] * 9, metadata=metadata)  # the latest probe is at epoch 8 of 12
    waiting = RedundancyPlateau(patience=3, min_share=0.75).decide(flat)
    assert waiting.action == "hold" and "only 8 of 12 epochs are spent, 75% are wanted" in waiting.reason
    assert RedundancyPlateau(patience=3, min_share=0.6).decide(flat).action == "switch"
    assert RedundancyPlateau(patience=3).decide(record(redundancy=[1.0] * 10, metadata=metadata)).action == "switch"


def test_redundancy_plateau_can_ask_for_balance():
    flat = record(redundancy=[1.0] * 8, unique1=[0.9] * 8, unique2=[0.1] * 8)
    assert RedundancyPlateau(patience=3).decide(flat).action == "switch"
    assert "differs by 0.80 bit" in RedundancyPlateau(patience=3, max_gap=0.2).decide(flat).reason


@pytest.mark.parametrize("rule", [FixedEpoch(epoch=3), PeakSynergy(), RedundancyPlateau(), Manual()])
def test_no_rule_switches_before_there_is_anything_to_see(rule):
    assert rule.decide(RunRecord(CARD)).action == "hold"
    assert rule.best(RunRecord(CARD)) is None
    assert rule.decide(record(synergy=[0.5])).action == "hold"


def test_manual_never_switches_and_fixed_switches_at_its_epoch():
    made = record(synergy=[0.1] * 6)
    assert Manual().decide(made).action == "hold"
    assert [FixedEpoch(epoch=e).decide(made).action for e in (4, 5, 6)] == ["switch", "switch", "hold"]


def test_the_controller_pauses_who_runs_ahead_by_more_than_the_ratio_and_the_noise():
    ahead = dict(unique1=[0.1, 0.4, 0.6, 0.9], unique2=[0.1, 0.1, 0.1, 0.1])
    assert actions(BalanceController().decide(record(**ahead)))[0] == ("pause", "audio")
    assert (
        "0.90 bit of unique information, image 0.10: ratio 9.0 is above 3"
        in BalanceController().decide(record(**ahead))[0].reason
    )
    assert actions(BalanceController(uniqueness_ratio=10).decide(record(**ahead))) == [("hold", "")]
    assert actions(BalanceController().decide(record(**ahead, width=0.8))) == [("hold", "")]


def test_two_numbers_near_zero_are_no_imbalance():
    tiny = dict(unique1=[0.04] * 5, unique2=[0.001] * 5)
    assert actions(BalanceController().decide(record(**tiny, width=0.0))) == [("hold", "")]


@pytest.mark.parametrize(("u1", "action"), [(0.25, [("hold", "")]), (0.2, [("resume", "audio"), ("hold", "")])])
def test_hysteresis_keeps_a_paused_modality_until_the_ratio_is_well_below(u1, action):
    made = record(unique1=[u1] * 5, unique2=[0.1] * 5, paused=["audio"])
    assert actions(BalanceController(hysteresis=0.7, max_pause=99).decide(made)) == action


@pytest.mark.parametrize(("since", "action"), [(3, "hold"), (2, "resume"), (0, "resume")])
def test_a_pause_ends_after_the_longest_allowed(since, action):
    made = record(unique1=[0.9] * 5, unique2=[0.1] * 5, paused=["audio"])
    row = dict(segment=0, stage="unimodal", step=1, action="pause", modality="audio", source="controller")
    made.append("decision", epoch=since, **row)
    assert BalanceController(max_pause=2, dwell=1).decide(made)[0].action == action


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
    assert actions(BalanceController(dwell=1).decide(made)) == [("hold", "")]
    assert actions(BalanceController(dwell=0).decide(made))[0] == ("pause", "audio")


def test_stage_one_ends_when_its_epochs_are_used_up():
    metadata = {**CARD, "settings": {"unimodal_epochs": 4}}
    decision = BalanceController(rule=Manual()).decide(record(redundancy=[0.1, 0.2, 0.5, 0.2, 0.1], metadata=metadata))[
        -1
    ]
    assert decision.action == "switch" and "used its 4 epochs" in decision.reason and decision.rewind_to == 2


def test_stage_one_ends_at_the_second_pause_where_two_are_the_most_allowed():
    made = record(redundancy=[0.1, 0.2, 0.5, 0.2], unique1=[0.9] * 4, unique2=[0.1] * 4)
    free, bound = BalanceController(rule=Manual()), BalanceController(rule=Manual(), max_reversals=2)
    assert actions(bound.decide(made)) == actions(free.decide(made)) == [("pause", "audio"), ("hold", "")]
    row = dict(segment=0, stage="unimodal", step=1, action="pause", modality="image")
    made.append("decision", epoch=0, source="user", **row)
    assert actions(bound.decide(made))[-1] == ("hold", ""), "what the user paused is no reversal"
    made.append("decision", epoch=1, source="controller", **row)
    assert actions(free.decide(made)) == [("pause", "audio"), ("hold", "")]
    pause, switch = bound.decide(made)
    assert (pause.action, switch.action, switch.rule, switch.rewind_to) == ("pause", "switch", "max_reversals", 2)
    assert switch.reason == "stage 1 has seen 2 pauses, the most allowed (the switch is made by hand)"
    made.append("probe", **later(made, epoch=4, unique1=0.1))
    assert actions(bound.decide(made)) == [("hold", "")], "one pause is on record, and this probe asks for none"


def test_several_pauses_at_one_probe_are_one_reversal_and_those_of_a_discarded_future_none():
    metadata = {**CARD, "modalities": ["audio", "image", "text"]}
    made = record(unique1=[0.9] * 4, unique2=[0.1] * 4, unique3=[0.9] * 4, metadata=metadata)
    bound = BalanceController(rule=Manual(), max_reversals=2, dwell=0)
    assert actions(bound.decide(made)) == [("pause", "audio"), ("pause", "text"), ("hold", "")]
    row = dict(stage="unimodal", step=1, modality="image", source="controller")
    made.append("decision", segment=0, epoch=3, action="pause", **row)
    made.append("probe", **later(made, epoch=4))
    assert bound.decide(made)[-1].action == "switch"
    back = dict(parent=0, from_row=4, action="rewind")
    made.append("decision", segment=1, epoch=3, **row, **back)
    assert bound.decide(made)[-1].action == "hold"


def test_a_decision_is_a_pure_function_of_the_record():
    made = record(redundancy=[0.1 * i for i in range(9)], unique1=[0.5] * 9)
    before = made.content()
    first = BalanceController().decide(made)
    assert first == BalanceController().decide(made) and made.content() == before


def test_the_settings_survive_json():
    controller = BalanceController(rule=PeakSynergy(drop=0.6), uniqueness_ratio=2.5, max_reversals=3)
    assert BalanceController.from_dict(controller.to_dict()) == controller
    assert "max_reversals" not in BalanceController().to_dict(), "older versions read what they know"


def test_a_controller_saved_by_an_older_version_loads_and_one_of_a_newer_version_is_refused():
    saved = BalanceController().to_dict()
    saved.pop("measure")
    assert BalanceController.from_dict(saved) == BalanceController()
    with pytest.raises(ConfigError, match=r"fields unknown to this version: \['mood'\]. Update"):
        BalanceController.from_dict({**saved, "mood": 1})


def test_replay_stops_at_the_switch():
    made = record(synergy=[0, 0, 0.3, 0.5, 0.3, 0.1, 0.9])
    assert [d.action for d in replay(made, PeakSynergy(drop=0.8))] == ["hold"] * 4 + ["switch"]
    assert [d.epoch for d in replay(made, FixedEpoch(epoch=2))] == [0, 1, 2]


def test_replaying_the_rule_that_ran_gives_the_decisions_that_were_recorded(make_trainer):
    controller = BalanceController(rule=RedundancyPlateau(warmup=0, patience=1))
    trainer = make_trainer(epochs=12, unimodal_epochs=8, controller=controller)
    recorded = [
        row for row in trainer.fit(progress=False).rows if row["kind"] == "decision" and row["stage"] == "unimodal"
    ]
    told = [(d.action, d.reason) for d in replay(trainer.record, controller)]
    switch = [row for row in trainer.record.rows if row.get("action") == "switch"]
    expected = [(row["action"], row["reason"]) for row in recorded if row["action"] not in ("rewind", "switch")]
    assert told == [*expected, (switch[0]["action"], switch[0]["reason"])]


def test_a_rule_of_ones_own_is_asked(make_trainer):
    class Second(SwitchRule):
        def decide(self, record) -> Decision:
            probes = self.probes(record)
            return self.switch(probes[-1], "the second") if len(probes) == 2 else self.hold(probes, "not yet")

    trainer = make_trainer(controller=BalanceController(rule=Second()))
    trainer.step(epochs=2)
    assert trainer.stage == "joint" and trainer.record.lineage("decision")[-1]["rule"] == "Second"


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: PeakSynergy(drop=1.5), "`drop`.*1.5"),
        (lambda: RedundancyPlateau(patience=0), "`patience`.*at least 1"),
        (lambda: BalanceController(rule="peak"), "`rule` must be a SwitchRule.*'peak'"),
        (lambda: BalanceController(uniqueness_ratio=0.5), "`uniqueness_ratio`.*at least 1"),
        (lambda: BalanceController(max_reversals=0), "`max_reversals` must be an integer of at least 1; it was 0"),
        (lambda: BalanceController(measure="mi"), "`measure` must be one of 'uniqueness', 'information'"),
        (lambda: replay(RunRecord(CARD), "peak"), "must be a SwitchRule or a BalanceController"),
    ],
)
def test_bad_settings_are_refused(build, words):
    with pytest.raises(ConfigError, match=words):
        build()


# --- an induced imbalance -------------------------------------------------------------------------------------


def test_an_encoder_that_learns_ten_times_faster_is_paused_within_two_probes(make_trainer):
    trainer = make_trainer(epochs=20, unimodal_epochs=20, lr=0.003, controller=BalanceController(rule=Manual()))
    trainer.step(epochs=3)
    paused_before = [row for row in trainer.record.rows if row.get("action") == "pause"]
    trainer.set_learning_rate(0.03, "a")
    trainer.step(epochs=2)
    paused = [row for row in trainer.record.rows if row.get("action") == "pause"]
    assert not paused_before and [row["modality"] for row in paused] == ["a"]


# --- what is not a number, and what is no new evidence ------------------------------------------------------------


def with_nan(values: list[float], **more) -> RunRecord:
    made = RunRecord(CARD)
    for epoch, value in enumerate(values):
        atoms = {"redundancy": value, "synergy": value, "unique1": value, "unique2": 0.01}
        made.append("probe", segment=0, stage="unimodal", epoch=epoch, step=epoch, **(atoms | more))
    return made


@pytest.mark.parametrize(
    "broken", [{}, {"synergy": 0.1, "redundancy": 0.1, "synergy_low": nan, "redundancy_high": nan}]
)
@pytest.mark.parametrize(
    "rule",
    [PeakSynergy(warmup=0, noise_aware=False), RedundancyPlateau(warmup=0, patience=2, min_share=0)],
    ids=lambda rule: rule.name,
)
def test_no_rule_acts_on_an_atom_that_is_not_a_number(rule, broken):
    run = with_nan([0.5, 0.6, 0.5])
    run.rows.append(with_nan([nan], **broken).rows[0] | {"epoch": 3})
    decision = rule.decide(run)
    assert decision.action == "hold" and "not a number" in decision.reason
    assert rule.best(run)["epoch"] == 1, "nor is it ever the best"
    run.rows.append(run.rows[0] | {"epoch": 4, "synergy": 0.2, "redundancy": 0.5})
    assert rule.decide(run).action == "switch", "and it does not stand in the way of what comes after"


def test_nobody_is_paused_or_resumed_for_a_lead_that_is_not_a_number():
    for active in (True, False):
        run = with_nan([0.5, 0.6, 0.5, nan], **{"active.audio": active})
        assert [d.action for d in BalanceController(rule=Manual(), dwell=0).decide(run)] == ["hold"]


def test_a_gap_that_is_not_a_number_is_no_balance():
    run = with_nan([0.5] * 4)
    run.rows[-1]["unique1"] = nan
    decision = RedundancyPlateau(warmup=0, patience=2, min_share=0, max_gap=9.0).decide(run)
    assert decision.action == "hold" and "unique information is not a number" in decision.reason


def test_probing_again_by_hand_hastens_nothing():
    rule, controller = RedundancyPlateau(warmup=0, patience=3, min_share=0), BalanceController(rule=Manual())
    run = with_nan([0.1, 0.5])
    for _ in range(6):
        run.rows.append(dict(run.rows[-1]))
    assert "warming up: 2 of 4" in rule.decide(run).reason
    assert [d.action for d in controller.decide(run)] == ["hold"], "two probes are still the warm-up"


def test_a_change_of_rule_is_told_by_what_changed():
    class Mine(SwitchRule):
        pass

    plateau = RedundancyPlateau(patience=8, max_gap=0.2)
    told = [
        (plateau, RedundancyPlateau(patience=8, min_share=0.5), "(max_gap=0.2 -> None, min_share=0.75 -> 0.5)"),
        (plateau, Manual(), " -> Manual"),
        (plateau, Mine(), " -> Mine"),
        (Mine(), plateau, " -> RedundancyPlateau(patience=8, max_gap=0.2)"),
    ]
    for before, after, words in told:
        assert what_changed(before, after) == before.name + words


def test_a_rule_derived_from_ours_keeps_its_own_name_and_is_not_loaded_as_ours():
    class Patient(RedundancyPlateau):
        pass

    class Calm(BalanceController):
        pass

    assert Patient().decide(with_nan([0.1])).rule == "Patient"
    for controller, words in ((BalanceController(rule=Patient()), "rule of its own, 'Patient'"), (Calm(), "'Calm'")):
        with pytest.raises(ConfigError, match=f"{words}; pass `controller=`"):
            BalanceController.from_dict(controller.to_dict())

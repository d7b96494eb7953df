"""The controller asks its three parts, and is saved with the run."""

import json
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

from mmpid import BalanceController, FixedEpoch, Manual, PeakSynergy, RedundancyPlateau, RunRecord, Trainer, replay
from mmpid.errors import ConfigError, InputError
from mmpid.rules import Decision, GiveUpRule, LeadPause, NothingLearned, PausePolicy, SwitchRule
from mmpid.rules.registry import built_in
from tests.rules.records import METADATA, actions, record, with_nan


def test_stage_one_ends_when_its_epochs_are_used_up():
    metadata = {**METADATA, "settings": {"unimodal_epochs": 4}}
    decision = BalanceController(rule=Manual()).decide(record(redundancy=[0.1, 0.2, 0.5, 0.2, 0.1], metadata=metadata))[
        -1
    ]
    assert (decision.action, decision.rule, decision.rewind_to) == ("switch", "unimodal_epochs", 2)
    assert decision.values == {"epoch": 4, "unimodal_epochs": 4}


def test_a_decision_is_a_pure_function_of_the_record():
    made = record(redundancy=[0.1 * i for i in range(9)], unique1=[0.5] * 9)
    before = made.content()
    first = BalanceController().decide(made)
    assert first == BalanceController().decide(made) and made.content() == before


def test_replay_stops_at_the_switch(tmp_path):
    made = record(synergy=[0, 0, 0.3, 0.5, 0.3, 0.1, 0.9])
    assert [d.action for d in replay(made, PeakSynergy(drop=0.8))] == ["hold"] * 4 + ["switch"]
    assert replay(made, FixedEpoch(epoch=2)) == replay(SimpleNamespace(record=made), FixedEpoch(epoch=2))
    assert replay(made.save(tmp_path / "record.jsonl"), FixedEpoch(epoch=2)) == replay(made, FixedEpoch(epoch=2))
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
            return self.switch(probes[-1], "the second") if len(probes) == 2 else self.hold(probes[-1], "not yet")

    trainer = make_trainer(controller=BalanceController(rule=Second()))
    trainer.step(epochs=2)
    assert trainer.stage == "joint" and trainer.record.lineage("decision")[-1]["rule"] == "Second"


@pytest.mark.parametrize(
    ("build", "argument"),
    [
        (lambda: PeakSynergy(drop=1.5), "drop"),
        (lambda: RedundancyPlateau(patience=0), "patience"),
        (lambda: BalanceController(rule="peak"), "rule"),
        (lambda: BalanceController(rule=None), "rule"),
        (lambda: BalanceController(rule=LeadPause()), "rule"),
        (lambda: BalanceController(pause=RedundancyPlateau()), "pause"),
        (lambda: BalanceController(give_up=5), "give_up"),
        (lambda: LeadPause(ratio=0.5), "ratio"),
        (lambda: LeadPause(max_pauses=0), "max_pauses"),
        (lambda: LeadPause(max_pause=0), "max_pause"),
        (lambda: LeadPause(measure="mi"), "measure"),
        (lambda: NothingLearned(probes=0), "probes"),
        (lambda: replay(RunRecord(METADATA), "peak"), "rule"),
    ],
)
def test_bad_settings_are_refused(build, argument):
    with pytest.raises(ConfigError, match=f"`{argument}`"):
        build()


def test_the_settings_survive_json():
    controller = BalanceController(
        rule=PeakSynergy(drop=0.6), pause=LeadPause(ratio=2.5, max_pause=None, max_pauses=3), give_up=None
    )
    for each in (controller, BalanceController(), BalanceController(rule=Manual(), pause=None)):
        assert BalanceController.from_dict(json.loads(json.dumps(each.to_dict()))) == each


OLDER = {
    "rule": {"name": "PeakSynergy", "drop": 0.6, "warmup": 2, "noise_aware": True},
    "uniqueness_ratio": 2.5, "floor": 0.05, "hysteresis": 0.7, "warmup": 2, "dwell": 2, "max_pause": 4,
    "measure": "uniqueness", "max_reversals": 3, "give_up_after": 4,
}  # fmt: skip


def test_a_controller_saved_by_an_older_version_loads():
    loaded = BalanceController.from_dict(OLDER)
    pause, rule = LeadPause(ratio=2.5, max_pause=4, max_pauses=3), PeakSynergy(drop=0.6, min_bits=0)
    assert loaded == BalanceController(rule=rule, pause=pause, give_up=NothingLearned(probes=4)), "no floor then"
    oldest = {name: x for name, x in OLDER.items() if name not in ("measure", "max_reversals", "give_up_after")}
    assert BalanceController.from_dict(oldest).give_up is None, "it never gave up then"


@pytest.mark.parametrize(
    "change",
    [
        {"mood": 1},
        {"rule": {"class": "mmpid.rules.plateau.RedundancyPlateau", "mood": 1}},
        {"rule": {"class": "mmpid.rules.later.Later"}},
        {"pause": {"class": "mmpid.rules.plateau.RedundancyPlateau"}},
        {"class": "mmpid.rules.later.Controller"},
    ],
)
def test_a_controller_of_a_newer_version_is_refused(change):
    with pytest.raises(ConfigError, match="Update mmpid"):
        BalanceController.from_dict(BalanceController().to_dict() | change)


# ---- parts of one's own ------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Second(SwitchRule):
    """Switches at the second probe."""

    scale: float = 1.0

    def decide(self, record):
        probes = self.probes(record)
        if len(probes) == 2:
            return self.switch(probes[-1], "the second", values={"scale": self.scale})
        return self.hold(probes[-1] if probes else None, "not yet")


@dataclass(frozen=True, kw_only=True)
class FirstOnly(PausePolicy):
    """Pauses the first modality at the first probe."""

    def decide(self, record):
        now = record.probes()[-1]
        first = now.modalities[0]
        return [Decision(action="pause", reason="first", epoch=now.epoch, modality=first)] if now.active[first] else []


@dataclass(frozen=True, kw_only=True)
class AfterThree(GiveUpRule):
    """Gives up at the third probe."""

    def decide(self, record):
        probes = record.probes("unimodal")
        if len(probes) < 3:
            return None
        return Decision(action="switch", reason="three", epoch=probes[-1].epoch, rewind_to=0, from_scratch=True)


MINE = BalanceController(rule=RedundancyPlateau(), pause=FirstOnly(), give_up=AfterThree())


def test_a_policy_and_a_give_up_rule_of_ones_own_are_asked():
    assert [actions(MINE.decide(record(redundancy=[0.1] * n))) for n in (1, 2, 3)] == [
        [("pause", "audio"), ("hold", "")], [("pause", "audio"), ("hold", "")], [("switch", "")]
    ]  # fmt: skip
    bound = BalanceController(rule=Manual(), pause=FirstOnly(max_pauses=1))
    assert bound.decide(record(redundancy=[0.1]))[-1].rule == "max_reversals"


@pytest.mark.parametrize("part", [{"rule": Second()}, {"pause": FirstOnly()}, {"give_up": AfterThree()}])
def test_a_part_of_ones_own_is_saved_refused_on_load_and_taken_when_passed(part, make_trainer, small_data, tmp_path):
    trainer = make_trainer(controller=BalanceController(**part))
    trainer.step(epochs=1)
    folder = trainer.save(tmp_path / "run")
    with pytest.raises(ConfigError, match=f"{type(*part.values()).__name__}.*`controller=`"):
        Trainer.load(folder, small_data, device="cpu")
    loaded = Trainer.load(folder, small_data, controller=trainer.controller, device="cpu")
    assert loaded.controller == trainer.controller
    assert loaded.fit(progress=False) == trainer.fit(progress=False)


def test_the_values_of_a_decision_are_typed_fields_of_its_row(make_trainer):
    trainer = make_trainer(controller=BalanceController(rule=Second(scale=2.5)))
    trainer.step(epochs=2)
    assert trainer.record.lineage("decision")[-1]["value.scale"] == 2.5


@pytest.mark.parametrize("name", sorted(kind.__name__ for kind in built_in().values()))
@pytest.mark.parametrize(("argument", "base"), [("rule", SwitchRule), ("pause", LeadPause), ("give_up", AfterThree)])
def test_a_class_with_the_name_of_a_built_in_one_is_refused(name, argument, base):
    with pytest.raises(ConfigError, match=f"`{argument}`.*My{name}"):
        BalanceController(**{argument: type(name, (base,), {})()})


def test_a_controller_of_ones_own_is_refused_on_load_and_so_is_its_name():
    class Calm(BalanceController):
        pass

    with pytest.raises(ConfigError, match="Calm"):
        BalanceController.from_dict(Calm().to_dict())
    with pytest.raises(ConfigError, match="BalanceController"):
        type("BalanceController", (BalanceController,), {})()


def test_a_rule_derived_from_a_built_in_one_keeps_its_own_name_and_is_not_loaded_as_that_one():
    class Patient(RedundancyPlateau):
        pass

    assert Patient().decide(with_nan([0.1])).rule == "Patient"
    with pytest.raises(ConfigError, match="Patient"):
        BalanceController.from_dict(BalanceController(rule=Patient()).to_dict())


def test_an_older_record_of_a_part_of_ones_own_is_refused():
    for change in ({"rule": {"name": "Mine", "x": 1}}, {"kind": "Calm"}):
        with pytest.raises(ConfigError, match="`controller=`"):
            BalanceController.from_dict(OLDER | change)


def test_numpy_settings_are_saved_as_numbers():
    @dataclass(frozen=True, kw_only=True)
    class Odd(SwitchRule):
        pair: tuple = (np.float32(0.5), None)
        flag: bool = np.bool_(True)

    rule = RedundancyPlateau(patience=np.int64(4), min_gain=np.float32(0.25))
    assert (type(rule.patience), type(rule.min_gain)) == (int, float)
    assert (Odd().pair, Odd().flag) == ((0.5, None), True)
    for each in (rule, Odd(), LeadPause(ratio=np.float64(2), max_pause=np.int32(3)), NothingLearned(probes=np.int8(3))):
        assert json.loads(json.dumps(each.to_dict()))["class"].endswith(type(each).__qualname__)
    with pytest.raises(ConfigError, match="`odd`"):
        type("Odder", (SwitchRule,), {"__init__": lambda self: vars(self).update(odd=object())})().to_dict()


@pytest.mark.parametrize(
    "part",
    [
        {"rule": type("Silent", (SwitchRule,), {"decide": lambda self, record: None})()},
        {"rule": type("Pauses", (SwitchRule,), {"decide": lambda self, record: FirstOnly().decide(record)[0]})()},
        {"pause": type("One", (FirstOnly,), {"decide": lambda self, record: FirstOnly().decide(record)[0]})()},
        {"pause": type("Holds", (FirstOnly,), {"decide": lambda self, record: [Manual().decide(record)]})()},
        {"give_up": type("Yes", (AfterThree,), {"decide": lambda self, record: True})()},
    ],
)
def test_an_answer_that_a_part_may_not_give_is_refused_by_the_name_of_the_part(part):
    with pytest.raises(InputError, match=type(*part.values()).__name__):
        BalanceController(**part).decide(record(redundancy=[0.1]))


def test_a_decision_holds_finite_json_values_only():
    values = {"a": np.float32(0.5), "b": np.int64(2), "c": float("nan"), "d": float("inf"), "e": "text", "f": None}
    decision = Decision(action="hold", reason="", epoch=0, values=values)
    assert decision.values == {"a": 0.5, "b": 2, "c": None, "d": None, "e": "text", "f": None}
    row = json.loads(json.dumps(decision.to_row("user"), allow_nan=False))
    assert row["value.a"] == 0.5 and row["source"] == "user" and "from_scratch" not in row
    assert hash(decision) == hash(Decision(action="hold", reason="", epoch=0))
    with pytest.raises(ConfigError, match="values"):
        Decision(action="hold", reason="", epoch=0, values={"a": [1]})

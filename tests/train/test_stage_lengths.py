"""Stages last as long as the settings say, however often a run probes."""

import pytest

from mmpid import BalanceController, Manual, Trainer
from mmpid.rules import FixedEpoch

HOLDING = {"controller": BalanceController(rule=Manual(), pause=None, give_up=None)}
PLAIN = {"batch_size": 120, "ecs": (), **HOLDING}


def stages(trainer) -> dict[int, str]:
    """Return the stage in which each epoch of the present path was trained."""
    return {row["epoch"]: row["stage"] for row in trainer.record.lineage("epoch")}


@pytest.mark.parametrize("rewind", [False, True])
@pytest.mark.parametrize("probe_every", [1, 2, 3, 5, 7, 100])
def test_stage_one_ends_after_its_epochs_whatever_the_distance_of_probes(make_trainer, probe_every, rewind):
    trainer = make_trainer(epochs=9, unimodal_epochs=7, probe_every=probe_every, rewind=rewind, **PLAIN)
    trainer.fit(progress=False)
    (switch,) = (row for row in trainer.record.lineage("decision") if row["action"] == "switch")
    assert switch["epoch"] == 7 == switch["value.unimodal_epochs"] and switch["rule"] == "unimodal_epochs"
    spent = [row for row in trainer.record.rows if row["kind"] == "epoch" and row["stage"] == "unimodal"]
    assert [row["epoch"] for row in spent] == [1, 2, 3, 4, 5, 6, 7]
    assert sum(row["kind"] == "epoch" for row in trainer.record.rows) == 9
    if not rewind:
        assert list(stages(trainer).values()) == ["unimodal"] * 7 + ["joint"] * 2


@pytest.mark.parametrize("probe_every", [2, 100])
def test_no_stage_switches_by_itself_while_the_controller_is_off(make_trainer, probe_every):
    trainer = make_trainer(epochs=6, unimodal_epochs=3, probe_every=probe_every, **PLAIN)
    trainer.auto = False
    trainer.step(epochs=6)
    assert trainer.finished and set(stages(trainer).values()) == {"unimodal"}
    assert not trainer.record.lineage("decision")


def test_a_controller_that_is_switched_on_later_ends_stage_one_at_the_next_probe(make_trainer):
    trainer = make_trainer(epochs=8, unimodal_epochs=3, probe_every=2, rewind=False, **PLAIN)
    trainer.auto = False
    trainer.step(epochs=5)
    trainer.auto = True
    trainer.step(epochs=2)
    assert stages(trainer)[7] == "joint"


@pytest.mark.parametrize("probe_every", [1, 3, 100])
@pytest.mark.parametrize("switch_at", [2, 5])
def test_stage_two_has_its_own_epochs_whenever_it_starts(make_trainer, probe_every, switch_at):
    trainer = make_trainer(
        epochs=12, joint_epochs=3, unimodal_epochs=switch_at, probe_every=probe_every, rewind=False, **PLAIN
    )
    trainer.fit(progress=False)
    assert list(stages(trainer).values()) == ["unimodal"] * switch_at + ["joint"] * 3
    assert trainer.finished and trainer.record.lineage("result")


@pytest.mark.parametrize("probe_every", [1, 4, 100])
def test_a_stage_one_of_the_whole_budget_never_switches(make_trainer, probe_every):
    trainer = make_trainer(epochs=5, unimodal_epochs=5, probe_every=probe_every, **PLAIN)
    trainer.fit(progress=False)
    assert list(stages(trainer).values()) == ["unimodal"] * 5 and trainer.finished
    assert not [row for row in trainer.record.rows if row.get("action") == "switch"]


@pytest.mark.parametrize("probe_every", [1, 3, 100])
def test_a_rule_that_names_an_epoch_is_asked_at_the_probes_alone(make_trainer, probe_every):
    rule = BalanceController(rule=FixedEpoch(epoch=2), pause=None)
    trainer = make_trainer(
        epochs=8, unimodal_epochs=6, probe_every=probe_every, rewind=False, batch_size=120, ecs=(), controller=rule
    )
    trainer.fit(progress=False)
    first = {1: 2, 3: 3, 100: 6}[probe_every]
    assert list(stages(trainer).values()) == ["unimodal"] * first + ["joint"] * (8 - first)


def test_the_paper_s_stages_keep_their_lengths(make_trainer, small_data):
    short = {"epochs": 16, "unimodal_epochs": 9, "joint_epochs": 4, "n_clusters": 4, "probe_samples": 64}
    trainer = make_trainer(preset="paper", pid_method="exact", **short, **HOLDING)
    assert trainer.config.probe_every == 5
    trainer.fit(progress=False)
    assert list(stages(trainer).values()) == ["unimodal"] * 9 + ["joint"] * 4
    probes = [row["epoch"] for row in trainer.record.lineage("probe")]
    assert probes == [0, 5, 9]  # none in stage 2


def test_a_resumed_run_keeps_the_lengths(make_trainer, small_data, tmp_path):
    whole, first = (make_trainer(epochs=9, unimodal_epochs=7, probe_every=5, **PLAIN) for _ in range(2))
    first.step(epochs=6)
    resumed = Trainer.load(first.save(tmp_path / "run"), small_data, device="cpu")
    for trainer in (whole, resumed):
        trainer.fit(progress=False)
    assert resumed.record == whole.record and stages(whole)[7] == "unimodal"

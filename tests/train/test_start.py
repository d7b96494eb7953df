"""`start="best"`: joint training is tried from the shaped and from a fresh start, within the budget."""

import numpy as np
import pytest
import torch

from mmpid import BalanceController, FixedEpoch, LateFusion, MultimodalData, Trainer
from mmpid.errors import ConfigError
from mmpid.train.config import TrainConfig
from mmpid.train.start_trial import Candidate, gain
from tests.small_runs import QUICK, weights

# 2 epochs alone, 2 jointly, 4 from scratch: 8 of the budget before the better start goes on
TRIED = {"epochs": 11, "start": "best", "stage2": "off", "batch_size": 60, "lr": 0.05, "ecs": ()}
RULE = BalanceController(rule=FixedEpoch(epoch=2), pause=None, give_up=None)


@pytest.fixture(scope="module")
def parity():
    """A target that needs both modalities: are the signs of both the same?"""
    rng = np.random.default_rng(0)
    x = {name: rng.normal(size=(600, 2)) for name in "ab"}
    y = (x["a"][:, 0] * x["b"][:, 0] > 0).astype(int)
    return MultimodalData.from_arrays({n: np.sign(v) + 0.1 * v for n, v in x.items()}, y, seed=0, name="parity")


def start(data, fusion="film", **settings) -> Trainer:
    model = LateFusion.from_data(data, fusion=fusion, seed=0)
    return Trainer(model, data, controller=RULE, **{**TRIED, **QUICK, **settings})


def decision(trainer) -> dict:
    (row,) = [row for row in trainer.record.lineage("decision") if row["action"] == "start"]
    return row


def test_the_fresh_start_is_kept_where_the_target_needs_both(parity):
    trainer = start(parity, epochs=20)
    trainer.fit(progress=False)
    row = decision(trainer)
    assert row["value.kept"] == "fresh" and row["value.gain"] > 0 < row["value.noise"]
    assert row["value.fresh"] >= row["value.shaped"] and row["value.epochs"] == 4
    # the path is that of joint training from scratch, epoch by epoch, with what is left of the budget
    scratch = start(parity, epochs=16, unimodal_epochs=0, start="shaped")
    scratch.fit(progress=False)
    own, other = (run.record.lineage("epoch") for run in (trainer, scratch))
    assert len(own) == 16 and trainer.progress == (20, 20)
    assert [row["loss.joint"] for row in own] == [row["loss.joint"] for row in other]
    assert torch.equal(weights(trainer), weights(scratch))


def test_the_shaped_start_goes_on_as_if_it_had_not_been_tried(small_data, monkeypatch):
    monkeypatch.setattr("mmpid.train.start_trial.Candidate.judge", lambda run: Candidate(0.5, torch.ones(3)))  # equals
    monkeypatch.setattr("mmpid.train.start_trial.gain", lambda *_: (0.0, 0.2))
    trainer = start(small_data, fusion="concat")
    trainer.fit(progress=False)
    assert decision(trainer)["value.kept"] == "shaped"
    alone = start(small_data, fusion="concat", epochs=7, start="shaped")
    alone.fit(progress=False)
    own, other = (run.record.lineage("epoch") for run in (trainer, alone))
    assert [row["loss.joint"] for row in own[2:]] == [row["loss.joint"] for row in other[2:]]
    assert torch.equal(weights(trainer), weights(alone)) and trainer.progress == (11, 11)
    stages = [row["stage"] for row in trainer.record.rows if row["kind"] == "epoch"]
    assert len(stages) == 11, "the epochs of the fresh start count"
    results = [run.record.lineage("result")[0]["test_accuracy.joint"] for run in (trainer, alone)]
    assert results[0] == results[1]


@pytest.mark.parametrize("batches", [3, 10, 17, 25, 40, 46])
def test_a_run_killed_anywhere_in_a_trial_goes_on_bit_for_bit(parity, tmp_path, batches):
    whole, first = start(parity), start(parity)
    first.step(batches=batches)
    resumed = Trainer.load(first.save(tmp_path / "run"), parity, device="cpu")
    for trainer in (whole, resumed):
        trainer.fit(progress=False)
    assert resumed.record == whole.record and torch.equal(weights(resumed), weights(whole))


def test_a_rewind_and_a_branch_into_stage_one_start_a_new_trial(parity):
    trainer = start(parity, epochs=24)
    trainer.step(epochs=6)  # within the trial
    child = trainer.branch(at=0)
    trainer.rewind(to=0)
    for run in (trainer, child):
        run.fit(progress=False)
        assert decision(run)["value.epochs"] == 4
    assert child.progress[0] == 24 and trainer.progress == (24, 24)


def test_a_trial_that_the_budget_has_no_room_for_is_not_begun(parity):
    trainer = start(parity, epochs=8, unimodal_epochs=2)
    trainer.fit(progress=False)
    row = decision(trainer)
    assert row["value.wanted"] == 7 and row["value.left"] == 6 and "value.kept" not in row
    assert len(trainer.record.lineage("epoch", stage="joint")) == 6


def test_settings_that_leave_no_room_for_a_trial_are_refused():
    for own in ({"joint_epochs": 3}, {"freeze_encoders": True}):
        with pytest.raises(ConfigError, match="`start`"):
            TrainConfig(start="best", **own)
    assert [TrainConfig(start="best", epochs=n).unimodal_epochs for n in (30, 20, 16, 3)] == [10, 7, 5, 1]
    assert "start" not in TrainConfig().to_dict() and TrainConfig(start="best").to_dict()["start"] == "best"


def test_the_noise_of_a_gain_is_that_of_whole_groups():
    torch.manual_seed(0)
    fresh = torch.randn(40, dtype=torch.float64)
    shaped, groups = fresh + torch.randn(10, dtype=torch.float64).repeat_interleave(4), torch.arange(40) // 4
    mean, single = gain(shaped, fresh)
    assert gain(shaped, fresh, groups)[0] == mean == pytest.approx(float((shaped - fresh).mean()))
    assert gain(shaped, fresh, groups)[1] == pytest.approx(float((shaped - fresh)[::4].std()) / 10**0.5)
    assert single < gain(shaped, fresh, groups)[1] < gain(shaped, fresh, torch.zeros(40))[1] == float("inf")

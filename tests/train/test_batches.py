"""The size of a batch may change on the way, and what is counted over an epoch stays right."""

import pytest
import torch

from mmpid import BalanceController, LateFusion, Manual, MultimodalData, Trainer, replay
from mmpid.errors import ConfigError
from mmpid.plots.traces import accuracy_traces
from mmpid.rules import FixedEpoch
from mmpid.train.engine import Engine
from tests.small_runs import weights


def by_hand() -> BalanceController:
    return BalanceController(rule=Manual(), pause=None)


def watch_batches(trainer, monkeypatch) -> list[torch.Tensor]:
    """Return a list that fills with the samples (of modality a) of every batch that is trained on."""
    seen, plain = [], Engine.update

    def update(self, inputs, *rest):
        seen.append(inputs["a"])
        return plain(self, inputs, *rest)

    monkeypatch.setattr(Engine, "update", update)
    return seen


def test_a_batch_size_set_before_the_first_batch_is_that_of_the_settings(make_trainer):
    one, two = make_trainer(batch_size=32), make_trainer(batch_size=64)
    two.set_batch_size(32)
    for trainer in (one, two):
        trainer.fit(progress=False)
    assert torch.equal(weights(one), weights(two))
    row = two.record.lineage("decision")[0]
    assert (row["action"], row["reason"], row["source"]) == ("batch_size", "by hand: 64 -> 32", "user")
    assert two.batch_size == 32 and two.config.batch_size == 64, "the settings are those that the run began with"


def test_what_is_left_of_an_epoch_is_cut_anew_and_every_sample_is_taken_once(make_trainer, monkeypatch):
    trainer = make_trainer(batch_size=64, log_every=2)
    seen = watch_batches(trainer, monkeypatch)
    trainer.step(batches=2)
    trainer.set_batch_size(25)
    trainer.step(batches=1)
    trainer.set_batch_size(30)
    trainer.set_batch_size(30)
    trainer.step(epochs=1)
    assert [len(x) for x in seen] == [64, 64, 25, 30, 30, 27] and trainer.epoch == 1
    train = trainer.data.split("train").inputs["a"]
    assert torch.equal(torch.cat(seen).sort(0).values, train.sort(0).values)
    changes = [row["reason"] for row in trainer.record.lineage("decision") if row["action"] == "batch_size"]
    assert changes == ["by hand: 64 -> 25", "by hand: 25 -> 30"]
    (epoch,) = trainer.record.lineage("epoch")
    assert epoch["loss.a"] > 0 and [row["batch"] for row in trainer.record.lineage("batch")] == [2, 4, 6]
    trainer.step(batches=1)
    assert len(seen[-1]) == 30, "and the next epoch has the new size throughout"


@pytest.mark.parametrize("batches", [1, 3])
def test_a_run_saved_within_an_epoch_that_was_cut_anew_goes_on_bit_for_bit(make_trainer, small_data, tmp_path, batches):
    trainer = make_trainer(batch_size=64)
    trainer.step(batches=2)
    trainer.set_batch_size(25)
    trainer.step(batches=batches)
    loaded = Trainer.load(trainer.save(tmp_path / "run"), small_data, device="cpu")
    assert loaded.batch_size == 25
    assert loaded.fit(progress=False) == trainer.fit(progress=False)
    assert torch.equal(weights(loaded), weights(trainer))


def test_a_rewind_restores_the_size_that_was_in_force_and_a_branch_has_it(make_trainer):
    trainer = make_trainer(controller=by_hand(), unimodal_epochs=9)
    trainer.step(epochs=1)
    trainer.set_batch_size(16)
    trainer.step(epochs=2)
    assert trainer.branch(at=3).batch_size == 16
    trainer.rewind(to=1)
    assert trainer.batch_size == 64
    plain = make_trainer(controller=by_hand(), unimodal_epochs=9)
    plain.step(epochs=2)
    trainer.step(epochs=1)
    assert torch.equal(weights(plain), weights(trainer))


def test_a_replay_does_not_mind_a_change_of_size(make_trainer):
    trainer = make_trainer()
    trainer.step(epochs=1)
    trainer.set_batch_size(16)
    trainer.step(epochs=1)
    decisions = replay(trainer.record, BalanceController(rule=FixedEpoch(epoch=2), pause=None))
    assert [d.action for d in decisions] == ["hold", "hold", "switch"]


@pytest.mark.parametrize("n", [0, -1, 2.5, "32", None])
def test_a_size_that_cannot_be_is_refused(make_trainer, n):
    with pytest.raises(ConfigError, match="`n`"):
        make_trainer().set_batch_size(n)


def test_rates_can_be_read(make_trainer):
    trainer = make_trainer(lr=0.02, joint_lr_scale=0.5)
    trainer.set_learning_rate(0.01, "b")
    assert trainer.learning_rates == {"a": 0.02, "b": 0.01}
    trainer.switch_to_joint(rewind=False)
    assert trainer.learning_rates == {"a": 0.01, "b": 0.01, "joint": 0.01}


def test_another_rule_is_followed_recorded_and_kept_on_resume(make_trainer, tmp_path):
    trainer = make_trainer(epochs=6)
    trainer.controller = BalanceController(rule=FixedEpoch(epoch=5), pause=None)
    trainer.step(epochs=1)
    trainer.set_rule(FixedEpoch(epoch=2))
    trainer.set_rule(FixedEpoch(epoch=2))  # no news
    (row,) = [row for row in trainer.record.lineage("decision") if row["action"] == "rule"]
    assert row["reason"] == "by hand: FixedEpoch(epoch=5 -> 2)" and row["source"] == "user"
    trainer.save(tmp_path / "run")
    trainer.step(epochs=2)
    again = Trainer.load(tmp_path / "run", trainer.data)
    again.step(epochs=2)
    assert trainer.stage == "joint" and again.record == trainer.record


@pytest.mark.parametrize("rule", ["peak", None, FixedEpoch])
def test_what_is_no_rule_is_not_followed(make_trainer, rule):
    with pytest.raises(ConfigError, match="`rule`"):
        make_trainer().set_rule(rule)


# --- accuracy on the training samples -----------------------------------------------------------------------------


def test_training_accuracy_is_the_share_of_right_answers_before_each_update(make_trainer, monkeypatch):
    trainer = make_trainer(batch_size=64)
    right, plain = {"a": 0, "b": 0}, Engine.update

    def update(self, inputs, target, *rest):
        for name in right:
            right[name] += int((self.model(inputs).unimodal[name].argmax(1) == target).sum())
        return plain(self, inputs, target, *rest)

    monkeypatch.setattr(Engine, "update", update)
    trainer.step(epochs=1)
    (row,) = trainer.record.lineage("epoch")
    n = len(trainer.data.splits["train"])
    assert n % 64, "the last batch has to be a small one"
    assert {name: row[f"train_accuracy.{name}"] for name in right} == {name: x / n for name, x in right.items()}


def test_training_accuracy_is_there_for_all_that_is_trained_and_is_drawn(make_trainer):
    trainer = make_trainer()
    trainer.pause("a")
    trainer.step(epochs=1)
    assert "train_accuracy.a" not in trainer.record.lineage("epoch")[0], "it did not train"
    trainer.resume("a")
    epochs = trainer.fit(progress=False).lineage("epoch")
    assert all(0 < epochs[-1][f"train_accuracy.{name}"] <= 1 for name in ("a", "b", "joint"))
    assert accuracy_traces(epochs, ("a", "b"), "train")


def test_a_modality_that_was_resumed_within_an_epoch_is_judged_by_the_samples_it_saw(make_trainer):
    trainer = make_trainer(batch_size=64)
    trainer.pause("a")
    trainer.step(batches=3)
    trainer.resume("a")
    trainer.step(batches=1)
    seen = len(trainer.data.splits["train"]) - 3 * 64
    accuracy = trainer.record.lineage("epoch")[0]["train_accuracy.a"]
    assert accuracy * seen == pytest.approx(round(accuracy * seen))


def test_a_run_with_weighted_classes_counts_answers_without_weights():
    y = torch.tensor([0] * 90 + [1] * 30)
    inputs = {name: torch.randn(120, 3, generator=torch.Generator().manual_seed(i)) for i, name in enumerate("ab")}
    data = MultimodalData.from_arrays(inputs, y, seed=0)
    trainer = Trainer(
        LateFusion.from_data(data), data, epochs=1, unimodal_epochs=1, class_weight="balanced", batch_size=50,
        n_boot=0, n_null=0, correction="none", device="cpu",
    )  # fmt: skip
    accuracy = trainer.fit(progress=False).lineage("epoch")[0]["train_accuracy.a"]
    n = len(data.splits["train"])
    assert accuracy * n == pytest.approx(round(accuracy * n))

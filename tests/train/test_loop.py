"""The loop: what it counts, where it goes on after an error, and that it reads no numbers into the wrong place."""

import copy

import pytest
import torch

from mmpid import BalanceController, LateFusion, Manual, PeakSynergy, Trainer
from mmpid.errors import ConfigError, TrainingError
from mmpid.train import evaluation
from mmpid.train.random_numbers import RandomNumbers
from tests.small_runs import weights


def by_hand() -> BalanceController:
    return BalanceController(rule=Manual(), pause=None)


def eager() -> BalanceController:
    """Switches at the first fall of synergy, and goes back to its peak."""
    return BalanceController(rule=PeakSynergy(warmup=0, noise_aware=False, drop=1.0), pause=None)


def test_a_controller_put_in_charge_late_may_go_back_before_the_next_batch(make_trainer):
    trainer = make_trainer(controller=eager(), epochs=10, unimodal_epochs=8)
    trainer.auto = False
    trainer.step(epochs=5)
    best = trainer.controller.best(trainer.record).epoch
    assert best < 5, "the data have to make it go back"
    trainer.auto = True
    trainer.step(batches=1)
    assert (trainer.stage, trainer.epoch) == ("joint", best)
    trainer.fit(progress=False)
    assert trainer.progress == (10, 10)


@pytest.mark.parametrize("kept_on_disk", [False, True])
def test_what_was_selected_belongs_to_the_past_that_a_rewind_takes_up(make_trainer, tmp_path, kept_on_disk):
    settings = {"epochs": 12, "unimodal_epochs": 12, "controller": by_hand()}
    trainer = make_trainer(**settings, out_dir=tmp_path / "run" if kept_on_disk else None)
    trainer.step(epochs=6)
    child = trainer.branch(at=1)
    trainer.rewind(to=1)
    for run in (trainer, child):
        run.fit(progress=False)
    result, other = (run.record.lineage("result")[-1] for run in (trainer, child))
    for name in ("a", "b"):
        rows = trainer.record.lineage("epoch")
        best = max(rows, key=lambda row: (row[f"validation_accuracy.{name}"], -row[f"validation_loss.{name}"]))
        assert result[f"selected_epoch.{name}"] == best["epoch"]
        judged = evaluation.evaluate(trainer.selected_model(), trainer.data.split("validation"))
        assert judged.accuracy(name) == best[f"validation_accuracy.{name}"]
    straight = make_trainer(**settings).fit(progress=False).lineage("result")[-1]
    assert {k: v for k, v in other.items() if k != "step"} == {k: v for k, v in straight.items() if k != "step"}


def test_a_modality_may_be_paused_and_resumed_within_an_epoch(make_trainer):
    trainer = make_trainer(batch_size=16, log_every=10)
    trainer.pause("a")
    trainer.step(batches=3)
    trainer.resume("a")
    trainer.step(batches=7)
    (row,) = trainer.record.lineage("batch")
    assert row["batch"] == 10
    assert row["loss.a"] == pytest.approx(sum(a for a, _ in trainer._run.epoch.metrics.losses(3, 10)) / 7)
    trainer.step(epochs=1)
    assert trainer.epoch == 1 and trainer.record.lineage("epoch")[0]["loss.a"] > 0


def test_losses_bear_the_right_names_when_the_model_names_the_modalities_in_another_order(small_data, make_trainer):
    model = make_trainer().model
    turned = LateFusion({name: copy.deepcopy(model.encoders[name]) for name in ("b", "a")}, n_classes=4)
    for name in ("a", "b"):
        turned.heads[name].load_state_dict(model.heads[name].state_dict())
    rows = [make_trainer(model=each).fit(progress=False).lineage("epoch")[0] for each in (model, turned)]
    for name in ("a", "b"):
        assert rows[0][f"loss.{name}"] == rows[1][f"loss.{name}"]


@pytest.mark.parametrize("broken", ["update", "read"])
def test_an_error_in_a_batch_leaves_that_batch_due(make_trainer, monkeypatch, broken):
    plain, trainer = make_trainer(batch_size=32), make_trainer(batch_size=32)
    trainer.step(batches=2)

    def fail(*_, **__):
        raise MemoryError("no memory left")

    with monkeypatch.context() as patch:
        run = trainer._run
        patch.setattr(*((run.engine, "update") if broken == "update" else (run.epoch, "next_batch")), fail)
        with pytest.raises(MemoryError):
            trainer.step(batches=1)
    assert plain.fit(progress=False) == trainer.fit(progress=False)
    assert torch.equal(weights(plain), weights(trainer))


def test_weights_that_the_last_update_broke_are_never_probed_nor_kept(make_trainer):
    trainer = make_trainer(controller=by_hand(), batch_size=1000, unimodal_epochs=9)
    trainer.step(epochs=1)
    good = weights(trainer)
    trainer.set_learning_rate(1e38)
    with pytest.raises(TrainingError, match=r"validation loss of 'a' was not finite after epoch 2.*epoch 1 has been"):
        trainer.step(epochs=1)
    assert torch.equal(weights(trainer), good) and trainer.epoch == 1
    trainer.step(epochs=1)
    assert trainer.epoch == 2


def test_a_rewind_after_the_end_spends_no_more_than_the_budget(make_trainer, small_data, tmp_path):
    trainer = make_trainer(epochs=4, unimodal_epochs=2, out_dir=tmp_path / "run")
    trainer.fit(progress=False)
    trainer.rewind(to=1)
    with pytest.raises(ConfigError, match="budget of 4 epochs is spent.*branch"):
        trainer.switch_to_joint(rewind=False)
    trainer.fit(progress=False)
    assert trainer.progress == (4, 4) and trainer.finished
    result = trainer.record.lineage("result")[-1]
    assert result["epoch"] == 1 and "test_accuracy.joint" not in result
    assert Trainer.load(tmp_path / "run", small_data, device="cpu").record == trainer.record


def test_a_run_stopped_between_its_last_probe_and_its_result_only_writes_the_result(make_trainer, small_data, tmp_path):
    whole = make_trainer(out_dir=tmp_path / "run")
    whole.fit(progress=False)
    (tmp_path / "run" / "now.safetensors").unlink()  # the newest state is then that of the last probe
    resumed = Trainer.load(tmp_path / "run", small_data, device="cpu")
    assert not resumed.finished and resumed.progress == (6, 6)
    resumed.fit(progress=False)
    assert resumed.record == whole.record and torch.equal(weights(resumed), weights(whole))


def test_dropout_on_an_accelerator_depends_on_the_update_alone(make_trainer, monkeypatch):
    """There is no GPU here: what is seeded, where and when is what can be held."""
    seeded = []
    trainer = make_trainer()
    monkeypatch.setattr(RandomNumbers, "seed_accelerator", lambda self, step: seeded.append(step))
    trainer.step(batches=3)
    trainer.step(epochs=1)
    assert seeded == list(range(trainer.updates)), "once before each update, however steps are cut"
    monkeypatch.undo()

    placed = []

    class Device:
        def __init__(self, device):
            placed.append(device)

        __enter__ = __exit__ = lambda *_: None

    monkeypatch.setattr(torch.cuda, "device", Device)
    monkeypatch.setattr(torch.cuda, "manual_seed", placed.append)
    random = trainer._run.random
    random.seed_accelerator(7)
    assert placed == [], "the CPU has a state of its own, which is saved"
    random.device = torch.device("cuda", 1)
    random.seed_accelerator(7)
    random.seed_accelerator(7)
    assert placed[0] == torch.device("cuda", 1) and placed[1] == placed[3]


# --- states that a switch goes back to ----------------------------------------------------------------------------


def test_a_branch_may_go_back_before_the_probe_it_was_made_at(make_trainer, tmp_path):
    for out_dir in (None, tmp_path / "run"):
        parent = make_trainer(controller=eager(), epochs=10, unimodal_epochs=8, out_dir=out_dir)
        parent.auto = False
        parent.step(epochs=5)
        best = parent.controller.best(parent.record).epoch
        child = parent.branch(at=5)
        child.auto = True
        child.step(batches=1)
        assert (child.stage, child.epoch) == ("joint", best)
        child.rewind(to=1)
        assert child.epoch == 1 and parent.epoch == 5


def test_a_switch_to_a_state_that_is_not_kept_starts_from_the_nearest_and_says_so(make_trainer):
    trainer = make_trainer(controller=eager(), epochs=10, unimodal_epochs=8, probe_every=3)
    trainer.step(epochs=1)
    trainer.step(batches=2)
    trainer.probe()["synergy"] = 3.0  # in the middle of epoch 2: the highest, and without a checkpoint
    trainer.step(epochs=2)
    switch = trainer.record.lineage("decision")[-1]
    assert switch["action"] == "switch" and trainer.epoch == 0
    assert switch["reason"].endswith("(the state of epoch 1 is not kept; the nearest is 0)")
    trainer.fit(progress=False)


def test_a_switch_passes_over_a_state_that_cannot_be_read(make_trainer, tmp_path):
    trainer = make_trainer(controller=eager(), epochs=10, unimodal_epochs=8, out_dir=tmp_path / "run")
    trainer.auto = False
    trainer.step(epochs=5)
    best = trainer.controller.best(trainer.record).epoch
    (trainer.checkpoints.folder / f"s000-e{best:06d}.safetensors").write_bytes(b"cut")
    trainer.auto = True
    trainer.step(batches=1)
    assert trainer.stage == "joint" and trainer.epoch == best + 1


def test_what_was_frozen_by_its_builder_stays_frozen_also_in_a_branch_of_a_paused_run(make_trainer):
    encoders = {
        "a": torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.ReLU(), torch.nn.Linear(5, 4)),
        "b": torch.nn.Linear(6, 4),
    }
    encoders["a"][0].requires_grad_(False)
    before = encoders["a"][0].weight.clone(), encoders["a"][2].weight.clone()
    trainer = make_trainer(model=LateFusion(encoders, n_classes=4))
    trainer.step(epochs=1)
    trainer.pause("a")
    trainer.step(epochs=1)
    child = trainer.branch(at=1)
    child.fit(progress=False)
    trainer.resume("a")
    trainer.fit(progress=False)
    for run in (trainer, child):
        assert torch.equal(run.model.encoders["a"][0].weight, before[0])
        assert not torch.equal(run.model.encoders["a"][2].weight, before[1])


def test_a_model_that_another_run_has_paused_trains_again(make_trainer):
    first = make_trainer()
    first.pause("a")
    second = make_trainer(model=first.model)
    start = weights(second)
    second.step(batches=1)
    assert all(p.requires_grad for p in second.model.encoders["a"].parameters())
    assert not torch.equal(weights(second), start)

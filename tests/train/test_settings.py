"""Class weights, mixed precision, rates by hand, names, and the hooks of several processes."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn import functional

from mmpid import BalanceController, LateFusion, Manual, MultimodalData, RunRecord, Trainer, diff
from mmpid.errors import ConfigError, InputError
from mmpid.train import evaluation
from mmpid.train.config import TrainConfig
from mmpid.train.engine import Engine
from mmpid.train.losses import make_loss
from tests.small_runs import QUICK, weights


def by_hand():
    return BalanceController(rule=Manual(), pause=None)


# --- class weights ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def skewed():
    """Two classes, nine to one, that overlap."""
    rng = np.random.default_rng(0)
    y = (np.arange(1000) % 10 == 0).astype(int)
    inputs = {name: rng.normal(size=(1000, 4)) + 0.8 * y[:, None] for name in "ab"}
    return MultimodalData.from_arrays(inputs, y, seed=0)


def test_balanced_weights_are_n_over_k_n_c():
    weight = evaluation.class_weights(torch.tensor([0, 0, 0, 1, 1, 2]), 3)
    assert torch.allclose(weight, torch.tensor([6 / 9, 6 / 6, 6 / 3]))
    assert float(weight[torch.tensor([0, 0, 0, 1, 1, 2])].mean()) == pytest.approx(1)


def test_weights_of_a_balanced_training_split_change_nothing(make_trainer):
    plain, weighted = make_trainer(), make_trainer(class_weight="balanced")
    assert torch.equal(weighted._run.class_weight, torch.ones(4))
    for trainer in (plain, weighted):
        trainer.fit(progress=False)
    assert torch.allclose(weights(plain), weights(weighted), atol=1e-5)


def test_every_cross_entropy_is_weighted(skewed):
    model, (inputs, target) = (
        LateFusion.from_data(skewed, seed=0),
        next(skewed.split("train").batches([torch.arange(64)])),
    )
    weight = evaluation.class_weights(skewed.split("train").target, 2)
    loss = make_loss("cross_entropy", weight)
    engine = Engine(model, TrainConfig(lr=1e-9), loss, torch.device("cpu"), None)
    engine.enter_stage("joint", ("a", "b"), epochs_left=1)
    with torch.no_grad():
        output = model(inputs)
    expected = {m: functional.cross_entropy(output.unimodal[m], target, weight) for m in "ab"}
    expected["joint"] = functional.cross_entropy(output.logits, target, weight)
    losses, logits = engine.update(inputs, target, ("a", "b"), "joint")
    assert {name: x.item() for name, x in losses.items()} == pytest.approx({k: x.item() for k, x in expected.items()})
    assert not any(x.requires_grad for x in (*losses.values(), *logits.values())), "no graph is kept alive"
    seen = evaluation.evaluate(model, skewed.split("test"), loss=loss)
    own = weight[seen.target]
    nll = functional.cross_entropy(seen.logits["a"], seen.target, reduction="none")
    assert seen.loss("a") == pytest.approx(float((own * nll).sum() / own.sum()), rel=1e-5)


def test_balanced_weights_find_the_rare_class(skewed):
    def recall(**settings):
        trainer = Trainer(
            LateFusion.from_data(skewed, seed=0), skewed, epochs=8, unimodal_epochs=4, **QUICK, **settings
        )
        trainer.fit(progress=False)
        seen = evaluation.evaluate(trainer.model, skewed.split("test"))
        return float((seen.logits["joint"].argmax(1) == 1)[seen.target == 1].float().mean())

    assert recall(class_weight="balanced") > recall() + 0.2


# --- precision --------------------------------------------------------------------------------------------------


def test_bfloat16_trains_nearly_as_float32_and_measures_in_full_precision(make_trainer):
    full, half = make_trainer(), make_trainer(precision="bfloat16")
    for trainer in (full, half):
        trainer.fit(progress=False)
    assert all(p.dtype is torch.float32 for p in half.model.parameters())
    assert not torch.equal(weights(full), weights(half))
    accuracy = [t.record.lineage("result")[0]["test_accuracy.joint"] for t in (full, half)]
    assert abs(accuracy[0] - accuracy[1]) < 0.1
    assert (half.record.to_frame("probe")["gap"] <= 1e-6).all()


def test_bfloat16_is_used_in_the_forward_pass_and_evaluation_returns_float32(small_data):
    model, seen = LateFusion.from_data(small_data, seed=0), []
    model.encoders["a"].register_forward_hook(lambda module, args, out: seen.append(out.dtype))
    made = evaluation.evaluate(model, small_data.split("probe"), precision="bfloat16")
    assert seen == [torch.bfloat16]
    assert all(x.dtype is torch.float32 for x in (*made.logits.values(), *made.embeddings.values()))
    whole = evaluation.evaluate(model, small_data.split("probe"))
    assert all(torch.allclose(made.logits[k], whole.logits[k], atol=0.05) for k in whole.logits)


def test_a_bfloat16_run_goes_on_bit_for_bit(make_trainer, small_data, tmp_path):
    settings = {"precision": "bfloat16", "class_weight": "balanced", "batch_size": 40}
    whole, first = make_trainer(**settings), make_trainer(**settings)
    first.step(batches=9)
    resumed = Trainer.load(first.save(tmp_path / "run"), small_data, device="cpu")
    for trainer in (whole, resumed):
        trainer.fit(progress=False)
    assert resumed.record == whole.record and torch.equal(weights(resumed), weights(whole))
    assert whole.record.metadata["settings"]["precision"] == "bfloat16"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"class_weight": "inverse"}, "`class_weight` must be one of 'none', 'balanced'"),
        ({"precision": "float16"}, "needs a CUDA device"),
    ],
)
def test_bad_settings_are_refused(make_trainer, settings, words):
    with pytest.raises(ConfigError, match=words):
        make_trainer(**settings)


# --- learning rates by hand -------------------------------------------------------------------------------------


def rates(trainer) -> dict[str, float]:
    return dict(trainer.learning_rates)


def test_a_rate_set_by_hand_is_in_force_recorded_and_shown(make_trainer):
    trainer = make_trainer(controller=by_hand())
    trainer.step(epochs=1)
    trainer.set_learning_rate(0.01, "a")
    assert rates(trainer) == {"a": 0.01, "b": 0.02}
    row = trainer.record.rows[-1]
    assert (row["action"], row["modality"], row["reason"], row["source"]) == (
        "learning_rate", "a", "by hand: 0.02 -> 0.01", "user",
    )  # fmt: skip
    trainer.set_learning_rate(0.005)
    assert trainer.record.rows[-1]["reason"] == "by hand: 0.01 / 0.02 -> 0.005"
    assert trainer.record.rows[-1]["modality"] == ""
    trainer.step(epochs=1)
    assert trainer.record.lineage("epoch")[-1]["lr.b"] == 0.005


def test_a_rate_set_at_the_start_is_the_same_as_one_from_the_settings(make_trainer):
    one, two = make_trainer(lr=0.01, controller=by_hand()), make_trainer(controller=by_hand())
    two.set_learning_rate(0.01)
    for trainer in (one, two):
        trainer.step(epochs=2)
    assert torch.equal(weights(one), weights(two))
    assert len(two.record.lineage("probe")) == 3, "the probe before the first batch is not left out"


def test_a_rewind_and_a_resumed_run_restore_the_rate_that_was_in_force(make_trainer, small_data, tmp_path):
    trainer = make_trainer(controller=by_hand(), unimodal_epochs=6)
    trainer.step(epochs=1)
    trainer.set_learning_rate(0.01)
    trainer.step(epochs=1)
    trainer.set_learning_rate(0.3, "b")
    trainer.step(batches=1)
    resumed = Trainer.load(trainer.save(tmp_path / "run"), small_data, device="cpu")
    assert rates(resumed) == {"a": 0.01, "b": 0.3}
    trainer.rewind(to=2)
    assert rates(trainer) == {"a": 0.01, "b": 0.01}
    trainer.rewind(to=1)
    assert rates(trainer) == {"a": 0.02, "b": 0.02}


def test_the_joint_head_has_a_rate_of_its_own_in_stage_two(make_trainer):
    trainer = make_trainer(controller=by_hand())
    trainer.step(epochs=1)
    with pytest.raises(ConfigError, match='stage 1 has no joint head to train.*"joint" after the switch'):
        trainer.set_learning_rate(0.1, "joint")
    trainer.switch_to_joint(rewind=False)
    trainer.set_learning_rate(0.1, "joint")
    assert rates(trainer) == {"a": pytest.approx(0.004), "b": pytest.approx(0.004), "joint": 0.1}
    with pytest.raises(InputError, match="`modality` must be one of 'a', 'b', 'joint'; it was 'c'"):
        trainer.set_learning_rate(0.1, "c")
    with pytest.raises(ConfigError, match="`lr`"):
        trainer.set_learning_rate(0)


# --- names ------------------------------------------------------------------------------------------------------


def test_a_run_has_a_name_and_a_branch_names_its_parent(make_trainer, small_data, tmp_path):
    trainer = make_trainer(name="first", out_dir=tmp_path / "run")
    trainer.step(epochs=2)
    child = trainer.branch(at=1, name="second")
    metadata = child.record.metadata
    assert (trainer.name, metadata["name"], metadata["parent"], metadata["branched_at"]) == (
        "first",
        "second",
        "first",
        1,
    )
    assert "'first'" in repr(trainer) and RunRecord.load(tmp_path / "run").metadata["name"] == "first"
    assert Trainer.load(tmp_path / "run", small_data, device="cpu").name == "first"
    assert make_trainer().name == ""
    assert set(diff(trainer.record, child.record).index) == {"name", "parent", "branched_at"}


# --- several processes ------------------------------------------------------------------------------------------


class Halves:
    """Stands for one of two processes; both are simulated by what they exchange."""

    def __init__(self, is_main=True):
        self.is_main, self.reduced = is_main, 0

    def share(self, index):
        return index[::2]

    def reduce(self, parameters):
        assert all(isinstance(p, torch.nn.Parameter) for p in parameters)
        self.reduced += 1

    def mean(self, losses):
        return losses

    def synchronize(self, model):
        self.synchronized = model


def test_the_hooks_of_several_processes_are_called_once_a_batch(make_trainer):
    trainer, halves = make_trainer(batch_size=40), Halves()
    run = trainer._run
    run.parallel = run.epoch.parallel = halves
    run.engine.reduce = halves.reduce
    sizes, forward = [], trainer.model.encoders["a"].forward
    trainer.model.encoders["a"].forward = lambda x: sizes.append(len(x)) or forward(x)
    trainer.step(batches=5)
    assert sizes[-5:] == [20] * 5 and halves.reduced == 5
    trainer.step(epochs=1)
    assert halves.synchronized is trainer.model


def test_only_the_main_process_writes(make_trainer, small_data, tmp_path, monkeypatch):
    monkeypatch.setattr("mmpid.train.trainer.Parallel", lambda accelerator: Halves(is_main=False))
    accelerator = SimpleNamespace(device=torch.device("cpu"))
    settings = {"epochs": 2, "unimodal_epochs": 1, **QUICK, "accelerator": accelerator}
    trainer = Trainer(LateFusion.from_data(small_data), small_data, out_dir=tmp_path / "run", **settings)
    trainer.fit(progress=False)
    trainer.save(tmp_path / "saved")
    assert trainer.finished and list(tmp_path.iterdir()) == []

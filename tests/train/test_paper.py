"""The paper's recipe: a second stage of its own length, codebooks found anew, and what else that touches."""

import numpy as np
import pytest
import torch

from mmpid import (
    BalanceController,
    FixedEpoch,
    LateFusion,
    MultimodalData,
    RunRecord,
    Trainer,
    baselines,
    sweep_switch,
)
from mmpid.errors import ConfigError
from mmpid.rules.controller import default_controller
from mmpid.studies.budget import share_budget
from mmpid.studies.compare import run_method
from mmpid.studies.seeds import train_seeds
from mmpid.train.choices import LATER
from mmpid.train.config import TrainConfig
from mmpid.train.prober import Prober
from tests.small_runs import weights

SHORT = {
    "epochs": 9,
    "unimodal_epochs": 6,
    "joint_epochs": 3,
    "lr_step": 2,
    "probe_every": 1,
    "n_clusters": 6,
    "pid_method": "exact",
}


@pytest.fixture
def make_paper(make_trainer):
    """Return a function that makes a short run of the paper's preset that switches at a fixed epoch."""

    def make(switch=2, **settings):
        rule = BalanceController(rule=FixedEpoch(epoch=switch), pause=None)
        return make_trainer(preset="paper", controller=rule, ecs=(), **{**SHORT, **settings})

    return make


def epochs(trainer, stage: str) -> list[dict]:
    """Return the epochs of a stage on the present path."""
    return trainer.record.lineage("epoch", stage=stage)


# --- a length of its own ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("switch", [0, 1, 4, 6, 99])
def test_stage_two_has_exactly_its_epochs_wherever_the_switch_comes(make_paper, switch):
    trainer = make_paper(switch)
    assert trainer.progress == (0, 9), "in stage 1 nobody knows when it ends"
    trainer.fit(progress=False)
    alone = min(switch, 6)
    assert len(epochs(trainer, "unimodal")) == alone and len(epochs(trainer, "joint")) == 3
    assert [row["lr.joint"] for row in epochs(trainer, "joint")] == pytest.approx([5e-4, 5e-4, 5e-5])
    assert {row["lr.a"] for row in epochs(trainer, "unimodal")} <= {0.01}
    assert trainer.finished and trainer.progress == (alone + 3, alone + 3)
    assert len(trainer.record.lineage("result")) == 1
    trainer.step(epochs=1)
    assert trainer.epoch == alone + 3, "a finished run stays as it is"


def test_the_budget_is_still_the_most_that_is_spent(make_paper):
    trainer = make_paper(99, unimodal_epochs=99)
    trainer.step(epochs=8)
    trainer.switch_to_joint(rewind=False)
    assert trainer.progress == (8, 9)
    trainer.fit(progress=False)
    assert trainer.finished and len(epochs(trainer, "joint")) == 1


def test_joint_training_from_scratch_has_that_length_too(make_paper):
    trainer = make_paper(unimodal_epochs=0)
    assert trainer.progress == (0, 3)
    trainer.fit(progress=False)
    assert trainer.epoch == 3 and trainer.finished


def test_after_a_rewind_into_stage_one_the_second_stage_is_as_long_again(make_paper):
    trainer = make_paper(2)
    trainer.fit(progress=False)
    trainer.rewind(to=1)
    assert not trainer.finished and trainer.progress == (5, 9)
    trainer.fit(progress=False)
    assert len(epochs(trainer, "joint")) == 3 and trainer.progress == (9, 9)
    trainer.rewind(to=2)
    trainer.fit(progress=False)
    assert len(epochs(trainer, "joint")) == 0 and trainer.finished, "the budget was spent before"


def test_a_rewind_within_stage_two_does_not_lengthen_it(make_paper):
    trainer = make_paper(2, stage2="monitor", epochs=12)
    trainer.fit(progress=False)
    trainer.rewind(to=4)
    assert trainer.progress == (5, 6)
    trainer.fit(progress=False)
    assert trainer.epoch == 5 and len(epochs(trainer, "joint")) == 3 and trainer.progress == (6, 6)
    trainer.rewind(to=5)
    trainer.step()
    assert trainer.finished and trainer.epoch == 5, "the result of that state"


def test_a_branch_has_a_second_stage_of_that_length(make_paper):
    parent = make_paper(99, unimodal_epochs=99)
    parent.step(epochs=5)
    child = parent.branch(at=1)
    child.switch_to_joint(rewind=False)
    child.fit(progress=False)
    assert child.config == parent.config and child.progress == (4, 4) and len(epochs(child, "joint")) == 3


@pytest.mark.parametrize("batches", [3, 9, 14, 17])
def test_a_run_saved_in_the_middle_goes_on_bit_for_bit(make_paper, small_data, tmp_path, batches):
    whole, first = make_paper(2, batch_size=80), make_paper(2, batch_size=80)
    first.step(batches=batches)
    resumed = Trainer.load(first.save(tmp_path / "run"), small_data, device="cpu")
    assert resumed.progress == first.progress and resumed.config == first.config
    whole.fit(progress=False)
    resumed.fit(progress=False)
    assert resumed.record == whole.record and torch.equal(weights(resumed), weights(whole))


# --- runs that are compared -------------------------------------------------------------------------------------


def test_runs_that_are_compared_spend_the_whole_budget(small_data, make_paper):
    assert TrainConfig.make("paper").joint_epochs == 100
    assert TrainConfig.make(**share_budget({"preset": "paper"})).joint_epochs is None
    last = {**SHORT, "preset": "paper", "joint_epochs": None, "selection": "last", "ecs": (), "device": "cpu"}
    assert [row["selected_epoch"] for row in run_method("fixed", small_data, seed=0, **last)] == [9]
    assert [row["selected_epoch"] for row in run_method("joint", small_data, seed=0, **last)] == [9]
    stacked = train_seeds(small_data, seeds=[0], method="fixed", **last)
    assert stacked.rows[0]["selected_epoch"] == 9
    for compared in (
        lambda: baselines(small_data, methods="joint", joint_epochs=3),
        lambda: train_seeds(small_data, seeds=[0], joint_epochs=3),
        lambda: sweep_switch("av-digits", at=[1], seeds=[0], progress=False, joint_epochs=3),
        lambda: sweep_switch(lambda seed: make_paper(seed=seed), at=[1], seeds=[0], progress=False),
    ):
        with pytest.raises(ConfigError, match="`joint_epochs`"):
            compared()
    free = sweep_switch(lambda seed: make_paper(seed=seed, joint_epochs=None), at=[1, 3], seeds=[0], progress=False)
    assert len(free.rows) == 2


# --- codebooks --------------------------------------------------------------------------------------------------


def probed_again(trainer) -> tuple[dict, dict]:
    """Return the latest probe of a run, and what a prober without a past makes of the same weights."""
    prober = Prober(trainer.data, trainer.config, trainer.seed, trainer.device)
    fresh, before = prober.measure(trainer.model), trainer.record.lineage("probe")[-1]
    keys = [key for key in fresh if key != "seconds"]
    return {key: before[key] for key in keys}, {key: fresh[key] for key in keys}


def test_a_codebook_found_anew_does_not_depend_on_the_earlier_probe(make_trainer):
    settings = {"observable": "kmeans", "n_clusters": 6, "unimodal_epochs": 9}
    trainer, warm = make_trainer(codebooks="fresh", **settings), make_trainer(**settings)
    for each in (trainer, warm):
        each.step(epochs=4)
    before, fresh = probed_again(trainer)
    assert before == fresh
    before, fresh = probed_again(warm)
    assert before != fresh, "a warm start remembers"


def test_one_seed_for_all_codebooks_or_one_of_each():
    rng = np.random.default_rng(0)
    data = MultimodalData.from_arrays({name: rng.normal(size=(200, 3)) for name in "abc"}, np.arange(200) % 2)
    settings = {"observable": "kmeans", "n_clusters": 4, "device": "cpu", "seed": 7}

    def books(**own):
        prober = Trainer(LateFusion.from_data(data), data, **settings, **own)._run.prober
        return [(book.seed, book.warm_start) for book in prober.codebooks.values()]

    assert books() == [(7, True), (8, True), (9, True)] + [(7, True)] * 3
    assert books(codebooks="fresh", codebook_seed=42) == [(42, False)] * 6


# --- decisions --------------------------------------------------------------------------------------------------


def test_the_probe_of_the_untrained_network_decides_nothing_in_the_preset():
    record = RunRecord({"modalities": ["a", "b"], "settings": {"epochs": 300, "unimodal_epochs": 200}})
    row = dict(segment=0, stage="unimodal", step=0, redundancy=0.1)
    told = []
    for epoch, unique, synergy in ((0, 0.9, 1.0), (5, 0.9, 0.5), (10, 0.1, 0.45), (15, 0.1, 0.39)):
        record.append("probe", epoch=epoch, unique1=unique, unique2=0.1, synergy=synergy, **row)
        told.append([decision.action for decision in default_controller("paper").decide(record)])
    assert told == [["hold"], ["pause", "hold"], ["hold"], ["switch"]]


# --- settings ---------------------------------------------------------------------------------------------------


def test_the_preset_is_the_recipe_row_by_row():
    config, controller = TrainConfig.make("paper"), default_controller("paper")
    clusters = (config.observable, config.n_components, config.n_clusters)
    told = {
        "probe": (config.probe_every, config.probe_samples, config.probe_split),
        "discretize": (*clusters, config.codebooks, config.codebook_seed),
        "PID": (config.pid_method, config.correction, config.n_boot, config.n_null),
        "pause": (controller.pause.ratio, controller.pause.hysteresis, controller.pause.warmup, controller.pause.dwell),
        "switch": (controller.rule.drop, controller.rule.noise_aware, controller.rule.warmup, config.rewind),
        "other stop": (controller.pause.max_pauses, config.unimodal_epochs),
        "stage 1": (config.optimizer, config.lr, config.momentum, config.weight_decay, config.batch_size),
        "stage 2": (config.joint_epochs, config.aux_weight, config.lr_step, config.lr_gamma, config.selection),
    }
    assert told == {
        "probe": (5, 20 * 64, "train"),
        "discretize": ("kmeans", 5, 20, "fresh", 42),
        "PID": ("fastpid", "none", 0, 0),
        "pause": (3, 1, 1, 0),
        "switch": (0.8, False, 1, False),
        "other stop": (2, 200),
        "stage 1": ("sgd", 0.01, 0.9, 1e-4, 64),
        "stage 2": (100, 0.6, 70, 0.1, "test"),
    }
    assert config.lr * config.joint_lr_scale == pytest.approx(5e-4)
    assert config.epochs == config.unimodal_epochs + config.joint_epochs


def test_new_settings_are_written_only_where_they_are_set():
    plain, paper = TrainConfig(), TrainConfig.make("paper")
    assert set(LATER) & set(plain.to_dict()) == {"estimator"}, "what is as it always was is not in the metadata"
    assert {"joint_epochs", "codebooks", "codebook_seed"} <= set(paper.to_dict())
    assert "estimator" not in paper.to_dict() and "estimator" not in TrainConfig(estimator="counted").to_dict()
    before = {name: x for name, x in plain.to_dict().items() if name != "estimator"}
    assert TrainConfig.from_dict(before).estimator == "counted", "a run recorded before goes on as it was"
    assert TrainConfig.from_dict(plain.to_dict()) == plain and TrainConfig.from_dict(paper.to_dict()) == paper
    older = {name: x for name, x in paper.to_dict().items() if name not in LATER}
    assert TrainConfig.from_dict(older).joint_epochs is None, "a run of the preset as it was goes on as it was"


@pytest.mark.parametrize(("length", "alone"), [(None, 24), (2, 24), (10, 20), (40, 1)])
def test_stage_one_leaves_stage_two_its_epochs_by_default(length, alone):
    assert TrainConfig(epochs=30, joint_epochs=length).unimodal_epochs == alone


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"joint_epochs": 0}, "`joint_epochs` must be an integer of at least 1; it was 0"),
        ({"codebooks": "cold"}, "`codebooks` must be one of 'warm', 'fresh'"),
        ({"codebook_seed": -1}, "`codebook_seed` must be an integer of at least 0"),
    ],
)
def test_bad_settings_are_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        TrainConfig(**settings)

"""What researchers change: loss, optimizer, schedule, clipping, early stop, metrics and fusion, each by name or own."""

import json
import math
from functools import partial

import numpy as np
import pytest
import sklearn.metrics
import torch
from torch import nn
from torch.optim import lr_scheduler

import mmpid
from mmpid import LateFusion, Trainer
from mmpid.errors import ConfigError, MMPIDWarning, TrainingError
from mmpid.rules import BalanceController, Manual
from mmpid.studies.seeds import train_seeds
from mmpid.train.losses import make_loss
from mmpid.train.scores import METRICS, score
from tests.small_runs import QUICK, weights

HOLD = {"controller": BalanceController(rule=Manual(), pause=None, give_up=None), "ecs": ()}
JOINT = {**HOLD, "unimodal_epochs": 0}


def quick_focal(logits, target):
    p = logits.softmax(1).gather(1, target[:, None])[:, 0]
    return ((1 - p) ** 2 * -p.log()).mean()


def adam(groups):
    return torch.optim.Adam(groups, weight_decay=1e-3)


def decay(optimizer):
    return lr_scheduler.LambdaLR(optimizer, lambda epoch: 0.5**epoch)


def one_cycle(optimizer):
    return lr_scheduler.OneCycleLR(optimizer, max_lr=0.05, total_steps=20)


def sequence(optimizer):
    parts = [lr_scheduler.ConstantLR(optimizer, 0.3, 2), lr_scheduler.ExponentialLR(optimizer, 0.8)]
    return lr_scheduler.SequentialLR(optimizer, parts, milestones=[2])


def plateau(optimizer):
    return lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=0, threshold=0.2)


def micro_f1(probabilities, target):
    return sklearn.metrics.f1_score(target, probabilities.argmax(1), average="micro")


def fit(trainer):
    trainer.fit(progress=False)
    return trainer


# --- losses -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "own"), [("label_smoothing", nn.CrossEntropyLoss(label_smoothing=0.1)), ("focal", quick_focal)]
)
def test_a_loss_by_name_trains_as_the_same_function_does(make_trainer, name, own):
    named, custom, plain = (fit(make_trainer(loss=loss, **HOLD)) for loss in (name, own, "cross_entropy"))
    torch.testing.assert_close(weights(named), weights(custom), atol=2e-4, rtol=1e-3)
    assert not torch.allclose(weights(named), weights(plain), atol=2e-4, rtol=1e-3)
    rows = [run.record.lineage("epoch")[-1]["validation_loss.joint"] for run in (named, custom)]
    assert rows[0] == pytest.approx(rows[1], rel=1e-3)
    assert named.record.metadata["settings"]["loss"] == name
    assert custom.record.metadata["settings"]["loss"].startswith("custom: ")
    assert "settings.loss" in mmpid.diff(named, custom).index


@pytest.mark.parametrize("weighted", [False, True])
def test_the_focal_loss_is_its_formula(weighted):
    made = torch.Generator().manual_seed(0)
    logits, target = torch.randn(50, 3, generator=made), torch.randint(3, (50,), generator=made)
    weight = torch.tensor([0.5, 1.0, 2.0]) if weighted else torch.ones(3)
    p = logits.double().softmax(1)[torch.arange(50), target]
    expected = (weight[target] * (1 - p) ** 2 * -p.log()).sum() / weight[target].sum()
    assert float(make_loss("focal", weight if weighted else None)(logits, target)) == pytest.approx(float(expected))


@pytest.mark.parametrize(
    ("loss", "error"),
    [
        ("hinge", ConfigError),
        (nn.CrossEntropyLoss(reduction="none"), TrainingError),
        (lambda logits, target: 1.0, TrainingError),
        (lambda logits, target: logits.argmax(1).sum(), TrainingError),
        (None, ConfigError),
    ],
)
def test_what_is_no_loss_is_refused_by_name(make_trainer, loss, error):
    with pytest.raises(error, match="loss"):
        make_trainer(loss=loss).step(batches=1)


def test_class_weights_belong_to_a_loss_by_name(make_trainer):
    fit(make_trainer(loss="focal", class_weight="balanced", **HOLD))
    with pytest.raises(ConfigError, match="class_weight"):
        make_trainer(loss=quick_focal, class_weight="balanced")


# --- optimizers and schedules -----------------------------------------------------------------------------------------


def rates(trainer, stage):
    return [row["lr.a"] for row in trainer.record.lineage("epoch", stage=stage)]


def test_the_cosine_schedule_follows_its_closed_form_in_each_stage(make_trainer):
    settings = {"lr": 0.04, "joint_lr_scale": 0.5, "rewind": False, **HOLD}
    trainer = fit(make_trainer(epochs=9, unimodal_epochs=4, scheduler="cosine", **settings))

    def closed(start, length, n):
        return [start * (1 + math.cos(math.pi * t / length)) / 2 for t in range(n)]

    assert rates(trainer, "unimodal") == pytest.approx(closed(0.04, 9, 4))
    assert rates(trainer, "joint") == pytest.approx(closed(0.02, 5, 5))


def test_a_plateau_schedule_sees_the_validation_loss(make_trainer):
    trainer = fit(make_trainer(epochs=8, scheduler=plateau, lr=0.02, unimodal_epochs=0, **HOLD))
    rows = trainer.record.lineage("epoch")
    best, expected, rate = math.inf, [], 0.02
    for row in rows:
        expected.append(rate)
        if row["validation_loss.joint"] < best * 0.8:
            best = row["validation_loss.joint"]
        else:
            rate *= 0.5
    assert rates(trainer, "joint") == pytest.approx(expected) and rate < 0.02


@pytest.mark.parametrize("stop", [3, 9, 14])
@pytest.mark.parametrize(
    "own",
    [
        {"optimizer": adam},
        {"optimizer": "adamw", "scheduler": "cosine"},
        {"scheduler": decay},
        {"optimizer": adam, "scheduler": one_cycle},
        {"scheduler": sequence},
        {"scheduler": plateau},
        {"loss": quick_focal, "clip_norm": 0.5},
        {"metrics": ("macro_f1", micro_f1), "selection_metric": micro_f1, "patience": 1},
    ],
    ids=lambda own: "+".join(own),
)
def test_a_resumed_run_goes_on_bit_for_bit(make_trainer, small_data, tmp_path, own, stop):
    settings = {"batch_size": 80, "epochs": 6, "unimodal_epochs": 3, **HOLD}
    whole, first = (make_trainer(**settings, **own) for _ in range(2))
    first.step(batches=stop)
    free = {name: x for name, x in own.items() if callable(x) or name == "metrics"}
    second = Trainer.load(first.save(tmp_path / "run"), small_data, device="cpu", **free)
    for trainer in (whole, second):
        fit(trainer)
    assert second.record == whole.record and torch.equal(weights(second), weights(whole))


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("optimizer", lambda groups: torch.optim.Adam(groups[:1])),
        ("optimizer", lambda groups: torch.optim.SGD([p for g in groups for p in g["params"]], lr=0.1)),
        ("optimizer", lambda groups: None),
        ("scheduler", lambda optimizer: optimizer),
        ("optimizer", "adam2"),
        ("scheduler", "step"),
    ],
)
def test_what_is_no_factory_is_refused_by_name(make_trainer, name, own):
    with pytest.raises(ConfigError, match=name):
        make_trainer(**{name: own})


def test_clipping_bounds_the_step(make_trainer):
    clipped = make_trainer(clip_norm=1e-3, optimizer="sgd", momentum=0.0, weight_decay=0.0, lr=1.0, **JOINT)
    before = weights(clipped)
    clipped.step(batches=1)
    assert 0 < float((weights(clipped) - before).norm()) <= 1e-3 * 1.001
    loose, plain = (fit(make_trainer(clip_norm=norm, **HOLD)) for norm in (1e6, None))
    assert torch.equal(weights(loose), weights(plain))
    with pytest.raises(ConfigError, match="clip_norm"):
        make_trainer(clip_norm=0)


# --- early stop -------------------------------------------------------------------------------------------------------


def test_an_early_stop_is_written_down_and_can_be_taken_back(make_trainer, small_data, tmp_path):
    trainer = fit(make_trainer(epochs=40, patience=2, lr=0.05, **JOINT))
    (stop,) = (row for row in trainer.record.lineage("decision") if row["action"] == "stop")
    (result,) = trainer.record.lineage("result")
    last = trainer.epoch
    assert trainer.finished and last < 40
    assert last - result["selected_epoch.joint"] == 2 and stop["epoch"] == last
    resumed = Trainer.load(trainer.save(tmp_path / "run"), small_data, device="cpu")
    assert resumed.finished and resumed.record == trainer.record
    trainer.rewind(to=last - 1)
    assert not trainer.finished and not trainer.record.lineage("result")
    fit(trainer)
    assert trainer.epoch == last and len(trainer.record.lineage("result")) == 1
    assert [row["action"] for row in trainer.record.lineage("decision")].count("stop") == 1


def test_patience_does_not_end_stage_one(make_trainer):
    trainer = fit(make_trainer(epochs=14, unimodal_epochs=9, patience=1, rewind=False, **HOLD))
    assert len(trainer.record.lineage("epoch", stage="unimodal")) == 9
    with pytest.raises(ConfigError, match="patience"):
        make_trainer(patience=3, selection="last")


# --- metrics ----------------------------------------------------------------------------------------------------------


def test_metrics_are_those_of_scikit_learn():
    made = torch.Generator().manual_seed(1)
    logits, target = torch.randn(200, 4, generator=made), torch.randint(4, (200,), generator=made)
    y, p = target.numpy(), logits.softmax(1).numpy()
    expected = {
        "accuracy": sklearn.metrics.accuracy_score(y, p.argmax(1)),
        "balanced_accuracy": sklearn.metrics.balanced_accuracy_score(y, p.argmax(1)),
        "macro_f1": sklearn.metrics.f1_score(y, p.argmax(1), average="macro"),
        "macro_average_precision": sklearn.metrics.average_precision_score(np.eye(4)[y], p, average="macro"),
    }
    assert set(expected) == set(METRICS)
    assert {name: score(name, logits, target) for name in METRICS} == pytest.approx(expected)


class Recall:
    """Called as a metric of torchmetrics is: probabilities and labels in, a tensor of one number out."""

    def __call__(self, probabilities, target):
        right = probabilities.argmax(1) == target
        return torch.stack([right[target == k].float().mean() for k in target.unique()]).mean()


def test_metrics_are_recorded_and_select_the_epoch(make_trainer):
    own = Recall()
    trainer = fit(make_trainer(metrics=("accuracy", "balanced_accuracy", own), selection_metric=own, **HOLD))
    rows = trainer.record.lineage("epoch", stage="joint")
    for row in rows:
        assert row["validation_Recall.joint"] == pytest.approx(row["validation_balanced_accuracy.joint"])
    (result,) = trainer.record.lineage("result")
    assert result["test_Recall.joint"] == pytest.approx(result["test_balanced_accuracy.joint"])
    chosen = next(row for row in rows if row["epoch"] == result["selected_epoch.joint"])
    assert chosen["validation_Recall.joint"] == max(row["validation_Recall.joint"] for row in rows)


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"metrics": ("f2",)}, ConfigError),
        ({"metrics": (micro_f1, micro_f1)}, ConfigError),
        ({"metrics": 3}, mmpid.errors.InputError),
        ({"metrics": (lambda p, y: p,)}, TrainingError),
        ({"selection_metric": "f2"}, ConfigError),
    ],
)
def test_what_is_no_metric_is_refused(make_trainer, settings, error):
    with pytest.raises(error, match="metric"):
        make_trainer(**settings).step(epochs=1)


# --- fusion -----------------------------------------------------------------------------------------------------------


class Tokens(nn.Module):
    """From six numbers to a sequence of three tokens of width 8."""

    dim = 8

    def __init__(self):
        super().__init__()
        self.token = nn.Linear(2, 8)

    def forward(self, x):
        return self.token(x.view(len(x), 3, 2)).relu()


class CrossAttention(nn.Module):
    """Each modality's tokens ask the other's."""

    def __init__(self, n_classes):
        super().__init__()
        self.ask = nn.ModuleDict({name: nn.MultiheadAttention(8, 2, batch_first=True) for name in ("a", "b")})
        self.out = nn.Linear(16, n_classes)

    def forward(self, embeddings):
        a, b = embeddings["a"], embeddings["b"]
        assert a.ndim == b.ndim == 3
        answers = [self.ask[name](x, y, y, need_weights=False)[0].mean(1) for name, x, y in (("a", a, b), ("b", b, a))]
        return self.out(torch.cat(answers, 1))


def attending():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return LateFusion({"a": Tokens(), "b": Tokens()}, 4, fusion=CrossAttention(4))


def test_a_fusion_of_token_sequences_trains_saves_and_loads(make_trainer, small_data, tmp_path):
    whole, first = (make_trainer(model=attending(), fusion_init="random", **HOLD) for _ in range(2))
    start = {name: p.clone() for name, p in whole.model.fusion.named_parameters()}
    first.step(epochs=4)
    second = Trainer.load(first.save(tmp_path / "run"), small_data, model=attending(), device="cpu")
    for trainer in (whole, second):
        fit(trainer)
    assert second.record == whole.record and torch.equal(weights(second), weights(whole))
    moved = [not torch.equal(p, start[name]) for name, p in whole.model.fusion.named_parameters()]
    assert sum(moved) >= len(moved) - 2  # the bias of a key cancels in a softmax
    fusion = whole.record.metadata["model"]["fusion"]
    assert fusion.endswith("test_researcher.CrossAttention") and whole.record.metadata["model"]["spec"] is None
    assert whole.probe()["redundancy"] >= 0
    with pytest.raises(mmpid.errors.CheckpointError, match="model="):
        Trainer.load(tmp_path / "run", small_data, device="cpu")


def test_a_fusion_that_cannot_start_from_heads_says_so(make_trainer):
    with pytest.warns(MMPIDWarning, match="fusion_init='random'"):
        trainer = make_trainer(model=attending(), **HOLD)
    assert trainer.config.fusion_init == "random" == trainer.record.metadata["settings"]["fusion_init"]


def test_a_module_as_fusion_of_built_in_encoders(make_trainer, small_data):
    class Mean(nn.Module):
        def __init__(self):
            super().__init__()
            self.out = nn.Linear(32, 4)

        def forward(self, embeddings):
            return self.out(torch.stack(list(embeddings.values())).mean(0))

        def start_from_heads(self, heads):
            with torch.no_grad():
                self.out.weight.copy_(sum(head.weight for head in heads.values()) / len(heads))

    trainer = fit(make_trainer(model=LateFusion.from_data(small_data, fusion=Mean(), seed=0), **HOLD))
    assert "Mean" in trainer.record.metadata["model"]["fusion"]


# --- where runs are compared ------------------------------------------------------------------------------------------

OWN = {
    "loss": quick_focal, "optimizer": adam, "scheduler": plateau, "clip_norm": 1.0, "metrics": ("macro_f1", micro_f1),
    "selection_metric": "macro_f1", "patience": 3,
}  # fmt: skip


def plain_settings(**settings):
    return {"epochs": 3, "unimodal_epochs": 1, "ecs": (), **QUICK, **OWN, **settings}


def test_comparisons_and_sweeps_obey_what_a_researcher_changes(small_data):
    compared = mmpid.compare(
        lambda seed: small_data, seeds=[0], methods=["joint", "two-stage"], progress=False, **plain_settings()
    ).to_frame()
    frame = mmpid.baselines(small_data, methods=["joint"], **plain_settings())
    settings = plain_settings(unimodal_epochs=0, aux_weight=0.0)
    settings.pop("device")
    trainer = fit(
        Trainer(
            LateFusion.from_data(small_data, seed=0), small_data, device="cpu",
            controller=BalanceController(rule=Manual(), pause=None), stage2="off", **settings,
        )
    )  # fmt: skip
    expected = trainer.record.lineage("result")[-1]["test_accuracy.joint"]
    assert compared.set_index("method").loc["joint", "test_accuracy"] == expected
    assert frame.loc["joint", "test_accuracy"] == expected

    def recipe(seed):
        return Trainer(
            LateFusion.from_data(small_data, seed=seed), small_data, seed=seed, **plain_settings(unimodal_epochs=3)
        )

    sweep = mmpid.sweep_switch(recipe, at=[1, 2], seeds=[0], progress=False).to_frame()
    assert sweep["epoch"].tolist() == [1, 2]


@pytest.mark.parametrize(
    "own",
    [
        {"loss": "focal"},
        {"loss": quick_focal},
        {"optimizer": adam},
        {"scheduler": "cosine"},
        {"scheduler": plateau},
        {"clip_norm": 1.0},
        {"patience": 2},
        {"metrics": ("macro_f1",)},
        {"selection_metric": "macro_f1"},
        {"class_weight": "balanced"},
        {"precision": "bfloat16"},
    ],
    ids=lambda own: "+".join(own),
)
def test_stacked_seeds_refuse_by_name_what_they_do_not_obey(small_data, own):
    (name,) = own
    with pytest.raises(ConfigError, match=f"`{name}`"):
        train_seeds(small_data, [0], method="joint", epochs=2, device="cpu", **own)


# --- saving -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "own",
    [
        {"loss": quick_focal},
        {"optimizer": adam},
        {"scheduler": decay},
        {"metrics": ("accuracy", micro_f1)},
        {"selection_metric": micro_f1},
    ],
    ids=lambda own: next(iter(own)),
)
def test_a_function_that_is_missing_or_other_on_load_is_one_clear_error(make_trainer, small_data, tmp_path, own):
    (name,) = own
    other = {"loss": nn.CrossEntropyLoss(), "metrics": (quick_focal,)}.get(name, partial(print, 1))
    trainer = make_trainer(**own, **HOLD)
    trainer.step(epochs=1)
    path = trainer.save(tmp_path / "run")
    for given in ({}, {name: other}):
        with pytest.raises(ConfigError, match=f"`{name}`"):
            Trainer.load(path, small_data, device="cpu", **given)
    assert Trainer.load(path, small_data, device="cpu", **own).epoch == 1
    with pytest.raises(ConfigError, match="setting"):
        Trainer.load(path, small_data, device="cpu", epochs=3, **own)


def test_settings_from_numpy_are_saved_as_plain_numbers(make_trainer, small_data, tmp_path):
    settings = {
        "epochs": np.int64(2), "unimodal_epochs": np.int32(1), "lr": np.float32(0.01), "rewind": np.bool_(True),
        "momentum": np.float64(0.5), "clip_norm": np.float32(2.0), "patience": np.int16(3), "batch_size": np.uint8(80),
        "weight_decay": np.float16(0.0), "freeze_encoders": np.bool_(False), "seed": np.int64(3),
        "loss": np.str_("focal"), "metrics": np.array(["accuracy", "macro_f1"]),
    }  # fmt: skip
    trainer = make_trainer(**settings, **HOLD)
    trainer.step(epochs=1)
    saved = json.loads(json.dumps(trainer.record.metadata))
    plain = {name: saved["settings"][name] for name in ("epochs", "lr", "rewind", "clip_norm")}
    assert plain == {"epochs": 2, "lr": pytest.approx(0.01), "rewind": True, "clip_norm": 2.0}
    resumed = Trainer.load(trainer.save(tmp_path / "run"), small_data, device="cpu")
    assert resumed.config == trainer.config and resumed.seed == 3
    for each in (trainer, resumed):
        fit(each)
    assert resumed.record == trainer.record


def test_float16_is_refused_on_the_cpu(make_trainer):
    with pytest.raises(ConfigError, match="float16"):
        make_trainer(precision="float16")

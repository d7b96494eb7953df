"""What the user left on a model neither breaks a run nor is changed by it."""

import pytest
import torch
from torch import nn

from mmpid import LateFusion
from mmpid.errors import ConfigError
from mmpid.models.copies import copy_model
from tests.own_encoders import Cached, batch_norm, flat, make_data, make_model, make_trainer
from tests.small_runs import QUICK, weights

DATA = make_data()
TRAINED = {"unimodal_epochs": 0, "epochs": 1}


def with_statistics():
    return nn.Sequential(batch_norm(), nn.Dropout(0.2), nn.Linear(8, 8))


def flags(model):
    return [p.requires_grad for p in model.parameters()], [part.training for part in model.modules()]


def test_a_whole_model_in_evaluation_mode_trains_like_any_other():
    one, other = make_model(with_statistics), make_model(with_statistics)
    runs = [make_trainer(one, DATA, **TRAINED), make_trainer(other.eval(), DATA, **TRAINED)]
    for run in runs:
        run.fit(progress=False)
    assert torch.equal(*map(weights, runs))


def test_parts_in_evaluation_mode_stay_so_in_this_run_in_branches_and_in_the_next_run():
    model = make_model(with_statistics)
    norm = model.encoders["b"][0][2].eval()
    trainer = make_trainer(model, DATA)
    trainer.step(batches=1)
    trainer.pause("b")
    assert not model.encoders["b"].training
    trainer.step(epochs=1)
    child = trainer.branch(at=0)
    child.step(batches=1)
    copied = child.model.encoders["b"]
    assert copied.training and copied[1].training and not copied[0][2].training
    again = make_trainer(trainer.model, DATA, **TRAINED)  # the model of the paused run, as that has left it
    again.step(batches=1)
    assert model.encoders["b"].training and not norm.training and not norm.running_mean.any()
    best = make_trainer(trainer.selected_model(), DATA, **TRAINED)
    best.step(batches=1)
    assert best.model.encoders["b"].training and not best.model.encoders["b"][0][2].running_mean.any()


@pytest.mark.parametrize("part", ["encoders.b", "encoders.b.0.1", "heads.b", "fusion", "everything of b"])
def test_what_is_frozen_stays_frozen_and_everything_else_is_trained(part):
    model = make_model(with_statistics, fusion="film")
    names = ["encoders.b", "heads.b"] if part == "everything of b" else [part]
    frozen = {name for each in names for name, _ in model.named_parameters() if name.startswith(each)}
    for name in names:
        model.get_submodule(name).requires_grad_(False)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    trainer = make_trainer(model, DATA, fusion_init="random")
    trainer.fit(progress=False)
    again = make_trainer(model, DATA, **TRAINED)
    again.fit(progress=False)
    moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert moved == before.keys() - frozen
    assert {name for name, p in trainer.branch().model.named_parameters() if torch.equal(p, before[name])} >= frozen


def test_a_frozen_encoder_in_evaluation_mode_is_left_alone_altogether():
    model = make_model(lambda: with_statistics().requires_grad_(False).eval())
    before = {key: x.clone() for key, x in model.encoders["b"].state_dict().items()}
    trainer = make_trainer(model, DATA)
    assert not trainer.model.needs_two
    trainer.fit(progress=False)
    assert all(torch.equal(x, before[key]) for key, x in model.encoders["b"].state_dict().items())


def test_a_model_with_nothing_to_train_is_refused():
    with pytest.raises(ConfigError, match=r"model.requires_grad_\(True\)"):
        make_trainer(make_model(flat).requires_grad_(False), DATA)
    lone = make_model(flat)
    lone.encoders.requires_grad_(False), lone.heads.requires_grad_(False)
    trainer = make_trainer(lone, DATA)  # stage 1 has nothing to train, stage 2 the fusion
    trainer.fit(progress=False)
    assert trainer.finished


@pytest.mark.parametrize("observable", ["prediction", "kmeans"])
def test_another_default_dtype_changes_no_number_and_is_not_changed(observable):
    def run():
        model = LateFusion.from_data(DATA, seed=1)
        settings = {"epochs": 2, "unimodal_epochs": 1, **QUICK, "n_boot": 20, "observable": observable}
        trainer = make_trainer(model, DATA, **settings, class_weight="balanced", ecs=("class_logit", "gradient_share"))
        return trainer.fit(progress=False)

    usual = run()
    torch.set_default_dtype(torch.float64)
    try:
        other = run()
        assert torch.get_default_dtype() is torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    for row, twin in zip(usual.rows, other.rows, strict=True):
        assert {k: x for k, x in row.items() if k not in ("seconds", "time")} == {
            k: x for k, x in twin.items() if k not in ("seconds", "time")
        }


def test_own_encoders_in_float64_train_in_float64():
    torch.set_default_dtype(torch.float64)
    try:
        trainer = make_trainer(make_model(with_statistics), DATA, class_weight="balanced", loss="focal")
        trainer.fit(progress=False)
    finally:
        torch.set_default_dtype(torch.float32)
    assert {p.dtype for p in trainer.model.parameters()} == {torch.float64}


def test_cached_results_are_copied_without_their_graph_and_what_cannot_be_copied_is_shared(tmp_path):
    net = Cached()
    net(torch.zeros(2, 5, 4))
    with open(tmp_path / "log", "w") as net.log:
        twin = copy_model(net)
        assert twin.log is net.log
    assert net.last.requires_grad and not twin.last.requires_grad and torch.equal(twin.last, net.last)
    assert twin.last is not net.last and twin.history[0]["features"] is twin.last
    assert all(p is not q and torch.equal(p, q) for p, q in zip(net.parameters(), twin.parameters(), strict=True))

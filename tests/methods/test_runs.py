"""The methods in a run: they train, resume bit for bit, and say what they are."""

import functools
import inspect

import pytest
import torch

from mmpid import LateFusion, MultimodalData, Trainer, diff, methods
from mmpid.errors import ConfigError, TrainingError
from tests.methods.oracles import METHODS, runs, shapes
from tests.small_runs import QUICK, weights

JOINT = {"epochs": 4, "unimodal_epochs": 0, "stage2": "off", "batch_size": 40}


def test_every_method_is_listed_and_tested():
    tested = {make().__class__.__name__ for cases in METHODS.values() for make in cases.RUNS.values()}
    assert tested == set(methods.available()) and all(methods.available().values())
    assert {*tested, "available"} == set(methods.__all__)


def test_editors_know_every_method():
    source = inspect.getsource(methods)
    for name in methods.available():
        line = f"from {getattr(methods, name).__module__} import {name} as {name}"
        assert line in source, f"add to the block under TYPE_CHECKING: {line}"


@pytest.fixture
def joint_run(small_data):
    """Return a function that makes a joint run with callbacks."""

    def make(*callbacks, **settings):
        model = LateFusion.from_data(small_data, seed=0)
        return Trainer(model, small_data, callbacks=callbacks, **{**JOINT, **QUICK, **settings})

    return make


@pytest.fixture(scope="module")
def plain(small_data):
    """A run without callbacks."""
    trainer = Trainer(LateFusion.from_data(small_data, seed=0), small_data, **JOINT, **QUICK)
    trainer.fit(progress=False)
    return trainer


@pytest.mark.parametrize("make", runs())
def test_a_method_changes_training_and_goes_on_bit_for_bit(joint_run, small_data, plain, tmp_path, make):
    whole, first = joint_run(make()), joint_run(make())
    first.step(batches=8)
    resumed = Trainer.load(first.save(tmp_path / "run"), small_data, device="cpu")
    for trainer in (whole, resumed):
        trainer.fit(progress=False)
    assert resumed.record == whole.record and torch.equal(weights(resumed), weights(whole))
    assert not torch.equal(weights(whole)[:100], weights(plain)[:100])
    assert diff(plain, whole).index.str.startswith("callbacks.").any()
    accuracy = whole.record.lineage("result")[0]["test_accuracy.joint"]
    assert accuracy > 0.6


@pytest.fixture(scope="module")
def tiny():
    """Return a function that makes data of m modalities in which one says nothing and one is often zero."""

    def make(m):
        rng = torch.Generator().manual_seed(m)
        y = torch.arange(120) % 3
        centers = torch.randn(m, 3, 4, generator=rng) * torch.linspace(2, 0, m)[:, None, None]
        x = centers[:, y] + torch.randn(m, 120, 4, generator=rng)
        x[1, ::2] = 0.0
        return MultimodalData.from_arrays({f"m{i}": x[i].numpy() for i in range(m)}, y.numpy(), seed=0)

    return functools.cache(make)


@pytest.mark.parametrize(("make", "fusion", "m", "refused"), shapes())
def test_a_method_works_with_every_fusion_and_up_to_six_modalities_or_says_why_not(tiny, make, fusion, m, refused):
    encoders = {f"m{i}": torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.ReLU()) for i in range(m)}
    model = LateFusion(encoders, 3, fusion=fusion, dims=dict.fromkeys(encoders, 5))
    settings = {"epochs": 2, "unimodal_epochs": 0, "stage2": "off", "batch_size": 40, "fusion_init": "random"} | QUICK
    if refused:
        with pytest.raises(TrainingError, match="fusion|modalities") as caught:
            Trainer(model, tiny(m), callbacks=[make()], **settings).step(batches=1)
        assert isinstance(caught.value.__cause__, ConfigError)
        return
    trainer = Trainer(model, tiny(m), callbacks=[make()], **settings)
    trainer.fit(progress=False)
    assert weights(trainer).isfinite().all()
    rows = trainer.record.lineage("epoch")
    assert all(value is not None for row in rows for key, value in row.items() if key.startswith("log."))


def test_ogm_ge_logs_a_coefficient_for_each_modality(joint_run):
    trainer = joint_run(methods.OGMGE(alpha=0.5, enhance=False))
    row = trainer.fit(progress=False).lineage("epoch")[-1]
    logged = [row[f"log.OGMGE.coefficient.{name}"] for name in ("a", "b")]
    assert max(logged) <= 1 and min(logged) < 1


def test_mla_predicts_by_its_own_rule(joint_run):
    trainer = joint_run(methods.MLA())
    trainer.fit(progress=False)
    own = trainer._run.evaluate(trainer.model, "test").logits["joint"]
    assert not torch.allclose(own, trainer.model(trainer.data.split("test").inputs).logits)


def test_mla_refuses_embeddings_of_different_sizes(small_data):
    encoders = {"a": torch.nn.Linear(6, 4), "b": torch.nn.Linear(6, 5)}
    with pytest.raises(Exception, match="same size") as caught:
        Trainer(LateFusion(encoders, 4), small_data, callbacks=[methods.MLA()], **QUICK)
    assert isinstance(caught.value.__cause__, ConfigError)

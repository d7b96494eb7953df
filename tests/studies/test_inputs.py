"""Doors of runs and of what reads them: each wrong argument is named, and nothing is silently ignored."""

import pytest
import torch

import mmpid
from mmpid.errors import ConfigError, InputError
from mmpid.runs import RunRecord, to_mlflow, to_tensorboard
from mmpid.train import TrainConfig

QUICK = {"epochs": 2, "n_boot": 0, "n_null": 0, "device": "cpu"}


@pytest.fixture(scope="module")
def data():
    return mmpid.datasets.load("av-digits", seed=0)


@pytest.fixture(scope="module")
def model(data):
    return mmpid.LateFusion.from_data(data)


@pytest.fixture(scope="module")
def trainer(model, data):
    return mmpid.Trainer(model, data, **QUICK)


def compared(data, **more):
    return mmpid.compare(data, **{"seeds": [0], "methods": ["unimodal"], "progress": False, **QUICK, **more})


def test_data_are_a_name_a_data_set_or_a_function(data):
    with pytest.raises(ConfigError, match="it was Tensor. Try lambda seed: .*new splits"):
        compared(data.target)
    with pytest.raises(ConfigError, match="`data` must hold at least one data set"):
        compared({})
    with pytest.raises(InputError, match=r"`data\(seed\)` must be MultimodalData; it was NoneType"):
        compared(lambda seed: None)
    with pytest.raises(ConfigError, match="`data_options`"):
        compared(lambda seed: data, data_options={"views": 2})


@pytest.mark.parametrize("call", [mmpid.compare, mmpid.train_seeds, lambda d, **k: mmpid.sweep_switch(d, at=[0], **k)])
def test_seeds_are_several_different_integers(call):
    for seeds, match in (
        (5, r"for example seeds=range\(5\)"),
        ([], "hold at least one"),
        ([0, 0], "one run counts as two"),
    ):
        with pytest.raises(ConfigError, match=f"(?i)`seeds` must.*{match}"):
            call("av-digits", seeds=seeds)


@pytest.mark.parametrize(
    ("more", "match"),
    [
        ({"seed": 0}, r"`seed` must be left out of a comparison; it was 0. Try seeds="),
        ({"controller": mmpid.BalanceController()}, "`controller` must be left out.*Try controllers="),
        ({"controllers": [mmpid.BalanceController()]}, "`controllers` must be a mapping .*it was list"),
        ({"controllers": {"mine": mmpid.Manual()}}, r"`controllers\['mine'\]` must be .*Wrap it: .*rule=Manual\(\)"),
        ({"methods": 3}, "`methods` must be a name or several; it was int"),
        ({"model": 3}, "`model` must be a function from data and seed"),
        ({"model": lambda data, seed: None}, r"`model\(data, seed\)` must be a LateFusion; it was NoneType"),
    ],
)
def test_a_comparison_names_what_is_wrong(data, more, match):
    with pytest.raises(InputError, match=match):
        compared(lambda seed: data, **more)


def test_a_model_is_no_recipe_for_models(data, model):
    for call in (lambda: compared(lambda seed: data, model=model), lambda: mmpid.baselines(data, model=model)):
        with pytest.raises(
            ConfigError, match="fresh LateFusion, since every run starts from scratch; it was LateFusion"
        ):
            call()
    with pytest.raises(InputError, match="`data`"):
        mmpid.baselines("av-digits")


@pytest.mark.parametrize(
    ("more", "match"),
    [
        ({"at": 3}, "`at` must be a list or range of integers; it was 3"),
        ({"at": []}, "`at` and `seeds` must each hold at least one entry"),
        ({"rules": [mmpid.Manual()]}, "`rules` must be a mapping .*it was list"),
        ({"rules": {"a": mmpid.Manual}}, r"`rules\['a'\]` must be a SwitchRule; it was type"),
    ],
)
def test_a_sweep_names_what_is_wrong(more, match):
    with pytest.raises(InputError, match=match):
        mmpid.sweep_switch("av-digits", **{"at": [0], "seeds": [0], **more})


def test_a_recipe_gives_a_trainer():
    with pytest.raises(InputError, match=r"`recipe\(seed\)` must be a Trainer; it was NoneType"):
        mmpid.sweep_switch(lambda seed: None, at=[0], seeds=[0], progress=False)


@pytest.mark.parametrize(
    ("more", "match"),
    [
        ({"controller": mmpid.PeakSynergy()}, "`controller` must be .*it was PeakSynergy. Wrap it: BalanceController"),
        ({"controller": "auto"}, "`controller` must be a BalanceController; it was str"),
        ({"name": 3}, "`name` must be text; it was int"),
        ({"out_dir": 3}, "`out_dir` must be a path; it was int"),
        ({"out_dir": __file__}, "`out_dir` must be a folder; .* is a file"),
    ],
)
def test_a_trainer_names_what_is_wrong(data, model, more, match):
    with pytest.raises(InputError, match=match):
        mmpid.Trainer(model, data, **QUICK, **more)


@pytest.mark.parametrize(
    ("setting", "match"),
    [
        ({"rewind": "no"}, "`rewind` must be True or False; it was 'no'"),
        ({"freeze_encoders": 1}, "`freeze_encoders` must be True or False"),
        ({"lr": float("inf")}, "`lr` must be finite; it was inf"),
        ({"weight_decay": float("inf")}, "`weight_decay` must be finite"),
        ({"momentum": 2.0}, "`momentum` must be a number from 0 to 1; it was 2.0"),
        ({"ecs": None}, r"`ecs` must be names of proxies; it was NoneType. Try \(\) for none"),
    ],
)
def test_settings_that_would_mean_something_else_are_refused(setting, match):
    with pytest.raises(InputError, match=match):
        TrainConfig(**setting)
    with pytest.raises(ConfigError, match="`noise_aware`"):
        mmpid.PeakSynergy(noise_aware="no")


def test_a_run_is_loaded_from_a_path_with_its_data(trainer, data):
    for call in (lambda: mmpid.Trainer.load(None, data), lambda: trainer.save(None)):
        with pytest.raises(InputError, match="`path`"):
            call()
    with pytest.raises(InputError, match="`data`"):
        mmpid.Trainer.load("nowhere", "av-digits")


def test_a_trainer_a_record_and_a_path_mean_the_same_run(trainer, tmp_path):
    trainer.save(tmp_path / "run")
    calls = [lambda run: mmpid.replay(run, mmpid.Manual()), lambda run: mmpid.diff(trainer.record, run).empty]
    pytest.importorskip("tensorboard")
    pytest.importorskip("mlflow")
    exports = [lambda run, to: to_tensorboard(run, to / "t"), lambda run, to: to_mlflow(run, to / "m")]
    for number, run in enumerate((trainer, trainer.record, tmp_path / "run", str(tmp_path / "run"))):
        for call in calls:
            assert call(run) == call(trainer.record)
        for export in exports:
            assert export(run, tmp_path / f"out{number}")
    for call in [*calls, *(lambda run, e=export: e(run, tmp_path) for export in exports)]:
        for wrong in (None, 3, "runs/first"):
            with pytest.raises(InputError):
                call(wrong)


def test_rows_of_an_unknown_kind_or_stage_are_no_empty_list():
    with pytest.raises(ConfigError, match="`kind` must be one of .*it was 'probes'. Did you mean 'probe'"):
        RunRecord().lineage("probes")
    with pytest.raises(ConfigError, match="`stage` must be one of 'unimodal', 'joint'; it was 'first'"):
        RunRecord().lineage("probe", stage="first")


def test_published_values_are_a_mapping_of_single_numbers():
    for name, values in ((3, {}), ("demo", [1.0])):
        with pytest.raises(InputError, match="`name`"):
            mmpid.publish(name, values)
    with pytest.raises(InputError, match=r"`values\['x'\]` must be a finite number"):
        mmpid.publish("demo", {"x": torch.ones(3)})
    assert mmpid.publish("demo", {"x": torch.ones(1), "y": torch.tensor(2.0)}) == {"x": 1.0, "y": 2.0}


def test_a_record_is_loaded_from_a_path_not_made_of_one():
    with pytest.raises(InputError, match="`metadata`"):
        RunRecord("runs/first")
    with pytest.raises(InputError, match="`path`"):
        RunRecord.load(None)

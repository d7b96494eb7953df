"""A search is the same however it is run, is fair to every method, and trains nothing twice."""

import sys

import numpy as np
import optuna
import pytest

import mmpid
from mmpid.errors import InputError, MissingDependencyError
from mmpid.studies import Search, cell
from mmpid.studies.search import Asker
from mmpid.studies.space import Range
from mmpid.studies.tuning import edges

SMALL = {
    "epochs": 2, "unimodal_epochs": 1, "n_boot": 0, "n_null": 0, "correction": "none", "ecs": (), "device": "cpu",
    "progress": False,
}  # fmt: skip
SPACE = {"lr": (0.001, 0.1, "log"), "batch_size": [32, 64], "aux_weight": (0.0, 2.0)}


@pytest.fixture
def trained(monkeypatch):
    """Return the labels of all cells that are trained from now on."""
    labels, train = [], cell._train
    monkeypatch.setattr(cell, "_train", lambda one, trainer: labels.append(one.label) or train(one, trainer))
    return labels


def plain(table, kind="rows"):
    return table.to_frame(kind).drop(columns="run", errors="ignore")


def searched(data, trials=4, methods=("joint", "ens"), seeds=(0, 1), **more):
    return mmpid.compare(data, methods=methods, seeds=seeds, tune=Search(SPACE, trials), **SMALL | more)


def test_every_method_gets_as_many_trials_and_validation_chooses(small_data, trained):
    table = searched(small_data, trials=3)
    trials = table.to_frame("trials")
    assert len(trained) == 12 and trials.groupby(["method", "lr"]).size().tolist() == [2] * 6
    means = trials.groupby(["method", "lr"])["validation_accuracy"].mean()
    for method, row in table.summary().iterrows():
        won = trials[(trials.method == method) & trials.chosen]
        assert won["lr"].nunique() == 1 and means[method].max() == won["validation_accuracy"].mean()
        assert f"lr={won['lr'].iloc[0]}" in row.setting and row.test_accuracy == won.test_accuracy.mean()
    assert trials["lr"].between(0.001, 0.1).all() and set(trials["batch_size"]) <= {32, 64}
    assert table.sensitivity().groupby("method").size().tolist() == [3, 3]
    assert table.sensitivity()["chosen"].sum() == 2


def test_a_search_goes_on_and_grows_without_training_anything_twice(small_data, tmp_path, trained, monkeypatch):
    def searches(trials, out_dir=tmp_path / "s"):
        return searched(small_data, trials=trials, methods=["joint", "ens"], seeds=[0], out_dir=out_dir)

    def interrupt(one):
        if len(trained) == 5:
            raise KeyboardInterrupt
        return prepare(one)

    prepare = cell._prepare
    with monkeypatch.context() as within, pytest.raises(KeyboardInterrupt):
        within.setattr(cell, "_prepare", interrupt)
        searches(4)
    for trials, n_runs in ((4, 8), (4, 8), (7, 14)):
        table = searches(trials)
        assert len(trained) == len(set(trained)) == n_runs
    assert plain(table).equals(plain(searches(7, out_dir=None))), "as in one go, and with and without a folder"


@pytest.mark.slow
def test_serial_and_parallel_searches_are_identical(small_data):
    one, two = (searched(small_data, trials=8, n_jobs=n_jobs) for n_jobs in (1, 2))
    assert plain(one).equals(plain(two)) and plain(one, "trials")["lr"].equals(plain(two, "trials")["lr"])


def test_a_trial_that_diverges_counts_and_is_left_out(small_data):
    space = {"lr": [0.01, 1e30, 0.05]}
    methods = ["joint", "joint+aux"]
    table = mmpid.compare(small_data, methods=methods, seeds=[0, 1], tune=Search(space, trials=3), **SMALL)
    assert table.to_frame("trials").groupby("method").size().tolist() == [4, 4]
    assert table.to_frame("failures").groupby("method").size().tolist() == [2, 2]
    assert all("1e+30" not in setting for setting in table.summary()["setting"])


@pytest.mark.parametrize(
    "sampler",
    ["TPESampler", "RandomSampler", "QMCSampler", "NSGAIISampler", pytest.param("GPSampler", marks=pytest.mark.slow)],
)
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_samplers_are_copied_and_never_named_twice_in_a_finite_space(sampler):
    search = Search({"batch_size": [8, 16, 32, 64], "patience": (1, 3)}, 12, getattr(optuna.samplers, sampler)(seed=3))
    asked = []
    for _ in range(2):
        asker = Asker(search)
        asked.append([])
        for _ in range(12):
            setting = asker.ask()
            asked[-1].append(setting)
            asker.tell(-abs(setting["batch_size"] - 16) - setting["patience"])
    assert asked[0] == asked[1] and len({str(setting) for setting in asked[0]}) == 12


def test_a_grid_sampler_is_the_whole_grid():
    values = {"batch_size": [8, 16, 32]}
    asker = Asker(Search(values, 3, optuna.samplers.GridSampler(values, seed=0)))
    found = []
    for _ in range(3):
        found.append(asker.ask()["batch_size"])
        asker.tell(0.0)
    assert sorted(found) == [8, 16, 32]


def best_of(sampler, seed):
    """Return how far the best of 12 trials is from a random optimum of a parabola."""
    rng = np.random.default_rng(seed)
    lr, weight = rng.uniform(-3, -1), rng.uniform(0, 2)
    asker, scores = Asker(Search({"lr": (0.001, 0.1, "log"), "aux_weight": (0.0, 2.0)}, 12, sampler)), []
    for _ in range(12):
        setting = asker.ask()
        scores.append(-((np.log10(setting["lr"]) - lr) ** 2) - ((setting["aux_weight"] - weight) / 2) ** 2)
        asker.tell(scores[-1])
    return -max(scores)


def test_the_default_sampler_beats_random_search_on_a_parabola():
    regret = {
        kind: np.mean([best_of(kind and optuna.samplers.RandomSampler(seed=0), seed) for seed in range(20)])
        for kind in (None, "random")
    }
    assert regret[None] < regret["random"]


def test_an_optimum_near_the_end_of_a_range_is_named():
    space = {"lr": Range(0.001, 0.1, log=True), "aux_weight": Range(0.0, 2.0), "batch_size": [16, 32, 64]}
    middle = {"lr": 0.002, "aux_weight": 1.0, "batch_size": 32}
    assert edges(middle, [middle], space) == {}
    ends = edges({"lr": 0.0012, "aux_weight": 1.95, "batch_size": 64}, [middle], space)
    assert list(ends) == ["lr", "aux_weight", "batch_size"]
    assert "low end" in ends["lr"] and "high end" in ends["aux_weight"] and ends["batch_size"] == "the largest tried"


@pytest.mark.parametrize(
    ("space", "more", "match"),
    [
        ({}, {}, "at least one setting"),
        ([("lr", [0.1])], {}, "`space` must be a mapping"),
        ({"rate": (0.1, 0.2)}, {}, "`space` must be one of"),
        ({"lr": 0.1}, {}, "must be a list of values"),
        ({"lr": (0.1,)}, {}, r"must be \(low, high\)"),
        ({"lr": (0.1, 0.2, "ln")}, {}, r"must be \(low, high\)"),
        ({"lr": (0.2, 0.1)}, {}, "low end below its high end"),
        ({"aux_weight": (0, 1, "log")}, {}, "must lie above 0 on a logarithmic"),
        ({"lr": (0.1, float("inf"))}, {}, "must be finite"),
        ({"lr": ("0.1", 1)}, {}, "must be a number"),
        ({"batch_size": (8.5, 64)}, {}, "must be an integer"),
        ({"optimizer": ("adamw", "sgd")}, {}, "must be a list, since it has no order"),
        ({"optimizer": ["adamw", "adamw"]}, {}, "different values"),
        ({"batch_size": [8, 16]}, {"trials": 3}, "must be at most 2"),
        ({"lr": (0.1, 0.2)}, {"trials": 0}, "`trials`"),
        ({"lr": (0.1, 0.2)}, {"trials": 2.5}, "`trials`"),
        ({"lr": (-0.1, 0.2)}, {}, "`lr` must be"),
        ({"lr": (0.1, 0.2)}, {"lr": 0.1}, "either tuned or set"),
        ({"lr": (0.1, 0.2)}, {"selection": "test"}, "tunes on the test split"),
        ({"selection": ["test", "last"]}, {"trials": 2}, "how a run is selected"),
        ({"lr": (0.1, 0.2)}, {"sampler": "tpe"}, "`sampler` must be a sampler"),
        ({"lr": (0.1, 0.2)}, {"sampler": optuna.samplers.RandomSampler()}, "Give it a seed"),
        ({"lr": (0.1, 0.2)}, {"sampler": optuna.samplers.GridSampler({"lr": [0.1]}, seed=0)}, "must propose 12 diff"),
        ({"lr": (0.1, 0.2)}, {"sampler": optuna.samplers.GridSampler({"x": [0.1]}, seed=0)}, "failed with ValueError"),
    ],
)
def test_wrong_searches_are_named_before_anything_is_trained(small_data, space, more, match, trained):
    own = {name: more[name] for name in ("trials", "sampler") if name in more}
    settings = {name: value for name, value in more.items() if name not in own}
    with pytest.raises(InputError, match=match):
        mmpid.compare(small_data, methods=["joint"], seeds=[0], tune=Search(space, **own), **SMALL | settings)
    assert not trained


def test_without_optuna_the_error_is_the_command_to_type(small_data, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'mmpid\[tune\]'"):
        searched(small_data)

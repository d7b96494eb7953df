"""A study on disk: nothing is trained twice, nothing foreign is taken for it, and a failed run stays alone."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import mmpid
from mmpid.errors import ConfigError, InputError, TrainingError
from mmpid.runs.state import read_state
from mmpid.studies import Recipe, cell, register
from mmpid.studies.engine import failure_of
from mmpid.studies.recipes import RECIPES, resolve
from mmpid.studies.store import status

SMALL = {
    "epochs": 4, "unimodal_epochs": 2, "n_boot": 0, "n_null": 0, "correction": "none", "ecs": (), "device": "cpu",
    "progress": False,
}  # fmt: skip


class Killed(BaseException):
    """Ends a run as a kill would: nothing catches it."""


@pytest.fixture
def trained(monkeypatch):
    """Return the labels of all cells that are trained from now on."""
    labels, train = [], cell._train

    def spy(one, trainer):
        labels.append(one.label)
        return train(one, trainer)

    monkeypatch.setattr(cell, "_train", spy)
    return labels


def frame(table):
    return table.to_frame().drop(columns="run")


def test_a_study_goes_on_and_grows_without_training_anything_twice(small_data, tmp_path, trained):
    def run(methods, seeds, **more):
        return mmpid.compare(small_data, methods=methods, seeds=seeds, out_dir=tmp_path / "s", **SMALL, **more)

    first = run(["joint", "ens"], [0])
    assert trained == ["small, joint, seed 0", "small, unimodal, seed 0"]
    assert frame(run(["joint", "ens"], [0])).equals(frame(first)) and len(trained) == 2
    grown = run(["joint", "unimodal", mmpid.methods.OGMGE(alpha=0.4)], [0, 1], metrics=("accuracy", "macro_f1"))
    assert trained[2:] == ["small, OGMGE, seed 0", *(f"small, {m}, seed 1" for m in ("joint", "unimodal", "OGMGE"))]
    assert grown.to_frame()["method"].unique().tolist() == ["joint", "a", "b", "ens", "OGMGE"]
    assert grown.to_frame()["test_macro_f1"].between(0, 1).all(), "computed from the predictions on disk"
    whole = mmpid.compare(small_data, methods=["joint", "ens"], seeds=[0], **SMALL)
    assert whole.to_frame().equals(frame(first)), "with and without a folder"


def test_every_number_leads_to_its_run(small_data, tmp_path):
    table = mmpid.compare(small_data, methods=["joint", "ens"], seeds=[0, 1], out_dir=tmp_path / "s", **SMALL)
    for row in table.rows:
        folder = Path(row["run"])
        record = mmpid.RunRecord.load(folder)
        head = "joint" if row["method"] == "joint" else "ens"
        assert record.lineage("result")[-1][f"test_accuracy.{head}"] == row["test_accuracy"]
        seen = table.predictions(row["method"], row["seed"])
        assert seen["correct"].mean() == pytest.approx(row["test_accuracy"])
        assert seen["index"].tolist() == small_data.splits["test"].tolist()
        assert seen.filter(like="p.").sum(axis=1).round(5).eq(1).all()
        assert (folder / "selected.safetensors").stat().st_size > 0 and folder in table.runs(row["method"])
        assert folder.as_uri() in table.to_html()
    assert table.to_csv().splitlines()[0] == "seed,method,test_accuracy,selected_epoch,run"
    table.to_markdown(tmp_path / "t.md")
    assert (tmp_path / "t.md").read_text().count("\n|") == 3 and r"\%" in table.to_latex()


@pytest.mark.parametrize("method", ["two-stage", "OGMGE", {"name": "slow", "base": "fixed", "lr": 0.01}])
@pytest.mark.parametrize("epochs", [1, 3])
def test_a_killed_run_goes_on_from_its_last_epoch(small_data, tmp_path, monkeypatch, method, epochs):
    monkeypatch.setattr(cell, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(cell, "SAVE_SHARE", 1e9)
    step, steps, left = mmpid.Trainer.step, [], [epochs]

    def mortal(self, **kwargs):
        if not left[0]:
            raise Killed
        left[0] -= 1
        steps.append(1)
        step(self, **kwargs)

    monkeypatch.setattr(mmpid.Trainer, "step", mortal)
    call = {"methods": [method], "seeds": [0], "out_dir": tmp_path / "s", **SMALL}
    with pytest.raises(Killed):
        mmpid.compare(small_data, **call)
    left[0] = 99
    killed = mmpid.compare(small_data, **call)
    assert len(steps) == 4, "no epoch was trained twice"
    monkeypatch.undo()
    whole = mmpid.compare(small_data, **{**call, "out_dir": tmp_path / "whole"})
    assert frame(killed).equals(frame(whole))
    for one, two in zip(killed.runs(), whole.runs(), strict=True):
        assert mmpid.RunRecord.load(one).content() == mmpid.RunRecord.load(two).content()
        weights = [read_state(folder / "selected.safetensors").tensors for folder in (one, two)]
        assert all(torch.equal(x, weights[1][name]) for name, x in weights[0].items())
        assert (one / "predictions.npz").read_bytes() == (two / "predictions.npz").read_bytes()
        assert not list(one.glob("saved-*"))


def test_a_half_written_state_is_left_out(small_data, tmp_path, monkeypatch):
    monkeypatch.setattr(cell, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(cell, "SAVE_SHARE", 1e9)
    save = cell._save

    def cut(one, trainer):
        save(one, trainer)
        if trainer.epoch == 2:
            torn = one.folder / "saved-99"
            torn.mkdir()
            (torn / "record.jsonl").write_text("{")
            raise Killed

    monkeypatch.setattr(cell, "_save", cut)
    call = {"methods": ["joint"], "seeds": [0], "out_dir": tmp_path / "s", **SMALL}
    with pytest.raises(Killed):
        mmpid.compare(small_data, **call)
    monkeypatch.undo()
    whole = mmpid.compare(small_data, methods=["joint"], seeds=[0], **SMALL)
    assert frame(mmpid.compare(small_data, **call)).equals(whole.to_frame())


def test_a_folder_of_something_else_is_refused(small_data, tmp_path):
    call = {"methods": ["joint"], "seeds": [0], "out_dir": tmp_path / "s", **SMALL}
    mmpid.compare(small_data, **call)
    changed = mmpid.MultimodalData.from_arrays(
        {name: x.numpy() + 1 for name, x in small_data.inputs.items()}, small_data.target.numpy(), name="small"
    )
    for data, more, match in (
        (small_data, {"epochs": 5}, "`epochs` was 4, and now it is 5"),
        (small_data, {"lr": 0.1}, "`lr` was"),
        (changed, {}, "'small' with seed 0 had fingerprint"),
        (small_data, {"methods": {"joint": {"lr": 0.5}}}, "'joint' differs in"),
        (small_data, {"methods": {"joint": mmpid.methods.OGMGE()}}, "'joint' differs in"),
        (small_data, {"out_dir": tmp_path}, "holds other files"),
        (small_data, {"out_dir": __file__}, "is a file"),
    ):
        with pytest.raises(ConfigError, match=match):
            mmpid.compare(data, **{**call, **more})
    (tmp_path / "s" / "study.json").write_text('{"format": 99}')
    with pytest.raises(mmpid.errors.CheckpointError, match="Update mmpid"):
        mmpid.compare(small_data, **call)


def test_data_that_change_from_call_to_call_are_refused():
    rng = np.random.default_rng()

    def drifting(seed):
        inputs = {name: rng.normal(size=(80, 3)) for name in "ab"}
        return mmpid.MultimodalData.from_arrays(inputs, np.arange(80) % 2, seed=seed)

    from mmpid.studies import sources

    kept, sources.MOST_KEPT = sources.MOST_KEPT, 0
    try:
        with pytest.raises(InputError, match="the same samples for seed 0 each time"):
            mmpid.compare(drifting, methods=["joint"], seeds=[0], **SMALL)
    finally:
        sources.MOST_KEPT = kept


def test_a_diverging_method_fails_alone_and_is_tried_again(small_data, tmp_path, trained):
    methods = ["joint", {"name": "wild", "base": "joint", "lr": 1e30}]
    call = {"methods": methods, "seeds": [0, 1], "out_dir": tmp_path / "s", **SMALL}
    table = mmpid.compare(small_data, **call)
    assert table.methods == ["joint"] and len(table.failures) == 2
    failure = table.failures[0]
    assert failure["method"] == "wild" and "not finite" in failure["error"] and "wild: 2 runs failed" in repr(table)
    assert status(Path(failure["run"]))["state"] == "failed"
    assert status(table.runs("joint")[0])["state"] == "finished"
    assert mmpid.compare(small_data, **call).failures == table.failures
    assert trained.count("small, joint, seed 0") == 1 and trained.count("small, wild, seed 0") == 2
    plain = {key: value for key, value in SMALL.items() if key != "progress"}
    with pytest.raises(TrainingError, match="'wild' failed.*not finite"):
        mmpid.baselines(small_data, methods=methods, **plain)
    with pytest.raises(TrainingError, match="no run finished.*not finite"):
        mmpid.compare(small_data, **{**call, "methods": methods[1:], "out_dir": None})


def test_until_a_failed_run_has_ended_again_its_error_is_known(small_data, tmp_path, monkeypatch):
    """A Dask cluster that loses a worker runs some failed cells again; a table may be made meanwhile."""
    methods = ["joint", {"name": "wild", "base": "joint", "lr": 1e30}]
    call = {"methods": methods, "seeds": [0], "out_dir": tmp_path / "s", **SMALL}
    failures = mmpid.compare(small_data, **call).failures
    place, seen, train = Path(failures[0]["run"]), [], cell._train

    def look(one, trainer):
        seen.append((failure_of(one), (place / "error.json").exists()))
        return train(one, trainer)

    monkeypatch.setattr(cell, "_train", look)
    assert mmpid.compare(small_data, **call).failures == failures and "not finite" in str(seen[0][0])
    monkeypatch.setattr(cell, "_train", lambda one, trainer: train(one, trainer.set_learning_rate(0.01) or trainer))
    assert not mmpid.compare(small_data, **call).failures and not (place / "error.json").exists()
    assert status(place)["state"] == "finished"


def test_a_failed_seed_is_left_out_of_the_pairs(small_data):
    def sometimes(data, seed):
        model = mmpid.LateFusion.from_data(data, seed=seed)
        if seed == 1:
            next(iter(model.encoders["a"].parameters())).data.fill_(float("inf"))
        return model

    methods = {"joint": "joint", "odd": {"base": "joint", "model": sometimes, "lr": 0.05}}
    table = mmpid.compare(small_data, methods=methods, seeds=[0, 1, 2], **SMALL)
    assert [(f["method"], f["seed"]) for f in table.failures] == [("odd", 1)]
    row = table.summary().loc["odd"]
    assert row.n == 2 and row.failed == 1
    values = table.to_frame().pivot(index="seed", columns="method", values="test_accuracy").dropna()
    assert row["mean"] == pytest.approx((values["odd"] - values["joint"]).mean())


def test_several_data_sets_are_one_table_with_ranks(small_data):
    data = {"one": small_data, "two": lambda seed: small_data}
    table = mmpid.compare(data, methods=["joint", "joint+aux", "ens"], seeds=[0, 1], **SMALL)
    assert table.summary().index.names == ["data", "method"] and len(table.rows) == 12
    for method in table.methods:
        one, two = (table.difference(method, data=name) for name in ("one", "two"))
        assert one[0] == two[0] == pytest.approx(table.difference(method)[0])
    ranks = table.ranks()
    assert ranks["mean_rank"].sum() == pytest.approx(6) and ranks.attrs["n_data"] == 2
    with pytest.raises(ConfigError, match="`data` must be one of one, two"):
        table.predictions("joint", 0)
    assert len(table.predictions("joint", 0, "two")) == len(small_data.splits["test"])


def test_settings_are_chosen_on_validation_alike_for_every_method(small_data):
    grid = [0.001, 0.02, 0.1]
    table = mmpid.compare(small_data, methods=["joint", "ens"], seeds=[0, 1], tune={"lr": grid}, **SMALL)
    trials = table.to_frame("trials")
    assert trials.groupby("method").size().tolist() == [6, 6], "as many trials for each"
    means = trials.groupby(["method", "lr"])["validation_accuracy"].mean()
    summary = table.summary()
    for method in ("joint", "ens"):
        lr = means[method].idxmax()
        assert summary.loc[method, "setting"] == f"lr={lr}"
        assert ("lr is the" in summary.loc[method, "edge"]) == (lr != 0.02)
        won = trials[(trials.method == method) & (trials.lr == lr)]
        assert summary.loc[method, "test_accuracy"] == pytest.approx(won.test_accuracy.mean())
        assert summary.loc[method, "best_on_test"] >= summary.loc[method, "test_accuracy"]
    assert table.sensitivity()["chosen"].sum() == 2


@pytest.mark.parametrize(
    ("more", "match"),
    [
        ({"tune": {"lr": [0.1, 0.2]}, "selection": "test"}, "tunes on the test split"),
        ({"tune": {"selection": ["test", "last"]}}, "how a run is selected"),
        ({"tune": {}}, "at least one setting"),
        ({"tune": {"lr": 0.1}}, "must be a list of values"),
        ({"tune": {"lr": [0.1, 0.1]}}, "different values"),
        ({"tune": {"lr": [-1]}}, "`lr` must be"),
        ({"tune": {"rate": [0.1]}}, "`tune` must be one of"),
        ({"tune": {"lr": [0.1, 0.2]}, "lr": 0.1}, "either tuned or set"),
        ({"backend": "dask"}, "`address` must be the address of a running Dask scheduler"),
        ({"address": "tcp://127.0.0.1:1"}, "needs backend='dask'"),
        ({"backend": "ray"}, "`backend` must be one of"),
        ({"n_jobs": 0}, "`n_jobs`"),
        ({"metrics": ("f1",)}, "`metrics` must be one of"),
        ({"metrics": ()}, "`metrics` must name at least one"),
        ({"methods": [{"lr": 0.1}]}, "a dict of settings a name"),
        ({"methods": [{"name": "x", "rate": 0.1}]}, "setting of method 'x'"),
        ({"methods": [mmpid.methods.OGMGE]}, r"is a class. Try OGMGE\(\)"),
        ({"methods": [3]}, "`methods` must hold names, callbacks"),
        ({"methods": [mmpid.methods.OGMGE(alpha=0.1), mmpid.methods.OGMGE(alpha=0.2)]}, "different names"),
        ({"callbacks": [mmpid.methods.OGMGE()]}, r"Try methods=\[callback\]"),
    ],
)
def test_wrong_usage_is_named_before_anything_is_trained(small_data, more, match, trained):
    with pytest.raises(InputError, match=match):
        mmpid.compare(small_data, **{"methods": ["joint"], "seeds": [0], **SMALL, **more})
    assert not trained


def test_an_unreachable_cluster_is_one_clear_error(small_data, tmp_path, monkeypatch):
    pytest.importorskip("distributed", reason="the cluster extra is not installed")
    monkeypatch.setattr("mmpid.studies.engine.CONNECT_SECONDS", 0.2)
    with pytest.raises(ConfigError, match="nothing answered at 'tcp://127.0.0.1:1'.*dask scheduler"):
        mmpid.compare(
            small_data, methods=["joint"], seeds=[0], backend="dask", address="tcp://127.0.0.1:1",
            out_dir=tmp_path / "s", **SMALL,
        )  # fmt: skip


def test_a_recipe_of_ones_own_is_one_registered_object(small_data):
    heavy = register(Recipe("heavy", lambda config, seed: {"unimodal_epochs": 0, "aux_weight": 2.0, "stage2": "off"}))
    try:
        table = mmpid.compare(small_data, methods=["heavy", "joint"], seeds=[0], **SMALL)
        assert table.methods == ["heavy", "joint"]
        with pytest.raises(ConfigError, match="'joint' is built in"):
            register(Recipe("joint", heavy.plan))
    finally:
        RECIPES.pop("heavy")
    assert list(resolve(["ogm-ge", "MMPareto"])) == ["ogm-ge", "MMPareto"]


def test_the_test_split_is_not_predicted_before_the_end(make_trainer):
    trainer = make_trainer(epochs=2, unimodal_epochs=1)
    trainer.step()
    assert trainer.predictions("validation")["a"].shape == (40, 4)
    with pytest.raises(ConfigError, match="before the run has finished"):
        trainer.predictions()
    trainer.fit(progress=False)
    right = trainer.predictions()["joint"].argmax(1) == trainer.data.target[trainer.data.splits["test"]]
    assert right.float().mean() == pytest.approx(trainer.record.lineage("result")[-1]["test_accuracy.joint"])


def test_what_the_folder_says_is_plain_json(small_data, tmp_path):
    mmpid.compare(small_data, methods=["joint", "two-stage"], seeds=[0], out_dir=tmp_path / "s", **SMALL)
    about = json.loads((tmp_path / "s" / "study.json").read_text())
    assert [entry["method"] for entry in about["plan"]] == ["joint", "two-stage"]
    assert all((tmp_path / "s" / entry["folder"] / "result.json").exists() for entry in about["plan"])
    assert about["data"]["small"]["0"] == small_data.fingerprint

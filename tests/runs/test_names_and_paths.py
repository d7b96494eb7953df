"""Names and paths as users have them: they work from the data to the folder and back, or are refused by name."""

import os
from pathlib import Path

import numpy as np
import pytest

from mmpid import LateFusion, MultimodalData, RunRecord, Trainer, to_mlflow, to_tensorboard
from mmpid.errors import ConfigError, InputError, MMPIDError
from mmpid.runs import folder as folder_module
from tests.small_runs import QUICK


def make(names, out_dir=None, name="", data_name="small"):
    y = np.arange(60) % 3
    rng = np.random.default_rng(0)
    inputs = {modality: rng.normal(size=(3, 4))[y] + rng.normal(size=(60, 4)) for modality in names}
    data = MultimodalData.from_arrays(inputs, y, seed=0, name=data_name)
    settings = {"epochs": 2, "unimodal_epochs": 1, **QUICK}
    return Trainer(LateFusion.from_data(data, seed=0), data, out_dir=out_dir, name=name, **settings)


@pytest.mark.parametrize(
    "names",
    [
        ("a/b", "a|b", "a\\b"), ("rest", "x | rest", "not x", "x"), (" ", "a b", "a  b"), ("ä", "a\u0308", "ö"),
        ("声", "画像", "😀"), ("n" * 200, "n" * 199), ("Audio", "audio", "AUDIO"), ("a\nb", "a\0b"), ("<b>", "&amp;"),
        ("a'b", 'a"b', "a`b"), ("-", "--help"), ("$HOME", "%s", "{x}"), ("unique1", "synergy", "total"), ("0", "1"),
        ("None", "nan", "all"), ("weight", "bias"),
    ],
    ids=ascii,
)  # fmt: skip
def test_a_modality_may_have_almost_any_name(names, tmp_path):
    trainer = make(names, tmp_path / "run")
    trainer.step(epochs=1)
    trainer.pause(names[-1])
    trainer.fit(progress=False)
    loaded = Trainer.load(tmp_path / "run", trainer.data, device="cpu")
    assert loaded.record == trainer.record and loaded.modalities == names
    assert set(loaded.record.probes()[-1].unique) == set(names)
    result = loaded.record.lineage("result")[-1]
    assert all(0 <= result[f"test_accuracy.{name}"] <= 1 for name in names)
    assert loaded.branch(name="/".join(names)).active


@pytest.mark.parametrize("name", ["", "a.b", "..", "joint", "ens", "\ud800", "keys", "type", "forward", 3, None])
def test_other_names_are_refused_by_name(name):
    with pytest.raises(MMPIDError, match="modality") as refused:
        make((name, "x"))
    assert ascii(name)[1:-1] in ascii(str(refused.value))


@pytest.mark.parametrize("name", ["a/b", "x | rest", " ", "ü😀", "n" * 200, "a\nb", "a\0b", "..", "CON", "$HOME"])
def test_a_run_may_have_any_name(name, tmp_path):
    trainer = make(("a", "b"), tmp_path / "run", name=name, data_name=name)
    assert RunRecord.load(tmp_path / "run").metadata["name"] == name
    assert Trainer.load(tmp_path / "run", trainer.data, device="cpu").name == name
    assert list(tmp_path.iterdir()) == [tmp_path / "run"]


def test_names_that_a_tool_writes_alike_stay_two_curves(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    trainer = make(("a b", "a|b", "a-b", "ä" * 230))
    trainer.step(epochs=1)
    read = EventAccumulator(str(to_tensorboard(trainer.record, tmp_path / "tb")))
    read.Reload()
    curves = {tag: [x.value for x in read.Scalars(tag)] for tag in read.Tags()["scalars"] if "/loss." in tag}
    row = trainer.record.lineage("epoch")[-1]
    losses = [value for key, value in row.items() if key.startswith("loss.")]
    assert [curves[tag][0] for tag in curves if tag.startswith("epoch/")] == pytest.approx(losses)
    pytest.importorskip("mlflow")
    from mlflow import MlflowClient

    run = to_mlflow(trainer.record, tmp_path / "ml")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        metrics = MlflowClient(tracking_uri=(tmp_path / "ml").as_uri()).get_run(run).data.metrics
    found = [value for key, value in metrics.items() if key.startswith("epoch/loss.")]
    assert sorted(found) == pytest.approx(sorted(losses))


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RUNS", str(tmp_path / "my runs"))
    monkeypatch.delenv("NOT_SET", raising=False)
    (tmp_path / "here").mkdir()
    (tmp_path / "file").write_text("text")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


@pytest.mark.skipif(os.name == "nt", reason="the paths are those of a Unix shell")
@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("~/runs/first", "runs/first"), ("~/runs/first/", "runs/first"), ("first", "here/first"),
        ("./first/.", "here/first"), ("../first", "first"), ("$RUNS/first", "my runs/first"), ("$HOME/x", "x"),
        ("${RUNS}/a b/c", "my runs/a b/c"), ("deep/er/and/deeper", "here/deep/er/and/deeper"),
        (" first", "here/ first"), ("a$b", None), ("ü/声", "here/ü/声"),
    ],
)  # fmt: skip
def test_a_path_means_what_it_means_to_a_shell(home, typed, meant):
    if meant is None:
        (home / "here" / typed).mkdir()  # a folder of that very name is taken
        meant = f"here/{typed}"
    trainer = make(("a", "b"), typed)
    assert (home / meant / "record.jsonl").exists() and trainer.folder.path.resolve() == home / meant
    os.chdir(home)
    trainer.fit(progress=False)
    assert RunRecord.load(home / meant) == trainer.record, "also after the working directory has changed"
    os.chdir(home / "here")
    assert RunRecord.load(typed) == Trainer.load(typed, trainer.data, device="cpu").record == trainer.record
    with pytest.raises(ConfigError, match="already holds a run"):
        make(("a", "b"), typed)


@pytest.mark.skipif(os.name == "nt", reason="the paths are those of a Unix shell")
@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("$NOT_SET/first", "NOT_SET, which is not set"), ("${NOT_SET}/first", "NOT_SET"), ("~nobody_here/x", "no user"),
        ("", "must be a path"), ("  ", "must be a path"), ("a\0b", "must be a path"), ("n" * 300, "too long"),
        ("../file", "is a file"), ("../file/run", "Not a directory|exists"), ("/proc/run", "cannot"),
        (3, "must be a path"), ("../dangling", "cannot|exists"),
    ],
)  # fmt: skip
def test_a_path_that_cannot_be_meant_is_refused_by_name(home, typed, words):
    (home / "dangling").symlink_to(home / "nowhere" / "at all")
    before = sorted(home.rglob("*"))
    with pytest.raises(InputError, match=f"`out_dir`.*({words})"):
        make(("a", "b"), typed)
    with pytest.raises(InputError, match="`path`"):
        make(("a", "b")).save(typed)
    with pytest.raises(MMPIDError):
        RunRecord.load(typed)
    assert sorted(home.rglob("*")) == before


def test_a_folder_without_the_right_to_write_is_refused_by_name(tmp_path, monkeypatch):
    def forbidden(self, *_, **__):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", forbidden)
    with pytest.raises(ConfigError, match="`out_dir` must be a folder that can be written.*Permission denied"):
        make(("a", "b"), tmp_path / "run")
    monkeypatch.undo()
    trainer = make(("a", "b"), tmp_path / "run")
    trainer.fit(progress=False)
    trainer.close()

    def locked(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(folder_module.FolderLock, "acquire", locked)
    with pytest.raises(ConfigError, match="`path`.*Permission denied"):
        Trainer.load(tmp_path / "run", trainer.data, device="cpu")
    assert Trainer.load(tmp_path / "run", trainer.data, device="cpu", read_only=True).finished

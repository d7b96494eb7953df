import importlib
import inspect
import json
import os
import sys
from pathlib import Path

import pytest

from mmpid import publish
from mmpid.cli import BENCHES, copy_notebooks, main
from mmpid.errors import InputError


def test_lab_becomes_jupyterlab_on_a_copy_of_the_quick_start(tmp_path, monkeypatch):
    called = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "execv", lambda program, command: called.append((program, command)))
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", str(tmp_path / "own"))
    assert main(["lab", "--port", "8123", "--no-browser"]) == 0
    ((program, command),) = called
    assert program == sys.executable and command[:3] == [sys.executable, "-m", "jupyterlab"]
    assert "--ServerApp.ip=127.0.0.1" in command and "--ServerApp.port=8123" in command
    assert any(part.endswith("/lab/tree/notebooks/01_quickstart.ipynb") for part in command)
    assert (tmp_path / "mmpid-lab" / "notebooks" / "01_quickstart.ipynb").is_file()
    first, own = os.environ["JUPYTER_CONFIG_PATH"].split(os.pathsep)
    settings = json.loads((Path(first) / "labconfig" / "page_config.json").read_text())
    assert settings["disabledExtensions"]["@jupyterlab/apputils-extension:announcements"]  # no popup greets the user
    assert own == str(tmp_path / "own")
    solutions = {path.stem for path in (tmp_path / "mmpid-lab" / "tutorials" / "solutions").glob("*.md")}
    assert solutions == {path.stem for path in (tmp_path / "mmpid-lab" / "tutorials").glob("*.ipynb")}


def test_copies_that_the_user_changed_stay(tmp_path):
    (tmp_path / "root" / "notebooks").mkdir(parents=True)
    (tmp_path / "root" / "notebooks" / "n.ipynb").write_text("original")
    copy = copy_notebooks(tmp_path / "root", tmp_path / "mine") / "notebooks" / "n.ipynb"
    copy.write_text("changed")
    copy_notebooks(tmp_path / "root", tmp_path / "mine")
    assert copy.read_text() == "changed"


def test_published_values_are_written_and_shown(tmp_path):
    shown = publish("n", {"gain": 0.25}, out_dir=tmp_path)
    assert (tmp_path / "n.json").read_text() == '{\n "gain": 0.25\n}\n'
    assert shown._repr_mimebundle_()["application/vnd.mmpid.values+json"] == {"gain": 0.25}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "high", None])
def test_only_finite_numbers_can_be_published(value):
    with pytest.raises(InputError, match="must be a finite number"):
        publish("n", {"gain": value})


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["lab", "--port", "70000"], "`--port` must be from 1 to 65535; it was 70000"),
        (["lab", "--folder", "file"], "`--folder` must be a folder for your copies; file is a file"),
        (["bench", "estimate", "--json", "nowhere/figures.json"], "`--json` must be a file in a folder that exists"),
        (["bench", "estimate", "--json", "."], "`--json` must be a file in a folder that exists"),
        (["check", "--root", "nowhere"], "there must be a folder `notebooks` in nowhere, the given root"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_done(command, said, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "execv", lambda *_: pytest.fail("JupyterLab was started"))
    assert main(command) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(f"mmpid: {said}") and printed.err.count("\n") == 1 and not printed.out
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_wrong_usage_exits_with_two(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["chekc"])
    assert stopped.value.code == 2


def test_data_inspect_says_what_is_missing_and_exits_with_one(tmp_path, capsys):
    assert main(["data", "inspect", str(tmp_path / "nowhere")]) == 2
    (tmp_path / "audio").mkdir()
    (tmp_path / "audio" / "clip1.wav").touch()
    assert main(["data", "inspect", str(tmp_path)]) == 1
    assert str(tmp_path) in capsys.readouterr().out


@pytest.mark.parametrize("what", BENCHES)
def test_every_bench_offers_the_same_call(what):
    parameters = inspect.signature(importlib.import_module(f"mmpid.bench.{what}").run).parameters
    assert {"quick", "json_path", "show"} <= set(parameters)

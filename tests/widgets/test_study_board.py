"""The board of a study reads its folder, whoever writes it."""

import json
import time

import pytest

import mmpid
from mmpid.widgets import StudyBoard
from mmpid.widgets.study.scene import Reader

SMALL = {
    "epochs": 2, "unimodal_epochs": 1, "n_boot": 0, "n_null": 0, "correction": "none", "ecs": (), "device": "cpu",
    "progress": False,
}  # fmt: skip


@pytest.fixture
def study(small_data, tmp_path):
    methods = ["joint", {"name": "wild", "base": "joint", "lr": 1e30}]
    mmpid.compare(small_data, methods=methods, seeds=[0, 1], out_dir=tmp_path / "s", **SMALL)
    return tmp_path / "s"


def test_every_state_of_a_run_is_shown(study):
    scene = Reader(study).scene()
    assert [row["name"] for row in scene["rows"]] == ["joint", "wild"] and scene["seeds"] == [0, 1]
    assert scene["counts"] == {"waiting": 0, "running": 0, "finished": 2, "failed": 2} and scene["left"] == 0
    assert "not finite" in scene["rows"][1]["cells"][0]["detail"]
    place = study / scene["rows"][1]["cells"][0]["folder"]
    (place / "error.json").unlink()
    (place / "running.json").write_text(json.dumps({"epoch": 1, "of": 2, "time": time.time(), "pid": 1}))
    scene = Reader(study).scene()
    assert scene["counts"]["running"] == 1 and scene["rows"][1]["cells"][0]["detail"] == "epoch 1 of 2"
    assert scene["left"] > 0
    (place / "running.json").write_text(json.dumps({"epoch": 1, "of": 2, "time": time.time() - 999, "pid": 1}))
    assert Reader(study).scene()["counts"]["waiting"] == 1, "a silent run was killed"
    about = json.loads((study / "study.json").read_text())
    (study / "study.json").write_text(json.dumps(about | {"to_come": 6}))
    assert Reader(study).scene()["counts"]["waiting"] == 7, "what a search has not named yet counts"


def test_a_live_board_follows_and_says_which_run_was_clicked(study, small_data):
    board = StudyBoard(study, mode="live")
    try:
        assert board.chosen is None and board.view.words.startswith("2 of 4 runs finished, 2 failed")
        board.view.chosen = board.view.scene["rows"][0]["cells"][1]["folder"]
        assert mmpid.RunRecord.load(board.chosen).metadata["seed"] == 1
        mmpid.compare(small_data, methods=["joint"], seeds=[2], out_dir=study, **SMALL)
        board.look()
        assert board.view.scene["seeds"] == [0, 1, 2]
    finally:
        board.close()


def test_a_tuned_study_shows_no_score_of_the_test_split(small_data, tmp_path):
    call = {"methods": ["joint"], "seeds": [0], "out_dir": tmp_path / "s", **SMALL}
    mmpid.compare(small_data, **call)
    reader = Reader(tmp_path / "s")
    assert reader.scene()["unit"] == "test accuracy, %"
    table = mmpid.compare(small_data, tune={"lr": [0.01, 0.1]}, **call)
    scene = reader.scene()
    assert scene["unit"] == "validation accuracy, %" and len(scene["rows"]) == 3
    assert not any("test" in cell["detail"] for row in scene["rows"] for cell in row["cells"])
    shown = [float(row["cells"][0]["mark"]) for row in scene["rows"][1:]]
    assert shown == [round(100 * trial["validation_accuracy"]) for trial in table.trials]


def test_a_static_board_is_a_table_and_waits_for_a_study(study, tmp_path):
    html = StudyBoard(study, mode="static")._repr_html_()
    assert html.count("<tr>") == 3 and "not finite" in html
    assert "not begun" in repr(StudyBoard(tmp_path / "later", mode="static"))

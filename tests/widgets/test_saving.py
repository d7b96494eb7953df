"""Save and Export report: nothing is overwritten, and the board says where it went."""

import pytest

from mmpid.runs.record import RunRecord
from tests.widgets.hands import done, message, now, say, settle, until


def test_save_says_where_it_went_and_never_overwrites(live, tmp_path):
    board = live(epochs=20)
    board.session.step(epochs=6)
    settle(board)
    for name in ("first", "first-2"):
        done(board, "save", folder=str(tmp_path / "first"))
        assert f"Saved to {tmp_path / name}" in message(board)
        assert RunRecord.load(tmp_path / name) == board.record
    assert "Trainer.load(" in message(board)


def test_a_stopped_run_can_still_be_saved(live, tmp_path):
    board = live(epochs=20)
    board.session.step(epochs=6)
    settle(board)
    say(board, "stop")
    until(lambda: now(board)["state"] == "closed")
    say(board, "save", folder=str(tmp_path / "stopped"))
    assert RunRecord.load(tmp_path / "stopped") == board.record


def test_the_default_name_says_which_run(live):
    board = live(epochs=40)
    board.session.step(epochs=12)
    settle(board)
    assert now(board)["folder"].startswith("runs/run-")
    done(board, "branch", at=10, name="what if / early?")
    done(board, "choose", name="what if / early?")
    assert now(board)["folder"].startswith("runs/run-what-if---early--")


def test_a_folder_without_a_name_is_refused(live):
    board = live()
    done(board, "save", folder="  ")
    assert "The folder has no name" in message(board)


def test_a_folder_that_cannot_be_written_is_explained(live, tmp_path):
    (tmp_path / "file").write_text("")
    board = live()
    done(board, "save", folder=str(tmp_path / "file" / "run"))
    assert "Could not save" in message(board)
    assert board.session.state == "idle"


@pytest.mark.parametrize("names", [("v1.2.html", "v1.2-2.html")])
def test_a_report_is_written_beside_and_never_over_another(live, tmp_path, names):
    board = live(epochs=20)
    board.session.step(epochs=12)
    settle(board)
    for name in names:
        say(board, "report", folder=str(tmp_path / "v1.2"))
        until(lambda name=name: str(tmp_path / name) in message(board), 60)
        assert "Joint training has not started" not in (tmp_path / name).read_text()

"""Save and Export report: nothing is overwritten, and the board says where it went."""

from mmpid.runs.record import RunRecord
from tests.widgets.hands import press, settle, until


def test_save_says_where_it_went_and_never_overwrites(live, tmp_path):
    board = live(epochs=20)
    board.session.step(epochs=6)
    settle(board)
    own = board._board
    own.keep.folder.value = str(tmp_path / "first")
    for name in ("first", "first-2"):
        press(board, "Save")
        settle(board)
        assert f"Saved to {tmp_path / name}" in own._note.value
        assert RunRecord.load(tmp_path / name) == board.record
    assert "Trainer.load(" in own._note.value


def test_the_default_name_says_which_run(live):
    board = live(epochs=40)
    board.session.step(epochs=12)
    settle(board)
    own = board._board
    assert own.keep.folder.value.startswith("runs/run-")
    own.controls.branch_name.value = "what if / early?"
    press(board, "Branch")
    settle(board)
    own.runs_panel.choice.value = "what if / early?"
    settle(board)
    assert own.keep.folder.value.startswith("runs/run-what-if---early--")


def test_a_folder_without_a_name_is_refused(live):
    board = live()
    board._board.keep.folder.value = "  "
    press(board, "Save")
    assert "The folder has no name" in board._board._refused.value


def test_a_folder_that_cannot_be_written_is_explained(live, tmp_path):
    (tmp_path / "file").write_text("")
    board = live()
    board._board.keep.folder.value = str(tmp_path / "file" / "run")
    press(board, "Save")
    settle(board)
    assert "Could not save" in board._board._status.value
    assert board.session.state == "idle"


def test_a_report_is_written_beside_and_never_over_another(live, tmp_path):
    board = live(epochs=20)
    board.session.step(epochs=12)
    settle(board)
    own = board._board
    own.keep.folder.value = str(tmp_path / "v1.2")
    for name in ("v1.2.html", "v1.2-2.html"):
        press(board, "Export report")
        until(lambda name=name: str(tmp_path / name) in own._note.value)
        assert "Joint training has not started" not in (tmp_path / name).read_text()

"""Branches on a board: named, drawn beside their parent, driven by the same buttons, compared."""

import threading

import pytest

from mmpid.live.registry import sessions
from mmpid.widgets import Dashboard
from tests.widgets.hands import press, settle, until


@pytest.fixture
def board(live):
    """A run of 22 epochs with a branch at epoch 10, named "early"."""
    board = live(epochs=200)
    board.trainer.auto = False
    board.session.step(epochs=22)
    settle(board)
    own = board._board
    own.controls.choose(10)
    own.controls.branch_name.value = "early"
    press(board, "Branch")
    settle(board)
    return board


def thin(panel):
    """The lines of other runs that are drawn: {label: x}."""
    marks = panel.plot.marks
    return {mark["name"]: mark["x"].tolist() for key, mark in marks.items() if " of run " in key}


def test_a_branch_has_the_name_given_before_and_takes_no_room_before(live, board):
    assert [run.name for run in board._board.runs.all] == ["main", "early"]
    assert board.branches[0].record.metadata["name"] == "early"
    assert board.record.metadata["name"] == ""  # a board leaves the record of its run as it is
    assert "“early” now stands at epoch 10" in board._board._note.value
    assert board._board.runs_panel.widget.layout.display == ""
    assert live()._board.runs_panel.widget.layout.display == "none"


def test_a_branch_is_drawn_thin_with_its_name_and_a_dash_of_its_own(board):
    panels = board._board.panels
    assert thin(panels.pid)["early: redundant (R)"] == [5, 10]
    assert thin(panels.accuracy)["early: audio"][-1] == 10
    assert "early</span>" in panels.pid.plot.scene["legend"]
    board._board.controls.choose(5)
    press(board, "Branch")
    settle(board)
    assert [run.name for run in board._board.runs.all[1:]] == ["early", "branch 2"]
    styles = {mark["dash"] for key, mark in panels.pid.plot.marks.items() if " of run " in key}
    assert len(styles) == 2


def test_a_hidden_branch_is_not_drawn(board):
    box = board._board.runs_panel.boxes[1]
    box.value = False
    settle(board)
    assert thin(board._board.panels.pid) == {}
    assert "early</span>" not in board._board.panels.pid.plot.scene["legend"]
    box.value = True
    settle(board)
    assert thin(board._board.panels.pid)


def test_the_buttons_drive_the_chosen_run_and_only_that(board):
    own = board._board
    main = board.trainer.total_batches
    own.runs_panel.choice.value = "early"
    settle(board)
    assert "run “early”" in own._status.value
    assert own.panels.pid.plot.marks["redundancy"]["x"].tolist() == [5, 10]
    assert thin(own.panels.pid)["main: redundant (R)"] == [5, 10, 15, 20]
    press(board, "Step epoch")
    settle(board)
    assert (board.branches[0].epoch, board.trainer.total_batches) == (11, main)
    press(board, "Pause audio")
    settle(board)
    assert board.branches[0].active == ("image",) and board.trainer.active == ("audio", "image")
    assert own.session is own.runs.main.session  # what wait() waits for does not change


def test_choosing_a_run_does_not_change_who_decides(board):
    own = board._board
    board.branches[0].auto = True
    for name in ("early", "main", "early"):
        own.runs_panel.choice.value = name
        settle(board)
    assert (board.trainer.auto, board.branches[0].auto) == (False, True)
    assert own.controls.auto.value is True


def test_each_trainer_has_one_thread_and_both_may_play(board):
    own = board._board
    for run in own.runs.all:
        run.trainer.seconds = 0.001
        run.session.play()
    until(lambda: all(len(run.trainer.threads) == 1 and run.session.state == "playing" for run in own.runs.all))
    assert own.runs.all[0].trainer.threads != own.runs.all[1].trainer.threads
    assert sum(t.name.startswith("mmpid-session") for t in threading.enumerate()) == 2
    assert own.runs.state == "playing"


def test_a_branch_is_renamed_and_a_taken_name_is_refused(board):
    own = board._board
    own.runs_panel.choice.value = "early"
    settle(board)
    own.runs_panel.name.value = "from the tenth"
    settle(board)
    assert board.branches[0].record.metadata["name"] == "from the tenth"
    assert "from the tenth" in own.runs_panel.choice.options
    own.runs_panel.name.value = "main"
    settle(board)
    assert "must be new" in own._refused.value
    assert own.runs_panel.name.value == own.runs.chosen.name == "from the tenth"


def test_the_table_compares_the_runs(board):
    own = board._board
    own.runs_panel.choice.value = "early"
    settle(board)
    own.controls.start.value = "from now"
    press(board, "Start joint training")
    own.runs.session.step(epochs=3)
    settle(board)
    said = own.runs_panel._table.value
    row = board.branches[0].record.lineage("epoch")[-1]
    assert "<td>main, epoch 10</td>" in said and "<td>epoch 10</td>" in said
    assert f"<td>{row['validation_accuracy.joint']:.3f}</td>" in said
    assert "<td>validation, epoch 13</td>" in said and "<td>1 (1)</td>" in said


def test_a_branch_of_a_branch_names_its_parent(board):
    own = board._board
    own.runs_panel.choice.value = "early"
    settle(board)
    press(board, "Branch")
    settle(board)
    assert board.branches[1].record.metadata["parent"] == "early"


def test_closing_ends_all_threads_and_a_second_board_of_the_main_run_too(board):
    second = Dashboard(board.trainer, mode="live")
    until(lambda: len(sessions()) == 1)
    assert sessions()[0] is second.session
    second.close()
    assert sessions() == ()

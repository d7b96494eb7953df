"""Branches on a board: named, drawn beside their parent, driven by the same buttons, compared."""

import threading

import pytest

from mmpid.live.registry import sessions
from mmpid.widgets import Dashboard
from tests.widgets.hands import chart, done, message, now, say, settle, until


@pytest.fixture
def board(live):
    """A run of 22 epochs with a branch at epoch 10, named "early"."""
    board = live(epochs=200)
    board.trainer.auto = False
    board.session.step(epochs=22)
    settle(board)
    done(board, "branch", at=10, name="early")
    return board


def table(board):
    done(board, "tab", name="runs")
    return board._board.view.panel["html"]


def test_a_branch_has_its_name_and_the_run_stays_as_it_is(board):
    assert [run.name for run in board._board.runs.all] == ["main", "early"]
    assert board.branches[0].record.metadata["name"] == "early"
    assert board.record.metadata["name"] == ""  # a board leaves the record of its run as it is
    assert board.trainer.epoch == 22 and board.branches[0].epoch == 10
    assert "“early” stands at epoch 10" in message(board) and message(board).endswith("board.branches[0]")


def test_a_branch_stands_on_the_timeline_and_in_the_chart_of_accuracy(board):
    (lane,) = board._board.view.events["branches"]
    assert (lane["name"], lane["from"], lane["to"]) == ("early", 10, 10)
    assert chart(board, "accuracy")["others"]["early"]["validation_accuracy.audio"]["x"].tolist() == list(range(1, 11))
    done(board, "branch", at=5)
    assert [run.name for run in board._board.runs.all[1:]] == ["early", "branch 2"]


def test_a_hidden_branch_is_not_drawn(board):
    done(board, "show", name="early", value=False)
    assert chart(board, "accuracy")["others"] == {}
    done(board, "show", name="early", value=True)
    assert "early" in chart(board, "accuracy")["others"]


def test_the_buttons_drive_the_chosen_run_and_only_that(board):
    own = board._board
    main = board.trainer.total_batches
    done(board, "choose", name="early")
    assert now(board)["run"] == "early"
    assert chart(board, "known")["areas"]["unique1"]["x"].tolist() == [5, 10]
    assert "main" in chart(board, "accuracy")["others"]
    done(board, "step")
    assert (board.branches[0].epoch, board.trainer.total_batches) == (11, main)
    done(board, "toggle", name="audio")
    assert board.branches[0].active == ("image",) and board.trainer.active == ("audio", "image")
    assert own.session is own.runs.main.session  # what wait() waits for does not change


def test_choosing_a_run_does_not_change_who_decides(board):
    board.branches[0].auto = True
    for name in ("early", "main", "early"):
        done(board, "choose", name=name)
    assert (board.trainer.auto, board.branches[0].auto) == (False, True)
    assert now(board)["auto"] is True


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
    done(board, "choose", name="early")
    done(board, "rename", name="from the tenth")
    assert board.branches[0].record.metadata["name"] == now(board)["run"] == "from the tenth"
    done(board, "rename", name="main")
    assert "must be new" in message(board) and now(board)["run"] == "from the tenth"


def test_the_table_compares_the_runs(board):
    done(board, "choose", name="early")
    done(board, "joint", start="now")
    board._board.runs.session.step(epochs=3)
    settle(board)
    said = table(board)
    row = board.branches[0].record.lineage("epoch")[-1]
    assert "<td>main, epoch 10</td>" in said and "<td>epoch 10</td>" in said
    assert f"<td>{row['validation_accuracy.joint']:.3f}</td>" in said
    assert "<td>validation, epoch 13</td>" in said and "<td>1 (1)</td>" in said


def test_a_branch_of_a_branch_names_its_parent(board):
    done(board, "choose", name="early")
    done(board, "branch", at=10)
    assert board.branches[1].record.metadata["parent"] == "early"


def test_another_run_ends_slow_motion(board):
    done(board, "speed", value="1")
    say(board, "play")
    until(lambda: board._board.runs.pace.active)
    done(board, "choose", name="early")
    assert not board._board.runs.pace.active


def test_closing_ends_all_threads_and_a_second_board_of_the_main_run_too(board):
    second = Dashboard(board.trainer, mode="live")
    until(lambda: len(sessions()) == 1)
    assert sessions()[0] is second.session
    second.close()
    assert sessions() == ()

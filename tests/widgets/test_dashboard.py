"""The board without a browser: press buttons, read traits."""

import gc
import threading
import weakref

import pytest
import torch

from mmpid.errors import ConfigError, TrainingError
from mmpid.rules import FixedEpoch
from mmpid.widgets import Dashboard, TrainingNotFinished
from mmpid.widgets.board.controls import MOST_OFFERED
from mmpid.widgets.board.live import CHART_UPDATES
from mmpid.widgets.board.panels import PARTS
from mmpid.widgets.parts.place import resolve_mode
from tests.widgets.fake_trainer import FakeTrainer
from tests.widgets.hands import button, press, settle, status, until


def test_buttons_step_play_and_pause(live):
    board = live(epochs=10_000, seconds=0.001)
    press(board, "Step batch")
    settle(board)
    assert board.trainer.total_batches == 1 and 'data-state="paused"' in status(board)
    press(board, "Play")
    until(lambda: 'data-state="playing"' in status(board))
    press(board, "Pause")
    settle(board)
    assert 'data-state="paused"' in status(board)


def test_stop_ends_the_thread_and_a_new_board_goes_on_from_there(live):
    board = live(epochs=10_000, seconds=0.001)
    press(board, "Play")
    until(lambda: board.trainer.total_batches > 20)
    press(board, "Stop")
    until(lambda: 'data-state="closed"' in status(board))
    assert not board.session.alive and button(board, "Play").disabled
    with pytest.raises(TrainingNotFinished, match="This board is closed: run its cell again"):
        board.wait()
    batches = board.trainer.total_batches
    again = Dashboard(board.trainer, mode="live")
    press(again, "Step batch")
    settle(again)
    assert board.trainer.total_batches == batches + 1
    again.close()


def test_modalities_are_paused_and_resumed_by_name(live):
    board = live()
    press(board, "Pause audio")
    settle(board)
    assert board.trainer.active == ("image",)
    press(board, "Resume audio")
    settle(board)
    assert board.trainer.active == ("audio", "image")


def test_an_impossible_wish_is_explained_in_the_board(live):
    board = live()
    press(board, "Pause audio")
    settle(board)
    press(board, "Pause image")
    settle(board)
    assert "is the last active one" in status(board)


def test_a_clicked_probe_is_chosen_marked_and_returned_to(live):
    board = live(epochs=200)
    board.session.step(epochs=22)
    settle(board)
    controls, pid = board._board.controls, board._board.panels.pid
    pid.plot._handle_custom_msg({"event": "click", "x": 10.0}, [])  # what the page sends
    settle(board)
    assert controls.chosen == 10
    assert [(mark["key"], mark["at"]) for mark in pid.plot.guests] == [("chosen", 10)]
    press(board, "Rewind")
    settle(board)
    assert board.trainer.epoch == 10
    marks = pid.plot.marks
    assert marks["unique1"]["x"].tolist() == [5, 10]
    assert marks["unique1 left behind"]["x"].tolist() == [15, 20]  # stays visible, thin
    assert "left behind by a rewind" in pid.plot.scene["legend"]


def test_a_long_run_offers_some_probes_and_any_that_is_clicked(live):
    board = live(epochs=900, probe_every=1)
    board.trainer.auto = False
    board.session.step(epochs=200)
    settle(board)
    controls = board._board.controls
    assert len(controls.start.options) <= MOST_OFFERED + 2
    missing = next(e for e in range(1, 200) if f"from the probe at epoch {e}" not in controls.start.options)
    board._board.panels.pid.plot._handle_custom_msg({"event": "click", "x": float(missing)}, [])
    settle(board)
    assert controls.chosen == missing
    board.session.step(epochs=5)
    settle(board)
    assert controls.chosen == missing  # a choice outlasts new probes
    press(board, "Rewind")
    settle(board)
    assert board.trainer.epoch == missing


def test_while_training_the_list_of_probes_rests_and_what_is_waited_for_comes_with_the_chart(live, monkeypatch):
    board = live(epochs=900, probe_every=1)
    own = board._board
    own.publisher.stop()
    monkeypatch.setattr(type(own.runs), "state", "playing")
    monkeypatch.setattr(type(board.session), "state", "playing")
    offered, waiting = set(), set()
    for _ in range(160):
        board.trainer.step(epochs=1)
        own.show()
        offered.add(own.controls.start.options)
        waiting.add(own._hint.value)
    turns = CHART_UPDATES * len(PARTS)  # of updates until the same chart is brought again
    assert len(offered) < 16 and len(waiting) <= 160 // turns + 1
    latest = max(int(options[2].split()[-1]) for options in offered if len(options) > 2)
    assert 160 / 1.25 - turns <= latest <= 160  # a quarter more, and all turns, are waited for
    monkeypatch.undo()
    own.show()
    assert own.controls.start.options[2] == "from the probe at epoch 160"


def test_a_decision_is_listed_at_once_while_training(live, monkeypatch):
    board = live(epochs=900, probe_every=1)
    own = board._board
    own.publisher.stop()
    monkeypatch.setattr(type(own.runs), "state", "playing")
    for _ in range(3):
        own.show()
    assert own._whose_turn() == ()  # not even a chart is due
    board.trainer.set_learning_rate(0.5, "audio")
    own.show()
    assert "by hand: 0.02 -&gt; 0.5" in own._decisions.value


def test_a_branch_is_kept_and_announced(live):
    board = live(epochs=200)
    board.session.step(epochs=12)
    settle(board)
    board._board.controls.choose(5)
    press(board, "Branch")
    settle(board)
    assert [child.epoch for child in board.branches] == [5]
    assert "board.branches[0]" in board._board._note.value
    assert board.trainer.epoch == 12


def test_dragging_the_threshold_asks_the_rule_at_once(live):
    board = live(epochs=200, probe_every=2)
    board.trainer.auto = False
    board.session.step(epochs=40)
    settle(board)
    panel, plot = board._board.what_if, board._board.panels.pid.plot

    def guests():
        return {mark["key"]: mark for mark in plot.guests}

    assert guests() == {}
    panel.widget.selected_index = 0
    settle(board)
    peak = max(row["synergy"] for row in board.record.lineage("probe"))
    assert guests()["threshold"]["at"] == guests()["grip"]["y"] == pytest.approx(0.8 * peak)
    early = guests()["what if"]["at"]
    assert f"switched at epoch {early:g}" in panel._answer.value
    plot._handle_custom_msg({"event": "drag", "key": "grip", "y": 0.2 * peak}, [])
    settle(board)
    assert panel.threshold == 0.2
    assert guests()["what if"]["at"] > early


def test_another_rule_can_be_adopted(live):
    board = live()
    panel = board._board.what_if
    panel.rule.value = "a fixed epoch"
    panel._use.click()
    settle(board)
    assert board.trainer.controller.rule == FixedEpoch(epoch=10)
    assert "by hand: FixedEpoch" in board._board._decisions.value


def test_a_learning_rate_is_shown_and_changed_by_hand(live):
    board = live()
    board.session.step(epochs=1)
    settle(board)
    fields = board._board.controls.rates.fields
    assert [fields[name].value for name in ("audio", "image", "joint")] == ["0.02", "0.02", ""]
    assert fields["joint"].layout.display == "none"
    fields["image"].value = "5e-3"
    settle(board)
    assert board.trainer.rates == {"audio": 0.02, "image": 0.005}
    assert fields["image"].value == "0.005"
    assert "learning rate image" in board._board._decisions.value
    board.trainer.auto = False
    board._board.controls.start.value = "from now"
    press(board, "Start joint training")
    settle(board)
    assert [field.value for field in fields.values()] == ["", "", ""]  # not recorded before the stage's first epoch
    assert fields["joint"].layout.display == ""
    fields["joint"].value = "0.5"
    settle(board)
    press(board, "Step epoch")
    settle(board)
    assert [field.value for field in fields.values()] == ["0.01", "0.01", "0.5"]


@pytest.mark.parametrize("words", ["fast", "-1", "0", "nan", "inf", ""])
def test_a_bad_learning_rate_is_refused_and_nothing_is_lost(live, words):
    board = live()
    board.session.step(epochs=1)
    settle(board)
    own = board._board
    own.controls.rates.fields["audio"].value = words
    settle(board)
    assert "The learning rate of audio must be a number above 0" in own._refused.value
    assert "still 0.02" in own._refused.value
    assert board.trainer.rates["audio"] == 0.02
    assert board.session.state == "paused" and own._failure.value == ""
    assert own.controls.rates.fields["audio"].value == words  # to be corrected
    own.controls.rates.fields["audio"].value = "0.01"
    settle(board)
    assert own._refused.value == "" and board.trainer.rates["audio"] == 0.01


@pytest.mark.parametrize("n", [3, 6])
def test_more_modalities_have_their_own_buttons_rates_and_curves(live, n):
    names = tuple(f"sense {i}" for i in range(1, n + 1))
    board = live(modalities=names)
    board.session.step(epochs=12)
    settle(board)
    own = board._board
    press(board, "Pause sense 3")
    settle(board)
    assert board.trainer.active == tuple(name for name in names if name != "sense 3")
    assert [*own.controls.rates.fields] == [*names, "joint"]
    assert {f"validation_accuracy.{name}" for name in names} <= own.panels.accuracy.plot.marks.keys()
    own.panels.tables.selected_index = own.panels.more.selected_index = 0
    settle(board)
    assert all(name in own.panels._table.value and name in own.panels._classes.value for name in names)


@pytest.mark.parametrize(("start", "epoch"), [("from the best probe so far", 15), ("from now", 22)])
def test_joint_training_starts_from_the_peak_or_from_now(live, start, epoch):
    board = live(epochs=200)
    board.trainer.auto = False
    board.session.step(epochs=22)
    settle(board)
    board._board.controls.start.value = start
    press(board, "Start joint training")
    settle(board)
    assert (board.trainer.stage, board.trainer.epoch) == ("joint", epoch)


def test_joint_training_starts_from_a_chosen_probe(live):
    board = live(epochs=200)
    board.trainer.auto = False
    board.session.step(epochs=22)
    settle(board)
    board._board.controls.choose(5)
    press(board, "Start joint training")
    settle(board)
    assert (board.trainer.stage, board.trainer.epoch) == ("joint", 5)


def test_after_running_out_of_memory_a_smaller_batch_goes_on(live):
    board = live(fail_at=5, error=torch.OutOfMemoryError)
    press(board, "Play")
    with pytest.raises(TrainingError, match="ran out of memory. Make the batch smaller"):
        board.wait(timeout=5)
    settle(board)
    assert "Make the batch smaller" in board._board._failure.value
    board.trainer.batches = 20  # half the size, twice as many
    press(board, "Play")
    assert board.wait(timeout=10) is board.record
    settle(board)
    assert board._board._failure.value == ""


def test_auto_can_be_switched_off_and_stays_off(live):
    board = live()
    board._board.controls.auto.value = False
    settle(board)
    assert board.trainer.auto is False
    assert board._board.controls.auto.description == "Manual: you decide"
    assert "You decide" in status(board)


def test_charts_carry_the_record(live):
    board = live(epochs=20)
    press(board, "Play")
    board.wait(timeout=10)
    settle(board)
    panels, record = board._board.panels, board.record
    marks, probes = panels.pid.plot.marks, record.lineage("probe")
    for name, key in (("y", "redundancy"), ("low", "redundancy_low"), ("high", "redundancy_high")):
        assert marks["redundancy"][name].tolist() == pytest.approx([row[key] for row in probes])
    assert marks["redundancy interval"]["high"].tolist() == marks["redundancy"]["high"].tolist()
    accuracy = panels.accuracy.plot.marks["validation_accuracy.audio"]
    assert accuracy["x"].tolist() == [row["epoch"] for row in record.lineage("epoch")]
    assert marks["switch"]["at"] == 10
    assert marks["band"]["low"].tolist() == pytest.approx([row["synergy_null_low"] for row in probes])
    assert panels.pid.plot.scene["empty"] == ""


def test_another_proxy_replaces_the_curves(live):
    board = live(epochs=20)
    board.session.step(epochs=6)
    settle(board)
    panels = board._board.panels
    assert panels.proxy.options == ("margin", "confidence")
    panels.proxy.value = "confidence"
    settle(board)
    assert panels.ecs.plot.scene["y"]["label"] == "confidence (own unit)"
    assert {key for key, mark in panels.ecs.plot.marks.items() if mark["kind"] == "line"} == {"audio", "image"}


def test_the_table_is_filled_when_it_is_opened(live):
    board = live(epochs=20)
    board.session.step(epochs=6)
    settle(board)
    panels = board._board.panels
    assert panels._table.value == ""
    panels.tables.selected_index = 0
    settle(board)
    assert "Validation accuracy" in panels._table.value and "unique to audio (U1)" in panels._table.value


def test_strength_by_class_and_findings_are_filled_when_they_are_opened(live):
    board = live(epochs=20)
    board.session.step(epochs=6)
    settle(board)
    panels = board._board.panels
    panels.more.selected_index = 0
    settle(board)
    strongest = board.record.lineage("probe")[-1]["ecs.margin.image.9"]
    assert f'rgba(2, 158, 115, 0.75)">{strongest:.2f}</td>' in panels._classes.value
    panels.more.selected_index = 1
    settle(board)
    assert panels._findings.value


def test_equal_states_send_nothing(live, monkeypatch):
    board = live(epochs=20)
    board.session.step(epochs=6)
    settle(board)
    board._board.publisher.stop()
    sent = []
    monkeypatch.setattr("ipywidgets.Widget._send", lambda self, *a, **k: sent.append(self))
    board._board.show()
    assert sent == []


def test_a_failure_is_shown_and_raised_by_wait(live):
    board = live(fail_at=5)
    press(board, "Play")
    with pytest.raises(TrainingError, match="the loss became NaN"):
        board.wait(timeout=5)
    settle(board)
    assert "Training stopped: RuntimeError" in board._board._failure.value
    press(board, "Step epoch")  # tries again; the fake fails only once
    settle(board)
    assert board._board._failure.value == ""


def test_a_callback_that_raises_is_shown(live):
    board = live()
    board._board.controls.guarded(lambda _: 1 / 0)(None)
    assert "ZeroDivisionError" in board._board._failure.value


def test_a_chart_that_cannot_be_drawn_does_not_stop_the_updates(live, monkeypatch):
    board = live(epochs=10_000, seconds=0.001)
    monkeypatch.setattr(board._board.panels, "show", lambda *a, **k: 1 / 0)
    press(board, "Play")
    until(lambda: "ZeroDivisionError" in board._board._failure.value)
    count = board._board.publisher.count
    until(lambda: board._board.publisher.count >= count + 8)  # longer than the charts may wait for their turn
    assert "ZeroDivisionError" in board._board._failure.value  # it stays until the charts can be drawn again


def test_wait_in_a_board_that_is_not_finished_gives_one_calm_line(live):
    board = live()
    with pytest.raises(TrainingNotFinished) as caught:
        board.wait()
    lines = caught.value._render_traceback_()
    assert lines == ["Training is not finished: press Play in the board above, then run this cell again."]


def test_wait_returns_the_record_of_a_finished_run(live):
    board = live(epochs=4)
    press(board, "Play")
    assert board.wait(timeout=5) is board.trainer.record


def test_static_boards_train_here_and_make_no_widgets():
    import ipywidgets

    before = len(ipywidgets.widget._instances)
    board = Dashboard(FakeTrainer(epochs=6), mode="static")
    assert board.session is None and not board.trainer.finished
    record = board.wait()
    assert record is board.record and board.trainer.finished
    assert board.trainer.threads == {threading.get_ident()}
    assert len(ipywidgets.widget._instances) == before


def test_static_and_live_runs_have_the_same_rows(live):
    board = live(epochs=12)
    press(board, "Play")
    board.wait(timeout=5)
    assert board.record.rows == Dashboard(FakeTrainer(epochs=12), mode="static").wait().rows


def test_a_second_board_of_a_trainer_takes_over(live):
    board = live(epochs=10_000, seconds=0.001)
    press(board, "Play")
    second = Dashboard(board.trainer, mode="live")
    until(lambda: 'data-state="closed"' in status(board))
    assert "Run the cell again" in status(board)
    assert button(board, "Play").disabled
    assert second.session.state in ("idle", "paused")
    second.close()


def test_a_closed_board_leaves_no_widgets_and_no_trainer_behind():
    import ipywidgets

    before = set(ipywidgets.widget._instances)
    board = Dashboard(FakeTrainer(), mode="live")
    trainer = weakref.ref(board.trainer)
    board.close()
    left = set(ipywidgets.widget._instances) - before
    assert not left
    del board
    gc.collect()
    assert trainer() is None


def test_every_control_has_words_and_a_tooltip(live):
    own = live()._board
    controls = own.controls
    for control in [
        *controls.transport,
        *controls.modalities.values(),
        controls.auto,
        controls.start,
        controls.joint,
        controls.back,
        controls.branch,
        controls.branch_name,
        *controls.rates.fields.values(),
        own.keep.folder,
        own.keep.save,
        own.keep.report,
        own.runs_panel.choice,
        own.runs_panel.name,
    ]:
        assert (control.description or control.placeholder) and control.tooltip


@pytest.mark.parametrize(
    ("environment", "kernel", "mode"),
    [
        ({"JPY_SESSION_NAME": "x.ipynb"}, True, "live"),
        ({"VSCODE_PID": "1"}, True, "live"),
        ({}, True, "static"),
        ({"JPY_SESSION_NAME": "x.ipynb"}, False, "static"),
        ({"JPY_SESSION_NAME": "x.ipynb", "MMPID_HEADLESS": "1"}, True, "static"),
        ({"JPY_SESSION_NAME": "x.ipynb", "MMPID_HEADLESS": "0"}, True, "live"),
    ],
)
def test_auto_is_live_only_where_somebody_can_look(environment, kernel, mode, monkeypatch):
    for name in (
        "JPY_SESSION_NAME",
        "VSCODE_PID",
        "VSCODE_CWD",
        "COLAB_RELEASE_TAG",
        "VOILA_REQUEST_URL",
        "MMPID_HEADLESS",
    ):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("mmpid.widgets.parts.place._kernel_shell", lambda: object() if kernel else None)
    assert resolve_mode("auto") == mode
    assert resolve_mode("live") == "live"


def test_an_unknown_mode_is_refused():
    with pytest.raises(ConfigError, match="`mode` must be one of 'auto', 'live', 'static'"):
        Dashboard(FakeTrainer(), mode="lively")


def test_jupyterlite_is_refused_in_words(monkeypatch):
    monkeypatch.setattr("sys.platform", "emscripten")
    assert resolve_mode("auto") == "static"
    with pytest.raises(ConfigError, match="Python in the browser has no threads"):
        resolve_mode("live")

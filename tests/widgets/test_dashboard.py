"""The board without a browser: say what the page says, read what it is sent."""

import gc
import json
import threading
import weakref

import pytest
import torch

from mmpid.errors import ConfigError, TrainingError
from mmpid.plots.headline import headline
from mmpid.rules import FixedEpoch
from mmpid.widgets import Dashboard, TrainingNotFinished
from mmpid.widgets.board.live import CHART_UPDATES
from mmpid.widgets.board.scene import MOST_POINTS, PARTS, pauses
from mmpid.widgets.parts.environment import resolve_mode
from tests.widgets.fake_trainer import FakeTrainer
from tests.widgets.hands import chart, done, message, now, say, settle, until

CHARTS = ("known", "atoms", "accuracy", "loss", "strength")


def test_step_play_and_pause(live):
    board = live(epochs=10_000, seconds=0.001)
    done(board, "step", of="batch")
    assert board.trainer.total_batches == 1 and now(board)["state"] == "paused"
    assert now(board)["progress"].endswith("1 batch here")
    say(board, "play")
    until(lambda: now(board)["state"] == "playing")
    done(board, "pause")
    assert now(board)["state"] == "paused"


@pytest.mark.parametrize(("of", "epochs"), [("epoch", 1), ("probe", 5)])
def test_a_step_trains_an_epoch_or_to_the_next_probe(live, of, epochs):
    board = live()
    done(board, "step", of=of)
    assert board.trainer.epoch == epochs


def test_a_probe_can_be_asked_for(live):
    board = live()
    done(board, "step")
    done(board, "probe")
    assert [row["epoch"] for row in board.record.lineage("probe")] == [1]


def test_stop_says_how_to_go_on_and_a_new_board_goes_on_from_there(live):
    board = live(epochs=10_000, seconds=0.001)
    say(board, "play")
    until(lambda: board.trainer.total_batches > 20)
    say(board, "stop")
    until(lambda: now(board)["state"] == "closed")
    assert not board.session.alive
    assert message(board).endswith("mmpid.widgets.Dashboard(trainer)") and "Stopped at epoch" in message(board)
    with pytest.raises(TrainingNotFinished):
        board.wait()
    batches = board.trainer.total_batches
    again = Dashboard(board.trainer, mode="live")
    done(again, "step", of="batch")
    assert board.trainer.total_batches == batches + 1
    again.close()


def test_modalities_are_paused_and_resumed_by_name(live):
    board = live()
    done(board, "toggle", name="audio")
    assert board.trainer.active == ("image",) and now(board)["active"] == ["image"]
    done(board, "toggle", name="audio")
    assert board.trainer.active == ("audio", "image")


def test_an_impossible_wish_is_explained_in_the_foot(live):
    board = live()
    done(board, "toggle", name="audio")
    done(board, "toggle", name="image")
    assert "is the last active one" in message(board) and now(board)["message"]["kind"] == "refused"


def test_what_the_page_cannot_say_is_refused_in_words(live):
    board = live()
    done(board, "dance")
    assert "no command 'dance'" in message(board)
    assert board.session.state == "idle"


def test_a_rewind_of_an_unfinished_run_goes_back_and_leaves_the_future_behind(live):
    board = live(epochs=200)
    board.session.step(epochs=22)
    settle(board)
    done(board, "rewind", to=10)
    assert board.trainer.epoch == 10
    assert chart(board, "known")["areas"]["unique1"]["x"].tolist() == [5, 10]
    left = chart(board, "accuracy")["ghosts"]["validation_accuracy.audio"]["x"]
    assert left.tolist() == list(range(1, 23))[-len(left) :]
    assert board._board.view.events["left"] == 22


def test_a_rewind_of_a_finished_run_asks_first(live):
    board = live(epochs=12)
    say(board, "play")
    board.wait(timeout=10)
    settle(board)
    end = board.trainer.epoch
    done(board, "rewind", to=5)
    assert board.trainer.epoch == end and "leaves the finished model behind" in now(board)["question"]["words"]
    done(board, "cancel")
    assert now(board)["question"] == {} and board.trainer.epoch == end
    done(board, "rewind", to=5)
    done(board, "confirm")
    assert board.trainer.epoch == 5 and now(board)["question"] == {}


def test_a_rewind_can_be_taken_back_until_training_goes_on(live):
    board = live(epochs=12)
    say(board, "play")
    board.wait(timeout=10)
    settle(board)
    rows, epoch = [dict(row) for row in board.record.rows], board.trainer.epoch
    done(board, "rewind", to=5)
    done(board, "confirm")
    assert now(board)["undo"]
    done(board, "undo")
    assert board.record.rows == rows and board.trainer.epoch == epoch
    assert now(board)["state"] == "finished" and not now(board)["undo"]
    done(board, "rewind", to=5)
    done(board, "confirm")
    done(board, "auto", value=False)
    assert now(board)["undo"]
    done(board, "step", of="batch")
    assert not now(board)["undo"]
    done(board, "undo")
    assert "no rewind to undo" in message(board)


def test_the_joint_training_starts_from_the_best_from_now_or_from_a_probe(live):
    for start, epoch in (("best", 15), ("now", 22), (5, 5)):
        board = live(epochs=200)
        board.trainer.auto = False
        board.session.step(epochs=22)
        settle(board)
        done(board, "joint", start=start)
        assert (board.trainer.stage, board.trainer.epoch) == ("joint", epoch)


def test_auto_can_be_switched_off_and_stays_off(live):
    board = live()
    done(board, "auto", value=False)
    assert board.trainer.auto is False and now(board)["auto"] is False
    assert "You decide" in message(board)


# ---- slow motion --------------------------------------------------------------------------------------------------


def test_slow_motion_trains_the_same_rows_and_plays_all_the_time(live):
    board = live(epochs=5)
    done(board, "speed", value="4")
    say(board, "play")
    until(lambda: board.trainer.epoch == 2)
    until(lambda: board.session.state == "paused")  # between two epochs
    board._board.show()
    assert now(board)["state"] == "playing" and now(board)["speed"] == "4"
    with pytest.raises(TrainingNotFinished):
        board.wait(timeout=0.05)
    assert board.wait(timeout=10) is board.record
    assert board.record.rows == Dashboard(FakeTrainer(epochs=5), mode="static").wait().rows


def test_pause_ends_slow_motion_within_an_epoch(live):
    board = live(epochs=500)
    done(board, "speed", value="1")
    say(board, "play")
    until(lambda: board.trainer.epoch == 1)
    done(board, "pause")
    assert board.trainer.epoch == 1 and now(board)["state"] == "paused"


def test_a_run_that_plays_takes_another_speed(live):
    board = live(epochs=100_000, seconds=0.001)
    say(board, "play")
    until(lambda: board.trainer.epoch > 1)
    say(board, "speed", value="1")
    until(lambda: board._board.runs.pace.active)
    say(board, "speed", value="full")
    before = board.trainer.epoch
    until(lambda: board.trainer.epoch > before + 3)
    done(board, "pause")


def test_a_failure_ends_slow_motion(live):
    board = live(fail_at=15)
    done(board, "speed", value="4")
    say(board, "play")
    until(lambda: now(board)["state"] == "failed")
    until(lambda: not board._board.runs.pace.active)


# ---- what is shown ------------------------------------------------------------------------------------------------


def test_charts_carry_the_record(live):
    board = live(epochs=20)
    say(board, "play")
    board.wait(timeout=10)
    settle(board)
    probes, record = board.record.lineage("probe"), board.record
    atoms = chart(board, "atoms")["traces"]
    for name, key in (("y", "redundancy"), ("low", "redundancy_low"), ("high", "redundancy_high")):
        assert atoms["redundancy"][name].tolist() == pytest.approx([row[key] for row in probes])
    accuracy = chart(board, "accuracy")["traces"]["validation_accuracy.audio"]
    assert accuracy["x"].tolist() == [row["epoch"] for row in record.lineage("epoch")]
    assert board._board.view.events["switch"] == 10
    areas = chart(board, "known")["areas"]
    assert areas["redundancy"]["low"].tolist() == areas["unique1"]["high"].tolist()
    assert areas["missing"]["high"].max() == pytest.approx(max(3.3219, areas["synergy"]["high"].max()), abs=1e-3)


def test_only_what_is_proven_of_synergy_is_filled(live):
    board = live(epochs=60)
    board.trainer.auto = False
    board.session.step(epochs=30)
    settle(board)
    areas, probes = chart(board, "known")["areas"], board.record.lineage("probe")
    filled = areas["synergy proven"]["high"] - areas["synergy proven"]["low"]
    assert filled.tolist() == pytest.approx([max(row["synergy_low"], 0) for row in probes], abs=1e-6)
    assert not areas["synergy"]["sure"] and areas["synergy proven"]["sure"]


def test_the_headline_is_that_of_the_record(live):
    board = live(epochs=60, probe_every=1)
    board.session.step(epochs=9)
    settle(board)
    told = now(board)["headline"]
    assert "".join(words for words, _ in told["words"]) == headline(board.record).sentence
    stories = board._board.view.stories
    assert [story["at"] for story in stories] == [row["epoch"] for row in board.record.lineage("probe")]
    assert stories[0]["situation"] == "early"


def test_the_axis_ends_at_the_budget_and_never_before_what_was_reached(live):
    board = live(epochs=30)
    board.session.step(epochs=7)
    settle(board)
    assert now(board)["end"] == 30
    done(board, "rewind", to=5)
    assert now(board)["end"] == 28  # two of the thirty epochs are spent


def test_a_pause_that_a_switch_ends_at_once_is_no_pause():
    decided = [
        {"action": "pause", "modality": "image", "epoch": 2},
        {"action": "resume", "modality": "image", "epoch": 4},
        {"action": "pause", "modality": "image", "epoch": 9},
        {"action": "switch", "epoch": 9},
    ]
    assert pauses(decided, 12) == [{"who": "image", "from": 2, "to": 4}]


def test_pauses_and_decisions_stand_on_the_timeline(live):
    board = live(epochs=60)
    board.session.step(epochs=3)
    settle(board)
    done(board, "toggle", name="audio")
    board.session.step(epochs=2)
    settle(board)
    events = board._board.view.events
    assert events["pauses"] == [{"who": "audio", "from": 3, "to": 5}]
    assert [(flag["at"], flag["words"], flag["by"]) for flag in events["flags"]] == [(3, "pause audio", "you")]


def test_a_long_run_is_thinned_and_a_message_stays_small(live):
    board = live(epochs=2000, probe_every=1)
    board.trainer.auto = False
    board.session.step(epochs=400)
    settle(board)
    view = board._board.view
    assert len(chart(board, "known")["areas"]["unique1"]["x"]) <= MOST_POINTS
    assert len(view.events["probes"]) <= MOST_POINTS and len(view.stories) <= MOST_POINTS
    assert len(json.dumps(view.now)) < 5000
    assert max(len(getattr(view, name)["numbers"]) for name in CHARTS) < 20 * 1024


def test_while_training_a_chart_comes_in_turn_and_a_decision_at_once(live, monkeypatch):
    board = live(epochs=900, probe_every=1)
    own = board._board
    own.publisher.stop()
    monkeypatch.setattr(type(own.runs), "state", "playing")
    monkeypatch.setattr(type(own.runs), "state_of", lambda self, run: "playing")
    seen = []
    own.view.observe(lambda change: seen.append(change["name"]), list(CHARTS))
    for _ in range(CHART_UPDATES * len(PARTS)):
        board.trainer.step(epochs=1)
        own.show()
    assert sorted(seen) == sorted(CHARTS)
    while own._turn % CHART_UPDATES == 0:
        own.show()
    board.trainer.set_learning_rate(0.5, "audio")
    own.show()
    assert own.view.events["flags"][-1]["words"] == "learning rate audio"


def test_equal_states_send_nothing(live, monkeypatch):
    board = live(epochs=20)
    board.session.step(epochs=6)
    settle(board)
    board._board.publisher.stop()
    sent = []
    monkeypatch.setattr("ipywidgets.Widget._send", lambda self, *a, **k: sent.append(self))
    board._board.show()
    assert sent == []


def test_a_probe_within_an_epoch_stands_at_its_fraction(live):
    board = live(epochs=60, batches=10)
    board.session.step(epochs=6)
    settle(board)
    board.session.step(batches=4)
    settle(board)
    done(board, "probe")
    assert chart(board, "known")["areas"]["unique1"]["x"].tolist() == pytest.approx([5, 6.4])


def test_another_proxy_replaces_the_curves(live):
    board = live(epochs=20)
    board.session.step(epochs=6)
    settle(board)
    assert board._board.view.strength["proxies"] == ["margin", "confidence"]
    done(board, "proxy", name="confidence")
    assert chart(board, "strength")["unit"] == "confidence (own unit)"
    assert len(board._board.view.strength["charts"]) == 11


@pytest.mark.parametrize(
    ("tab", "words"),
    [
        ("decisions", "No decision yet"),
        ("findings", "Nothing stands out"),
        ("tables", "unique to audio"),
        ("runs", "main"),
    ],
)
def test_a_tab_is_filled_when_it_is_opened(live, tab, words):
    board = live(epochs=20)
    board.session.step(epochs=6)
    settle(board)
    assert board._board.view.panel["html"] == ""
    done(board, "tab", name=tab)
    assert board._board.view.panel["name"] == tab and words in board._board.view.panel["html"]


def test_what_if_is_answered_and_the_rule_can_be_adopted(live):
    board = live(epochs=200, probe_every=2)
    board.trainer.auto = False
    board.session.step(epochs=40)
    settle(board)
    say(board, "what_if", rule="peak", value=0.8)
    early = board._board.view.answer["epoch"]
    say(board, "what_if", rule="peak", value=0.2)
    assert board._board.view.answer["epoch"] > early
    assert "joint training from epoch" in board._board.view.answer["words"]
    say(board, "what_if")
    assert board._board.view.answer == {}
    done(board, "use_rule", rule="epoch", value=10)
    assert board.trainer.controller.rule == FixedEpoch(epoch=10)


def test_what_if_before_the_first_probe_says_what_will_come(live):
    board = live()
    say(board, "what_if", rule="plateau", value=0.05)
    assert board._board.view.answer["epoch"] is None and "appears here" in board._board.view.answer["words"]


def test_an_unknown_rule_is_refused(live):
    board = live()
    done(board, "use_rule", rule="luck", value=1)
    assert "`rule` must be one of" in message(board)


def test_a_learning_rate_is_shown_and_changed_by_hand(live):
    board = live()
    board.session.step(epochs=1)
    settle(board)
    assert now(board)["rates"] == {"audio": "0.02", "image": "0.02"}
    done(board, "rate", name="image", value="5e-3")
    assert board.trainer.rates == {"audio": 0.02, "image": 0.005}
    assert now(board)["rates"]["image"] == "0.005"


@pytest.mark.parametrize("words", ["fast", "-1", "0", "nan", "inf", ""])
def test_a_bad_learning_rate_is_refused_and_nothing_is_lost(live, words):
    board = live()
    board.session.step(epochs=1)
    settle(board)
    done(board, "rate", name="audio", value=words)
    assert "The learning rate of audio must be a number above 0" in message(board)
    assert board.trainer.rates["audio"] == 0.02 and board.session.state == "paused"
    done(board, "rate", name="audio", value="0.01")
    assert now(board)["message"]["kind"] == "rest" and board.trainer.rates["audio"] == 0.01


@pytest.mark.parametrize("n", [3, 6])
def test_more_modalities_have_a_box_each(live, n):
    names = tuple(f"sense {i}" for i in range(1, n + 1))
    board = live(modalities=names)
    board.session.step(epochs=12)
    settle(board)
    done(board, "toggle", name="sense 3")
    assert board.trainer.active == tuple(name for name in names if name != "sense 3")
    assert [one["title"] for one in board._board.view.known["charts"]] == list(names)
    assert {f"validation_accuracy.{name}" for name in names} <= chart(board, "accuracy")["traces"].keys()


# ---- what goes wrong ----------------------------------------------------------------------------------------------


def test_after_running_out_of_memory_a_smaller_batch_goes_on(live):
    board = live(fail_at=5, error=torch.OutOfMemoryError)
    say(board, "play")
    with pytest.raises(TrainingError, match="ran out of memory. Make the batch smaller"):
        board.wait(timeout=5)
    settle(board)
    assert "Make the batch smaller" in now(board)["failure"]["advice"]
    board.trainer.batches = 20  # half the size, twice as many
    say(board, "play")
    assert board.wait(timeout=10) is board.record
    settle(board)
    assert now(board)["failure"] is None


def test_a_failure_is_the_headline_and_raised_by_wait(live):
    board = live(fail_at=5)
    say(board, "play")
    with pytest.raises(TrainingError, match="the loss became NaN"):
        board.wait(timeout=5)
    settle(board)
    assert now(board)["headline"]["situation"] == "failed"
    assert "RuntimeError" in now(board)["failure"]["trace"]
    done(board, "step")  # tries again; the fake fails only once
    assert now(board)["failure"] is None


def test_a_click_that_raises_is_shown(live, monkeypatch):
    board = live()
    monkeypatch.setattr(board._board.commands, "_do_step", lambda **more: 1 / 0)
    say(board, "step")
    assert "ZeroDivisionError" in now(board)["failure"]["summary"]
    assert "in the board" in now(board)["failure"]["summary"]


def test_a_chart_that_cannot_be_drawn_does_not_stop_the_updates(live, monkeypatch):
    board = live(epochs=10_000, seconds=0.001)
    monkeypatch.setattr(board._board.scene, "show", lambda *a, **k: 1 / 0)
    say(board, "play")
    until(lambda: "ZeroDivisionError" in (now(board)["failure"] or {"summary": ""})["summary"])
    count = board._board.publisher.count
    until(lambda: board._board.publisher.count >= count + 8)
    assert "ZeroDivisionError" in now(board)["failure"]["summary"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None])
def test_what_is_not_a_number_never_reaches_the_page(live, value):
    board = live(epochs=60, probe_every=1)
    board.session.step(epochs=9)
    settle(board)
    for row in board.record.rows[-3:]:
        row |= {"redundancy": value, "validation_accuracy.audio": value, "loss.image": value}
    board._board._redraw()
    settle(board)
    json.dumps([now(board), board._board.view.stories, board._board.view.events], allow_nan=False)
    assert now(board)["headline"]["situation"] == "unreadable" and now(board)["failure"] is None


# ---- waiting, life ------------------------------------------------------------------------------------------------


def test_wait_in_a_board_that_is_not_finished_gives_one_calm_line(live):
    board = live()
    with pytest.raises(TrainingNotFinished) as caught:
        board.wait()
    lines = caught.value._render_traceback_()
    assert lines == ["Training is not finished: press Play in the board above, then run this cell again."]


def test_wait_returns_the_record_of_a_finished_run(live):
    board = live(epochs=4)
    say(board, "play")
    assert board.wait(timeout=5) is board.trainer.record
    settle(board)
    assert message(board).endswith("record = board.wait()")


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
    say(board, "play")
    board.wait(timeout=5)
    assert board.record.rows == Dashboard(FakeTrainer(epochs=12), mode="static").wait().rows


def test_a_second_board_of_a_trainer_takes_over_and_the_first_says_so(live):
    board = live(epochs=10_000, seconds=0.001)
    say(board, "play")
    second = Dashboard(board.trainer, mode="live")
    until(lambda: now(board)["state"] == "closed")
    assert "another board" in message(board)
    assert second.session.state in ("idle", "paused")
    second.close()


def test_a_closed_board_leaves_no_widgets_and_no_trainer_behind():
    import ipywidgets

    before = set(ipywidgets.widget._instances)
    board = Dashboard(FakeTrainer(), mode="live")
    trainer = weakref.ref(board.trainer)
    board.close()
    assert not set(ipywidgets.widget._instances) - before
    del board
    gc.collect()
    assert trainer() is None


def test_a_page_without_widgets_prints_nothing_above_the_picture(live, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda *a, **k: shown.append((a, k)))
    live()._ipython_display_()
    (data,), how = shown[0]
    assert data["text/plain"] == "" and "application/vnd.jupyter.widget-view+json" in data and how["raw"]


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
    monkeypatch.setattr("mmpid.widgets.parts.environment._kernel_shell", lambda: object() if kernel else None)
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

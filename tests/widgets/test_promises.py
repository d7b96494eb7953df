"""What the board promises after Stop, after its kernel is gone, and on pages without widgets."""

import threading

import pytest

from mmpid.rules.lead_pause import LeadPause
from mmpid.runs.record import RunRecord
from mmpid.widgets import CompetitionLab, Dashboard, PIDExplorer, RunBrowser
from mmpid.widgets.board.dashboard import TrainingNotFinished
from mmpid.widgets.board.snapshot import Snapshot
from mmpid.widgets.board.text import GONE
from mmpid.widgets.parts.fold import Fold
from tests.widgets.fake_trainer import FakeTrainer
from tests.widgets.hands import done, message, now, say, until


def stopped(board):
    say(board, "stop")
    until(lambda: now(board)["state"] == "closed")


def test_a_stopped_run_goes_on_in_a_new_board_and_a_new_trainer_starts_at_zero(live):
    board = live(epochs=30)
    done(board, "step", of="epoch")
    stopped(board)
    assert "Stopped at epoch 1." in message(board) and "new Trainer starts at epoch 0" in message(board)
    with pytest.raises(TrainingNotFinished, match="stands at epoch 1") as told:
        board.wait()
    assert "mmpid.widgets.Dashboard(trainer)" in str(told.value)
    again = Dashboard(board.trainer, mode="live")
    done(again, "step", of="epoch")
    assert again.trainer.epoch == 2
    again.close()
    other = live(epochs=30)
    assert other.trainer.epoch == 0


def test_save_after_stop_says_so_even_when_a_command_was_ignored_before(live, tmp_path):
    board = live(epochs=30)
    done(board, "step", of="epoch")
    stopped(board)
    say(board, "play")  # refused: nothing trains any more
    until(lambda: "ignored" in message(board))
    say(board, "save", folder=str(tmp_path / "kept"))
    assert f"Saved to {tmp_path / 'kept'}" in message(board)
    assert RunRecord.load(tmp_path / "kept") == board.record


def test_save_during_the_last_batch_waits_for_it_and_is_done(live, tmp_path):
    goes_on = threading.Event()

    class Slow(FakeTrainer):
        def _micro_step(self):
            super()._micro_step()
            goes_on.wait(10)

    board = Dashboard(Slow(epochs=10), mode="live")
    say(board, "play")
    until(lambda: board.trainer.total_batches == 1)
    say(board, "stop")
    say(board, "save", folder=str(tmp_path / "late"))
    assert board.session.alive and not (tmp_path / "late").exists()
    goes_on.set()
    until(lambda: (tmp_path / "late" / "record.jsonl").exists())
    until(lambda: f"Saved to {tmp_path / 'late'}" in message(board))
    board.close()


@pytest.mark.parametrize("unique", [(0.05, 0.10, 0.30), (0.10, 0.05, 0.30)])
def test_a_resume_names_each_modality_once(unique):
    names = ["audio", "image", "text"]
    record = RunRecord({"modalities": names})
    at = {"segment": 0, "stage": "unimodal"}
    for epoch in range(6):
        atoms = {f"unique{i}": value for i, value in enumerate(unique, start=1)}
        record.append("probe", epoch=epoch, step=epoch, redundancy=0.1, synergy=0.0, **at, **atoms,
                      **{f"active.{name}": name != "audio" for name in names})  # fmt: skip
        if epoch == 1:
            why = {"action": "pause", "modality": "audio", "source": "controller", "reason": "ahead", "rule": ""}
            record.append("decision", epoch=epoch, step=epoch, **at, **why)
    resumed = [one for one in LeadPause(ratio=2, warmup=1, dwell=0).decide(record) if one.action == "resume"]
    (decision,) = resumed
    assert decision.modality == "audio" and decision.reason.count("audio") == 1


def test_the_picture_under_a_live_board_says_how_to_get_the_board_back(live, monkeypatch):
    bundles = []
    board = live(epochs=30)
    done(board, "step", of="epoch")
    monkeypatch.setattr("mmpid.widgets.board.snapshot.overview", lambda *a, **how: bundles.append(how) or _Picture())
    assert GONE in board._board.snapshot.bundle("paused")["text/plain"]
    assert bundles[-1]["hint"] == GONE and "epoch 0" in GONE
    Snapshot(board.record).bundle("finished")
    assert bundles[-1]["hint"] == ""  # a headless run has no board to miss


class _Picture:
    def png(self, dpi):
        return b""


LABS = {
    "lab": lambda: CompetitionLab(mode="live", n_classes=4, n_steps=5),
    "explorer": lambda: PIDExplorer(mode="live"),
    "browser": lambda: RunBrowser([FakeTrainer()], mode="live"),
}


@pytest.mark.parametrize("name", LABS)
def test_no_lab_prints_its_repr_on_a_page_without_widgets(name, monkeypatch, no_thread_is_left):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda *a, **k: shown.append((a, k)))
    one = LABS[name]()
    one._ipython_display_()
    live = [data for (data,), _ in shown if isinstance(data, dict) and any("widget-view" in kind for kind in data)]
    assert len(live) == 1 and live[0]["text/plain"] == ""
    assert all(isinstance(data, dict) for (data,), _ in shown)
    one.close()


def test_what_is_folded_is_filled_when_it_is_opened(no_thread_is_left):
    lab = CompetitionLab(mode="live", n_classes=4, n_steps=5)
    fold = lab._live._folded
    assert isinstance(fold, Fold) and fold.html == ""
    fold.unfolded = True
    assert "ECS modality 1" in fold.html
    lab.close()

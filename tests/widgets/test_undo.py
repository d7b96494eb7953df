"""Taking back the rewind of a real, finished run: model, record and result are as they were."""

import pytest

import mmpid
from mmpid.widgets import Dashboard
from tests.widgets.hands import done, now, settle


def test_a_finished_model_comes_back(no_thread_is_left):
    data = mmpid.datasets.load("av-digits", seed=0)
    small = {"epochs": 4, "unimodal_epochs": 2, "n_boot": 0, "n_null": 0, "device": "cpu"}
    trainer = mmpid.Trainer(mmpid.LateFusion.from_data(data), data, seed=0, **small)
    trainer.fit(progress=False)
    rows = [dict(row) for row in trainer.record.rows]
    weights = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    board = Dashboard(trainer, mode="live")
    settle(board)
    done(board, "rewind", to=1)
    done(board, "confirm")
    assert trainer.epoch == 1 and now(board)["undo"]
    done(board, "undo")
    assert trainer.finished and trainer.record.rows == rows
    assert all((weights[name] == tensor).all() for name, tensor in trainer.model.state_dict().items())
    board.close()


@pytest.mark.slow
def test_a_finished_model_of_a_folder_comes_back_and_the_folder_with_it(no_thread_is_left, tmp_path):
    """With `out_dir` the states lie in files: what is undone on the board is undone for whoever loads the folder."""
    data = mmpid.datasets.load("av-digits", seed=0)
    small = {"epochs": 3, "unimodal_epochs": 2, "n_boot": 0, "n_null": 0, "device": "cpu"}
    folder = tmp_path / "run"
    trainer = mmpid.Trainer(mmpid.LateFusion.from_data(data), data, seed=0, out_dir=folder, **small)
    trainer.fit(progress=False)
    rows = [dict(row) for row in trainer.record.rows]
    weights = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    board = Dashboard(trainer, mode="live")
    settle(board)
    done(board, "rewind", to=1)
    done(board, "confirm")
    assert trainer.epoch == 1 and now(board)["undo"]
    done(board, "undo")
    assert trainer.finished and trainer.record.rows == rows
    assert all((weights[name] == tensor).all() for name, tensor in trainer.model.state_dict().items())
    board.close()
    loaded = mmpid.Trainer.load(folder, data, device="cpu", read_only=True)
    assert loaded.finished and loaded.record.rows == rows
    assert all((weights[name] == tensor).all() for name, tensor in loaded.model.state_dict().items())

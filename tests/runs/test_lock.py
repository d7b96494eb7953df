"""One process writes a run's folder; a crash releases it, and everybody may read."""

import os
import re
import shutil
import signal
import time
from contextlib import contextmanager

import pytest
import torch

from mmpid import RunRecord, Trainer
from mmpid.errors import ConfigError, InputError, MMPIDWarning, TrainingError
from mmpid.live import Session
from mmpid.runs import lock as lock_module
from mmpid.runs.folder import LIVE, RECORD
from mmpid.runs.lock import FolderLock, Permit
from tests.small_runs import weights

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="another process is made by os.fork")


@contextmanager
def another_process(work, *arguments):
    """Call `work` in a child that then sleeps; yield its process number once `work` is done, and kill it."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            work(*arguments)
            os.write(writer, b"x")
            time.sleep(600)
        finally:
            os._exit(1)
    os.close(writer)
    try:
        assert os.read(reader, 1) == b"x", "the child failed"
        yield child
    finally:
        os.close(reader)
        end(child)


def end(child):
    try:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    except (ProcessLookupError, ChildProcessError):
        pass


def hold(folder):
    lock = FolderLock(folder / LIVE, Permit())
    lock.acquire()
    held.append(lock)


held = []


@pytest.fixture
def abandoned(make_trainer, tmp_path):
    """The folder of a run that no trainer writes any more."""
    trainer = make_trainer(out_dir=tmp_path / "run")
    trainer.step(epochs=2)
    trainer.close()
    return tmp_path / "run"


@needs_fork
def test_a_second_process_is_refused_by_name_until_the_first_one_is_killed(abandoned, small_data):
    with another_process(hold, abandoned) as child:
        with pytest.raises(ConfigError, match=rf"process {child} on \S+, since \d{{4}}-.*read_only=True") as refused:
            Trainer.load(abandoned, small_data, device="cpu")
        trainer = eval(re.search(r"Trainer\.load\(.*?read_only=True\)", str(refused.value))[0], {"Trainer": Trainer,
                       "data": small_data})  # fmt: skip
        assert trainer.epoch == 2 and RunRecord.load(abandoned) == trainer.record
        with pytest.raises(ConfigError, match=f"process {child}"):
            trainer.save(abandoned)
        end(child)
        assert Trainer.load(abandoned, small_data, device="cpu").epoch == 2


@needs_fork
def test_a_worker_that_outlives_its_parent_does_not_hold_the_lock(abandoned, small_data):
    def hold_and_fork(pipe):
        hold(abandoned)
        grandchild = os.fork()
        if not grandchild:
            time.sleep(600)
            os._exit(0)
        os.write(pipe, str(grandchild).encode())

    reader, writer = os.pipe()
    with another_process(hold_and_fork, writer) as child:
        grandchild = int(os.read(reader, 20))
        try:
            end(child)
            os.kill(grandchild, 0)
            Trainer.load(abandoned, small_data, device="cpu").step(batches=1)
        finally:
            os.kill(grandchild, signal.SIGKILL)
            os.close(reader)
            os.close(writer)


CHANGES = {
    "step": lambda t: t.step(batches=1),
    "fit": lambda t: t.fit(progress=False),
    "probe": lambda t: t.probe(),
    "pause": lambda t: t.pause("a"),
    "rate": lambda t: t.set_learning_rate(0.1),
    "batch": lambda t: t.set_batch_size(8),
    "rewind": lambda t: t.rewind(to=1),
    "switch": lambda t: t.switch_to_joint(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_loaded_to_be_read_does_not_change(abandoned, small_data, change):
    trainer = Trainer.load(abandoned, small_data, device="cpu", read_only=True)
    before, was = len(trainer.record), weights(trainer)
    with pytest.raises(TrainingError, match="read_only=True.*stays as it is"):
        CHANGES[change](trainer)
    assert len(trainer.record) == before and torch.equal(weights(trainer), was)


def test_the_advice_of_a_trainer_that_only_reads_works_when_typed(abandoned, small_data):
    trainer = Trainer.load(abandoned, small_data, device="cpu", read_only=True)
    with pytest.raises(TrainingError) as refused:
        trainer.step()
    child = eval(re.search(r"trainer\.branch\(.*?\)", str(refused.value))[0], {"trainer": trainer})
    child.fit(progress=False)
    loaded = Trainer.load(child.folder.path, small_data, device="cpu")
    assert loaded.finished and loaded.record == child.record
    loaded.rewind(to=1)
    assert loaded.epoch == 1, "the branch has the checkpoints of the path that it shares"


def test_readers_do_not_disturb_a_writer(make_trainer, small_data, tmp_path):
    whole, live = make_trainer(), make_trainer(out_dir=tmp_path / "run")
    whole.fit(progress=False)
    half = tmp_path / "run" / f".{RECORD}.1.tmp"
    half.write_text("what another process is writing")
    while not live.finished:
        live.step(batches=1)
        reader = Trainer.load(tmp_path / "run", small_data, device="cpu", read_only=True)
        assert reader.record.content()[1:] == whole.record.content()[1 : len(reader.record) + 1]
        RunRecord.load(tmp_path / "run")
    assert half.exists() and live.record.content()[1:] == whole.record.content()[1:]
    assert torch.equal(weights(live), weights(whole))


def test_a_later_trainer_of_this_process_takes_over_and_the_earlier_one_says_so(make_trainer, small_data, tmp_path):
    first = make_trainer(out_dir=tmp_path / "run")
    first.step(epochs=1)
    second = Trainer.load(tmp_path / "run", small_data, device="cpu")
    with pytest.raises(TrainingError, match="taken over") as refused:
        first.step(batches=1)
    second.step(epochs=1)
    third = eval(re.search(r"Trainer\.load\(.*?\)", str(refused.value))[0], {"Trainer": Trainer, "data": small_data})
    assert third.epoch == 2
    first.save(tmp_path / "copy")
    assert RunRecord.load(tmp_path / "copy") == first.record


def test_loading_does_not_stop_a_board(make_trainer, small_data, tmp_path):
    whole = make_trainer(epochs=25)
    trainer = make_trainer(epochs=25, out_dir=tmp_path / "run")
    session = Session(trainer)
    try:
        session.play()
        while session.state != "playing":
            time.sleep(1e-3)
        for _ in range(3):
            with pytest.raises(ConfigError, match="being trained by another Trainer of this process.*read_only=True"):
                Trainer.load(tmp_path / "run", small_data, device="cpu")
            assert Trainer.load(tmp_path / "run", small_data, device="cpu", read_only=True).record.rows is not None
        assert session.wait(timeout=120) and session.state == "finished"
    finally:
        session.close()
    assert trainer.record.content()[1:] == whole.fit(progress=False).content()[1:]


def test_a_folder_that_was_deleted_and_begun_anew_belongs_to_the_new_run(make_trainer, tmp_path):
    old = make_trainer(out_dir=tmp_path / "run")
    old.step(epochs=1)
    shutil.rmtree(tmp_path / "run")
    new = make_trainer(out_dir=tmp_path / "run", seed=1)
    with pytest.raises(TrainingError, match="deleted or moved") as refused:
        old.step(epochs=1)
    new.step(epochs=1)
    assert RunRecord.load(tmp_path / "run") == new.record
    assert 'trainer.save("a new folder")' in str(refused.value)
    old.save(tmp_path / "a new folder")
    assert RunRecord.load(tmp_path / "a new folder") == old.record


def test_saving_into_its_own_folder_writes_no_row_twice(make_trainer, small_data, tmp_path):
    trainer = make_trainer(out_dir=tmp_path / "run", batch_size=40)
    trainer.step(batches=8)
    trainer.save(tmp_path / "run" / ".." / "run")
    assert Trainer.load(tmp_path / "run", small_data, device="cpu", read_only=True).record == trainer.record
    trainer.step(epochs=2)
    assert RunRecord.load(tmp_path / "run") == trainer.record


def test_without_locks_a_warning_says_so_and_the_run_goes_on(make_trainer, tmp_path, monkeypatch):
    def unsupported(*_):
        raise OSError(lock_module.errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock_module.fcntl, "flock", unsupported)
    with pytest.warns(MMPIDWarning, match="no locks"):
        trainer = make_trainer(out_dir=tmp_path / "run")
    trainer.step(epochs=1)
    assert RunRecord.load(tmp_path / "run") == trainer.record


def test_a_file_of_a_run_is_no_folder(abandoned, small_data):
    with pytest.raises(InputError, match=f"Take its folder, '{abandoned}'"):
        Trainer.load(abandoned / RECORD, small_data)

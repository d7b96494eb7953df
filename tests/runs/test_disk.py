"""A write that fails at any call: the run stops between batches, goes on later, and has every row on disk once."""

import errno
import os

import pytest

from mmpid import RunRecord, Trainer
from mmpid.bench.killed_run import read_states
from mmpid.errors import ConfigError, InputError, MMPIDError, TrainingError
from mmpid.live import Session
from mmpid.runs.folder import RECORD
from tests.runs.disk import Disk

TINY = {"epochs": 3, "unimodal_epochs": 1, "batch_size": 80}


@pytest.fixture
def disk(monkeypatch):
    return Disk(monkeypatch)


@pytest.fixture
def whole(make_trainer, tmp_path, disk):
    """The run that nothing happened to: its record, its states, and how often it went to the disk."""
    trainer = make_trainer(**TINY, out_dir=tmp_path / "whole")
    begun = disk.calls
    trainer.fit(progress=False)
    return trainer.record.content()[1:], read_states(tmp_path / "whole"), begun, disk.calls


def lives_through(disk, whole, make_trainer, data, folder, at, times=1, error=errno.ENOSPC):
    """Run with failures from one call on; after each, look at the folder and go on."""
    record, states, *_ = whole
    disk.behave(at, times, error)
    trainer, problems = None, 0
    while trainer is None or not trainer.finished or trainer._loop.behind:
        try:
            trainer = trainer or make_trainer(**TINY, out_dir=folder)
            trainer.fit(progress=False)
        except MMPIDError as problem:
            assert os.strerror(error) in str(problem)
            problems += 1
            if trainer is None:
                assert not (folder / RECORD).exists() and isinstance(problem, ConfigError)
                continue
            assert isinstance(problem, TrainingError) and trainer._run.position.batch == 0
            kept = RunRecord.load(folder).content()[1:]
            assert kept == record[: len(kept)]
            before = disk.calls
            reader = Trainer.load(folder, data, device="cpu", read_only=True)
            assert disk.calls == before and reader.record.content()[1:] == record[: len(reader.record)]
    disk.times = 0
    assert RunRecord.load(folder).content()[1:] == record and read_states(folder) == states
    assert not list(folder.rglob("*.tmp"))
    return problems


@pytest.mark.parametrize("share", range(4))
def test_a_run_lives_through_a_failure_now_and_then(disk, whole, make_trainer, small_data, tmp_path, share):
    at = whole[2] + (whole[3] - whole[2]) * share // 4 + share
    lives_through(disk, whole, make_trainer, small_data, tmp_path / "run", at, times=1 + share)


@pytest.mark.slow
@pytest.mark.parametrize(("first", "error"), list(enumerate([errno.ENOSPC, errno.EIO, errno.EROFS])))
def test_a_run_lives_through_a_failure_of_any_call(disk, whole, make_trainer, small_data, tmp_path, first, error):
    calls = range(first, whole[3], 3)  # each call fails in one of the three tests, once or seven times in a row
    seen = 0
    for number, at in enumerate(calls):
        times = (1, 7)[number % 2]
        seen += lives_through(disk, whole, make_trainer, small_data, tmp_path / f"{at}", at, times, error)
    assert seen >= 0.8 * len(calls), "nearly every failure is seen"


def test_a_full_disk_at_the_very_end_loses_no_result(disk, whole, make_trainer, small_data, tmp_path):
    disk.behave(whole[3] - 1, 1)
    trainer = make_trainer(**TINY, out_dir=tmp_path / "run")
    session = Session(trainer)
    try:
        session.play()
        with pytest.raises(TrainingError, match="No space left on device"):
            session.wait(timeout=60)
        assert trainer.finished and session.state == "failed"
        session.play()
        assert session.wait(timeout=60) and session.state == "finished"
    finally:
        session.close()
    assert RunRecord.load(tmp_path / "run").content()[1:] == whole[0]


def test_a_run_can_be_kept_elsewhere_while_its_disk_is_full(disk, whole, make_trainer, small_data, tmp_path):
    disk.behave(whole[2] + 20, 10**6)
    trainer = make_trainer(**TINY, out_dir=tmp_path / "run")
    with pytest.raises(TrainingError, match=r"trainer\.save"):
        trainer.fit(progress=False)
    with pytest.raises(ConfigError, match="`path`.*No space left"):
        trainer.save(tmp_path / "full")
    disk.times = 0
    resumed = Trainer.load(trainer.save(tmp_path / "elsewhere"), small_data, device="cpu")
    resumed.fit(progress=False)
    assert resumed.record.content()[1:] == whole[0]


def test_a_record_that_cannot_be_written_or_read_is_an_input_error(disk, tmp_path):
    disk.behave(0, 1)
    with pytest.raises(InputError, match="`path`.*No space left"):
        RunRecord().save(tmp_path / "record.jsonl")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="`path`"):
        RunRecord().save(tmp_path / "folder")

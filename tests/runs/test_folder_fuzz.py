"""Two processes on one folder that write, fail, die and read in any order; and records cut at any byte."""

import os
import shutil
import warnings
import weakref

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmpid import RunRecord, Trainer
from mmpid.errors import CheckpointError, ConfigError, MMPIDWarning, TrainingError
from mmpid.runs import lock as lock_module
from mmpid.runs.checkpoint import CheckpointStore
from mmpid.runs.folder import RECORD, RunFolder
from mmpid.runs.lock import Permit
from mmpid.runs.state import State
from tests.runs.disk import Disk, Killed

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows locks for a process, not for a file")

PROCESSES = st.integers(0, 1)
AT = st.integers(0, 16)  # of some fifteen calls that bring a folder up to date
STEPS = st.one_of(
    st.tuples(st.just("start"), PROCESSES),
    st.tuples(st.just("advance"), PROCESSES, st.integers(0, 3)),
    st.tuples(st.just("fail"), PROCESSES, AT, st.integers(1, 4)),
    st.tuples(st.just("kill"), PROCESSES, AT),
    st.tuples(st.just("look"), PROCESSES, AT),
    st.tuples(st.just("quit"), PROCESSES),
    st.tuples(st.just("read"), PROCESSES),
)


def row(i):
    return {"kind": "epoch", "segment": 0, "stage": "unimodal", "epoch": i, "step": 7 * i, "loss": 1 / (i + 1)}


def state(n):
    return State({"weight": torch.full((5,), float(n))}, {"n_rows": n})


class Process:
    """One that reads or trains; its locks are those of a process of its own."""

    def __init__(self, path, disk):
        self.path, self.disk = path, disk
        self.die()

    def die(self):
        folder = getattr(self, "folder", None)
        if folder is not None:
            folder.release()  # as the operating system does
        self.folder = self.record = self.store = None
        self.locks = weakref.WeakSet()

    def start(self):
        """Take the run up, or begin it."""
        if not (self.path / RECORD).exists():
            record = RunRecord({"modalities": ["a", "b"]})
            self.folder = RunFolder.create(self.path, record, state(0), Permit())
        else:
            folder = RunFolder(self.path, Permit())
            folder.lock()
            self.folder = folder
            record, found = folder.read()
            assert found.tree["n_rows"] == len(record) and bool((found.tensors["weight"] == len(record)).all())
            folder.resume(record)
        self.record, self.store = record, CheckpointStore.open(self.folder.checkpoints)

    def advance(self, n):
        """Train for some rows, and bring the folder up to date."""
        for _ in range(n):
            self.record.append(**row(len(self.record)))
            self.store.add((0, len(self.record)), state(len(self.record)))
        self.folder.keep(self.record, state(len(self.record)), self.store)


class World:
    """Two processes and a folder; what is on its disk for good must be read by everybody, whole and once."""

    def __init__(self, path, disk):
        self.path, self.disk = path, disk
        self.processes = [Process(path, disk), Process(path, disk)]
        self.safe = 0  # rows that must be there

    def act(self, what, number, *arguments):
        one, other = self.processes[number], self.processes[1 - number]
        lock_module._ALL = one.locks
        self.disk.behave()
        if what == "read":
            self.check()
        elif what == "quit":
            one.die()
        elif what == "start" and one.folder is None:
            if other.folder is not None:
                with pytest.raises(ConfigError, match="being written by process|already holds a run"):
                    one.start()
            else:
                one.start()
        elif one.folder is not None and what != "start":
            getattr(self, what)(one, *arguments)

    def advance(self, one, n):
        one.advance(n)
        self.safe = len(one.record)

    def fail(self, one, at, times):
        self.disk.behave(at, times)
        try:
            self.advance(one, 2)
        except TrainingError as problem:
            assert "No space left on device" in str(problem)
        self.check()

    def kill(self, one, at):
        self.disk.behave(kills=at)
        try:
            self.advance(one, 2)
        except Killed:
            one.die()
        self.disk.behave()
        self.check()

    def look(self, one, at):
        self.disk.behave(looks=at, look=self.check)
        self.advance(one, 1)

    def check(self):
        """Read as a third process does."""
        if not (self.path / RECORD).exists():
            return
        record, found = RunFolder(self.path).read()
        assert record.rows == [row(i) for i in range(len(record))] and len(record) >= self.safe
        assert found.tree["n_rows"] == len(record) and bool((found.tensors["weight"] == len(record)).all())
        assert RunRecord.load(self.path).rows[: len(record)] == record.rows


def interleave(steps, folder):
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("error")
        patch.setattr(lock_module, "_ALL", weakref.WeakSet())
        world = World(folder / "run", Disk(patch, sync=False))
        try:
            for step in steps:
                world.act(*step)
            for number in (0, 1):
                world.act("quit", number)
            world.act("start", 0)
            world.act("advance", 0, 1)
            world.check()
            assert not list(folder.rglob("*.tmp"))
        finally:
            for process in world.processes:
                process.die()
            shutil.rmtree(folder / "run", ignore_errors=True)


FUZZ = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@settings(max_examples=40, **FUZZ)
@given(steps=st.lists(STEPS, min_size=1, max_size=14))
def test_no_order_of_two_processes_loses_a_row_or_writes_one_twice(steps, tmp_path):
    interleave(steps, tmp_path)


@pytest.mark.slow
@settings(max_examples=1500, **FUZZ)
@given(steps=st.lists(STEPS, min_size=4, max_size=20))
def test_no_order_of_two_processes_loses_a_row_or_writes_one_twice_in_many_tries(steps, tmp_path):
    interleave(steps, tmp_path)


@pytest.fixture
def written(make_trainer, tmp_path):
    trainer = make_trainer(out_dir=tmp_path / "run")
    trainer.step(epochs=2)
    trainer.close()
    return tmp_path / "run", trainer.record


def cut(folder, content, size):
    """Cut the record's file; return record and state as they are then read, and whether a warning said so."""
    (folder / RECORD).write_bytes(content[:size])
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        read = RunFolder(folder).read()
    assert all(issubclass(each.category, MMPIDWarning) and "the record was cut" in str(each.message) for each in said)
    return *read, bool(said)


def test_a_record_that_is_cut_at_any_byte_of_its_last_row_is_read_as_it_was_before(written, small_data):
    folder, whole = written
    content = (folder / RECORD).read_bytes()
    start = content.rstrip(b"\n").rindex(b"\n") + 1
    for size in range(start, len(content)):
        (folder / RECORD).write_bytes(content[:size])
        complete = size == len(content) - 1  # all but the line break
        assert RunRecord.load(folder).rows == whole.rows[: len(whole) - (not complete)]
        if size % 16 == 0 or complete:
            record, found, said = cut(folder, content, size)
            assert said != complete and record.rows == whole.rows[: found.tree["n_rows"]]
    (folder / RECORD).write_bytes(content[: start + 9])
    with pytest.warns(MMPIDWarning, match="earlier checkpoint"):
        resumed = Trainer.load(folder, small_data, device="cpu")
    resumed.step(epochs=1)
    assert resumed.record.content()[1 : len(whole) + 1] == whole.content()[1:]


@pytest.mark.slow
@settings(max_examples=300, **FUZZ)
@given(share=st.floats(0, 1))
def test_a_record_that_is_cut_anywhere_is_read_up_to_there_or_refused(share, written):
    folder, whole = written
    path = folder / RECORD
    content = whole.to_bytes()
    size = round(share * len(content))
    path.write_bytes(content[:size])
    try:
        rows = RunRecord.load(folder).rows
        assert rows == whole.rows[: len(rows)] and content.startswith(RunRecord(whole.metadata, rows).to_bytes())
        record, found, _ = cut(folder, content, size)
        assert record.rows == whole.rows[: found.tree["n_rows"]]
    except CheckpointError as problem:
        assert size < len(content) and ("not a run record" in str(problem) or "no checkpoint" in str(problem))

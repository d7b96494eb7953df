"""`mmpid bench kill`: kill a run at random moments, resume it from its folder, compare it with an uninterrupted run.

One warm process forks a child for every life of a run, so 200 kills take minutes instead of hours. The children mark in
shared memory what they are doing; the parent sends SIGKILL and reads there what the signal interrupted.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from mmpid import _validate
from mmpid._tables import text_table
from mmpid.bench.killed_run import read_states, small_data, train
from mmpid.bench.marks import EPOCHS, MOMENTS, PHASE, WRITE_NS, WRITES, Marks
from mmpid.bench.readers import Readers
from mmpid.errors import CheckpointError, MMPIDError
from mmpid.runs import RunRecord
from mmpid.runs.folder import RECORD, RunFolder

PATIENCE = 120.0  # seconds after which a child counts as stuck


@dataclass(frozen=True)
class KillReport:
    """What the kills interrupted, and what went wrong afterward, one sentence per failure."""

    kills: dict[str, int]
    runs: int
    seconds: float
    reads: int = 0
    failures: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether every run resumed bit for bit, with all its probes and no unreadable file."""
        return not self.failures

    def __repr__(self) -> str:
        rows = [[moment, str(self.kills.get(moment, 0))] for moment in MOMENTS]
        rows.append(["all", str(sum(self.kills.values()))])
        table = text_table(["moment hit", "kills"], rows)
        end = (
            f"{self.runs} runs to their end in {self.seconds:.0f} s, read {self.reads} times by two other processes; "
            f"failures: {len(self.failures)}"
        )
        return "\n".join([table, end, *self.failures[:10]])


def run(
    kills: int = 200,
    seed: int = 0,
    *,
    quick: bool = False,
    json_path: Path | str | None = None,
    show: Callable[[str], None] = print,
) -> KillReport:
    """Kill a small two-stage run with SIGKILL, resume it from its folder each time, and compare it at the end.

    The run has custom encoders with dropout, a callback with a state, random numbers and a loss term, k-means probes,
    pauses, a switch that rewinds, and joint epochs with probes. Half of the kills come at a moment drawn uniformly over
    the run, half within a few milliseconds of a file being written. A run that survives to its end is compared with an
    uninterrupted one: the record (except wall-clock times) and every state, bit for bit. After every kill the record on
    disk must be a prefix of the uninterrupted one with all rows up to the last epoch's end, and every checkpoint must
    load. Meanwhile two more processes read the folder, one its record and state, one through ``Trainer.load(...,
    read_only=True)``: they must never see anything other than such a prefix.

    Parameters
    ----------
    kills : int
        Number of kills; the test ends with the first run that finishes after that many.
    seed : int
        Seed of the moments. What they interrupt also depends on the machine's speed.
    quick : bool
        A tenth of the kills.
    json_path : path, optional
        Where to write the report as JSON.
    show : callable
        Takes the table.

    Raises
    ------
    MMPIDError
        Without `fork`, as on Windows.

    Examples
    --------
    >>> kill.run(kills=20).passed  # doctest: +SKIP
    True
    """
    kills = _validate.number(kills, "kills", low=1, integer=True)
    if not hasattr(os, "fork"):
        raise MMPIDError("the kill test forks processes, and this system cannot fork. Run it on Linux or macOS.")
    kills = max(1, kills // 10) if quick else kills
    report = _in_a_process_of_its_own(kills, _validate.number(seed, "seed", low=0, integer=True))
    show(repr(report))
    if json_path is not None:
        Path(json_path).write_text(json.dumps(asdict(report), indent=1) + "\n")
    return report


def _in_a_process_of_its_own(kills: int, seed: int) -> KillReport:
    """Run the test in a fresh interpreter: no threads of the caller are alive when it forks."""
    code = f"from mmpid.bench import kill; kill._main({kills}, {seed})"
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    environment = {**os.environ, **one, "CUDA_VISIBLE_DEVICES": ""}  # autograd starts threads where it sees a GPU
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise MMPIDError(f"the kill test itself failed:\n{done.stderr}")
    return KillReport(**json.loads(done.stdout.splitlines()[-1]))


def _main(kills: int, seed: int) -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="mmpid-kill-") as folder:
        print(json.dumps(asdict(_Test(Path(folder), seed).run(kills))))


# ---- the test --------------------------------------------------------------------------------------------------------


class _Test:
    """Kills runs in a folder until enough kills are done, and collects what went wrong."""

    def __init__(self, folder: Path, seed: int):
        self.folder, self.marks, self.random = folder, Marks(), random.Random(seed)
        self.data = small_data()
        self.kills: Counter[str] = Counter()
        self.failures: list[str] = []

    def run(self, kills: int) -> KillReport:
        start, runs = time.perf_counter(), 0
        self._measure_the_whole_run()
        self.readers = Readers(self.marks, self.folder, self.data, self.whole)
        while self.kills.total() < kills:
            self._one_run(runs, kills)
            runs += 1
        self.failures += self.readers.end()
        return KillReport(dict(self.kills), runs, time.perf_counter() - start, self.readers.reads, self.failures)

    def _measure_the_whole_run(self) -> None:
        """Let one run live to its end: the reference, its duration, and how often and how long it writes."""
        train(self.data, self.folder / "warm")  # late imports are then done for all children
        whole, start = self.folder / "whole", time.perf_counter()
        if not self._finishes(self._fork(whole)):
            raise MMPIDError(f"the uninterrupted run failed:\n{self._last_words()}")
        self.duration = time.perf_counter() - start
        self.writes = self.marks.slots[WRITES]
        self.write_seconds = self.marks.slots[WRITE_NS] / 1e9 / self.writes
        self.whole = RunRecord.load(whole).content()
        self.states = read_states(whole)

    def _one_run(self, number: int, kills: int) -> None:
        """Kill one run again and again, until it reaches its end between two kills; then compare it."""
        folder = self.folder / f"run{number}"
        self.readers.watch(number)
        while True:
            child = self._fork(folder)
            killed = self.kills.total() < kills and self._kill(child)
            if not killed and not self._finishes(child):
                self.failures.append(f"run {number} could not go on: {self._last_words().strip().splitlines()[-1]}")
                return
            problem = self._judge(folder, finished=not killed)
            if problem:
                self.failures.append(f"run {number}, kill {self.kills.total()}: {problem}")
                return
            if not killed:
                self.readers.pause()
                shutil.rmtree(folder)
                return

    def _fork(self, folder: Path) -> int:
        """Start a life of the run; return its process."""
        self.marks.clear()
        child = os.fork()
        if child:
            return child
        try:
            self.marks.watch()
            train(self.data, folder)
            os._exit(0)
        except BaseException:
            (self.folder / "problem.txt").write_text(traceback.format_exc())
            os._exit(1)

    def _kill(self, child: int) -> bool:
        """Kill at a random moment; return whether the child was still alive then."""
        if self.random.random() < 0.5:
            delay, write = self.random.uniform(0, self.duration), 0
        else:
            delay, write = self.random.uniform(0, 2 * self.write_seconds), self.random.randint(1, self.writes)
        give_up = time.monotonic() + PATIENCE
        while self.marks.slots[WRITES] < write and time.monotonic() < give_up:
            if _has_ended(child):
                return False
            time.sleep(2e-5)
        time.sleep(delay)
        if _has_ended(child):
            return False
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        self.kills[MOMENTS[self.marks.slots[PHASE]]] += 1
        return True

    def _finishes(self, child: int) -> bool:
        """Wait for a child; return whether it ended well. A child that is stuck is killed."""
        give_up = time.monotonic() + PATIENCE
        while not _has_ended(child):
            if time.monotonic() > give_up:
                os.kill(child, signal.SIGKILL)
            time.sleep(1e-3)
        return os.waitpid(child, 0)[1] == 0

    def _last_words(self) -> str:
        path = self.folder / "problem.txt"
        return path.read_text() if path.exists() else "it was stuck"

    def _judge(self, folder: Path, finished: bool) -> str:
        """Return what is wrong with a folder, "" if nothing is."""
        if not (folder / RECORD).exists():
            return "the record is gone" if finished or self.marks.slots[EPOCHS] else ""
        try:
            states = read_states(folder)
            record, _ = RunFolder(folder).read()
        except CheckpointError as problem:
            return str(problem)
        content, epochs = record.content(), sum(row["kind"] == "epoch" for row in record.rows)
        if content[1:] != self.whole[1 : len(content)]:
            return "the rows differ from those of the uninterrupted run"
        if epochs < self.marks.slots[EPOCHS]:
            return f"{self.marks.slots[EPOCHS]} epochs had been saved, and the folder has {epochs}"
        if finished and len(content) != len(self.whole):
            return f"the record has {len(content)} rows instead of {len(self.whole)}"
        if finished and states != self.states:
            differ = [name for name in self.states.keys() | states if states.get(name) != self.states.get(name)]
            return f"the states differ: {', '.join(sorted(differ))}"
        return ""


def _has_ended(child: int) -> bool:
    """Return whether a child is dead, and leave its exit status to be read."""
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

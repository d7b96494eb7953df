"""Two processes that read a run's folder all the time, while it is written, killed and resumed."""

import os
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from mmpid.bench.killed_run import load
from mmpid.bench.marks import AT, BROKEN, READERS, READS, RUN, Marks
from mmpid.datasets import MultimodalData
from mmpid.runs import RunRecord
from mmpid.runs.folder import RECORD, RunFolder

PAUSE = 0.005  # seconds between two reads
NOWHERE, AWAY = 0, -1  # instead of the number of a run: read none; end


class Readers:
    """Two readers, like users who look at a training run: one reads its record and state, one uses `Trainer.load`.

    All that they read must be a prefix of the uninterrupted record, and no read may fail.
    """

    def __init__(self, marks: Marks, base: Path, data: MultimodalData, whole: list[dict]):
        self.marks, self.base, self.data, self.whole = marks, base, data, whole
        self.children = [self._fork(number, look) for number, look in enumerate((self._record, self._trainer))]

    def watch(self, number: int) -> None:
        """Read the folder of a run from now on."""
        self.marks.slots[RUN] = number + 1

    def pause(self) -> None:
        """Return once neither reader reads."""
        self.marks.slots[RUN] = NOWHERE
        while any(self.marks.slots[slot] != NOWHERE for slot in AT):
            time.sleep(1e-4)

    def end(self) -> list[str]:
        """End both; return what went wrong, one sentence each."""
        self.marks.slots[RUN] = AWAY
        for child in self.children:
            os.waitpid(child, 0)
        broken = [number for number in range(READERS) if self.marks.slots[BROKEN[number]]]
        return [f"reader {number}: {self._words(number).read_text()}" for number in broken]

    @property
    def reads(self) -> int:
        """How often a run was read."""
        return sum(self.marks.slots[slot] for slot in READS)

    def _words(self, number: int) -> Path:
        return self.base / f"reader{number}.txt"

    def _fork(self, number: int, look: Callable[[Path], RunRecord]) -> int:
        parent = os.getpid()
        child = os.fork()
        if child:
            return child
        try:
            while os.getppid() == parent and self.marks.slots[RUN] != AWAY:
                self._turn(number, look)
        except BaseException:
            self._words(number).write_text(traceback.format_exc())
            self.marks.slots[BROKEN[number]] = 1
        self.marks.slots[AT[number]] = NOWHERE
        os._exit(0)

    def _turn(self, number: int, look: Callable[[Path], RunRecord]) -> None:
        """Read once, if there is something to read."""
        slots = self.marks.slots
        run = slots[RUN]
        slots[AT[number]] = max(run, NOWHERE)
        folder = self.base / f"run{run - 1}"
        if run > NOWHERE and run == slots[RUN] and (folder / RECORD).exists():
            content = look(folder).content()
            assert content[1:] == self.whole[1 : len(content)], "its rows differ from those of the uninterrupted run"
            slots[READS[number]] += 1
        slots[AT[number]] = NOWHERE
        time.sleep(PAUSE)

    def _record(self, folder: Path) -> RunRecord:
        RunFolder(folder).read()
        return RunRecord.load(folder)

    def _trainer(self, folder: Path) -> RunRecord:
        return load(self.data, folder, read_only=True).record

"""What a run is doing, in memory that outlives it: marks that a child writes and its parent reads."""

import functools
import mmap
import time
from typing import Any

from mmpid.runs import checkpoint as checkpoint_module
from mmpid.runs import folder as folder_module
from mmpid.runs import state as state_module
from mmpid.runs.folder import RunFolder
from mmpid.train.loop import Loop
from mmpid.train.prober import Prober

MOMENTS = ("starting or loading", "within an epoch", "between epochs", "probing", "writing")
STARTING, EPOCH, BETWEEN, PROBING, WRITING = range(len(MOMENTS))
PHASE, WRITES, WRITE_NS, EPOCHS, RUN = range(5)  # what the slots of the shared memory mean
READERS = 2
AT, READS, BROKEN = (range(start, start + READERS) for start in (5, 7, 9))  # of each reader


class Marks:
    """A few integers that a child writes and its parent reads, even after the child is dead."""

    def __init__(self):
        self.slots = memoryview(mmap.mmap(-1, 128)).cast("q")

    def clear(self) -> None:
        """Start a new life."""
        for slot in (PHASE, WRITES, WRITE_NS, EPOCHS):
            self.slots[slot] = 0

    def watch(self) -> None:
        """Make the run mark what it is doing; called in a child, so nobody else sees the changes."""
        Loop.train_batch = self._marking(Loop.train_batch, EPOCH, after=EPOCH)
        Loop._end_epoch = self._marking(Loop._end_epoch, BETWEEN, after=EPOCH)
        Prober.measure = self._marking(Prober.measure, PROBING)
        for module in (state_module, checkpoint_module, folder_module):
            vars(module)["write_atomically"] = self._marking(module.write_atomically, WRITING)
        RunFolder.keep = self._keeping(self._marking(RunFolder.keep, WRITING))

    def _marking(self, function, phase: int, after: int | None = None):
        @functools.wraps(function)
        def marked(*arguments, **keywords):
            before, start = self.slots[PHASE], time.perf_counter_ns()
            self.slots[PHASE] = phase
            self.slots[WRITES] += phase == WRITING
            try:
                return function(*arguments, **keywords)
            finally:
                self.slots[PHASE] = before if after is None else after
                self.slots[WRITE_NS] += (time.perf_counter_ns() - start) * (phase == WRITING)

        return marked

    def _keeping(self, keep) -> Any:
        """Count the epochs whose end is on disk."""

        @functools.wraps(keep)
        def counted(folder, record, *rest):
            keep(folder, record, *rest)
            self.slots[EPOCHS] = sum(row["kind"] == "epoch" for row in record.rows)

        return counted

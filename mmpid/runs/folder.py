"""A run on disk: a record that grows line by line, the present state, and the checkpoints of the probes."""

import json
import os
import sys
from pathlib import Path

from mmpid import _validate
from mmpid.errors import CheckpointError, ConfigError
from mmpid.runs.checkpoint import CheckpointStore
from mmpid.runs.record import RunRecord
from mmpid.runs.state import State, read_state, write_state

RECORD, NOW, CHECKPOINTS, LIVE = "record.jsonl", "now.safetensors", "checkpoints", "live"


class RunFolder:
    """The files of one run.

    `record.jsonl` holds the metadata and all rows, `now.safetensors` the state at the end of the last epoch, and
    `checkpoints/` one state a probe. Each file is replaced whole, so a run that is killed at any moment can go on.
    """

    def __init__(self, path: Path):
        self.path = path
        self._written = 0

    @property
    def checkpoints(self) -> Path:
        """Folder of the probes' states."""
        return self.path / CHECKPOINTS

    @property
    def live(self) -> bool:
        """Whether a trainer keeps this folder current, rather than having saved into it once."""
        return (self.path / LIVE).exists()

    @classmethod
    def create(cls, path, record: RunRecord, state: State | None = None) -> "RunFolder":
        """Start a run in an empty folder; refuse one that already holds a run.

        With its first state a run can be loaded from the moment on at which its record exists.
        """
        folder = cls(_validate.path(path, "out_dir"))
        if folder.path.exists() and not folder.path.is_dir():
            raise ConfigError(f"`out_dir` must be a folder; {folder.path} is a file. Choose a new name.")
        if (folder.path / RECORD).exists():
            raise ConfigError(
                f"`out_dir` must be a new folder; {folder.path} already holds a run. "
                f"Continue it with Trainer.load({str(folder.path)!r}, data), or choose another folder."
            )
        folder.checkpoints.mkdir(parents=True, exist_ok=True)
        (folder.path / LIVE).touch()
        if state is not None:
            write_state(state, folder.path / NOW)
        folder.resume(record)
        return folder

    def resume(self, record: RunRecord) -> None:
        """Make the file on disk agree with the record, dropping rows that were written after its state.

        Half-written files that a killed process left behind are removed: only one trainer keeps a folder current.
        """
        for leftover in self.path.rglob(".*.tmp"):
            leftover.unlink()
        record.save(self.path / RECORD)
        self._written = len(record.rows)

    def keep(self, record: RunRecord, state: State) -> None:
        """Append the new rows, then replace the present state."""
        new = record.rows[self._written :]
        with open(self.path / RECORD, "a", encoding="utf-8") as handle:
            handle.writelines(json.dumps(row) + "\n" for row in new)
            handle.flush()
            os.fsync(handle.fileno())  # the rows must be on disk before the state that counts them
        self._written += len(new)
        write_state(state, self.path / NOW)

    def write(self, record: RunRecord, state: State, checkpoints: dict[tuple[int, int], State]) -> None:
        """Write a whole run at once; refuse a folder that holds another run, or another future of this one."""
        self._check_same_run(record)
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        store = CheckpointStore(self.checkpoints, budget=sys.maxsize)  # what is kept was chosen before
        for key, kept in checkpoints.items():
            store.add(key, kept)
        record.save(self.path / RECORD)
        write_state(state, self.path / NOW)

    def _check_same_run(self, record: RunRecord) -> None:
        """Refuse to write a run over rows that are not its own: their checkpoints would be taken for its own."""
        if not (self.path / RECORD).exists():
            return
        rows = RunRecord.load(self.path).rows
        if rows != record.rows[: len(rows)]:
            raise ConfigError(
                f"`path` must be a new folder, or one that holds an earlier state of this run; {self.path} holds "
                f"{len(rows)} rows of another one. Choose another folder."
            )

    def read(self) -> tuple[RunRecord, State]:
        """Return the newest state that can be read, and the record as it stood then."""
        record = RunRecord.load(self.path)
        try:
            state = read_state(self.path / NOW)
        except CheckpointError:
            state = CheckpointStore.open(self.checkpoints).latest(len(record.rows))
        if state.tree["n_rows"] > len(record.rows):
            raise CheckpointError(
                f"{self.path / RECORD} has {len(record.rows)} rows, and the state was saved after "
                f"{state.tree['n_rows']}: the record was cut. Restore it from a copy."
            )
        return record.prefix(state.tree["n_rows"]), state

    def read_checkpoints(self) -> CheckpointStore:
        """Return the checkpoints, in memory, so that going on does not change a saved folder."""
        stored, store = CheckpointStore.open(self.checkpoints), CheckpointStore()
        for key in stored:
            try:
                store.add(key, stored.get(key))
            except CheckpointError:
                continue
        return store

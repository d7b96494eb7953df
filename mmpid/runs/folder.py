"""A run on disk: a record that grows line by line, the present state, and the checkpoints of the probes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mmpid import _validate
from mmpid.errors import CheckpointError, ConfigError, MMPIDWarning, TrainingError, warn
from mmpid.runs.checkpoint import CheckpointStore
from mmpid.runs.files import cut_at, reason, remove_leftovers, write_at_end, write_atomically
from mmpid.runs.lock import FolderLock, Permit
from mmpid.runs.record import RunRecord, row_line
from mmpid.runs.state import State, read_state, write_state

RECORD, NOW, CHECKPOINTS, LIVE = "record.jsonl", "now.safetensors", "checkpoints", "live"
READ_AGAIN, PAUSE = 4, 0.01  # a reader that meets a run while it is taken up looks again, so often and after seconds


class RunFolder:
    """The files of one run.

    `record.jsonl` holds the metadata and all rows, `now.safetensors` the state at the end of the last epoch, and
    `checkpoints/` one state per probe. Each file is replaced whole, so a run that is killed at any moment can go on.
    `live` marks a folder that a trainer keeps current, and is locked while one does: one process writes, all may read.
    """

    def __init__(self, path: Path, permit: Permit | None = None):
        self.path = path.absolute()  # whoever changes the working directory later still means this folder
        self._lock = FolderLock(self.path / LIVE, permit or Permit())
        self._written = self._end = 0  # rows and bytes of the record that are on disk

    @property
    def checkpoints(self) -> Path:
        """Folder of the probes' states."""
        return self.path / CHECKPOINTS

    @property
    def live(self) -> bool:
        """Whether a trainer keeps this folder current, rather than having saved into it once."""
        return (self.path / LIVE).exists()

    # ---- one writer ----------------------------------------------------------------------------------------------

    def lock(self, *, take_over: bool = True) -> None:
        """Become the only writer; raise `ConfigError` if another process does."""
        try:
            self._lock.acquire(take_over=take_over)
        except OSError as problem:
            raise _unwritable(self.path, problem, "path") from problem

    def release(self) -> None:
        """Let others write."""
        self._lock.release()

    def is_same(self, other: "RunFolder") -> bool:
        """Whether two are the same folder, however their paths are spelled."""
        try:
            return self.path.samefile(other.path)
        except OSError:
            return self.path == other.path

    # ---- writing -------------------------------------------------------------------------------------------------

    @classmethod
    def create(
        cls, path, record: RunRecord, state: State | None = None, permit: Permit | None = None, name: str = "out_dir"
    ) -> "RunFolder":
        """Start a run in an empty folder; refuse one that already holds a run.

        With its first state a run can be loaded as soon as its record exists.
        """
        folder = cls(_validate.path(path, name), permit)
        try:
            folder._refuse_a_run(name)
            folder.checkpoints.mkdir(parents=True, exist_ok=True)
            folder._lock.acquire(take_over=False)
            folder._refuse_a_run(name)  # whoever had the lock before may have begun one
            if state is not None:
                write_state(state, folder.path / NOW)
            folder._make_agree(record)
        except OSError as problem:
            folder.release()
            raise _unwritable(folder.path, problem, name) from problem
        except BaseException:
            folder.release()
            raise
        return folder

    def _refuse_a_run(self, name: str) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise ConfigError(f"`{name}` must be a folder; {self.path} is a file. Choose a new name.")
        if (self.path / RECORD).exists():
            raise ConfigError(
                f"`{name}` must be a new folder; {self.path} already holds a run. "
                f"Continue it with Trainer.load({str(self.path)!r}, data), or choose another folder."
            )

    def resume(self, record: RunRecord) -> None:
        """Make the file on disk agree with the record, dropping rows that were written after its state.

        Half-written files that a killed process left behind are removed: only one trainer keeps a folder current.
        """
        try:
            self._make_agree(record)
        except OSError as problem:
            raise CheckpointError(
                f"the run in {self.path} cannot go on: {reason(problem)}. Free some space or get permission to write "
                f"there, or read it with Trainer.load({str(self.path)!r}, data, read_only=True)."
            ) from problem

    def _make_agree(self, record: RunRecord) -> None:
        remove_leftovers(self.path, RECORD)
        remove_leftovers(self.path, NOW)
        remove_leftovers(self.checkpoints, "s*.safetensors")
        path, content = self.path / RECORD, record.to_bytes()
        if path.exists() and path.read_bytes().startswith(content):
            cut_at(path, len(content))
        else:
            write_atomically(path, content)
        self._written, self._end = len(record.rows), len(content)

    def keep(self, record: RunRecord, state: State, checkpoints: CheckpointStore | None = None) -> None:
        """Append the new rows, then replace the present state.

        Raises
        ------
        TrainingError
            The disk is full, or the folder cannot be written any more. Nothing is lost: the same call writes
            everything that is missing once it can, and no row twice.
        """
        if not self._lock.is_ours():
            raise TrainingError(
                f"the folder {self.path} was deleted or moved while the run was writing to it. Move it back and go "
                f'on, or keep the run elsewhere: trainer.save("a new folder").'
            )
        try:
            if checkpoints is not None:
                checkpoints.flush()
            self._append(record)
            write_state(state, self.path / NOW)
        except OSError as problem:
            raise TrainingError(
                f"the run could not be written to {self.path}: {reason(problem)}. It stands at epoch "
                f"{record.rows[-1]['epoch'] if record.rows else 0} in memory, and nothing is lost. Free some space (or "
                f'remove what blocks it), then train on; or keep the run elsewhere: trainer.save("a new folder").'
            ) from problem

    def _append(self, record: RunRecord) -> None:
        """Put the rows on disk before the state that counts them; behind what was half written, nothing stays."""
        path = self.path / RECORD
        if path.exists() and path.stat().st_size >= self._end > 0:
            self._end = write_at_end(path, self._end, b"".join(map(row_line, record.rows[self._written :])))
        else:  # somebody removed or cut it
            content = record.to_bytes()
            write_atomically(path, content)
            self._end = len(content)
        self._written = len(record.rows)

    def write(self, record: RunRecord, state: State, checkpoints: CheckpointStore) -> None:
        """Write a whole run at once; refuse a folder that holds another run, or another future of this one."""
        if self.live:
            self.lock(take_over=False)
        try:
            self._check_same_run(record)
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            for name, kept in checkpoints.files():
                write_state(kept, self.checkpoints / name)
            write_atomically(self.path / RECORD, record.to_bytes())
            write_state(state, self.path / NOW)
        except OSError as problem:
            raise _unwritable(self.path, problem, "path") from problem
        finally:
            self.release()

    def _check_same_run(self, record: RunRecord) -> None:
        """Refuse to write a run over rows that are not its own: their checkpoints would be taken for its own."""
        if self.path.exists() and not self.path.is_dir():
            raise ConfigError(f"`path` must be a folder; {self.path} is a file. Choose a new name.")
        if not (self.path / RECORD).exists():
            return
        rows = RunRecord.load(self.path).rows
        if rows != record.rows[: len(rows)]:
            raise ConfigError(
                f"`path` must be a new folder, or one that holds an earlier state of this run; {self.path} holds "
                f"{len(rows)} rows of another one. Choose another folder."
            )

    # ---- reading -------------------------------------------------------------------------------------------------

    def read(self) -> tuple[RunRecord, State]:
        """Return the newest state that can be read, and the record as it stood then.

        The state is read before the record, whose rows are on disk before the state that counts them: so both fit
        each other, also where another process writes meanwhile.
        """
        state, record = self._read_now()
        for _ in range(READ_AGAIN if self.live else 0):
            if state is None or state.tree["n_rows"] <= len(record.rows):
                break
            time.sleep(PAUSE)
            state, record = self._read_now()
        if state is not None and state.tree["n_rows"] <= len(record.rows):
            return record.prefix(state.tree["n_rows"]), state
        older = CheckpointStore.open(self.checkpoints).latest(len(record.rows))
        if state is not None:
            warn(
                f"{self.path / RECORD} has {len(record.rows)} rows, and the newest state was saved after "
                f"{state.tree['n_rows']}: the record was cut. The run goes on from an earlier checkpoint, after row "
                f"{older.tree['n_rows']}. To lose nothing, restore the record from a copy first.",
                MMPIDWarning,
            )
        return record.prefix(older.tree["n_rows"]), older

    def _read_now(self) -> tuple[State | None, RunRecord]:
        """Read the present state, None if that cannot be, and then the record."""
        state = None
        with suppress(CheckpointError):
            state = _counted(read_state(self.path / NOW))
        return state, RunRecord.load(self.path)

    def read_checkpoints(self) -> CheckpointStore:
        """Return the checkpoints, in memory, so that going on does not change a saved folder."""
        stored, store = CheckpointStore.open(self.checkpoints), CheckpointStore()
        for key in stored:
            with suppress(CheckpointError):
                store.add(key, stored.get(key))
        return store


def _counted(state: State) -> State:
    """Return a state that says how many rows it counts; refuse another one."""
    if not isinstance(state.tree.get("n_rows"), int):
        raise CheckpointError("the state does not say how many rows of the record belong to it.")
    return state


def _unwritable(path: Path, problem: OSError, name: str) -> ConfigError:
    return ConfigError(
        f"`{name}` must be a folder that can be written; {path} cannot: {reason(problem)}. Choose another folder, or "
        f"make room there."
    )


@contextmanager
def released_on_error(folder: RunFolder) -> Iterator[None]:
    """Let go of a folder if what follows fails: its lock must not live on in a traceback."""
    try:
        yield
    except BaseException:
        folder.release()
        raise

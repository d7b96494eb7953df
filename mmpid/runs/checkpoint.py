"""The checkpoints of a run: one state per probe, in memory or on disk, within a budget of bytes."""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from mmpid.errors import CheckpointError
from mmpid.runs.files import write_atomically
from mmpid.runs.state import State, read_state, state_bytes, write_state

FILE_NAME = re.compile(r"s(\d+)-e(\d+)\.safetensors")
DEFAULT_BUDGET = 1 << 30  # bytes of checkpoints that are kept: 1 GiB


class CheckpointStore:
    """The checkpoints of one run by (segment, epoch): in memory, or on disk when there is a folder.

    When they outgrow `budget` bytes the oldest are dropped, but never the first, the latest, nor those in `keep`. A
    checkpoint that cannot be written, as on a full disk, stays in memory until :meth:`flush` can write it.
    """

    def __init__(self, folder: Path | None = None, budget: int = DEFAULT_BUDGET):
        self.folder, self.budget = folder, budget
        self._states: dict[tuple[int, int], State | Path] = {}
        self._sizes: dict[tuple[int, int], int] = {}

    def __contains__(self, key: tuple[int, int]) -> bool:
        return key in self._states

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Iterate over the (segment, epoch) pairs that are kept, in the order in which they were made."""
        return iter(list(self._states))

    def add(self, key: tuple[int, int], state: State, keep=()) -> None:
        """Keep a state; drop old ones if the budget asks for it."""
        kept, size = self._stored(key, state)
        self._states.pop(key, None)
        self._states[key], self._sizes[key] = kept, size
        protected = {next(iter(self._states)), key, *keep}
        for old in list(self._states):
            if sum(self._sizes.values()) <= self.budget:
                break
            if old not in protected:
                self.drop(old)

    def _stored(self, key: tuple[int, int], state: State) -> tuple[State | Path, int]:
        """Write a state if there is a folder; return where it is, and its size as `open` counts it."""
        if self.folder is None:
            return state, state.nbytes
        content, path = state_bytes(state), self.folder / _file_name(key)
        try:
            write_atomically(path, content)
        except OSError:
            return state, len(content)
        return path, len(content)

    def flush(self) -> None:
        """Write what could not be written before; raise `OSError` if it still cannot."""
        for key, state in self._states.items():
            if self.folder is not None and isinstance(state, State):
                self._states[key] = write_state(state, self.folder / _file_name(key))

    def drop(self, key: tuple[int, int]) -> None:
        """Forget a state and delete its file."""
        state = self._states.pop(key)
        self._sizes.pop(key)
        if isinstance(state, Path):
            with suppress(OSError):
                state.unlink()

    def get(self, key: tuple[int, int]) -> State:
        """Return a state."""
        if key not in self._states:
            kept = ", ".join(str(epoch) for _, epoch in self._states) or "none"
            raise CheckpointError(f"there is no checkpoint of epoch {key[1]}; kept are those of epochs {kept}.")
        state = self._states[key]
        return read_state(state) if isinstance(state, Path) else state

    def files(self) -> Iterator[tuple[str, State]]:
        """Give the name of the file and the state of each checkpoint, those whose file is gone left out."""
        for key, state in list(self._states.items()):
            if isinstance(state, State) or state.exists():
                yield _file_name(key), self.get(key)

    @classmethod
    def open(cls, folder: Path, budget: int = DEFAULT_BUDGET) -> "CheckpointStore":
        """Find the checkpoints of a folder, whatever else is in it; whether they can be read shows when they are."""
        store = cls(folder, budget)
        named = ((FILE_NAME.fullmatch(path.name), path) for path in folder.glob("s*-e*.safetensors"))
        for key, path in sorted(((int(name[1]), int(name[2])), path) for name, path in named if name):
            with suppress(FileNotFoundError):  # the process that writes the run has just dropped it
                store._sizes[key], store._states[key] = path.stat().st_size, path
        return store

    def latest(self, n_rows: int | None = None) -> State:
        """Return the newest state that can be read and, if given, was saved after at most `n_rows` rows.

        A probe's state is on disk some moments before its rows are: a run that is killed in between has one too many.
        """
        problems = []
        for key in reversed(self._states):
            try:
                state = self.get(key)
            except CheckpointError as problem:
                problems.append(str(problem))
                continue
            if n_rows is None or state.tree["n_rows"] <= n_rows:
                return state
            problems.append(f"{_file_name(key)} was saved after {state.tree['n_rows']} rows; the record has {n_rows}.")
        detail = " ".join(problems) or "The folder holds no checkpoint."
        raise CheckpointError(f"no checkpoint in {self.folder} can be read. {detail}")


def _file_name(key: tuple[int, int]) -> str:
    return f"s{key[0]:03d}-e{key[1]:06d}.safetensors"

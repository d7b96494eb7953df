"""The state of a run as plain tensors and plain JSON, in memory or on disk; nothing is ever pickled."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from mmpid.errors import CheckpointError
from mmpid.runs.record import write_atomically

FORMAT = 1
FILE_NAME = re.compile(r"s(\d+)-e(\d+)\.safetensors")
HOW = ("foreach", "fused")  # settings of an optimizer that belong to the device, not to the run
DEFAULT_BUDGET = 1 << 30  # bytes of checkpoints that are kept: 1 GiB


@dataclass(frozen=True)
class State:
    """One moment of a run: tensors by dotted name, and JSON for everything else."""

    tensors: dict[str, Tensor]
    meta: dict

    @property
    def nbytes(self) -> int:
        """Size of the tensors."""
        return sum(t.numel() * t.element_size() for t in self.tensors.values())

    def section(self, prefix: str) -> dict[str, Tensor]:
        """Return the tensors whose name starts with `prefix.`, without the prefix."""
        return {key[len(prefix) + 1 :]: t for key, t in self.tensors.items() if key.startswith(prefix + ".")}


def pack(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return copies on the CPU, named `prefix.name`."""
    return {f"{prefix}.{key}": t.detach().to("cpu", copy=True).contiguous() for key, t in tensors.items()}


def pack_optimizer(optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], dict]:
    """Split an optimizer's state into tensors `index.name` and JSON."""
    state = optimizer.state_dict()
    tensors = {f"{i}.{k}": v for i, entry in state["state"].items() for k, v in entry.items() if isinstance(v, Tensor)}
    plain = {
        str(i): {k: v for k, v in entry.items() if not isinstance(v, Tensor)} for i, entry in state["state"].items()
    }
    return pack("optimizer", tensors), {"groups": state["param_groups"], "plain": plain}


def unpack_optimizer(optimizer: torch.optim.Optimizer, state: State) -> None:
    """Load what :func:`pack_optimizer` split; how an update is computed stays what this device asks for."""
    saved = state.meta["optimizer"]
    entries = {int(i): dict(plain) for i, plain in saved["plain"].items()}
    for key, tensor in state.section("optimizer").items():
        index, name = key.split(".", 1)
        entries.setdefault(int(index), {})[name] = tensor.clone()
    own = [{name: group[name] for name in HOW if name in group} for group in optimizer.param_groups]
    groups = [{**group, **mine} for group, mine in zip(saved["groups"], own, strict=True)]
    optimizer.load_state_dict({"state": entries, "param_groups": groups})


def write_state(state: State, path: Path) -> Path:
    """Write a state as one safetensors file, the JSON in its header, so that it is replaced whole or not at all."""
    from safetensors.torch import save

    header = {"format": str(FORMAT), "meta": json.dumps(state.meta)}
    write_atomically(path, save(state.tensors, metadata=header))
    return path


def read_state(path: Path) -> State:
    """Read a state; raise `CheckpointError` when the file is missing, cut short, foreign or too new."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        content = path.read_bytes()
        length = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + length])["__metadata__"]
        version, meta = int(header["format"]), json.loads(header["meta"])
        tensors = load(content)
    except OSError as problem:
        raise CheckpointError(f"there is no checkpoint {path}: {problem.strerror}.") from problem
    except (ValueError, KeyError, TypeError, SafetensorError) as problem:
        raise CheckpointError(
            f"{path} is not a whole checkpoint of mmpid ({type(problem).__name__}): it was cut short, or written by "
            f"another program. Use an older checkpoint."
        ) from problem
    if version > FORMAT:
        raise CheckpointError(f"{path} has format {version}; this version reads up to {FORMAT}. Update mmpid.")
    return State(tensors, meta)


class CheckpointStore:
    """The checkpoints of one run by (segment, epoch): always in memory, and on disk when there is a folder.

    When they outgrow `budget` bytes the oldest are dropped, but never the first, the latest, nor those in `keep`.
    """

    def __init__(self, folder: Path | None = None, budget: int = DEFAULT_BUDGET):
        self.folder, self.budget = folder, budget
        self._states: dict[tuple[int, int], State | Path] = {}
        self._sizes: dict[tuple[int, int], int] = {}

    def __contains__(self, key: tuple[int, int]) -> bool:
        return key in self._states

    def __iter__(self):
        """Iterate over the (segment, epoch) pairs that are kept, in the order in which they were made."""
        return iter(list(self._states))

    def add(self, key: tuple[int, int], state: State, keep=()) -> None:
        """Keep a state; drop old ones if the budget asks for it."""
        self._states.pop(key, None)
        self._states[key] = kept = write_state(state, self.folder / _file_name(key)) if self.folder else state
        self._sizes[key] = kept.stat().st_size if isinstance(kept, Path) else kept.nbytes  # as `open` counts them
        protected = {next(iter(self._states)), key, *keep}
        for old in list(self._states):
            if sum(self._sizes.values()) <= self.budget:
                break
            if old not in protected:
                self.drop(old)

    def drop(self, key: tuple[int, int]) -> None:
        """Forget a state and delete its files."""
        state = self._states.pop(key)
        self._sizes.pop(key)
        if isinstance(state, Path):
            state.unlink(missing_ok=True)

    def get(self, key: tuple[int, int]) -> State:
        """Return a state."""
        if key not in self._states:
            kept = ", ".join(str(epoch) for _, epoch in self._states) or "none"
            raise CheckpointError(f"there is no checkpoint of epoch {key[1]}; kept are those of epochs {kept}.")
        state = self._states[key]
        return read_state(state) if isinstance(state, Path) else state

    @classmethod
    def open(cls, folder: Path, budget: int = DEFAULT_BUDGET) -> "CheckpointStore":
        """Find the checkpoints of a folder, whatever else is in it; whether they can be read shows when they are."""
        store = cls(folder, budget)
        named = ((FILE_NAME.fullmatch(path.name), path) for path in folder.glob("s*-e*.safetensors"))
        for key, path in sorted(((int(name[1]), int(name[2])), path) for name, path in named if name):
            store._states[key], store._sizes[key] = path, path.stat().st_size
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
            if n_rows is None or state.meta["n_rows"] <= n_rows:
                return state
            problems.append(f"{_file_name(key)} was saved after {state.meta['n_rows']} rows; the record has {n_rows}.")
        detail = " ".join(problems) or "The folder holds no checkpoint."
        raise CheckpointError(f"no checkpoint in {self.folder} can be read. {detail}")


def _file_name(key: tuple[int, int]) -> str:
    return f"s{key[0]:03d}-e{key[1]:06d}.safetensors"

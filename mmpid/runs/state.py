"""A moment of a run: nested dicts of tensors and plain values, in memory or in one file; nothing is ever pickled."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch  # noqa: F401  used by the example
from torch import Tensor

from mmpid.errors import CheckpointError, InputError
from mmpid.runs.files import write_atomically

FORMAT = 2
TENSOR = "__tensor__"  # stands in the tree for a tensor, beside its name


@dataclass(frozen=True)
class State:
    """What a `state_dict()` returned, taken apart: tensors by name, and a JSON tree that says where each belongs.

    Examples
    --------
    >>> state = State.pack({"model": {"weight": torch.ones(2)}, "epoch": 3})
    >>> sorted(state.tensors), state.unpack()["epoch"]
    (['model.weight'], 3)
    """

    tensors: dict[str, Tensor]
    tree: dict[str, Any]

    @property
    def nbytes(self) -> int:
        """Size of the tensors."""
        return sum(t.numel() * t.element_size() for t in self.tensors.values())

    @classmethod
    def pack(cls, nested: Mapping[str, Any], name: str = "state") -> "State":
        """Take copies, on the CPU, of nested dicts of tensors, numbers, text, None, and lists of these."""
        tensors: dict[str, Tensor] = {}
        return cls(tensors, _pack(nested, (), tensors, name))

    def unpack(self) -> dict[str, Any]:
        """Return the nested dicts; the tensors are the state's own, so copy before changing them."""
        return _unpack(self.tree, self.tensors)


def _pack(value: Any, path: tuple[str, ...], tensors: dict[str, Tensor], name: str) -> Any:
    """Return the JSON of a value, its tensors moved into `tensors`."""
    if isinstance(value, Tensor):
        key = _free_name(".".join(path), tensors)
        tensors[key] = value.detach().to("cpu", copy=True).contiguous()
        return {TENSOR: key}
    if isinstance(value, Mapping):
        wrong = [key for key in value if not isinstance(key, str) or key == TENSOR]
        if wrong:
            raise InputError(f"the keys of `{name}` must be text; {wrong[0]!r} at {_place(path)} is not. Try str(key).")
        return {key: _pack(x, (*path, key), tensors, name) for key, x in value.items()}
    if isinstance(value, list | tuple):
        return [_pack(x, (*path, str(i)), tensors, name) for i, x in enumerate(value)]
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise InputError(
        f"`{name}` must hold tensors, numbers, text, None, and lists or dicts of these; at {_place(path)} it held a "
        f"{type(value).__name__}. For an array, store torch.as_tensor(array)."
    )


def _place(path: tuple[str, ...]) -> str:
    return ".".join(path) or "its top"


def _free_name(name: str, taken: Mapping[str, object]) -> str:
    """Return a tensor's name; keys that hold dots can make two paths look the same."""
    number, free = 2, name
    while free in taken:
        free, number = f"{name}#{number}", number + 1
    return free


def _unpack(tree: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(tree, dict):
        if tree.keys() == {TENSOR}:
            return tensors[tree[TENSOR]]
        return {key: _unpack(x, tensors) for key, x in tree.items()}
    return [_unpack(x, tensors) for x in tree] if isinstance(tree, list) else tree


def write_state(state: State, path: Path) -> Path:
    """Write a state as one safetensors file, the tree in its header, so that it is replaced whole or not at all."""
    write_atomically(path, state_bytes(state))
    return path


def state_bytes(state: State) -> bytes:
    """Return what :func:`write_state` writes."""
    from safetensors.torch import save

    return save(state.tensors, metadata={"format": str(FORMAT), "tree": json.dumps(state.tree)})


def read_state(path: Path) -> State:
    """Read a state; raise `CheckpointError` when the file is missing, cut short, foreign, or of another format."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        content = path.read_bytes()
        length = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + length])["__metadata__"]
        version = int(header["format"])
        if version == FORMAT:
            return State(load(content), dict(json.loads(header["tree"])))
    except OSError as problem:
        raise CheckpointError(f"there is no checkpoint {path}: {problem.strerror}.") from problem
    except (ValueError, KeyError, TypeError, SafetensorError) as problem:
        raise CheckpointError(
            f"{path} is not a complete checkpoint of mmpid ({type(problem).__name__}): it was cut short, or written by "
            f"another program. Use an older checkpoint."
        ) from problem
    advice = "Update mmpid." if version > FORMAT else "Load it with mmpid 0.1, or read its record alone."
    raise CheckpointError(f"{path} has format {version}; this version reads format {FORMAT}. {advice}")

"""Copies of modules, whatever a forward pass has left in their attributes."""

import copy
from collections.abc import Iterator
from typing import Any, TypeVar

from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, is_lazy

from mmpid.errors import InputError

Part = TypeVar("Part", bound=nn.Module)
REGISTERED = ("_parameters", "_buffers", "_modules")  # attributes that torch itself copies
DEPTH = 4  # how far into lists and dicts an attribute is searched for tensors


def copy_model(module: Part) -> Part:
    """Return a copy that shares no tensor with the module.

    `copy.deepcopy` refuses a module that keeps a result of its last forward pass as an attribute: a tensor with a
    gradient history, as old-style `weight_norm` and `spectral_norm` do, or features cached for later. The copy holds
    the same numbers without the history. What cannot be copied at all (an open file, a lock) is shared.

    Parameters
    ----------
    module : nn.Module
        Is left as it is.

    Raises
    ------
    InputError
        The module cannot be copied at all.

    Examples
    --------
    >>> import torch
    >>> net = torch.nn.Linear(4, 3)
    >>> net.last = net(torch.zeros(2, 4))
    >>> copy_model(net).last.requires_grad
    False
    """
    memo: dict[int, Any] = {id(x): x.detach().clone() for x in _results(module)}
    memo |= {id(x): _unsized(x) for x in module.buffers() if is_lazy(x)}
    try:
        return copy.deepcopy(module, dict(memo))
    except Exception as first:
        memo |= _uncopyable(module, memo)
        try:
            return copy.deepcopy(module, memo)
        except Exception:
            raise InputError(
                f"{type(module).__name__} cannot be copied: {type(first).__name__}: {first}. Try `copy.deepcopy(net)`, "
                f"and keep what fails outside of the module."
            ) from first


def _unsized(buffer: Any) -> Tensor:
    """Return another buffer without a size; `copy.deepcopy` knows how for parameters only."""
    make: Any = UninitializedBuffer  # its stubs know neither device nor dtype
    return make(requires_grad=False, device=buffer.device, dtype=buffer.dtype)


def _results(module: nn.Module) -> list[Tensor]:
    """Return the tensors among the attributes that are results of a computation."""
    return [x for value in _attributes(module) for x in _tensors(value, DEPTH) if x.grad_fn is not None]


def _attributes(module: nn.Module) -> Iterator[Any]:
    for part in module.modules():
        yield from (value for key, value in vars(part).items() if key not in REGISTERED)


def _tensors(value: Any, depth: int) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif depth and isinstance(value, dict):
        for entry in value.values():
            yield from _tensors(entry, depth - 1)
    elif depth and isinstance(value, list | tuple | set):
        for entry in value:
            yield from _tensors(entry, depth - 1)


def _uncopyable(module: nn.Module, memo: dict[int, Any]) -> dict[int, Any]:
    """Return the attributes that `copy.deepcopy` refuses, as a memo that shares them."""
    known = memo | {id(part): part for part in (*module.modules(), *module.parameters(), *module.buffers())}
    shared = {}
    for value in _attributes(module):
        try:
            copy.deepcopy(value, dict(known))
        except Exception:
            shared[id(value)] = value
    return shared

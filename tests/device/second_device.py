"""A second device without hardware: tensors that compute on the CPU and refuse to meet tensors that are there.

Importing this module registers the device "sim" with torch, for the rest of the process. It is as strict as CUDA where
code slips: operands, indices and generators from another device are errors, and so is NumPy. `is_cuda` is true of its
tensors, so that branches for the accelerator are taken. It says nothing about speed, streams or mixed precision.
"""

import contextlib

import torch
from torch.utils import backend_registration
from torch.utils._python_dispatch import return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map

NAME = "sim"
aten = torch.ops.aten
_INDEXED = (aten.index.Tensor, aten.index_put.default, aten.index_put_.default, aten._index_put_impl_.default)
_COPIES = (aten._to_copy.default, aten.copy_.default)
_FACTORIES = "arange arange.start arange.start_step eye eye.m full linspace ones rand randint randn randperm zeros"


class _Module:
    """What torch asks the module of a device for."""

    is_available = is_initialized = staticmethod(lambda: True)
    device_count = staticmethod(lambda: 1)
    current_device = staticmethod(lambda: 0)
    _is_in_bad_fork = staticmethod(lambda: False)
    manual_seed_all = staticmethod(lambda seed: None)


class Nothing(contextlib.ContextDecorator, contextlib.nullcontext):
    """What changes nothing, around a block or around a function."""


class Held(torch.Tensor):
    """A tensor on the second device; `held` is the tensor on the CPU that has its values."""

    @staticmethod
    def __new__(cls, held):
        look = {"dtype": held.dtype, "layout": held.layout, "strides": held.stride()}
        return torch.Tensor._make_wrapper_subclass(
            cls, held.size(), storage_offset=held.storage_offset(), device=torch.device(NAME, 0), **look
        )

    def __init__(self, held):
        self.held = held

    def __repr__(self):
        return f"Held({self.held!r})"

    @property
    def is_cuda(self):
        return True

    def numpy(self, *_, **__):
        raise TypeError("can't convert a tensor of the second device to numpy; use .cpu() first")

    __array__ = numpy

    def tolist(self):
        return self.held.tolist()

    def new_tensor(self, data, *, dtype=None, **_):
        return torch.tensor(data, dtype=dtype or self.dtype, device=NAME)

    def __getitem__(self, index):
        return super().__getitem__(_here(index))

    def __setitem__(self, index, value):
        super().__setitem__(_here(index), value)

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        return _call(function, *args, **(kwargs or {}))


def _here(index):
    """Lists become tensors of this device; torch would do it where the stand-in cannot follow."""
    if isinstance(index, list):
        return torch.tensor(index, dtype=None if index else torch.int64, device=NAME)
    return tuple(map(_here, index)) if isinstance(index, tuple) else index


def _call(function, *args, **kwargs):
    """Compute on the CPU what was asked of this device, if it may be."""
    asked = kwargs.get("device")
    asked = None if asked is None else torch.device(asked).type
    leaves = tree_leaves((args, kwargs))
    _refuse_to_mix(function, args, leaves, asked)
    if asked is not None:
        kwargs["device"] = "cpu"
    first_only = function is aten.copy_.default
    stays = asked == NAME if asked else any(isinstance(leaf, Held) for leaf in (args[:1] if first_only else leaves))
    out = function(*tree_map(_held, args), **tree_map(_held, kwargs))
    if not stays or function is aten._local_scalar_dense.default:
        return out
    wrapped = tree_map(lambda leaf: Held(leaf) if isinstance(leaf, torch.Tensor) else leaf, out)
    return return_and_correct_aliasing(function, args, kwargs, wrapped)


def _held(leaf):
    return leaf.held if isinstance(leaf, Held) else leaf


def _refuse_to_mix(function, args, leaves, asked) -> None:
    """Raise what CUDA would raise."""
    here = asked == NAME or any(isinstance(leaf, Held) for leaf in leaves)
    if here and any(isinstance(leaf, torch.Generator) for leaf in leaves):
        raise RuntimeError(f"{function}: expected a generator of the second device, but found one of the CPU")
    if not here or function in _COPIES:
        return
    away = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor) and not isinstance(leaf, Held) and leaf.ndim]
    if function in _INDEXED and isinstance(args[0], Held):  # indices may be on the CPU
        away = [leaf for leaf in away if not any(leaf is index for index in tree_leaves(args[1]))]
    if away:
        raise RuntimeError(f"{function}: expected all tensors to be on the same device, but found two")


def _register() -> None:
    """Make the device known; every operator runs through :func:`_call`."""
    backend_registration._setup_privateuseone_for_python_backend(NAME, backend_module=_Module())
    everything, factories = torch.library.Library("_", "IMPL"), torch.library.Library("aten", "IMPL")
    everything.fallback(_call, "PrivateUse1")
    for name in _FACTORIES.split():  # torch makes some of them empty and grows them, which a stand-in cannot
        packet, _, overload = name.partition(".")
        operator = getattr(getattr(aten, packet), overload or "default")
        factories.impl(name, lambda *a, _operator=operator, **k: _call(_operator, *a, **k), "PrivateUse1")
    plain = torch.tensor

    def tensor(data, *, device=None, **options):
        found = plain(_held(data), **options)
        return found.to(device) if device is not None or isinstance(data, Held) else found

    torch.tensor = tensor
    _register.libraries = everything, factories  # they end with their last reference


_register()

"""Checks at the public doors: turn what users pass into tensors, or say clearly what is wrong."""

import difflib
import math
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mmpid.errors import ConfigError, InputError, ShapeError


def choice(value, name: str, options: Iterable, error: type[InputError] = ConfigError):
    """Return `value` if it is one of `options`; otherwise raise, naming the closest option."""
    options = list(options)
    if value in options:
        return value
    close = difflib.get_close_matches(str(value), [str(o) for o in options], n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    listed = ", ".join(repr(o) for o in options)
    raise error(f"`{name}` must be one of {listed}; it was {value!r}.{hint}")


def flag(value, name: str) -> bool:
    """Return `value` if it is True or False; otherwise raise, since a text such as "no" would count as true."""
    if not isinstance(value, bool | np.bool_):
        raise ConfigError(f"`{name}` must be True or False; it was {value!r} ({type(value).__name__}).")
    return bool(value)


def instance(value, name: str, kind: type | tuple[type, ...], must: str, hint: str):
    """Return `value` if it is of a kind; otherwise raise, saying what it `must` be and what to try."""
    if not isinstance(value, kind):
        raise InputError(f"`{name}` must be {must}; it was {type(value).__name__}. {hint}")
    return value


def path(value, name: str) -> Path:
    """Return `value` as a path if it is a text or a path; otherwise raise."""
    return Path(instance(value, name, (str, os.PathLike), "a path", f'For example {name}="runs/first".'))


def integers(values, name: str, *, low: int = 0) -> list[int]:
    """Return integers of at least `low` as a list; otherwise raise, also for a single number."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise ConfigError(
            f"`{name}` must be a list or range of integers; it was {values!r} ({type(values).__name__}). "
            f"For example {name}=range(5), or {name}=[3] for one."
        )
    return [number(value, name, low=low, integer=True) for value in values]


def seeds(values) -> list[int]:
    """Return seeds as a list; raise without any, or where one comes twice and would count as two independent runs."""
    found = integers(values, "seeds")
    if not found:
        raise ConfigError("`seeds` must hold at least one seed, better five or more; it was empty.")
    if len(set(found)) < len(found):
        raise ConfigError(f"`seeds` must differ, or one run counts as two; they were {found}. Try range({len(found)}).")
    return found


def number(
    value, name: str, *, low=None, high=None, integer: bool = False, open_low: bool = False, finite: bool = False
):
    """Return `value` as int or float if it lies in [low, high]; otherwise raise."""
    kind = "an integer" if integer else "a number"
    bounds = _bounds(low, high, open_low)
    accepted = (int, np.integer) if integer else (int, float, np.integer, np.floating)
    if isinstance(value, bool) or not isinstance(value, accepted):
        raise ConfigError(f"`{name}` must be {kind}{bounds}; it was {value!r} ({type(value).__name__}).")
    bad_low = low is not None and (value <= low if open_low else value < low)
    if bad_low or (high is not None and value > high) or value != value:
        raise ConfigError(f"`{name}` must be {kind}{bounds}; it was {value!r}.")
    if finite and math.isinf(value):
        raise ConfigError(f"`{name}` must be finite; it was {value!r}.")
    return int(value) if integer else float(value)


def _bounds(low, high, open_low: bool) -> str:
    if low is not None and high is not None:
        return f" {'above' if open_low else 'from'} {low} {'up ' if open_low else ''}to {high}"
    if low is not None:
        return f" above {low}" if open_low else f" of at least {low}"
    return f" of at most {high}" if high is not None else ""


def not_negative(p: Tensor, name: str) -> None:
    """Raise if entries of a table of probabilities are negative."""
    negative = p < 0
    if negative.any():
        where = tuple(int(i) for i in negative.nonzero()[0])
        raise InputError(
            f"`{name}` must hold probabilities of at least 0; {int(negative.sum())} entries are negative, the smallest "
            f"{float(p.min()):.3g}, the first at index {where}. Clip them at 0 and divide by the sum again."
        )


def as_tensor(value, name: str) -> Tensor:
    """Return `value` as a tensor without copying where possible; numbers only."""
    if isinstance(value, Tensor):
        if value.layout != torch.strided or value.device.type == "meta":
            empty = value.device.type == "meta"
            what = "without data (device 'meta'). Load it" if empty else f"of layout {value.layout}. Try `.to_dense()`"
            raise InputError(f"`{name}` must be a dense tensor with data; it was one {what}.")
        if value.is_complex():
            raise InputError(f"`{name}` must hold real numbers; its dtype was {value.dtype}. Try `.abs()`.")
        return value
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "fiub":
            raise TypeError(f"its dtype is {array.dtype}")
        # torch has no unsigned types beyond 8 bits and refuses read-only or reversed arrays
        if array.dtype.kind == "u" and array.dtype.itemsize > 1:
            array = array.astype(np.int64)
        if not array.flags.writeable or any(s < 0 for s in array.strides):
            array = array.copy()
        return torch.as_tensor(array)
    except (TypeError, ValueError) as problem:
        raise InputError(
            f"`{name}` must be an array or tensor of numbers; it was {type(value).__name__}: {problem}. "
            f"Try `numpy.asarray({name}, dtype=float)` to see what does not convert."
        ) from problem


def finite(tensor: Tensor, name: str) -> Tensor:
    """Return `tensor` if all its entries are finite; otherwise raise, saying how many are not and where."""
    if not tensor.is_floating_point():
        return tensor
    bad = ~torch.isfinite(tensor)
    if bad.any():
        first = tuple(int(i) for i in bad.nonzero()[0])
        raise InputError(
            f"`{name}` must be finite; {int(bad.sum())} of {tensor.numel()} entries are NaN or infinite, "
            f"the first at index {first}. Drop or impute those samples first."
        )
    return tensor


def labels(value, name: str, length: int | None = None) -> Tensor:
    """Return integer class labels of shape (N,) as int64; raise on floats with fractions, NaN or other shapes."""
    tensor = as_tensor(value, name)
    if tensor.ndim != 1:
        raise ShapeError(
            f"`{name}` must have one axis (N,), a class index per sample; its shape was {tuple(tensor.shape)}."
        )
    if length is not None and len(tensor) != length:
        raise ShapeError(f"`{name}` must have one entry per sample, {length}; it had {len(tensor)}.")
    finite(tensor, name)
    if tensor.is_floating_point() and not bool((tensor == tensor.round()).all()):
        raise InputError(
            f"`{name}` must hold class indices; it held fractions such as "
            f"{float(tensor[tensor != tensor.round()][0]):g}. Is it the right column?"
        )
    return tensor.to(torch.int64)


def is_text(value) -> bool:
    """Whether an array, a list or a pandas column holds text, here or there."""
    if isinstance(value, Tensor):
        return False
    array = entries(value)
    return array.dtype.kind in "OU" and any(isinstance(entry, str) for entry in array.flat)


def entries(value) -> np.ndarray:
    """Return the entries of a list as they are: NumPy makes text of the NaN, None or number that stands among text."""
    value = value.cpu() if isinstance(value, Tensor) else value
    try:
        array = np.asarray(value)
    except ValueError:  # rows of several lengths
        return np.asarray(value, dtype=object)
    listed = isinstance(value, list | tuple) and array.dtype.kind == "U"
    return np.asarray(value, dtype=object) if listed else array


def text_labels(value, name: str, length: int) -> tuple[Tensor, tuple[str, ...]] | None:
    """Return labels that are text as int64 (N,) and the text of 0, 1, ..., alphabetical; None if they are not text."""
    if not is_text(value):
        return None
    array = entries(value)
    if array.shape != (length,):
        raise ShapeError(f"`{name}` must have one label per sample, ({length},); its shape was {array.shape}.")
    missing = [i for i, label in enumerate(array) if not isinstance(label, str)]
    if missing:
        raise InputError(
            f"`{name}` must be text throughout, or integers; {len(missing)} of {length} labels are neither, the "
            f"first at index {missing[0]}: {array[missing[0]]!r}. Drop those samples first."
        )
    words, codes = np.unique(array.astype(str), return_inverse=True)
    return torch.as_tensor(codes.astype(np.int64)), tuple(words.tolist())

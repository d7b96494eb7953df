"""Checks of arguments: turn what users pass into tensors, or say clearly what is wrong."""

import difflib
import errno
import math
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, overload

import numpy as np
from torch import Tensor

from mmpid._coerce import as_tensor, finite
from mmpid._labels import absent_categories, entries, is_text, labels, refuse_unlabeled, same_order, text_labels
from mmpid.errors import ConfigError, InputError

__all__ = [
    "absent_categories",
    "as_tensor",
    "choice",
    "entries",
    "finite",
    "flag",
    "instance",
    "integers",
    "is_text",
    "labels",
    "not_negative",
    "number",
    "path",
    "refuse_unlabeled",
    "same_order",
    "seeds",
    "text_labels",
]


def choice(value, name: str, options: Iterable, error: type[InputError] = ConfigError):
    """Return `value` if it is one of `options`; otherwise raise, naming the closest option."""
    options = list(options)
    try:
        known = value in options
    except Exception:  # an array compares entry by entry
        known = False
    if known:
        return value
    close = difflib.get_close_matches(str(value), [str(o) for o in options], n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    listed = ", ".join(repr(o) for o in options)
    raise error(f"`{name}` must be one of {listed}; it was {value!r}.{hint}")


def flag(value, name: str) -> bool:
    """Return `value` if it is True or False; otherwise raise, since text such as "no" would count as true."""
    if not isinstance(value, bool | np.bool_):
        raise ConfigError(f"`{name}` must be True or False; it was {value!r} ({type(value).__name__}).")
    return bool(value)


def instance(value, name: str, kind: type | tuple[type, ...], must: str, hint: str):
    """Return `value` if it is of a kind; otherwise raise, saying what it `must` be and what to try."""
    if not isinstance(value, kind):
        raise InputError(f"`{name}` must be {must}; it was {type(value).__name__}. {hint}")
    return value


def path(value, name: str) -> Path:
    """Return `value` as a path, `~` and variables of the environment replaced as a shell does; otherwise raise."""
    hint = f'For example {name}="runs/first".'
    typed = os.fsdecode(instance(value, name, (str, os.PathLike), "a path", hint))
    if not typed.strip() or "\0" in typed:
        raise ConfigError(f"`{name}` must be a path; it was {typed!r}. {hint}")
    found = os.path.expanduser(os.path.expandvars(typed))
    try:
        if os.path.lexists(typed):  # a name with such signs in it, if there is one
            return Path(typed)
        os.lstat(found)
    except ValueError as problem:
        raise ConfigError(f"`{name}` must be a path; it was {typed!r}: {problem}.") from problem
    except OSError as problem:
        if problem.errno in (errno.ENAMETOOLONG, errno.EINVAL):
            raise ConfigError(f"`{name}` must be a path; {typed:.60} cannot be one: {problem.strerror}.") from problem
        unset = re.search(r"\$(\w+|\{\w+\})", found)
        if unset:
            raise ConfigError(
                f"`{name}` must be a path; {typed!r} holds {unset[0]}, which is not set in the environment. Set it "
                f"before Python starts, or write the path out."
            ) from problem
        if found.startswith("~"):
            raise ConfigError(
                f"`{name}` must be a path; in {typed!r} there is no user {Path(found).parts[0][1:]!r}. For a folder of "
                f"that name write {'./' + typed!r}."
            ) from problem
    return Path(found)


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


@overload
def number(
    value, name: str, *, integer: Literal[True], low=None, high=None, open_low: bool = False, finite: bool = False
) -> int: ...
@overload
def number(
    value,
    name: str,
    *,
    low=None,
    high=None,
    integer: Literal[False] = False,
    open_low: bool = False,
    finite: bool = False,
) -> float: ...
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

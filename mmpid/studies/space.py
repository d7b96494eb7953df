"""What a search may try of each setting: a range of numbers, or a list of values."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmpid import _validate
from mmpid.errors import ConfigError
from mmpid.train import choices
from mmpid.train.config import TrainConfig

NUMBERS = (*choices.WHOLE, *choices.ABOVE_ZERO, *choices.AT_LEAST_ZERO, "momentum")  # settings with an order
DIGITS = 4  # of a number drawn from a range; more would only make tables hard to read
NEAR = 0.05  # of a range: so near its end an optimum may lie beyond


@dataclass(frozen=True)
class Range:
    """All numbers from `low` to `high`, on a logarithmic scale if `log`, whole ones if `whole`."""

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def rounded(self, value: float) -> float:
        """Return a number with few digits that still lies in the range."""
        if self.whole:
            return int(value)
        return min(max(float(f"{value:.{DIGITS}g}"), self.low), self.high)

    def end(self, value: float) -> str:
        """Return which end of the range a value is near, in words, or nothing."""
        low, high, at = (math.log(x) if self.log else x for x in (self.low, self.high, value))
        share = (at - low) / (high - low)
        if min(share, 1 - share) > NEAR:
            return ""
        return (
            f"near the {'low' if share < 0.5 else 'high'} end of its range, {self.low if share < 0.5 else self.high:g}"
        )


Space = Mapping[str, Range | list[Any]]


def values_of(values: Any, name: str, hint: str) -> list[Any]:
    """Return the values of a setting as a list of different numbers, texts or None."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise ConfigError(f"`{name}` must be a list of values; it was {values!r}. {hint}")
    found = [value.item() if isinstance(value, np.generic) else value for value in values]
    if not found or len({repr(x) for x in found}) < len(found):
        raise ConfigError(f"`{name}` must hold different values, at least one; they were {found}. {hint}")
    for value in found:
        if value is not None and not isinstance(value, bool | int | float | str):
            raise ConfigError(f"`{name}` must hold numbers or text; one was {type(value).__name__}. {hint}")
    return found


def read_space(space: Any, hint: str) -> dict[str, Range | list[Any]]:
    """Return ranges and lists by setting; a tuple is a range, anything else a list."""
    _validate.instance(space, "space", Mapping, "a mapping from settings to ranges or lists", hint)
    if not space:
        raise ConfigError(f"`space` must name at least one setting; it was empty. {hint}")
    found: dict[str, Range | list[Any]] = {}
    for name, values in space.items():
        _validate.choice(name, "space", TrainConfig.__dataclass_fields__)
        label = f"space[{name!r}]"
        found[name] = _range(values, name, label) if isinstance(values, tuple) else values_of(values, label, hint)
    return found


def ends_or_values(part: Range | list[Any]) -> list[Any]:
    """Return what must be possible, for all that is tried to be possible."""
    return [part.low, part.high] if isinstance(part, Range) else part


def _range(given: tuple[Any, ...], name: str, label: str) -> Range:
    if name not in NUMBERS:
        raise ConfigError(f"`{label}` must be a list, since it has no order; it was the range {given}. Try a list.")
    hint = f"A range is a tuple; for single values try the list {list(given)}."
    if len(given) not in (2, 3) or given[2:] not in ((), ("log",)):
        raise ConfigError(f"`{label}` must be (low, high) or (low, high, 'log'); it was {given}. {hint}")
    whole, log = name in choices.WHOLE, len(given) == 3
    low, high = (_validate.number(x, label, integer=whole, **({} if whole else {"finite": True})) for x in given[:2])
    if not low < high:
        raise ConfigError(f"`{label}` must have a low end below its high end; it was {given}. {hint}")
    if log and low <= 0:
        raise ConfigError(f"`{label}` must lie above 0 on a logarithmic scale; it was {given}. Raise its low end.")
    return Range(low, high, log, whole)

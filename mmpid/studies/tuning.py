"""Equal tuning: the same settings for every method, chosen on the validation split."""

from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any

import numpy as np

from mmpid import _validate
from mmpid.errors import ConfigError
from mmpid.train.config import TrainConfig

Trial = dict[str, Any]


def make_grid(tune: Mapping[str, Any] | None, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return every combination of the values of each setting; one empty one where nothing is tuned."""
    if tune is None:
        return [{}]
    hint = "For example tune={'lr': [0.005, 0.02, 0.08]}."
    _validate.instance(tune, "tune", Mapping, "a mapping from settings to values", hint)
    if not tune:
        raise ConfigError(f"`tune` must name at least one setting; it was empty. {hint}")
    _refuse_test(tune, settings)
    columns = []
    for name, values in tune.items():
        _validate.choice(name, "tune", TrainConfig.__dataclass_fields__)
        if name in settings:
            raise ConfigError(
                f"`{name}` must be either tuned or set; it was {settings[name]!r} beside `tune`. Drop one."
            )
        if isinstance(values, str) or not isinstance(values, Iterable):
            raise ConfigError(f"`tune[{name!r}]` must be a list of values; it was {values!r}. {hint}")
        found = [value.item() if isinstance(value, np.generic) else value for value in values]
        if not found or len({repr(x) for x in found}) < len(found):
            raise ConfigError(f"`tune[{name!r}]` must hold different values, at least one; they were {found}. {hint}")
        for value in found:
            if value is not None and not isinstance(value, bool | int | float | str):
                raise ConfigError(
                    f"`tune[{name!r}]` must hold numbers or texts; one was {type(value).__name__}. {hint}"
                )
            TrainConfig.make(**{**_checkable(settings), name: value})
        columns.append([(name, x) for x in found])
    return [dict(each) for each in product(*columns)]


def _checkable(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name != "joint_epochs"}


def _refuse_test(tune: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    advice = (
        "Leave `selection` at 'validation'; the table shows the best setting on the test split beside the chosen one."
    )
    if settings.get("selection") == "test":
        raise ConfigError(
            f"`selection` must not be 'test' while `tune` chooses settings: that tunes on the test split. {advice}"
        )
    if "selection" in tune:
        raise ConfigError(
            f"`tune` must not hold 'selection': how a run is selected is not a setting of a method. {advice}"
        )


def choose(trials: Iterable[Trial]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the setting of each (data, method) with the best mean validation score over the seeds.

    A setting counts only where as many runs finished as for any other; among equals the first wins.
    """
    scores: dict[tuple[str, str], dict[str, tuple[dict[str, Any], list[float]]]] = {}
    for trial in trials:
        by_setting = scores.setdefault((trial["data"], trial["method"]), {})
        by_setting.setdefault(repr(trial["setting"]), (trial["setting"], []))[1].append(trial["validation"])
    chosen = {}
    for key, by_setting in scores.items():
        most = max(len(values) for _, values in by_setting.values())
        whole = [(setting, float(np.mean(values))) for setting, values in by_setting.values() if len(values) == most]
        chosen[key] = max(whole, key=lambda pair: pair[1])[0]
    return chosen


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def edges(setting: Mapping[str, Any], grid: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the numeric settings that lie at an end of what was tried: "smallest" or "largest", by name."""
    found = {}
    for name, value in setting.items():
        tried = sorted({each[name] for each in grid if _is_number(each[name])})
        if len(tried) > 1 and value in (tried[0], tried[-1]):
            found[name] = "smallest" if value == tried[0] else "largest"
    return found

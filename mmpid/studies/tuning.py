"""Equal tuning: the same settings for every method, chosen on the validation split."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from mmpid import _validate
from mmpid.errors import ConfigError
from mmpid.studies.space import Range, Space, values_of
from mmpid.train.config import TrainConfig

if TYPE_CHECKING:
    import pandas as pd

Trial = dict[str, Any]


def make_grid(tune: Mapping[str, Any] | None, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return every combination of the values of each setting; one empty one where nothing is tuned."""
    if tune is None:
        return [{}]
    hint = "For example tune={'lr': [0.005, 0.02, 0.08]}."
    _validate.instance(tune, "tune", Mapping, "a mapping from settings to values, or a mmpid.studies.Search", hint)
    if not tune:
        raise ConfigError(f"`tune` must name at least one setting; it was empty. {hint}")
    for name in tune:
        _validate.choice(name, "tune", TrainConfig.__dataclass_fields__)
    columns = {name: values_of(values, f"tune[{name!r}]", hint) for name, values in tune.items()}
    check_tuned(columns, settings)
    return [dict(zip(columns, each, strict=True)) for each in product(*columns.values())]


def check_tuned(columns: Mapping[str, Iterable[Any]], settings: Mapping[str, Any]) -> None:
    """Refuse tuned values that no run could have, what is set beside them, and choices by the test split."""
    _refuse_test(columns, settings)
    others = {name: value for name, value in settings.items() if name != "joint_epochs"}
    for name, values in columns.items():
        if name in settings:
            raise ConfigError(
                f"`{name}` must be either tuned or set; it was {settings[name]!r} in addition to `tune`. Drop one."
            )
        for value in values:
            TrainConfig.make(**{**others, name: value})


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


def mean_scores(trials: Sequence[Trial]) -> "pd.DataFrame":
    """Return the mean scores over the seeds of each data set, method and setting, and whether it was chosen."""
    import pandas as pd

    names = list(trials[0]["setting"])
    frame = pd.DataFrame([{k: v for k, v in trial.items() if k != "setting"} for trial in trials])
    scores = [name for name in frame if str(name).startswith(("validation", "test_"))]
    by = ["data", "method", *names]
    return (
        frame.groupby(by, sort=False, dropna=False).agg(dict.fromkeys(scores, "mean") | {"chosen": "any"}).reset_index()
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def edges(setting: Mapping[str, Any], tried: Iterable[Mapping[str, Any]], space: Space) -> dict[str, str]:
    """Return the numeric settings that lie at an end of what was tried or searched, with that end in words."""
    found = {}
    for name, value in setting.items():
        part = space.get(name) or [each[name] for each in tried]
        found[name] = part.end(value) if isinstance(part, Range) else _end(value, part)
    return {name: end for name, end in found.items() if end}


def _end(value: Any, values: Iterable[Any]) -> str:
    numbers = sorted({each for each in values if _is_number(each)})
    if len(numbers) < 2 or value not in (numbers[0], numbers[-1]):
        return ""
    return f"the {'smallest' if value == numbers[0] else 'largest'} tried"

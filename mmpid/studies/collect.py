"""From the files of finished runs to the rows of a table."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch

from mmpid.studies.cell import Cell
from mmpid.studies.comparison import Comparison
from mmpid.studies.engine import failure_of
from mmpid.studies.predictions import Predictions
from mmpid.studies.recipes import Recipe
from mmpid.studies.space import Space
from mmpid.studies.store import Finished
from mmpid.studies.tuning import choose
from mmpid.train.scores import metric_name, score


def collect(
    cells: list[Cell],
    recipes: Mapping[str, Recipe],
    *,
    metrics: tuple[Any, ...],
    tuned: bool,
    space: Space,
    several: bool,
    keep: bool,
) -> Comparison:
    """Return the table of the runs that finished; of several settings each method has the one that it would choose."""
    trials, failures = [], []
    for cell in cells:
        names = _readers(cell, recipes)
        if not cell.finished:
            failures += [_failure(cell, name) for name in names]
            continue
        run = Finished(cell.folder)
        for name in names:
            trials += _rows(run, cell, recipes[name], metrics)
    chosen = choose(trials) if tuned else {}
    rows = [t for t in trials if not tuned or chosen[t["data"], t["method"]] == t["setting"]]
    predictions = {(t["data"], t["method"], t["seed"]): _predictions(t, keep) for t in rows}
    return Comparison(
        tuple(_public(t, metrics, tuned, several, keep) for t in _ordered(rows, recipes)),
        failures=tuple(failures), trials=tuple(_trial(t, chosen) for t in trials) if tuned else (),
        metrics=tuple(metrics), stored=predictions, space=space,
    )  # fmt: skip


def _readers(cell: Cell, recipes: Mapping[str, Recipe]) -> list[str]:
    """Return the methods that read a run; "ens" adds nothing where "unimodal" shows it already."""
    found = [name for name, recipe in recipes.items() if recipe.training == cell.recipe.training]
    whole = [name for name in found if recipes[name].reads != "ens"]
    return whole or found


def _failure(cell: Cell, name: str) -> dict[str, Any]:
    return {
        "data": cell.source.name, "seed": cell.seed, "method": name, "setting": cell.setting,
        "error": str(failure_of(cell) or "it was not trained"), "run": str(cell.folder),
    }  # fmt: skip


def _rows(run: Finished, cell: Cell, recipe: Recipe, metrics: tuple[Any, ...]) -> Iterable[dict[str, Any]]:
    """Return a row for each classifier of a run that the method is about."""
    for told in run.told["rows"]:
        head = told["head"]
        if recipe.reads == "ens" and head != "ens":
            continue
        row = {
            "data": cell.source.name, "seed": cell.seed, "method": head if recipe.reads == "unimodal" else recipe.name,
            "test_accuracy": told["test_accuracy"], "selected_epoch": told["selected_epoch"], "head": head,
            "setting": cell.setting, "recipe": recipe.name, "finished": run,
            "validation_accuracy": told["validation_accuracy"],
        }  # fmt: skip
        for metric in metrics:
            if metric != "accuracy":
                row[f"test_{metric_name(metric)}"] = _score(run, "test", head, metric)
        row["validation"] = _validation(run, told, metrics[0])
        yield row


def validation_of(cell: Cell, metric: Any) -> float:
    """Return the validation score of a finished cell: of the joint head, or of the average of unimodal models."""
    run = Finished(cell.folder)
    return _validation(run, run.told["rows"][-1], metric)


def _validation(run: Finished, told: Mapping[str, Any], metric: Any) -> float:
    if metric == "accuracy":
        return told["validation_accuracy"]
    return _score(run, "validation", told["head"], metric)


def _score(run: Finished, split: str, head: str, metric: Any) -> float:
    logits, target = run.arrays[f"{split}.{head}"], run.arrays[f"{split}_target"]
    return score(metric, torch.from_numpy(logits), torch.from_numpy(target))


def _ordered(rows: list[dict[str, Any]], recipes: Mapping[str, Recipe]) -> list[dict[str, Any]]:
    """Return rows by seed, data and method, as the methods were given."""
    place = {name: i for i, name in enumerate(recipes)}
    data = {name: i for i, name in enumerate(dict.fromkeys(row["data"] for row in rows))}
    seeds = {seed: i for i, seed in enumerate(dict.fromkeys(row["seed"] for row in rows))}
    return sorted(rows, key=lambda row: (seeds[row["seed"]], data[row["data"]], place[row["recipe"]]))


def _public(row: dict[str, Any], metrics: tuple[Any, ...], tuned: bool, several: bool, keep: bool) -> dict[str, Any]:
    """Return the columns that say something: data of several, the setting that won, the run if it is kept."""
    found = {"data": row["data"]} if several else {}
    found |= {"seed": row["seed"], "method": row["method"], "test_accuracy": row["test_accuracy"]}
    found |= {f"test_{name}": row[f"test_{name}"] for name in map(metric_name, metrics) if name != "accuracy"}
    found["selected_epoch"] = row["selected_epoch"]
    if tuned:
        found["setting"] = _words(row["setting"])
    if keep:
        found["run"] = str(row["finished"].folder)
    return found


def _trial(row: dict[str, Any], chosen: Mapping[tuple[str, str], dict[str, Any]]) -> dict[str, Any]:
    """Return one row of the tuning."""
    keys = ("data", "method", "seed")
    scores = {key: value for key, value in row.items() if key.startswith(("validation", "test_"))}
    won = chosen[row["data"], row["method"]] == row["setting"]
    return {
        **{key: row[key] for key in keys},
        **row["setting"],
        "setting": dict(row["setting"]),
        **scores,
        "chosen": won,
    }


def _words(setting: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in setting.items())


def _predictions(row: dict[str, Any], keep: bool) -> Predictions:
    run: Finished = row["finished"]
    found = Predictions(run, row["head"], row["data"], row["seed"])
    if not keep:
        np.asarray(found.logits)  # the folder goes away: read what it holds now
    return found

"""Methods, data sets, seeds and settings: every run that a claim of gain must be shown beside, in one table."""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmpid import _validate, protocols
from mmpid._progress import progress_bar
from mmpid.datasets import MultimodalData
from mmpid.errors import ConfigError, TrainingError
from mmpid.models import LateFusion
from mmpid.rules import BalanceController
from mmpid.studies.budget import share_budget
from mmpid.studies.cell import Cell
from mmpid.studies.collect import collect, validation_of
from mmpid.studies.comparison import Comparison
from mmpid.studies.engine import check_backend, failure_of, run_cells
from mmpid.studies.layout import Layout
from mmpid.studies.recipes import METHODS, resolve
from mmpid.studies.search import Search, prepare, run_search
from mmpid.studies.sources import make_sources
from mmpid.studies.store import Study
from mmpid.studies.tuning import make_grid
from mmpid.train.config import TrainConfig, describe
from mmpid.train.scores import METRICS, metric_name

CONTROLS = ("unimodal", "joint", "joint+aux", "frozen", "fixed")
USUAL = (*CONTROLS, "two-stage")


def compare(
    data: Any,
    *,
    methods: Any = USUAL,
    seeds: Iterable[int] = range(5),
    out_dir: Any = None,
    n_jobs: int = 1,
    backend: str = "loky",
    address: str | None = None,
    tune: Mapping[str, Iterable[Any]] | Search | None = None,
    metrics: Iterable[Any] = ("accuracy",),
    controllers: Mapping[str, BalanceController] | None = None,
    data_options: Mapping[str, Any] | None = None,
    model: Callable[[MultimodalData, int], LateFusion] | None = None,
    device: str = "auto",
    progress: bool = True,
    **settings: Any,
) -> Comparison:
    """Train every method on every data set with every seed, and return a table of paired differences.

    Parameters
    ----------
    data : str, MultimodalData, callable or mapping
        A built-in name; one data set (all seeds then share its splits); a function from a seed to
        :class:`MultimodalData`, with new splits for each seed; or several of these by name.
    methods : iterable, mapping, or "all"
        What is trained. A name: "joint", "joint+aux", "unimodal" (one row per modality and "ens"), "ens", "frozen",
        "fixed", "two-stage", "random", "mi", or one of `mmpid.methods.available()`. A :class:`Callback` or a list of
        them: joint training from scratch with these. A dict of :class:`Trainer` settings with a "name", and optionally
        a "base" whose settings it changes. Or a mapping from names to any of these. "all" means every control.
    seeds : iterable of int
        Seeds of data, weights and order; two or more for an interval.
    out_dir : path, optional
        Folder of the study, with one folder for each run. The same call resumes an interrupted study. With more seeds,
        methods, data sets or settings it trains only the new runs, and the failed ones again.
    n_jobs : int
        Number of runs at a time, each in its own process; -1 takes all cores. Everything they use must be picklable.
    backend : {"loky", "dask"}
        Processes of this machine, or the workers of a running Dask cluster, which must share `out_dir`.
    address : str, optional
        Address of the Dask scheduler.
    tune : mapping of str to list, or Search, optional
        Values of settings, for example `{"lr": [0.005, 0.02, 0.08]}`. Every method tries every combination with every
        seed; the best mean validation score chooses one for each method and data set. With a
        :class:`mmpid.studies.Search` an Optuna sampler proposes the settings, the same number for every method.
    metrics : iterable of str or callable
        Columns of the table, as in :class:`~mmpid.train.TrainConfig`; the first one chooses settings.
    controllers : mapping of str to BalanceController, optional
        Further two-stage runs, by name, with your own rules and thresholds.
    data_options : mapping, optional
        Options of :func:`mmpid.datasets.load`, for example `{"image_noise": 0}`.
    model : callable, optional
        Function from data and seed to a fresh model; by default ``LateFusion.from_data(data, seed=seed)``. It must
        give the same weights each time.
    device, progress
        See :class:`Trainer` and :meth:`Trainer.fit`.
    **settings
        Fields of :class:`~mmpid.train.TrainConfig` that all methods share, such as `epochs=30`, and `protocol`; not
        `joint_epochs`, since every method spends the same budget.

    Returns
    -------
    Comparison
        The table, with differences, tests, predictions and exports.

    Raises
    ------
    ConfigError, InputError
        Wrong usage; a folder of another study; data that have changed; tuning on the test split; no cluster.
    TrainingError
        If no run finished.

    Notes
    -----
    If a run fails, for example because its loss is not finite, the table reports it and the others go on. Every run
    uses one CPU thread unless you set `threads`. So serial, parallel and cluster tables are identical.

    With one data set for all seeds the splits are the same. The intervals then hold for new samples like those of the
    test split, and say nothing about other splits.

    Examples
    --------
    >>> import mmpid
    >>> c = mmpid.compare("av-digits", seeds=[0, 1], methods=["unimodal"], epochs=1, unimodal_epochs=1, device="cpu")
    >>> c.to_frame().columns.tolist()
    ['seed', 'method', 'test_accuracy', 'selected_epoch']
    """
    seeds = _validate.seeds(seeds)
    _refuse_single(settings)
    recipes, sources = resolve(methods, controllers), make_sources(data, data_options)
    metrics = _check_metrics(metrics)
    n_jobs = check_backend(n_jobs, backend, address)
    grid = _tuned(tune, settings)
    shared = share_budget(settings)
    config = TrainConfig.make(**shared)
    trainings = {recipe.training: recipe for recipe in recipes.values()}
    about = {"model": describe(model), "data_options": dict(data_options or {}), **config.to_dict()}
    about |= {"protocol": protocols.get(shared["protocol"]).tag} if shared.get("protocol") else {}
    with _folder(out_dir, backend) as (folder, keep):
        own = {name: recipe.describe(config) for name, recipe in trainings.items()}
        layout = Layout(Study.open(folder, about, own), trainings, sources, seeds, shared, model, device, keep)
        how = {"n_jobs": n_jobs, "backend": backend, "address": address, "stop": len(sources) == 1}
        cells = _train(layout, tune if isinstance(tune, Search) else grid, metrics[0], progress, how)
        _refuse_nothing(cells)
        space = tune.parts if isinstance(tune, Search) else {}
        return collect(
            cells, recipes, metrics=metrics, tuned=tune is not None, space=space, several=isinstance(data, Mapping),
            keep=keep,
        )  # fmt: skip


def _tuned(tune: Any, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the settings that are known from the start; a search has none, but is checked."""
    if not isinstance(tune, Search):
        return make_grid(tune, settings)
    prepare(tune, settings)
    return []


def _train(
    layout: Layout, tuned: Search | list[dict[str, Any]], metric: Any, show: bool, how: Mapping[str, Any]
) -> list[Cell]:
    """Train all runs of a study, and return them."""
    n_settings = tuned.trials if isinstance(tuned, Search) else len(tuned)
    total = len(layout.pairs) * len(layout.seeds) * n_settings
    with progress_bar(total=total, unit="run", show=show) as bar:

        def run(cells: list[Cell], to_come: int = 0) -> None:
            layout.study.plan([layout.entry(cell) for cell in cells], to_come)
            run_cells(cells, bar=bar, **how)

        if isinstance(tuned, Search):
            return run_search(tuned, layout, run, lambda cell: validation_of(cell, metric))
        cells = layout.cells(dict.fromkeys(layout.pairs, tuned).__getitem__)
        run(cells)
    return cells


def baselines(
    data: MultimodalData,
    *,
    seed: int = 0,
    methods: str | Iterable[str] = CONTROLS,
    model: Callable[[MultimodalData, int], LateFusion] | None = None,
    device: str = "auto",
    **settings: Any,
):
    """Train the controls on one data set and return their test accuracies.

    Parameters
    ----------
    data : MultimodalData
        Every method gets the same splits, the same initial weights and the same order of samples.
    seed : int
        Seed of weights and order.
    methods : iterable of str, or "all"
        As in :func:`compare`.
    model : callable, optional
        Function from data and seed to a fresh model; by default ``LateFusion.from_data(data, seed=seed)``. A method
        that is trained with the same seed must get the same weights.
    device : str
        See :class:`Trainer`.
    **settings
        Fields of :class:`TrainConfig` that all methods share, such as `epochs=30, unimodal_epochs=15`; not
        `joint_epochs`, since every method spends the same budget.

    Returns
    -------
    pandas.DataFrame
        One row per method ("unimodal" gives one per modality and "ens"), with `test_accuracy` at the epoch selected on
        the validation split, and `selected_epoch`.

    Notes
    -----
    One seed says little: test sets of a few hundred samples move by several points. See :func:`compare`.

    Examples
    --------
    >>> import mmpid
    >>> data = mmpid.datasets.load("av-digits", seed=0)
    >>> frame = mmpid.baselines(data, methods=["unimodal"], epochs=1, unimodal_epochs=1, device="cpu")
    >>> frame.index.tolist()
    ['audio', 'image', 'ens']
    """
    import pandas as pd

    _validate.instance(data, "data", MultimodalData, "MultimodalData", "Try mmpid.datasets.load(name).")
    found = compare(data, seeds=[seed], methods=methods, model=model, device=device, progress=False, **settings)
    return pd.DataFrame(_whole(found)).drop(columns="seed").set_index("method")


def run_method(method: str, data: MultimodalData, *, seed: int, **options: Any) -> list[dict[str, Any]]:
    """Train one method and return a row {method, test_accuracy, selected_epoch} for each classifier that it gives."""
    found = compare(data, seeds=[seed], methods=[method], progress=False, **options)
    return [{key: value for key, value in row.items() if key != "seed"} for row in _whole(found)]


def _whole(table: Comparison) -> tuple[dict[str, Any], ...]:
    """Return the rows of a table in which nothing failed; a frame has no room to say so."""
    if table.failures:
        raise TrainingError(f"method {table.failures[0]['method']!r} failed with {table.failures[0]['error']}")
    return table.rows


def _refuse_single(settings: Mapping[str, Any]) -> None:
    """Refuse the singular of what a comparison takes several of."""
    for one, several in {"seed": "seeds=[0, 1, 2]", "controller": "controllers={'mine': controller}"}.items():
        if one in settings:
            raise ConfigError(f"`{one}` must be left out of a comparison; it was {settings[one]!r}. Try {several}.")
    if "callbacks" in settings:
        raise ConfigError(
            "`callbacks` must be left out of a comparison, where they are methods. Try methods=[callback]."
        )


def _check_metrics(metrics: Any) -> tuple[Any, ...]:
    found = (metrics,) if isinstance(metrics, str) or callable(metrics) else tuple(metrics)
    if not found:
        raise ConfigError(f"`metrics` must name at least one of {', '.join(METRICS)}; it was empty.")
    for metric in found:
        if not callable(metric):
            _validate.choice(metric, "metrics", METRICS)
    names = [metric_name(metric) for metric in found]
    if len(set(names)) < len(names):
        raise ConfigError(f"`metrics` must have different names; they were {', '.join(names)}. Rename one.")
    return found


@contextmanager
def _folder(out_dir: Any, backend: str) -> Iterator[tuple[Path, bool]]:
    """Yield the folder of the study and whether it stays; without one the runs live in a temporary folder."""
    if out_dir is not None:
        yield _validate.path(out_dir, "out_dir"), True
        return
    if backend == "dask":
        raise ConfigError("`out_dir` must be a folder that all workers of the cluster can write to; it was None.")
    with tempfile.TemporaryDirectory(prefix="mmpid-study-") as name:
        yield Path(name), False


def _refuse_nothing(cells: list[Cell]) -> None:
    if not any(cell.finished for cell in cells):
        raise TrainingError(f"no run finished; the first, {cells[0].label}, failed with {failure_of(cells[0])}")


__all__ = ["CONTROLS", "METHODS", "USUAL", "baselines", "compare", "run_method"]

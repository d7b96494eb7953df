"""Methods, data sets, seeds and settings: every run that a claim of gain must be shown beside, in one table."""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmpid import _validate, protocols
from mmpid.datasets import MultimodalData
from mmpid.errors import ConfigError, TrainingError
from mmpid.models import LateFusion
from mmpid.rules import BalanceController
from mmpid.studies.budget import share_budget
from mmpid.studies.cell import Cell
from mmpid.studies.collect import collect
from mmpid.studies.comparison import Comparison
from mmpid.studies.engine import check_backend, failure_of, run_cells
from mmpid.studies.recipes import METHODS, Recipe, resolve
from mmpid.studies.sources import Source, fingerprint, make_sources
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
    tune: Mapping[str, Iterable[Any]] | None = None,
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
        A built-in name; one data set, whose splits all seeds then share; a function from a seed to
        :class:`MultimodalData`, with splits of its own for each seed; or several of these by name.
    methods : iterable, mapping, or "all"
        What is trained. A name: "joint", "joint+aux", "unimodal" (one row per modality and "ens"), "ens", "frozen",
        "fixed", "two-stage", "random", "mi", or one of `mmpid.methods.available()`. A :class:`Callback` or a list of
        them: joint training from scratch with these. A dict of :class:`Trainer` settings with a "name", and optionally
        a "base" whose settings it changes. Or a mapping from names to any of these. "all" means every control.
    seeds : iterable of int
        Seeds of data, weights and order; two or more for an interval.
    out_dir : path, optional
        Folder of the study. Each run has a folder of its own in it. The same call goes on where it was interrupted;
        with more seeds, methods, data sets or settings it trains only what is new, and failed runs once more.
    n_jobs : int
        Runs at a time, in processes of their own; -1 takes all cores. What they use must then be picklable.
    backend : {"loky", "dask"}
        Processes of this machine, or the workers of a running Dask cluster, which must share `out_dir`.
    address : str, optional
        Of the Dask scheduler.
    tune : mapping of str to list, optional
        Values of settings, for example `{"lr": [0.005, 0.02, 0.08]}`. Every method tries every combination with every
        seed; the best mean validation score chooses one for each method and data set.
    metrics : iterable of str or callable
        Columns of the table, as in :class:`~mmpid.train.TrainConfig`; the first one chooses settings.
    controllers : mapping of str to BalanceController, optional
        Further two-stage runs, by name: rules and thresholds of your own.
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
        If not a single run finished.

    Notes
    -----
    A run that fails, for example because its loss is not finite, is reported and the others go on. Every run computes
    on one CPU thread unless `threads` says otherwise, so that serial, parallel and cluster tables are identical.

    With one data set for all seeds the splits are the same: then the intervals hold for new samples like those of the
    test split, but say nothing about other splits.

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
    grid = make_grid(tune, settings)
    shared = share_budget(settings)
    config = TrainConfig.make(**shared)
    trainings = {recipe.training: recipe for recipe in recipes.values()}
    about = {"model": describe(model), "data_options": dict(data_options or {}), **config.to_dict()}
    about |= {"protocol": protocols.get(shared["protocol"]).tag} if shared.get("protocol") else {}
    with _folder(out_dir, backend) as (folder, keep):
        own = {name: recipe.describe(config) for name, recipe in trainings.items()}
        study = Study.open(folder, about, own)
        cells = _cells(study, trainings, sources, seeds, grid, shared, model, device, keep)
        study.plan([_entry(cell, study.folder) for cell in cells])
        run_cells(
            cells, n_jobs=n_jobs, backend=backend, address=address, total=len(cells), stop=len(sources) == 1,
            show=progress,
        )  # fmt: skip
        _refuse_nothing(cells)
        return collect(cells, recipes, metrics=metrics, grid=grid, several=isinstance(data, Mapping), keep=keep)


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


def _cells(
    study: Study, trainings: Mapping[str, Recipe], sources: Mapping[str, Source], seeds: list[int],
    grid: list[dict[str, Any]], shared: dict[str, Any], model: Any, device: str, keep: bool,
) -> list[Cell]:  # fmt: skip
    """Return all runs: seeds first, so that a study that is stopped has whole seeds."""
    cells = []
    for seed in seeds:
        for name, source in sources.items():
            print_of = fingerprint(source, seed)
            study.know(name, seed, print_of)
            for training, recipe in trainings.items():
                for setting in grid:
                    place = study.place(name, training, setting, seed).absolute()
                    cells.append(Cell(place, recipe, source, seed, setting, shared, model, device, print_of, keep))
    return cells


def _entry(cell: Cell, folder: Path) -> dict[str, Any]:
    """Return what the study notes of a run before it is trained."""
    return {
        "folder": str(cell.folder.relative_to(folder.absolute())), "data": cell.source.name,
        "method": cell.recipe.training, "setting": cell.setting, "seed": cell.seed,
    }  # fmt: skip


def _refuse_nothing(cells: list[Cell]) -> None:
    if not any(cell.finished for cell in cells):
        raise TrainingError(f"no run finished; the first, {cells[0].label}, failed with {failure_of(cells[0])}")


__all__ = ["CONTROLS", "METHODS", "USUAL", "baselines", "compare", "run_method"]

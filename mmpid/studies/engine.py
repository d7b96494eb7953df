"""Runs cells: one after another, in processes of this machine, or on a Dask cluster; nothing is scheduled here."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

from mmpid import _validate
from mmpid.errors import ConfigError, MissingDependencyError, TrainingError
from mmpid.studies.cell import ERROR, Cell, run_cell
from mmpid.studies.orphans import end_with

BACKENDS = ("loky", "dask")
CONNECT_SECONDS = 10


def check_backend(n_jobs: Any, backend: str, address: Any) -> int:
    """Return the number of processes; refuse arguments that do not go together."""
    _validate.choice(backend, "backend", BACKENDS)
    if backend == "dask" and address is None:
        raise ConfigError(
            "`address` must be the address of a running Dask scheduler with backend='dask'; it was None. "
            "Start one with `dask scheduler`, then try address='tcp://127.0.0.1:8786'."
        )
    if backend != "dask" and address is not None:
        raise ConfigError(f"`address` needs backend='dask'; it was {address!r}. Add backend='dask'.")
    if n_jobs == -1:
        return os.cpu_count() or 1
    return _validate.number(n_jobs, "n_jobs", low=1, integer=True)


def run_cells(cells: Sequence[Cell], *, n_jobs: int, backend: str, address: Any, stop: bool, bar: Any) -> None:
    """Train all cells that are not finished, and move the bar.

    With `stop` the first cell that fails of wrong usage (:class:`~mmpid.errors.InputError`) ends it, and the error is
    raised; any other failure stays with its cell.
    """
    waiting = [cell for cell in cells if not cell.finished]
    if not bar.disable:  # what was finished before says nothing of the speed
        bar.initial += len(cells) - len(waiting)
        bar.update(len(cells) - len(waiting))
    if not waiting:
        return
    for place, state in _answers(waiting, n_jobs, backend, address, stop):
        bar.set_description(waiting[place].label + (" failed" if state == "failed" else ""))
        bar.update()
        if state == "failed" and stop:
            _raise_usage(waiting[place])


def _answers(cells: Sequence[Cell], n_jobs: int, backend: str, address: Any, stop: bool) -> Iterator[tuple[int, str]]:
    if backend == "loky" and n_jobs == 1:
        for place, cell in enumerate(cells):
            yield place, run_cell(cell, reraise=stop)
        return
    import joblib

    with ExitStack() as stack:
        options: dict[str, Any] = {"backend": "loky", "n_jobs": min(n_jobs, len(cells)), "inner_max_num_threads": 1}
        if backend == "dask":
            options = {"backend": "dask", "client": stack.enter_context(_client(address)), "n_jobs": -1}
        stack.enter_context(joblib.parallel_config(**options))
        driver = os.getpid() if backend == "loky" else None  # the workers of a cluster have another owner
        work = (joblib.delayed(_run)(place, cell, driver) for place, cell in enumerate(cells))
        yield from joblib.Parallel(return_as="generator_unordered", batch_size=1)(work)  # pyright: ignore


def _run(place: int, cell: Cell, driver: int | None) -> tuple[int, str]:
    import torch

    if driver is not None:
        end_with(driver)
    torch.set_num_threads(1)
    return place, run_cell(cell)


def _client(address: Any) -> Any:
    """Return a client of a running Dask cluster that has workers."""
    try:
        import distributed
    except ImportError as problem:
        raise MissingDependencyError(
            "backend='dask' needs 'distributed', which is not installed. Try: pip install 'mmpid[cluster]'"
        ) from problem
    try:
        client = distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TypeError) as problem:
        raise ConfigError(
            f"`address` must be the address of a running Dask scheduler; nothing answered at {address!r} "
            f"({type(problem).__name__}: {problem}). Start one with `dask scheduler`, and workers with "
            "`dask worker ADDRESS --nthreads 1`."
        ) from problem
    try:
        client.wait_for_workers(1, timeout=CONNECT_SECONDS)
    except Exception as problem:
        client.close()
        raise ConfigError(
            f"`address` must be the address of a cluster with workers; {address!r} had none after {CONNECT_SECONDS} "
            f"seconds. Start one with `dask worker {address} --nthreads 1`."
        ) from problem
    return client


def _raise_usage(cell: Cell) -> None:
    """Raise the error of a cell that failed of wrong usage."""
    import json

    try:
        told = json.loads((cell.folder / ERROR).read_text())
    except OSError:  # a worker that outlived a killed driver has begun the same run again
        return
    if told["usage"]:
        raise ConfigError(told["message"])


def failure_of(cell: Cell) -> TrainingError | None:
    """Return why a cell failed, or None."""
    import json

    try:
        told = json.loads((cell.folder / ERROR).read_text())
    except (OSError, ValueError):
        return None
    return TrainingError(f"{told['type']}: {told['message']}")

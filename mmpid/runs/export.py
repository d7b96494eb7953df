"""A record in other tools: TensorBoard event files and MLflow runs, written by those tools' own clients."""

import json
import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from mmpid import _validate
from mmpid.errors import InputError, MissingDependencyError
from mmpid.runs.record import RunRecord, as_record, flatten

POSITION = ("kind", "segment", "stage", "epoch", "step")
CHUNK = 1000  # metrics in one call of MLflow's client; parameters are at most a tenth
LONGEST = 500  # characters of an MLflow parameter that every version takes
LONGEST_NAME = 240  # characters of a name that both tools take
NOT_FOR_MLFLOW = re.compile(r"[^\w\-./ ]", re.ASCII)
NOT_FOR_TENSORBOARD = re.compile(r"[^-/\w\.]")  # what its writer would replace, and two names could become one
# MLflow 3 refuses folders unless told otherwise, and reports its use to its makers unless told otherwise.
QUIET = {"MLFLOW_ALLOW_FILE_STORE": "true", "MLFLOW_DISABLE_TELEMETRY": "true"}


def to_tensorboard(record: RunRecord, folder) -> Path:
    """Write a record as TensorBoard event files.

    Every number of an epoch, probe or result row becomes a scalar `kind/name`, such as `epoch/loss.audio` or
    `probe/synergy` (bits), over epochs; of a batch row over updates. Decisions and the metadata become text.

    Parameters
    ----------
    record : RunRecord
        Futures that a rewind discarded are left out, so that every curve has one value per epoch.
    folder : path
        Log folder of this run; the folder above it is what `tensorboard --logdir` takes to compare runs.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    MissingDependencyError
        TensorBoard is not installed.
    InputError
        The folder already holds event files, which TensorBoard would mix with these.

    Notes
    -----
    Wall times are those of the training: the start of the run plus the seconds that its epochs and probes took.

    Examples
    --------
    >>> from mmpid.runs.export import to_tensorboard
    >>> to_tensorboard(record, "logs/first-run")  # doctest: +SKIP
    """
    try:
        import tensorboard  # noqa: F401
        from torch.utils.tensorboard import SummaryWriter
    except ModuleNotFoundError as missing:
        raise _missing("TensorBoard", missing) from missing
    record, folder = as_record(record), _validate.path(folder, "folder")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"`folder` must be a folder; {folder} is a file. Choose a new name.")
    if any(folder.glob("events.out.tfevents.*")):
        raise InputError(f"`folder` must not hold event files yet; {folder} does. Choose a new one for each run.")
    tags = _Names(NOT_FOR_TENSORBOARD)
    with SummaryWriter(str(folder)) as writer:
        metadata = json.dumps(record.metadata, indent=1, ensure_ascii=False)
        writer.add_text("metadata", f"```\n{metadata}\n```", 0, walltime=_start(record))
        for row, seconds in _timed_rows(record):
            if row["kind"] == "decision":
                writer.add_text("decisions", _sentence(row), row["epoch"], walltime=seconds)
            for tag, value in _scalars(row):
                writer.add_scalar(tags.take(tag), value, _axis(row), walltime=seconds)
    return folder


def to_mlflow(record: RunRecord, store, *, experiment: str = "mmpid", run_name: str | None = None) -> str:
    """Write a record as a finished MLflow run and return its id.

    Every number of an epoch, probe or result row becomes a metric `kind/name` over epochs, of a batch row over
    updates. The metadata becomes parameters, its nested names joined by dots; decisions become `decisions.md` and the
    whole record, discarded futures included, `record.jsonl`, both as artifacts.

    Parameters
    ----------
    record : RunRecord
        Its metrics leave out futures that a rewind discarded.
    store : path or str
        A folder on this machine, or an address that MLflow knows, such as "sqlite:///runs.db" (which needs the whole
        of MLflow, not only its client) or the one of your server.
    experiment : str
        Is made if it does not exist.
    run_name : str, optional
        By default the name in the metadata, or the name of the data.

    Returns
    -------
    str
        Id of the MLflow run.

    Raises
    ------
    MissingDependencyError
        MLflow is not installed.

    Notes
    -----
    With a folder nothing leaves this machine, and MLflow's own report of its use is turned off if this call is the
    first to import it. Metric names hold `-` for characters that MLflow does not take; where two names then look the
    same, the second one gets a number.

    Examples
    --------
    >>> from mmpid.runs.export import to_mlflow
    >>> to_mlflow(record, "mlruns")  # doctest: +SKIP
    """
    record, store = as_record(record), _validate.path(store, "store") if not isinstance(store, str) else store
    with _environment(QUIET):
        try:
            from mlflow import MlflowClient
        except ModuleNotFoundError as missing:
            raise _missing("MLflow", missing) from missing
        client = MlflowClient(tracking_uri=_address(store))
        found = client.get_experiment_by_name(experiment)
        place = found.experiment_id if found else client.create_experiment(experiment)
        name = run_name or record.metadata.get("name") or record.metadata.get("data", {}).get("name")
        start = round(1000 * _start(record))
        run = client.create_run(place, start_time=start, run_name=name).info.run_id
        end = _log_all(client, run, record)
        client.set_terminated(run, end_time=max(start, end))
    return run


def _log_all(client, run: str, record: RunRecord) -> int:
    """Log parameters, metrics and artifacts; return the time of the last row in milliseconds."""
    from mlflow.entities import Metric, Param

    keys, tags = _Names(NOT_FOR_MLFLOW), _Names(NOT_FOR_MLFLOW)
    params = [Param(keys.take(key), str(value)[:LONGEST]) for key, value in flatten(record.metadata)]
    for start in range(0, len(params), CHUNK // 10):
        client.log_batch(run, params=params[start : start + CHUNK // 10])
    timed = [(row, round(1000 * seconds)) for row, seconds in _timed_rows(record)]
    metrics = [Metric(tags.take(tag), value, time, _axis(row)) for row, time in timed for tag, value in _scalars(row)]
    for start in range(0, len(metrics), CHUNK):
        client.log_batch(run, metrics=metrics[start : start + CHUNK])
    decisions = [f"* epoch {row['epoch']}: {_sentence(row)}" for row, _ in timed if row["kind"] == "decision"]
    client.log_text(run, "\n".join(decisions) + "\n", "decisions.md")
    with TemporaryDirectory() as folder:
        client.log_artifact(run, str(record.save(Path(folder) / "record.jsonl")))
    return max((time for _, time in timed), default=0)


def _timed_rows(record: RunRecord) -> Iterator[tuple[dict, float]]:
    """Give the rows on the path to the present, each with the time in seconds at which it was made."""
    now = _start(record)
    for row in record.lineage():
        now += row.get("seconds") or 0.0
        yield row, now


def _start(record: RunRecord) -> float:
    """Return when the run was made, in seconds since 1970; a record without a metadata starts there."""
    created = record.metadata.get("created")
    return (datetime.fromisoformat(created) if created else datetime.fromtimestamp(0, UTC)).timestamp()


def _scalars(row: dict) -> Iterator[tuple[str, float]]:
    """Give tag and value of every finite number of a row; yes and no count as 1 and 0."""
    if row["kind"] == "decision":
        return
    for key, value in row.items():
        if key not in POSITION and isinstance(value, int | float) and math.isfinite(value):
            yield f"{row['kind']}/{key}", float(value)


def _axis(row: dict) -> int:
    return row["step"] if row["kind"] == "batch" else row["epoch"]


def _sentence(row: dict) -> str:
    """Return what was decided, why, and by whom."""
    what = f"**{row['action']}** {row['modality']}".strip()
    return f"{what}: {row['reason']} ({', '.join(filter(None, (row['source'], row['rule'])))})"


class _Names:
    """Names as a tool takes them, two different ones never the same."""

    def __init__(self, forbidden: re.Pattern[str]):
        self._forbidden = forbidden
        self._taken: dict[str, str] = {}  # by the name here
        self._used: set[str] = set()

    def take(self, name: str) -> str:
        """Return the tool's name for one of ours, always the same."""
        if name not in self._taken:
            plain = self._forbidden.sub("-", name)[:LONGEST_NAME]
            number, free = 1, plain
            while free in self._used:
                number += 1
                free = f"{plain[: LONGEST_NAME - 4]}-{number}"
            self._taken[name] = free
            self._used.add(free)
        return self._taken[name]


def _address(store) -> str:
    """Return MLflow's address of a folder; other addresses stay as they are."""
    text = str(store)
    return text if "://" in text or text.startswith("file:") else Path(text).resolve().as_uri()


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Set environment variables that are not set yet, for a while."""
    own = {key: value for key, value in values.items() if key not in os.environ}
    os.environ.update(own)
    try:
        yield
    finally:
        for key in own:
            del os.environ[key]


def _missing(name: str, problem: ModuleNotFoundError) -> MissingDependencyError:
    return MissingDependencyError(
        f"the export to {name} needs {problem.name}, which is not installed. Try: pip install 'mmpid[tracking]'"
    )

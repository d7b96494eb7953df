"""The record of a run: metadata that say what went in, and flat rows of what happened, kept as JSON lines."""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from mmpid import _validate
from mmpid.errors import CheckpointError, InputError
from mmpid.runs.files import reason, write_atomically
from mmpid.runs.lineage import Lineage
from mmpid.runs.plain import plain
from mmpid.runs.probe import Probe

FORMAT = 2  # 1 called the metadata "card"
KINDS = ("epoch", "probe", "decision", "batch", "result")
STAGES = ("unimodal", "joint")
WALL_CLOCK = ("seconds", "created")


class RunRecord:
    """Everything that a run measured and decided.

    A row is a flat dict of JSON scalars with `kind`, `segment`, `stage`, `epoch` and `step`. Rows are only ever
    appended. A rewind starts a new *segment* whose first row names its `parent` and the number of rows, `from_row`,
    that it continues from, so that the discarded future stays visible; :meth:`lineage` follows the path that leads
    to the present.

    Attributes
    ----------
    metadata : dict
        Modalities, class names, settings, seed, device, versions, data fingerprint.
    rows : list of dict
        All rows in the order in which they were made.

    Notes
    -----
    Two records are equal when metadata and rows are, wall-clock times excepted.

    Examples
    --------
    >>> record = RunRecord({"modalities": ["audio", "image"]})
    >>> _ = record.append("epoch", segment=0, stage="unimodal", epoch=1, step=16)
    >>> record.to_frame("epoch")["step"].tolist()
    [16]
    """

    def __init__(self, metadata: dict | None = None, rows: Iterable[dict] = ()):
        hint = "For a folder or a file, use RunRecord.load(path)."
        self.metadata: dict = plain(_validate.instance(metadata or {}, "metadata", dict, "a dict", hint), "metadata")
        self.rows: list[dict] = list(rows)
        self._lineage = Lineage()
        self._names: tuple[str, ...] = ()
        self._probes: dict[int, Probe] = {}

    def __reduce__(self):
        return RunRecord, (self.metadata, self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __eq__(self, other) -> bool:
        return isinstance(other, RunRecord) and self.content() == other.content()

    __hash__ = None  # pyright: ignore[reportAssignmentType]  # how Python spells unhashable; typeshed disagrees

    def __repr__(self) -> str:
        counts = ", ".join(f"{sum(r['kind'] == k for r in self.rows)} {k}" for k in KINDS)
        return f"RunRecord({self.metadata.get('data', {}).get('name', '?')}: rows {counts})"

    def append(self, kind: str, **fields) -> dict:
        """Append one row and return it."""
        row = {"kind": _validate.choice(kind, "kind", KINDS), **{key: plain(x, key) for key, x in fields.items()}}
        self.rows.append(row)
        return row

    def content(self) -> list[dict]:
        """Return metadata and rows without wall-clock times: what must repeat when a run is repeated."""
        return [{k: v for k, v in entry.items() if k not in WALL_CLOCK} for entry in (self.metadata, *self.rows)]

    def prefix(self, n_rows: int) -> "RunRecord":
        """Return the record as it stood after its first `n_rows` rows."""
        return RunRecord(self.metadata, self.rows[:n_rows])

    def lineage(self, kind: str | None = None, stage: str | None = None) -> list[dict]:
        """Return the rows on the path to the present, discarded futures left out; of one kind and stage if given."""
        if kind is not None and kind not in KINDS:
            _validate.choice(kind, "kind", KINDS)
        if stage is not None and stage not in STAGES:
            _validate.choice(stage, "stage", STAGES)
        rows = self._lineage.of(self.rows, kind)
        return rows if stage is None else [row for row in rows if row["stage"] == stage]

    def probes(self, stage: str | None = None) -> list[Probe]:
        """Return the probes on the path to the present, in order; of one stage if it is given.

        Examples
        --------
        >>> record = RunRecord({"modalities": ["audio", "image"]})
        >>> _ = record.append("probe", segment=0, stage="unimodal", epoch=1, step=16, unique1=0.3, unique2=0.1)
        >>> record.probes("unimodal")[-1].unique["audio"].value
        0.3
        """
        names = tuple(self.metadata.get("modalities", ()))
        if names != self._names:
            self._names, self._probes = names, {}
        views = self._probes  # by the identity of the row, which the view keeps alive
        return [
            views.get(id(row)) or views.setdefault(id(row), Probe.from_row(row, names))
            for row in self.lineage("probe", stage)
        ]

    def to_frame(self, kind: str = "epoch", *, lineage: bool = True):
        """Return the rows of one kind as a pandas table.

        Parameters
        ----------
        kind : {"epoch", "probe", "decision", "batch", "result"}
            Which rows.
        lineage : bool
            Leave out futures that a rewind discarded.
        """
        import pandas as pd

        _validate.choice(kind, "kind", KINDS)
        rows = self.lineage(kind) if lineage else [row for row in self.rows if row["kind"] == kind]
        return pd.DataFrame(rows).drop(columns="kind", errors="ignore")

    def save(self, path) -> Path:
        """Write the record as JSON lines, the metadata first, replacing the file in one step; return the path."""
        path = _validate.path(path, "path")
        try:
            write_atomically(path, self.to_bytes())
        except OSError as problem:
            raise InputError(
                f"`path` must be a file that can be written; {path} cannot: {reason(problem)}. Choose another one."
            ) from problem
        return path

    def to_bytes(self) -> bytes:
        """Return what :meth:`save` writes."""
        return row_line({"format": FORMAT, "metadata": self.metadata}) + b"".join(map(row_line, self.rows))

    @classmethod
    def load(cls, path) -> "RunRecord":
        """Read a record that :meth:`save` or a run's folder wrote.

        A last line that was cut short by a crash, or that is being written, is left out. Reading does not disturb a
        process that writes the run.
        """
        path = _validate.path(path, "path")
        if path.is_dir():
            path = path / "record.jsonl"
        if not path.is_file():
            raise InputError(f"`path` must be a record file or a run's folder; {path} does not exist.")
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
        except OSError as problem:
            raise InputError(f"`path` must be a file that can be read; {path} cannot: {reason(problem)}.") from problem
        try:
            head = json.loads(lines[0])
            version = int(head["format"])
            metadata = dict(head["metadata"] if version > 1 else head["card"])
        except (IndexError, KeyError, TypeError, ValueError) as problem:
            raise CheckpointError(
                f"{path} is not a run record: its first line does not hold the metadata."
            ) from problem
        if version > FORMAT:
            raise CheckpointError(f"{path} has format {version}; this version reads up to {FORMAT}. Update mmpid.")
        return cls(metadata, _read_rows(lines[1:], path))


def as_record(run, name: str = "record") -> RunRecord:
    """Return the record of a run: of a trainer, of a record itself, or of a folder or file on disk."""
    if isinstance(run, str | os.PathLike):
        return RunRecord.load(run)
    hint = "Pass a Trainer, a RunRecord, or the folder of a run."
    return _validate.instance(getattr(run, "record", run), name, RunRecord, "a RunRecord", hint)


def flatten(entry: dict, prefix: str = "", skip: Iterable[str] = ()) -> Iterator[tuple[str, object]]:
    """Give the entries of nested dicts under dotted names, those named in `skip` left out."""
    for key, value in entry.items():
        if key in skip:
            continue
        if isinstance(value, dict):
            yield from flatten(value, f"{prefix}{key}.", skip)
        else:
            yield f"{prefix}{key}", value


def row_line(row: dict) -> bytes:
    """Return one line of a record file."""
    return json.dumps(row).encode() + b"\n"


def _read_rows(lines: list[str], path: Path) -> list[dict]:
    """Parse JSON rows; only the very last line may be damaged."""
    if lines and not lines[-1]:
        del lines[-1]  # behind the line break that ends a whole file
    rows = []
    for number, line in enumerate(lines, start=2):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as problem:
            if number == len(lines) + 1:
                break
            raise CheckpointError(f"{path}, line {number}, is not JSON: the file was changed by hand.") from problem
        if not isinstance(row, dict) or row.get("kind") not in KINDS:
            raise CheckpointError(
                f"{path} holds rows that are not those of a run, the first in line {number}: it was changed by hand."
            )
        rows.append(row)
    return rows

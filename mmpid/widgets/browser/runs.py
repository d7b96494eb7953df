"""Find runs in a folder and describe them: records in, plain values out, no widget."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from mmpid import _validate
from mmpid.errors import InputError
from mmpid.plots.palette import LIGHT
from mmpid.plots.traces import Trace, switch_epoch
from mmpid.runs.diff import diff
from mmpid.runs.probe import Atom, Probe
from mmpid.runs.record import RunRecord

RECORD = "record.jsonl"
DEEPEST, MOST_FILES = 5, 1000  # so that a home folder given by mistake is not read completely
_SKIPPED = {"checkpoints", "node_modules", "__pycache__", "site-packages"}
CURVES = {
    "validation accuracy": ("validation_accuracy", "validation accuracy (fraction correct)"),
    "training loss": ("loss", "training loss (cross-entropy, nats)"),
    "validation loss": ("validation_loss", "validation loss (cross-entropy, nats)"),
}
ANSWER = "average, then joint"
# the parts of the information that can be compared: short name, and words
PARTS = {
    "redundancy": ("R", "redundant"),
    "first": ("U1", "unique to the first"),
    "second": ("U2", "unique to the second"),
    "synergy": ("S", "synergistic"),
}
# one look per run, the same in every chart: eight colors for the color-blind, and a dash that changes with each
ROLES = ("m0", "m1", "joint", "m2", "both", "m3", "m4", "average")
DASHES = ("solid", "dashed", "dotted", "dashdot")


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run that was found: its record, or the reason that there is none."""

    name: str
    place: str = ""
    record: RunRecord | None = None
    problem: str = ""


def record_of(run: Run) -> RunRecord:
    """Return the record of a readable run: only such runs are summarized, drawn and compared."""
    return cast(RunRecord, run.record)


def find(source) -> list[Run]:
    """Return the runs in a folder, or of a list or dict of folders, records and trainers; damaged ones with the reason.

    Parameters
    ----------
    source
        A folder, a record file, a `RunRecord`, a `Trainer` (anything with `record`), or a list or dict of these.
    """
    if isinstance(source, Mapping):
        found = [run for name, one in source.items() for run in _named(str(name), one)]
    elif isinstance(source, list | tuple):
        found = [run for one in source for run in find(one)]
    elif isinstance(source, str | os.PathLike):
        found = list(_in_folder(_validate.path(source, "runs")))
    else:
        found = [_of_object(source)]
    return _told_apart(found)


def _named(name: str, one) -> list[Run]:
    """Give the only run of an entry the entry's name; several runs have their own names after it."""
    runs = find(one)
    if len(runs) == 1:
        return [Run(**{**vars(runs[0]), "name": name})]
    return [Run(**{**vars(run), "name": f"{name}/{run.name}"}) for run in runs]


def _of_object(one) -> Run:
    record = one if isinstance(one, RunRecord) else getattr(one, "record", None)
    if not isinstance(record, RunRecord):
        raise InputError(
            f"`runs` must hold folders, record files, RunRecords or Trainers; it held a {type(one).__name__}. "
            "Pass the folder that holds the runs, or a dict of names and trainers."
        )
    return _checked(str(record.metadata.get("name") or ""), "in memory", record)


def _in_folder(folder: Path) -> Iterator[Run]:
    if folder.is_file():
        yield _read(folder, folder.stem)
        return
    if not folder.exists():
        yield Run(name=folder.name or str(folder), place=str(folder), problem="the folder does not exist")
        return
    with_runs, strangers, shut, n_files = set(), [], [], 0
    for path, below, files in os.walk(folder, onerror=shut.append):
        here = Path(path)
        depth = len(here.relative_to(folder).parts)
        below[:] = sorted(d for d in below if d not in _SKIPPED and not d.startswith(".")) if depth < DEEPEST else []
        records = sorted(name for name in files if name.endswith(".jsonl") and not name.startswith("."))
        n_files += len(records)
        if n_files > MOST_FILES:
            yield Run(name="…", place=str(folder), problem=f"more than {MOST_FILES} records; choose a subfolder")
            return
        with_runs |= {here, *here.parents} if records else set()
        strangers += [here] if depth == 1 else []
        for name in records:
            own = here if name == RECORD else here / Path(name).stem
            yield _read(here / name, str(own.relative_to(folder)) if own != folder else folder.resolve().name)
    for problem in shut:
        place = Path(problem.filename)
        yield Run(name=place.name, place=str(place), problem=f"cannot be opened: {problem.strerror}")
    for stranger in strangers:
        if stranger not in with_runs:
            yield Run(name=stranger.name, place=str(stranger), problem=f"not a run: it holds no {RECORD}")


def _read(path: Path, name: str) -> Run:
    place = str(path.parent if path.name == RECORD else path)
    try:
        record = RunRecord.load(path)
    except Exception as problem:  # whatever is in a folder of runs, the others must still be shown
        return Run(name=name, place=place, problem=f"cannot be read: {problem or type(problem).__name__}")
    return _checked(str(record.metadata.get("name") or name), place, record)


def _checked(name: str, place: str, record: RunRecord) -> Run:
    """Raise for records whose lines are JSON but not rows of a run."""
    try:
        summary(Run(name=name, place=place, record=record))
    except Exception as problem:
        words = f"its rows are not those of a run ({type(problem).__name__}: {problem})"
        return Run(name=name, place=place, problem=words)
    return Run(name=name or str(record.metadata.get("data", {}).get("name", "run")), place=place, record=record)


def _told_apart(found: list[Run]) -> list[Run]:
    """Give runs of the same name a number."""
    seen: dict[str, int] = {}
    told = []
    for run in found:
        seen[run.name] = count = seen.get(run.name, 0) + 1
        told.append(run if count == 1 else Run(**{**vars(run), "name": f"{run.name} ({count})"}))
    return told


def summary(run: Run) -> dict[str, str]:
    """Summarize a run in a few words: data, stage, epochs, switch, accuracies, creation time."""
    record = record_of(run)
    metadata, epochs = record.metadata, record.lineage("epoch")
    results, switch = record.lineage("result"), switch_epoch(record.lineage("decision"))
    scores = accuracies(record)
    return {
        "data": str(metadata.get("data", {}).get("name", "?")),
        "seed": str(metadata.get("seed", "")),
        "stage": "finished" if results else str(epochs[-1]["stage"]) if epochs else "not begun",
        "epochs": f"{epochs[-1]['epoch']}" if epochs else "0",
        "switch": "none" if switch is None else f"epoch {switch:g}",
        "accuracy": ", ".join(f"{name} {value:.3f}" for name, value in scores.items()) or "none yet",
        "measured on": "test" if results else "validation, latest epoch" if scores else "",
        "created": str(metadata.get("created", "")).replace("T", " ")[:16],
    }


def accuracies(record: RunRecord) -> dict[str, float]:
    """Return the test accuracy by output, or the latest validation accuracy as long as there is none."""
    for kind, key in (("result", "test_accuracy."), ("epoch", "validation_accuracy.")):
        rows = record.lineage(kind)
        if rows:
            return {k[len(key) :]: v for k, v in rows[-1].items() if k.startswith(key) and v is not None}
    return {}


def outputs(runs: list[Run]) -> list[str]:
    """Return the outputs whose accuracy or loss can be drawn: the answer, then modalities, the average, and joint."""
    names = [name for run in runs for name in record_of(run).metadata.get("modalities", ())]
    return [ANSWER, *dict.fromkeys(names), "ens", "joint"]


def style(index: int) -> tuple[str, str]:
    """Return the role, which sets the color, and the dash of the run chosen at this position."""
    return ROLES[index % len(ROLES)], DASHES[(index + index // len(ROLES)) % len(DASHES)]


def curves(runs: list[Run], quantity: str, output: str) -> list[Trace]:
    """Return one curve per run: a quantity of `CURVES`, of one output."""
    start = CURVES[quantity][0]
    keys = [f"{start}.joint", f"{start}.ens"] if output == ANSWER else [f"{start}.{output}"]
    found = []
    for place, run in enumerate(runs):
        rows = record_of(run).lineage("epoch")
        values = [Atom(_first(row, keys)) for row in rows]
        found.append(_curve(run, place, [row["epoch"] for row in rows], values))
    return found


def parts(runs: list[Run], part: str) -> list[Trace]:
    """Return one curve per run: a part of the information in bits at each probe, with its interval if it has one."""
    found = []
    for place, run in enumerate(runs):
        probes = record_of(run).probes()
        atoms = [part_of(probe, part) for probe in probes]
        found.append(_curve(run, place, [probe.epoch for probe in probes], atoms))
    return found


def part_of(probe: Probe, part: str) -> Atom:
    """Return one of `PARTS` of a probe; what was not measured has no value."""
    if part in ("redundancy", "synergy"):
        return getattr(probe, part)
    unique = list(probe.unique.values())
    place = list(PARTS).index(part) - 1
    return unique[place] if place < len(unique) else Atom()


def _curve(run: Run, place: int, epochs: list[float], atoms: list[Atom]) -> Trace:
    """Return the values that are known against the epoch; with intervals if every one of them has one."""
    known = [(epoch, atom) for epoch, atom in zip(epochs, atoms, strict=True) if atom.is_known]
    bounds = [(atom.low, atom.high) for _, atom in known if atom.low is not None and atom.high is not None]
    low, high = np.array(bounds, float).T if bounds and len(bounds) == len(known) else (None, None)
    role, dash = style(place)
    # the key is the position: another run at this position replaces the curve
    return Trace(
        key=f"{place}",
        label=run.name,
        color=LIGHT[role].line,
        role=role,
        dash=dash,
        epoch=np.array([epoch for epoch, _ in known], float),
        value=np.array([atom.value for _, atom in known], float),
        low=low,
        high=high,
    )


def _first(row: dict, keys: list[str]) -> float:
    return next((float(row[key]) for key in keys if row.get(key) is not None), float("nan"))


def results(runs: list[Run]) -> tuple[list[str], list[list[str]]]:
    """Return a table of results: one row per run, one column per output, then the latest atoms."""
    scores = [accuracies(record_of(run)) for run in runs]
    names = list(dict.fromkeys(name for one in scores for name in one))
    head = [
        "run",
        "measured on",
        *(f"accuracy {name}" for name in names),
        *(f"{short}, bits" for short, _ in PARTS.values()),
    ]
    rows = []
    for run, score in zip(runs, scores, strict=True):
        probes = record_of(run).probes()
        cells = [f"{score[name]:.3f}" if name in score else "" for name in names]
        atoms = [part_of(probes[-1], part) if probes else Atom() for part in PARTS]
        cells += [f"{atom.value:.3f}" if atom.value is not None else "" for atom in atoms]
        rows.append([run.name, summary(run)["measured on"], *cells])
    return head, rows


def differences(runs: list[Run]) -> tuple[list[str], list[list[str]]]:
    """Return a table of the entries of the metadata that are not the same in all runs."""
    frames = [diff(record_of(runs[0]), record_of(other)) for other in runs[1:]]
    entries = sorted({entry for frame in frames for entry in frame.index})
    rows = []
    for entry in entries:
        first = next(frame.loc[entry, "a"] for frame in frames if entry in frame.index)
        others = [frame.loc[entry, "b"] if entry in frame.index else first for frame in frames]
        rows.append([entry, *(_plain(value) for value in (first, *others))])
    return ["entry", *(run.name for run in runs)], rows


def _plain(value) -> str:
    """Return a metadata value as it was written; a numeric table column would turn 1 into 1.0."""
    return f"{value:.0f}" if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else str(value)


def decisions(run: Run) -> tuple[list[str], list[list[str]]]:
    """Return a table of a run's decisions, without the decisions to wait."""
    rows = [row for row in record_of(run).lineage("decision") if row["action"] != "hold"]
    cells = [
        [f"{row['epoch']:g}", f"{row['action']} {row.get('modality') or ''}".strip(), row.get("source", "")]
        + [row.get("reason", "")]
        for row in rows
    ]
    return ["epoch", "decision", "by", "reason"], cells

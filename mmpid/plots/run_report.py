"""A run as one HTML page: figures, results, decisions with their reasons, findings and metadata, for later readers."""

import base64
import io
from collections.abc import Callable, Iterable
from html import escape
from pathlib import Path

from mmpid import _validate
from mmpid._tables import format_number, html_table
from mmpid.errors import InputError
from mmpid.plots.accuracy_curves import accuracy_curves
from mmpid.plots.class_strength import class_strength
from mmpid.plots.ecs_curves import ecs_curves
from mmpid.plots.headline import headline
from mmpid.plots.loss_curves import loss_curves
from mmpid.plots.overview import heading
from mmpid.plots.pid_curves import pid_curves
from mmpid.plots.style import Picture
from mmpid.plots.traces import pid_traces, record_of, switch_epoch, worth_showing
from mmpid.studies.diagnose import diagnose

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; background: #fff; max-width: 1080px; margin: 2em auto;
  padding: 0 1.2em; }
h1 { font-size: 1.5em; margin-bottom: 0; } .first { font-size: 1.25em; font-weight: 600; margin: .4em 0; }
h2 { font-size: 1.15em; margin: 1.8em 0 .4em; }
.quiet { color: #555; font-size: .9em; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(460px, 100%), 1fr)); gap: 14px; }
figure { margin: 0; } figure img { width: 100%; height: auto; } figure.wide { grid-column: 1 / -1; }
.table { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9em; font-variant-numeric: tabular-nums; }
th, td { border-bottom: 1px solid #ddd; vertical-align: top; }
.text td, .text th { text-align: left !important; } .text td:last-child { overflow-wrap: anywhere; }
.text td:not(:last-child) { min-width: 4.5em; } summary { cursor: pointer; }
@media print { body { margin: 0; max-width: none; } figure, tr { break-inside: avoid; } }
"""
TITLES = ("Result", "What the encoders know", "Curves", "Decisions", "What stands out", "Run metadata")
_SMALL, _WIDE = (6.4, 4.2), (11.0, 2.6)


def write_report(record, path, *, overwrite: bool = False) -> Path:
    """Write a run as one HTML page that needs neither a kernel nor a network.

    Parameters
    ----------
    record
        A `mmpid.RunRecord`, of a run at any moment; or anything with a `record`, such as a trainer.
    path : path
        The file; its folder is created.
    overwrite : bool
        Whether an existing file may be replaced.

    Returns
    -------
    pathlib.Path
        The file, absolute.

    Raises
    ------
    InputError
        The file exists, or there is no record.

    Notes
    -----
    Accuracies come from the test samples once the run is finished, and from the validation samples before; the page
    says which. Epochs that a rewind discarded are left out: the page shows the path that led to the current state.

    Examples
    --------
    >>> import mmpid, tempfile
    >>> record = mmpid.RunRecord({"modalities": ["audio", "image"]})
    >>> page = write_report(record, tempfile.mkdtemp() + "/run.html")
    >>> "not trained yet" in page.read_text()
    True
    """
    record, path = record_of(record), _validate.path(path, "path").resolve()
    page = _page(record)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(path, "w" if overwrite else "x", encoding="utf-8") as file:
            file.write(page)
    except FileExistsError as problem:
        raise InputError(f"`path` must be a new file; {path} exists. Use another name, or overwrite=True.") from problem
    return path


def _page(record) -> str:
    name = record.metadata.get("name") or record.metadata.get("data", {}).get("name") or "run"
    contents = (
        _results(record),
        _atoms(record),
        _figures(record),
        _decisions(record),
        _findings(record),
        _metadata(record.metadata),
    )
    body = "".join(
        f'<section id="{_anchor(title)}"><h2>{title}</h2>{content}</section>'
        for title, content in zip(TITLES, contents, strict=True)
    )
    head = f'<meta charset="utf-8"><title>{escape(name)}: a run of mmpid</title><style>{_STYLE}</style>'
    top = f'<h1>{escape(name)}</h1>{_headline(record)}<p class="quiet">{escape(heading(record))}</p>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{top}{body}</body></html>'


def _headline(record) -> str:
    """Return the sentence about the run with its certainty, its evidence, and links to the sections."""
    told = headline(record)
    mark = f' <span class="quiet">({escape(told.mark)})</span>' if told.mark else ""
    links = " · ".join(f'<a href="#{_anchor(title)}">{title}</a>' for title in TITLES)
    sentence = f'<p class="first">{escape(told.sentence)}{mark}</p>'
    return f'{sentence}<p>{escape(told.evidence)}</p><p class="quiet">{links}</p>'


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


def _results(record) -> str:
    results, epochs = record.lineage("result"), record.lineage("epoch")
    if not (results or epochs):
        return _quiet("This run was not trained yet.")
    row, start = (results[-1], "test_accuracy.") if results else (epochs[-1], "validation_accuracy.")
    scores = {key[len(start) :]: value for key, value in row.items() if key.startswith(start)}
    lines = [[name, format_number(value, 3)] for name, value in scores.items()]
    samples = f" on {row['n_test']} samples, evaluated once" if "n_test" in row else ""
    when = f"Finished{samples}." if results else f"Not finished: state at epoch {row['epoch']}."
    switch = switch_epoch(record.lineage("decision"))
    joint = "Joint training has not started." if switch is None else f"Joint training started from epoch {switch:g}."
    epoch = row.get("selected_epoch.joint")
    weights = f" The joint head's weights are from epoch {epoch} (selection: {row['selection']})." if epoch else ""
    note = f"{when} {joint}{weights} “ens” is the average of the modalities' own heads."
    return _quiet(note) + _table(["head", f"{start.split('_')[0]} accuracy, fraction correct"], lines)


def _atoms(record) -> str:
    probes = record.lineage("probe")
    if not probes:
        return _quiet("There is no probe yet.")
    last, lines = probes[-1], []
    for trace in pid_traces(probes, record.metadata["modalities"]):
        if not len(trace.epoch):
            continue
        low, high = trace.low, trace.high
        interval = f"{low[-1]:.3f} to {high[-1]:.3f}" if low is not None and high is not None else ""
        null = [last.get(f"{trace.key}_null_{end}") for end in ("low", "high")]
        lines.append(
            [trace.label, f"{trace.value[-1]:.3f}", interval, "" if None in null else f"{null[0]:.3f} to {null[1]:.3f}"]
        )
    words = f"Latest probe, epoch {last['epoch']}"
    kind = "training" if last.get("split") == "train" else "held-out"
    words += f", {last['n_samples']} {kind} samples" if "n_samples" in last else ""
    words += f" in {last['n_groups']} group{'s' * (last['n_groups'] > 1)}" if last.get("n_groups") else ""
    words += f", largest certified gap {last['gap']:.1e} bit" if "gap" in last else ""
    return _quiet(words + ".") + _table(["atom", "bits", "95 % interval", "with shuffled labels"], lines)


def _figures(record) -> str:
    plain = (pid_curves, accuracy_curves, ecs_curves, loss_curves)
    figures = [_figure(lambda ax, draw=draw: draw(record, ax), _SMALL) for draw in plain]
    figures.append(_figure(lambda ax: loss_curves(record, ax, split="validation"), _SMALL))
    figures.append(_figure(lambda ax: class_strength(record, ax), _WIDE))
    return f'<div class="figures">{"".join(figures)}</div>'


def _figure(draw: Callable, size: tuple[float, float]) -> str:
    """Return one picture as SVG text, so that it stays sharp in print, with a description for screen readers."""
    picture, buffer = Picture(figsize=size, layout="constrained"), io.BytesIO()
    ax = picture.subplots()
    draw(ax)
    words = f"{ax.get_title(loc='left')}: {ax.get_ylabel()} against {ax.get_xlabel()}"
    picture.savefig(buffer, format="svg", metadata={"Date": None})
    content = base64.b64encode(buffer.getvalue()).decode()
    kind = ' class="wide"' if size == _WIDE else ""
    return f'<figure{kind}><img alt="{escape(words)}" src="data:image/svg+xml;base64,{content}"></figure>'


def _decisions(record) -> str:
    rows = worth_showing(record.lineage("decision"))
    lines = [
        [f"{row['epoch']:g}", " ".join(filter(None, (row["action"], row.get("modality", "")))), row["source"],
         row.get("rule", ""), row["reason"]]
        for row in rows
    ]  # fmt: skip
    if not lines:
        return _quiet("No decision was taken.")
    return _table(["epoch", "decision", "by", "rule", "reason"], lines, "text")


def _findings(record) -> str:
    found = diagnose(record) if record.rows else ()
    if not found:
        return _quiet("Nothing: none of the known failure signatures was seen. That does not prove that all is well.")
    return _table(["finding", "evidence", "what to try"], [[f.name, f.evidence, f.advice] for f in found], "text")


def _metadata(metadata: dict) -> str:
    table = _table(["entry", "value"], _flat(metadata), "text")
    return f"<details><summary>Everything that went into the run</summary>{table}</details>"


def _flat(metadata: dict, start: str = "") -> Iterable[list[str]]:
    """Yield (dotted name, value) of a nested dict."""
    for key, value in metadata.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{start}{key}.")
        else:
            words = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
            yield [f"{start}{key}", words]


def _table(header: list[str], lines: Iterable[list[str]], kind: str = "numbers") -> str:
    return f'<div class="table {kind}">{html_table(header, lines)}</div>'


def _quiet(words: str) -> str:
    return f'<p class="quiet">{escape(words)}</p>'

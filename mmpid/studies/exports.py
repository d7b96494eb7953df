"""A table of a study as text, Markdown, LaTeX and HTML: plain strings of its summary."""

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmpid import _validate
from mmpid._tables import text_table
from mmpid.runs.files import write_atomically
from mmpid.train.scores import metric_name

if TYPE_CHECKING:
    from mmpid.studies.comparison import Comparison

_GRAY = ' style="color:#8a8a8a"'
_CELL = ' style="padding:2px 10px;text-align:{}"'


def words(setting: Mapping[str, Any]) -> str:
    """Return a setting as text."""
    return ", ".join(f"{name}={value}" for name, value in setting.items())


def written(text: str, path: Any) -> str | None:
    """Write a text to a path, or return it."""
    if path is None:
        return text
    write_atomically(Path(_validate.path(path, "path")), text.encode())
    return None


def _lines(table: "Comparison", reference: str = "") -> tuple[list[str], list[list[str]], list[bool], list[tuple]]:
    """Return header, rows, whether each is within noise, and (data, method) of each."""
    reference = reference or ("joint" if "joint" in table.methods else table.methods[0])
    several = table.data != [None]
    metrics = ["accuracy", *(m for m in map(metric_name, table.metrics) if m != "accuracy")]
    frames = {metric: table.summary(reference, metric=metric) for metric in metrics[:1]}
    frame = frames["accuracy"]
    n = len({row["seed"] for row in table.rows})
    header = ["data", "method"] if several else ["method"]
    header += [f"test accuracy %, {n} seeds", *(m.replace("_", " ") + " %" for m in metrics[1:])]
    header += [f"minus {reference if several else 'reference'}, points [95 %]", "p (Holm)", "verdict"]
    header += ["setting", "best on test %"] if table.trials else []
    rows, faint, keys = [], [], []
    for key, row in frame.iterrows():
        data, method = key if isinstance(key, tuple) else (None, key)
        cells = [str(data), str(method)] if several else [str(method)]
        cells.append(f"{100 * row.test_accuracy:.1f}")
        for metric in metrics[1:]:
            values = list(table._table(metric, data)[str(method)].values())
            cells.append(f"{100 * sum(values) / len(values):.1f}")
        cells.append(f"{100 * row['mean']:+.1f} [{100 * row.low:+.1f}, {100 * row.high:+.1f}]")
        cells += ["" if row.verdict == "reference" else f"{row.p_holm:.2g}", str(row.verdict)]
        if table.trials:
            cells += [row.setting + (" (edge)" if row.edge else ""), f"{100 * row.best_on_test:.1f}"]
        rows.append(cells)
        faint.append(row.verdict == "within noise")
        keys.append((data, method))
    return header, rows, faint, keys


def _notes(table: "Comparison", reference: str = "") -> list[str]:
    """Return what a reader of the table must know beside it."""
    notes = []
    if table.failures:
        by_method: dict[str, list[dict[str, Any]]] = {}
        for failure in table.failures:
            by_method.setdefault(failure["method"], []).append(failure)
        for method, failures in by_method.items():
            first, count = failures[0], f"{len(failures)} run{'s' if len(failures) > 1 else ''}"
            where = ", ".join([*([words(first["setting"])] if first["setting"] else []), f"seed {first['seed']}"])
            notes.append(f"{method}: {count} failed and left out ({where}: {first['error']})")
    if table.trials:
        frame = table.summary(reference or ("joint" if "joint" in table.methods else table.methods[0]))
        for key, row in frame.iterrows():
            if row.edge:
                name = ", ".join(map(str, key)) if isinstance(key, tuple) else key
                notes.append(f"{name}: the best {row.setting} lies at the edge ({row.edge}); widen `tune`.")
    return notes


def text(table: "Comparison") -> str:
    """Return the table as aligned text."""
    if not table.rows:
        return "no run finished"
    header, rows, _, _ = _lines(table)
    return "\n".join([text_table(header, rows), *_notes(table)])


def markdown(table: "Comparison", reference: str = "") -> str:
    """Return a Markdown table; methods within noise in italics."""
    header, rows, faint, _ = _lines(table, reference)
    lines = [header, ["---"] * len(header)]
    lines += [[f"*{cell}*" if dim and cell else cell for cell in row] for row, dim in zip(rows, faint, strict=True)]
    body = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
    return "\n".join([body, *(f"\n{note}" for note in _notes(table, reference))]) + "\n"


def latex(table: "Comparison", reference: str = "") -> str:
    """Return a LaTeX tabular."""
    header, rows, faint, _ = _lines(table, reference)
    lines = [r"% needs \usepackage{xcolor}; gray: within noise", rf"\begin{{tabular}}{{l{'r' * (len(header) - 1)}}}"]
    lines += [r"\hline", " & ".join(map(_tex, header)) + r" \\", r"\hline"]
    for row, dim in zip(rows, faint, strict=True):
        cells = [rf"\textcolor{{gray}}{{{_tex(cell)}}}" if dim and cell else _tex(cell) for cell in row]
        lines.append(" & ".join(cells) + r" \\")
    lines += [r"\hline", r"\end{tabular}", *(f"% {note}" for note in _notes(table, reference))]
    return "\n".join(lines) + "\n"


def _tex(text: str) -> str:
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return "".join(special.get(c, "\\" + c if c in "&%$#_{}" else c) for c in text)


def html(table: "Comparison", reference: str = "") -> str:
    """Return an HTML table that needs no style sheet; the score of each method opens the list of its runs."""
    if not table.rows:
        return "<p>no run finished</p>"
    header, rows, faint, keys = _lines(table, reference)
    head = "".join(f"<th{_CELL.format('right' if i else 'left')}>{escape(cell)}</th>" for i, cell in enumerate(header))
    place = 2 if table.data != [None] else 1
    body = []
    for row, dim, (data, method) in zip(rows, faint, keys, strict=True):
        cells = []
        for i, cell in enumerate(row):
            inner = _with_runs(table, cell, data, method) if i == place else escape(cell)
            cells.append(f"<td{_CELL.format('right' if i else 'left')}>{inner}</td>")
        body.append(f"<tr{_GRAY if dim else ''}>{''.join(cells)}</tr>")
    notes = "".join(f"<p>{escape(note)}</p>" for note in _notes(table, reference))
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>{notes}"


def _with_runs(table: "Comparison", cell: str, data: str | None, method: str) -> str:
    links = [f'<a href="{escape(path.as_uri())}">{escape(path.name)}</a>' for path in table.runs(method, data)]
    return f"<details><summary>{escape(cell)}</summary>{'<br>'.join(links)}</details>" if links else escape(cell)

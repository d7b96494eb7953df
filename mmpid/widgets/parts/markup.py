"""The words that every widget shares: headings, legends and tables as small pieces of HTML."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Protocol

from mmpid.plots.traces import Band, Trace

DASHES = {"solid": "", "dashed": "7 4", "dotted": "2 4", "dashdot": "8 3 2 3"}  # of curves, and of their samples


class Named(Protocol):
    """A curve with the name and the look that a legend shows."""

    @property
    def label(self) -> str:
        """What the curve is called."""
        ...

    @property
    def color(self) -> str:
        """Its color in CSS."""
        ...

    @property
    def dash(self) -> str:
        """Its dash, a key of `DASHES`."""
        ...


def title(words: str, note: str = "") -> str:
    """Return a small heading."""
    small = f' <span class="mmpid-detail">{escape(note)}</span>' if note else ""
    return f'<div class="mmpid-title" role="heading" aria-level="4">{escape(words)}{small}</div>'


def legend(traces: Iterable[Named], band: str = "", note: str = "", others: Iterable[tuple[str, str]] = ()) -> str:
    """Draw the legend of a chart as text with line samples, outside of the chart.

    `others` has (name, dash) of the runs drawn with thin lines in the same colors.
    """
    items = [f"<span>{sample(trace.color, trace.dash)}{escape(trace.label)}</span>" for trace in traces]
    items += [f"<span>{_box()}{escape(band)}</span>"] if band else []
    items += [f"<span>{sample('currentColor', dash, 1.2)}{escape(name)}</span>" for name, dash in others]
    items += [f'<span class="mmpid-detail">{escape(note)}</span>'] if note else []
    return f'<div class="mmpid-legend">{"".join(items)}</div>'


def sample(color: str, dash: str, width: float = 2.5, label: str = "") -> str:
    """Return the line that stands for a curve in a legend or a table; a screen reader reads only its label."""
    look = f'stroke="{color}" stroke-width="{width}" stroke-dasharray="{DASHES[dash]}"'
    line = f'<line x1="1" y1="5" x2="29" y2="5" {look}/>'
    heard = f'role="img" aria-label="{escape(label)}"' if label else 'aria-hidden="true"'
    return f'<svg width="30" height="10" {heard}>{line}</svg>'


def _box() -> str:
    box = '<rect x="1" y="0.5" width="28" height="9" fill="#8888" stroke="#888" stroke-dasharray="2 2"/>'
    return f'<svg width="30" height="10" aria-hidden="true">{box}</svg>'


def band_label(band: Band | None) -> str:
    """Return the legend entry of a null band, or nothing."""
    return band.label if band is not None else ""


def table(caption: str, head: list, rows: list[list]) -> str:
    """Return an HTML table in the board's look; the first cell of a row is its heading."""
    top = "".join(f'<th scope="col">{escape(str(word))}</th>' for word in head)
    body = "".join(
        f'<tr><th scope="row">{escape(str(first))}</th>{"".join(f"<td>{escape(str(c))}</td>" for c in cells)}</tr>'
        for first, *cells in rows
    )
    return f'<table class="mmpid-table"><caption>{escape(caption)}</caption><tr>{top}</tr>{body}</table>'


def curves_table(traces: Sequence[Trace], caption: str) -> str:
    """Return the data of a chart as a table: one row per epoch, one column per curve."""
    epochs = sorted({float(epoch) for trace in traces for epoch in trace.epoch})
    if not epochs:
        return f'<p class="mmpid-detail">{escape(caption)}: no data yet.</p>'
    cells = [{float(e): _cell(trace, i) for i, e in enumerate(trace.epoch)} for trace in traces]
    head = "".join(f'<th scope="col">{escape(trace.label)}</th>' for trace in traces)
    body = "".join(f'<tr><th scope="row">{epoch:g}</th>{_cells(cells, epoch)}</tr>' for epoch in epochs)
    return (
        f'<table class="mmpid-table"><caption>{escape(caption)}</caption>'
        f'<thead><tr><th scope="col">epoch</th>{head}</tr></thead><tbody>{body}</tbody></table>'
    )


def _cells(columns: list[dict[float, str]], epoch: float) -> str:
    return "".join(f"<td>{column.get(epoch, '')}</td>" for column in columns)


def _cell(trace: Trace, i: int) -> str:
    value = f"{trace.value[i]:.3f}"
    return value if trace.low is None or trace.high is None else f"{value} [{trace.low[i]:.2f}, {trace.high[i]:.2f}]"

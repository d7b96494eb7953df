"""One style for every picture, set on the axes themselves.

matplotlib's global settings stay unchanged: the board draws its static picture from a thread, where a change would
affect whatever the user draws at that moment. For the same reason nothing here uses pyplot's current figure unless the
caller gave no axes.
"""

import io
from collections.abc import Iterable
from typing import Any, Literal

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mmpid.plots.charts import Area, Chart
from mmpid.plots.palette import LIGHT
from mmpid.plots.traces import Band, Trace

INK, FAINT, GRID, PAPER = "#262626", "#8c8c8c", "#dddddd", "white"
LINE_STYLES = {"solid": "-", "dashed": (0, (5, 2)), "dotted": (0, (1.2, 1.4)), "dashdot": (0, (6, 2, 1.2, 2))}
SECOND_STYLES = {  # variants of a dash for its second use in a panel, so that eight curves differ without color
    "solid": (0, (16, 1.6)),
    "dashed": (0, (9, 4)),
    "dotted": (0, (1.2, 3.6)),
    "dashdot": (0, (6, 2, 1.2, 2, 1.2, 2)),
}


class Picture(Figure):
    """A matplotlib figure outside all global state that shows itself in a notebook."""

    def __init__(self, **settings):
        super().__init__(**settings)
        FigureCanvasAgg(self)

    def png(self, dpi: int = 110) -> bytes:
        """Return the picture as PNG bytes."""
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=dpi, facecolor="white")
        return buffer.getvalue()

    def _repr_png_(self) -> bytes:
        return self.png()


def axes_or_new(ax: Axes | None, size: tuple[float, float] = (6.4, 4.0)) -> Axes:
    """Return `ax`, or the axes of a new pyplot figure, which a notebook shows automatically."""
    if ax is not None:
        return ax
    _, ax = plt.subplots(figsize=size, layout="constrained")
    return ax


def dress(
    ax: Axes, *, title: str = "", xlabel: str = "", ylabel: str = "", grid: Literal["", "both", "x", "y"] = "y"
) -> Axes:
    """Give axes the common style: quiet spines, a light grid behind the data, labels with units, white background.

    The background is white even under a dark matplotlib style, because the colors are chosen for white.
    """
    ax.set_facecolor(PAPER)
    ax.figure.set_facecolor(PAPER)
    ax.set_title(title, loc="left", fontsize=11, fontweight="bold", color=INK)
    ax.set_xlabel(xlabel, fontsize=10, color=INK)
    ax.set_ylabel(ylabel, fontsize=10, color=INK)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(FAINT)
    ax.tick_params(colors=INK, labelsize=9, width=0.8)
    ax.set_axisbelow(True)
    if xlabel.startswith("epoch"):
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    if grid:
        ax.grid(axis=grid, color=GRID, linewidth=0.8)
    return ax


def draw_traces(ax: Axes, traces: Iterable[Trace]) -> None:
    """Draw each trace as a line, with its interval (if any) as a band, and with markers while there are few points."""
    traces = [trace for trace in traces if len(trace.epoch)]
    marker = "o" if max((len(trace.epoch) for trace in traces), default=0) <= 16 else None
    for trace, linestyle in zip(traces, line_styles(traces), strict=True):
        if trace.low is not None and trace.high is not None:
            ax.fill_between(trace.epoch, trace.low, trace.high, color=trace.color, alpha=0.16, linewidth=0)
        style = {"color": trace.color, "linestyle": linestyle, "label": trace.label}
        ax.plot(trace.epoch, trace.value, linewidth=2, marker=marker, markersize=3.5, **style)


def draw_chart(ax: Axes, chart: Chart, title: str | None = None) -> Axes:
    """Draw a chart from its specification: areas, curves, band, start of joint training, labels, legend."""
    for area in chart.areas:
        draw_area(ax, area)
    draw_traces(ax, chart.traces)
    draw_band(ax, chart.band)
    draw_switch(ax, chart.switch)
    dress(ax, title=chart.title if title is None else title, xlabel="epoch", ylabel=chart.unit)
    if chart.limits is not None:
        ax.set_ylim(*chart.limits)
    legend_above(ax, columns=chart.columns)
    if chart.is_empty:
        empty(ax, chart.empty)
    return ax


def draw_area(ax: Axes, area: Area) -> None:
    """Fill an area, hatched if its size is uncertain, and without a legend entry if it is empty."""
    if not (len(area.epoch) and (area.high > area.low).any()):
        return
    fill: dict[str, Any] = {"facecolor": LIGHT[area.role].area} if area.sure else {"facecolor": PAPER, "hatch": "////"}
    edge = PAPER if area.sure else FAINT
    ax.fill_between(area.epoch, area.low, area.high, label=area.label, edgecolor=edge, linewidth=0.8, **fill)


def line_styles(traces: Iterable[Trace]) -> list:
    """Return matplotlib's line style of each trace of a panel; the second use of a dash gets a variant of it."""
    seen: set[str] = set()
    styles = []
    for trace in traces:
        styles.append((SECOND_STYLES if trace.dash in seen else LINE_STYLES)[trace.dash])
        seen.add(trace.dash)
    return styles


def draw_band(ax: Axes, band: Band | None) -> None:
    """Draw a null band hatched, so that it differs from an interval without color."""
    if band is not None:
        style = {"facecolor": "none", "edgecolor": FAINT, "hatch": "////", "linewidth": 0, "alpha": 0.7}
        ax.fill_between(band.epoch, band.low, band.high, label=band.label, **style)


def draw_switch(ax: Axes, epoch: float | None) -> None:
    """Mark the start of joint training."""
    if epoch is None:
        return
    ax.axvline(epoch, color=INK, linewidth=1.2, linestyle=(0, (3, 3)), zorder=1)
    place = {"xy": (epoch, 1), "xycoords": ("data", "axes fraction"), "xytext": (3, -3), "textcoords": "offset points"}
    ax.annotate("joint training", va="top", fontsize=8.5, color=INK, **place)


def legend_above(ax: Axes, columns: int = 2) -> None:
    """Put the legend above the axes, where it cannot cover data; do nothing without labeled artists."""
    handles, labels = ax.get_legend_handles_labels()
    if handles:
        place = {"loc": "lower left", "bbox_to_anchor": (-0.01, 1.0), "borderaxespad": 0.1, "ncols": columns}
        place |= {"handlelength": 2.7, "columnspacing": 1.0, "labelcolor": INK}
        legend = ax.legend(handles, labels, frameon=False, fontsize=8.5, **place)
        legend.set_in_layout(False)  # its room comes from the title's padding; it must not narrow the axes
        ax.set_title(
            ax.get_title(loc="left"), loc="left", fontsize=11, fontweight="bold", color=INK, pad=_room(labels, columns)
        )


def colorbar(image, ax: Axes, label: str) -> None:
    """Put a color scale beside the axes, with its unit."""
    bar = ax.figure.colorbar(image, ax=ax)
    bar.set_label(label, fontsize=10, color=INK)
    bar.ax.tick_params(colors=INK, labelsize=9)


def empty(ax: Axes, text: str) -> None:
    """Write in an empty panel what will appear there."""
    ax.set(xticks=[], yticks=[])
    ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", color=FAINT, fontsize=10, wrap=True)


def _room(labels: list[str], columns: int) -> float:
    return 8 + 14.5 * -(-len(labels) // columns)

"""A live chart of a few series against any quantity, on linear or logarithmic axes, drawn by the browser."""

from collections.abc import Sequence
from dataclasses import dataclass

import bqplot as bq
import ipywidgets as widgets
import numpy as np

from mmpid.plots.traces import nice_ticks
from mmpid.widgets.parts import markup
from mmpid.widgets.parts.assign import assign

BQPLOT_DASHES = {"solid": "solid", "dashed": "dashed", "dotted": "dotted", "dashdot": "dash_dotted"}
MARGIN = {"top": 8, "bottom": 44, "left": 62, "right": 16}


@dataclass(frozen=True, kw_only=True)
class Series:
    """Points (n,) with a name and a look; `kind` is "line", "thin" (a line that stays in the background) or "dots"."""

    key: str
    label: str
    x: np.ndarray
    y: np.ndarray
    color: str
    dash: str = "solid"
    kind: str = "line"
    marker: str = "circle"


class XYChart:
    """One panel with heading, legend, axes with units, and values under the mouse.

    Parameters
    ----------
    title, x, y
        Heading and the labels of the axes, with their units.
    name
        Short name, for the CSS class `mmpid-chart-<name>`.
    note
        Small print beside the heading.
    empty
        What the panel says while it has no data.
    log
        Both axes logarithmic.
    """

    def __init__(self, *, title: str, x: str, y: str, name: str, note: str = "", empty: str = "", log: bool = False):
        self._log = log
        scale = bq.LogScale if log else bq.LinearScale
        self.scales = {
            "x": scale(min=1.0, max=10.0, allow_padding=False),
            "y": scale(min=0.1, max=1.0, allow_padding=False),
        }
        self._marks: dict[str, bq.Mark] = {}
        across = {"x": self.scales["x"], "y": bq.LinearScale(min=0, max=1, allow_padding=False)}
        look = {"colors": ["#808080"], "line_style": "dashed", "stroke_width": 1.5, "visible": False}
        self._upright = bq.Lines(x=np.ones(2), y=np.array([0.0, 1.0]), scales=across, **look)
        self._axes = [
            bq.Axis(scale=self.scales["x"], label=x, label_offset="2.6em", grid_lines="none"),
            bq.Axis(scale=self.scales["y"], side="left", label=y, label_offset="3.8em"),
        ]
        self.figure = new_figure([self._upright], self._axes)
        self._legend = widgets.HTML()
        self._empty = widgets.HTML(empty)
        self._empty.add_class("mmpid-empty")
        self.widget = panel(name, widgets.HTML(markup.title(title, note)), self._legend, self.figure, self._empty)

    def show(self, series: Sequence[Series], *, upright: float | None = None, extra: str = "") -> None:
        """Bring the chart to these series, with a vertical line at `upright`, sending only what differs."""
        for one in series:
            if one.key not in self._marks:
                self._marks[one.key] = _mark(one, self.scales)
                self.figure.marks = [self._upright, *self._marks.values()]
            names = {"names": _hover(one)} if one.kind == "dots" else {}
            assign(self._marks[one.key], x=_single(one.x), y=_single(one.y), **names)
            if one.kind == "dots":
                _repaint(self._marks[one.key])
        for key in self._marks.keys() - {one.key for one in series}:
            assign(self._marks[key], x=_single([]), y=_single([]))
        if upright is not None:
            assign(self._upright, x=np.array([upright, upright], np.float32))
        assign(self._upright, visible=upright is not None)
        assign(self._legend, value=_legend(series, extra))
        assign(self._empty.layout, display="none" if any(len(one.x) for one in series) else "flex")

    def limit(self, x: tuple[float, float], y: tuple[float, float]) -> None:
        """Set the limits of both axes with round ticks."""
        for axis, (low, high) in zip(self._axes, (x, y), strict=True):
            ticks = np.array(_powers(low, high) if self._log else nice_ticks(low, high))
            assign(axis.scale, min=low, max=high)
            assign(axis, tick_values=ticks, tick_format=".0e" if self._log and axis is self._axes[1] else "~g")


def new_figure(marks: Sequence[bq.Mark], axes: Sequence[bq.Axis], height: str = "250px") -> bq.Figure:
    """Return a figure in the board's look, as wide as its panel."""
    return bq.Figure(
        marks=list(marks),
        axes=list(axes),
        fig_margin=MARGIN,
        padding_y=0,
        animation_duration=0,
        display_toolbar=False,
        background_style={"fill": "none"},
        layout=widgets.Layout(width="100%", flex=f"1 1 {height}", min_width="0"),
    )


def panel(name: str, *children: widgets.Widget) -> widgets.VBox:
    """Return a framed panel of the board's grid."""
    box = widgets.VBox(list(children))
    for class_ in ("mmpid-chart", f"mmpid-chart-{name}"):
        box.add_class(class_)
    return box


def _mark(one: Series, scales: dict) -> bq.Mark:
    nothing = {"x": _single([]), "y": _single([]), "scales": scales, "colors": [one.color]}
    if one.kind == "dots":
        tip = bq.Tooltip(fields=["name"], show_labels=False)
        look = {"default_size": 34, "marker": one.marker, "opacities": [0.75], "display_names": False}
        return bq.Scatter(**nothing, **look, names=np.array([""]), tooltip=tip)
    width, opacity = (1.2, 0.65) if one.kind == "thin" else (2.2, 1.0)
    return bq.Lines(**nothing, stroke_width=width, opacities=[opacity], line_style=BQPLOT_DASHES[one.dash])


def _repaint(mark: bq.Mark) -> None:
    """Have the library color its newest points, which it draws black until their color changes."""
    (color,) = mark.colors
    mark.colors = [color.upper() if color.islower() else color.lower()]


def _hover(one: Series) -> np.ndarray:
    return np.array([f"{one.label}: {y:.3g} at {x:g}" for x, y in zip(one.x, one.y, strict=True)] or [""])


def _single(values) -> np.ndarray:
    return np.asarray(values, dtype=np.float32)


def _legend(series: Sequence[Series], extra: str) -> str:
    """Return the legend; dots belong to the line of their color and need no entry."""
    return markup.legend([one for one in series if one.kind != "dots"], note=extra)


def _powers(low: float, high: float) -> list[float]:
    """Return ticks at powers of ten, or of two where a decade would hold fewer than two ticks."""
    base = 10.0 if high / low >= 100 else 2.0
    first, last = np.ceil(np.log(low) / np.log(base) - 1e-9), np.floor(np.log(high) / np.log(base) + 1e-9)
    return [float(base**n) for n in np.arange(first, last + 1)]

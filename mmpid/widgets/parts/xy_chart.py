"""A live chart of a few series against any quantity, on linear or logarithmic axes."""

from collections.abc import Sequence
from dataclasses import dataclass

import ipywidgets as widgets
import numpy as np

from mmpid.plots.traces import nice_ticks
from mmpid.widgets.parts import marks as mk
from mmpid.widgets.parts import markup
from mmpid.widgets.parts.plot import Plot

MARGIN = 64  # margin in pixels left of a plot whose ticks may be long


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
        Small text beside the heading.
    empty
        What the panel says while it has no data.
    log
        Whether both axes are logarithmic.
    """

    def __init__(self, *, title: str, x: str, y: str, name: str, note: str = "", empty: str = "", log: bool = False):
        self._title, self._labels, self._if_empty, self._log = title, (x, y), empty, log
        self.plot = Plot()
        self.widget = panel(name, widgets.HTML(markup.title(title, note)), self.plot)
        self.show([], (1.0, 10.0), (0.1, 1.0))

    def show(
        self,
        series: Sequence[Series],
        x: tuple[float, float],
        y: tuple[float, float],
        *,
        upright: float | None = None,
        extra: str = "",
    ) -> None:
        """Draw these series within the limits `x` and `y`, with a vertical line at `upright`."""
        marks = [mk.upright("upright", upright, "#808080", dash="dashed")] if upright is not None else []
        marks += [_mark(one) for one in series]
        empty = "" if any(len(one.x) for one in series) else self._if_empty
        words = {"legend": _legend(series, extra), "empty": empty, "title": self._title, "left": MARGIN}
        self.plot.show(marks, self._axis(0, *x), self._axis(1, *y), **words)

    def _axis(self, which: int, low: float, high: float) -> dict:
        ticks = _powers(low, high) if self._log else nice_ticks(low, high)
        texts = [f"{tick:.0e}" if self._log and which else f"{tick:g}" for tick in ticks]
        return mk.axis(self._labels[which], low, high, ticks, texts, log=self._log)


def panel(name: str, *children: widgets.Widget) -> widgets.VBox:
    """Return a framed panel of the board's grid."""
    box = widgets.VBox(list(children))
    for class_ in ("mmpid-chart", f"mmpid-chart-{name}"):
        box.add_class(class_)
    return box


def _mark(one: Series) -> mk.Mark:
    reading = {"name": one.label, "digits": None}
    if one.kind == "dots":
        return mk.points(one.key, one.x, one.y, one.color, sign=one.marker, **reading) | {"opacity": 0.75}
    thick, opacity = (1.2, 0.65) if one.kind == "thin" else (2.2, 1.0)
    return mk.line(one.key, one.x, one.y, one.color, dash=one.dash, thick=thick, opacity=opacity, **reading)


def _legend(series: Sequence[Series], extra: str) -> str:
    """Return the legend; dots belong to the line of their color and need no entry."""
    return markup.legend([one for one in series if one.kind != "dots"], note=extra)


def _powers(low: float, high: float) -> list[float]:
    """Return ticks at powers of ten, or of two where a decade would hold fewer than two ticks."""
    base = 10.0 if high / low >= 100 else 2.0
    first, last = np.ceil(np.log(low) / np.log(base) - 1e-9), np.floor(np.log(high) / np.log(base) + 1e-9)
    return [float(base**n) for n in np.arange(first, last + 1)]

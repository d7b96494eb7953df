"""Live line charts of traces against the epoch: an update is one message."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import ipywidgets as widgets
import numpy as np

from mmpid.plots.traces import Band, Trace, nice_limit, nice_ticks
from mmpid.widgets.parts import marks as mk
from mmpid.widgets.parts import markup
from mmpid.widgets.parts.plot import Plot

MOST_POINTS = 120  # more than this a chart of 500 pixels cannot show
FEW_DOTS = 25  # up to this many points of a curve are visible as such; more would hide its dashes
_GRAY = "#808080"


@dataclass(frozen=True)
class Overlay:
    """The traces of another run, drawn thin in a dash of their own; `key` tells runs apart, `name` is shown."""

    key: int
    name: str
    dash: str
    traces: Sequence[Trace]


class CurveChart:
    """One panel: curves against the epoch, with intervals, a null band, a mark at the switch and values on hover.

    Parameters
    ----------
    title, unit
        Heading, and the label of the y axis with its unit.
    empty
        What an empty panel says.
    name
        Short name, for the CSS class `mmpid-chart-<name>`.
    note
        Small print beside the heading.
    on_click
        Called with the epoch of a point that was clicked.
    limits
        Fixed limits of the y axis; by default they follow the data in rare, round steps.
    """

    def __init__(
        self,
        *,
        title: str,
        unit: str,
        empty: str,
        name: str,
        note: str = "",
        on_click: Callable[[int], None] | None = None,
        limits: tuple[float, float] | None = None,
    ):
        self._title, self._unit, self._if_empty, self._fixed = title, unit, empty, limits
        self._clickable = on_click is not None
        self._chosen: list[mk.Mark] = []
        self._invited: list[mk.Mark] = []
        self.limits = {"x": (0.0, 10.0), "y": limits or (0.0, 1.0)}
        self._axes_of: tuple = ()
        self.plot = Plot()
        if on_click is not None:
            self.plot.on_click(lambda epoch: on_click(round(epoch)))
        self.tools = widgets.HBox([widgets.HTML(markup.title(title, note))])
        self.tools.layout.justify_content = "space-between"
        self.widget = widgets.VBox([self.tools, self.plot])
        for class_ in ("mmpid-chart", f"mmpid-chart-{name}"):
            self.widget.add_class(class_)
        self.show([])

    def show(
        self,
        traces: Sequence[Trace],
        *,
        band: Band | None = None,
        switch: float | None = None,
        unit: str = "",
        last: float = 10.0,
        ghosts: Sequence[Trace] = (),
        others: Sequence[Overlay] = (),
    ) -> None:
        """Bring the chart to this state; nothing is sent when nothing differs.

        The x axis reaches to epoch `last`; `ghosts` are drawn thin, as what would have come of the traces of the same
        key, and `others` are other runs.
        """
        thin = [trace.thinned(MOST_POINTS) for trace in traces]
        self._unit = unit or self._unit
        every = [*thin, *ghosts, *(trace for other in others for trace in other.traces)]
        self.limits = {"x": (0.0, float(last)), "y": self._fixed or _limits_of(every, band)}
        marks = [
            *([mk.ribbon("band", band.epoch, band.low, band.high, _GRAY, 0.22)] if band is not None else []),
            *(_ribbon(trace) for trace in thin if trace.low is not None and len(trace.epoch)),
            *(_ghost(ghost.thinned(MOST_POINTS)) for ghost in ghosts if len(ghost.epoch)),
            *([mk.upright("switch", switch, _GRAY, dash="dashed")] if switch is not None else []),
            *(_thin(other, trace.thinned(MOST_POINTS)) for other in others for trace in other.traces),
            *(_curve(trace, self._clickable) for trace in thin),
            *(_dots(trace) for trace in thin if 0 < len(trace.epoch) <= FEW_DOTS),
        ]
        self.plot.show(marks, *self._axes(), legend=self._legend(thin, band, ghosts, others), **self._words(thin))

    def _axes(self) -> tuple[dict, dict]:
        wanted = (self._unit, *self.limits["x"], *self.limits["y"])
        if wanted != self._axes_of:  # limits rest, and ticks take as long as curves
            unit, left, right, low, high = self._axes_of = wanted
            across = mk.axis("epoch", left, right, nice_ticks(left, right, whole=True))
            self._drawn_axes = across, mk.axis(unit, low, high, nice_ticks(low, high))
        return self._drawn_axes

    def _words(self, traces: Sequence[Trace]) -> dict[str, str]:
        return {"title": self._title, "empty": "" if any(len(one.epoch) for one in traces) else self._if_empty}

    @staticmethod
    def _legend(traces, band, ghosts, others) -> str:
        note = "thin: left behind by a rewind" if any(len(ghost.epoch) > 1 for ghost in ghosts) else ""
        names = [(other.name, other.dash) for other in others]
        return markup.legend(traces, markup.band_label(band), note, names)

    def choose(self, epoch: float | None) -> None:
        """Mark a chosen epoch, or none."""
        self._chosen = [] if epoch is None else [mk.upright("chosen", epoch, _GRAY)]
        self.plot.overlays = [*self._chosen, *self._invited]

    def invite(self, marks: Sequence[mk.Mark]) -> None:
        """Draw lines and handles of others on top, in place of those that were there."""
        self._invited = list(marks)
        self.plot.overlays = [*self._chosen, *self._invited]


def _curve(trace: Trace, click: bool) -> mk.Mark:
    bounds = (trace.low, trace.high) if trace.low is not None else None
    reading = {"name": trace.label, "where": "at epoch", "click": click, "bounds": bounds}
    return mk.line(trace.key, trace.epoch, trace.value, trace.color, dash=trace.dash, **reading)


def _ribbon(trace: Trace) -> mk.Mark:
    return mk.ribbon(f"{trace.key} interval", trace.epoch, trace.low, trace.high, trace.color, 0.16)


def _dots(trace: Trace) -> mk.Mark:
    return mk.points(f"{trace.key} dots", trace.epoch, trace.value, trace.color)


def _ghost(trace: Trace) -> mk.Mark:
    """Return the discarded future of a trace."""
    look = {"dash": trace.dash, "thick": 1.1, "opacity": 0.5}
    return mk.line(f"{trace.key} left behind", trace.epoch, trace.value, trace.color, **look)


def _thin(other: Overlay, trace: Trace) -> mk.Mark:
    """Return a curve of another run; the mouse reads the run's name."""
    reading = {"name": f"{other.name}: {trace.label}", "where": "at epoch"}
    key = f"{trace.key} of run {other.key}"
    return mk.line(key, trace.epoch, trace.value, trace.color, dash=other.dash, thick=1.2, **reading)


def _limits_of(traces: Sequence[Trace], band: Band | None) -> tuple[float, float]:
    """Return round limits that hold every value and interval, and zero."""
    parts = [part for trace in traces for part in (trace.value, trace.low, trace.high) if part is not None]
    parts += [band.low, band.high] if band is not None else []
    values = np.concatenate([np.zeros(1), *parts])
    low = -nice_limit(-float(values.min())) if values.min() < 0 else 0.0
    return low, nice_limit(1.04 * float(values.max()))

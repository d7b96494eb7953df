"""Line charts of traces against the epoch, with intervals and values on hover: an update is one message."""

from collections.abc import Sequence

import ipywidgets as widgets
import numpy as np

from mmpid.plots.traces import Trace, nice_limit, nice_ticks
from mmpid.widgets.parts import marks as mk
from mmpid.widgets.parts import markup
from mmpid.widgets.parts.plot import Plot

MOST_POINTS = 120  # more than this a chart of 500 pixels cannot show
FEW_DOTS = 25  # up to this many points of a curve are visible as such; more would hide its dashes


class CurveChart:
    """One panel: curves against the epoch, with intervals and values on hover.

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
    """

    def __init__(self, *, title: str, unit: str, empty: str, name: str, note: str = ""):
        self._title, self._unit, self._if_empty = title, unit, empty
        self.plot = Plot()
        self.tools = widgets.HBox([widgets.HTML(markup.title(title, note))])
        self.tools.layout.justify_content = "space-between"
        self.widget = widgets.VBox([self.tools, self.plot])
        for class_ in ("mmpid-chart", f"mmpid-chart-{name}"):
            self.widget.add_class(class_)
        self.show([])

    def show(self, traces: Sequence[Trace], *, unit: str = "", last: float = 10.0) -> None:
        """Bring the chart to this state; nothing is sent when nothing differs. The x axis reaches to epoch `last`."""
        thin = [trace.thinned(MOST_POINTS) for trace in traces]
        self._unit = unit or self._unit
        low, high = _limits_of(thin)
        marks = [
            *(_ribbon(trace) for trace in thin if trace.low is not None and len(trace.epoch)),
            *(_curve(trace) for trace in thin),
            *(_dots(trace) for trace in thin if 0 < len(trace.epoch) <= FEW_DOTS),
        ]
        across = mk.axis("epoch", 0.0, float(last), nice_ticks(0.0, float(last), whole=True))
        up = mk.axis(self._unit, low, high, nice_ticks(low, high))
        empty = "" if any(len(one.epoch) for one in thin) else self._if_empty
        self.plot.show(marks, across, up, legend=markup.legend(thin), title=self._title, empty=empty)


def _curve(trace: Trace) -> mk.Mark:
    bounds = (trace.low, trace.high) if trace.low is not None else None
    reading = {"name": trace.label, "where": "at epoch", "bounds": bounds}
    return mk.line(trace.key, trace.epoch, trace.value, trace.color, dash=trace.dash, **reading)


def _ribbon(trace: Trace) -> mk.Mark:
    return mk.ribbon(f"{trace.key} interval", trace.epoch, trace.low, trace.high, trace.color, 0.16)


def _dots(trace: Trace) -> mk.Mark:
    return mk.points(f"{trace.key} dots", trace.epoch, trace.value, trace.color)


def _limits_of(traces: Sequence[Trace]) -> tuple[float, float]:
    """Return round limits that hold every value and interval, and zero."""
    parts = [part for trace in traces for part in (trace.value, trace.low, trace.high) if part is not None]
    values = np.concatenate([np.zeros(1), *parts])
    low = -nice_limit(-float(values.min())) if values.min() < 0 else 0.0
    return low, nice_limit(1.04 * float(values.max()))

"""Live line charts of traces, drawn by the browser: an update sends only arrays that have grown."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import bqplot as bq
import ipywidgets as widgets
import numpy as np

from mmpid.plots.traces import Band, Trace, nice_limit, nice_ticks
from mmpid.widgets.parts import markup
from mmpid.widgets.parts.assign import assign
from mmpid.widgets.parts.xy_chart import BQPLOT_DASHES

MOST_POINTS = 120  # more than this a chart of 500 pixels cannot show
MOST_DOTS = 40  # points that answer to the mouse, per curve
FEW_DOTS = 25  # up to this many points they are visible; beyond, only under the mouse
_MARGIN = {"top": 8, "bottom": 44, "left": 52, "right": 14}


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
        self._limits = limits
        self._on_click = on_click
        self._scales = {name: bq.LinearScale(min=0, max=1, allow_padding=False) for name in ("x", "y")}
        self._curves: dict[str, _Curve] = {}
        self._others: dict[tuple[int, str], bq.Lines] = {}
        self._guests: list[bq.Mark] = []
        self._band = _ribbon(self._scales, "#808080", 0.22)
        across = {"x": self._scales["x"], "y": bq.LinearScale(min=0, max=1, allow_padding=False)}
        self._switch, self._chosen = (_upright(across, dash) for dash in ("dashed", "solid"))
        self._x_axis = bq.Axis(scale=self._scales["x"], label="epoch", label_offset="2.6em", grid_lines="none")
        self._y_axis = bq.Axis(scale=self._scales["y"], side="left", label=unit, label_offset="3em")
        self.figure = bq.Figure(
            marks=[self._band, self._chosen, self._switch],
            axes=[self._x_axis, self._y_axis],
            fig_margin=_MARGIN,
            padding_y=0,
            animation_duration=0,
            display_toolbar=False,
            background_style={"fill": "none"},
            layout=widgets.Layout(width="100%", flex="1 1 250px", min_width="0"),
        )
        self._heading = widgets.HTML(markup.title(title, note))
        self._legend = widgets.HTML()
        self._empty = widgets.HTML(empty)
        self._empty.add_class("mmpid-empty")
        self.tools = widgets.HBox([self._heading], layout=widgets.Layout(justify_content="space-between"))
        self.widget = widgets.VBox([self.tools, self._legend, self.figure, self._empty])
        for name_ in ("mmpid-chart", f"mmpid-chart-{name}"):
            self.widget.add_class(name_)

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
        dots: bool = True,
    ) -> None:
        """Bring the chart to this state, sending only what differs.

        The x axis reaches to epoch `last`; `ghosts` are drawn thin, as what would have come of the traces of the same
        key, and `others` are other runs; `dots=False` leaves bands and the points under the mouse for a later call.
        """
        thin = [trace.thinned(MOST_POINTS) for trace in traces]
        self._ensure(thin, others)
        for trace in thin:
            self._curves[trace.key].show(trace, dots)
            self._curves[trace.key].haunt(next((g.thinned(MOST_POINTS) for g in ghosts if g.key == trace.key), None))
        for key in self._curves.keys() - {trace.key for trace in thin}:
            self._curves[key].hide()
        self._show_others(others)
        if dots:
            _show_ribbon(self._band, *((band.epoch, band.low, band.high) if band else (np.empty(0),) * 3))
        _show_upright(self._switch, switch)
        self._show_limits([*thin, *ghosts, *(trace for other in others for trace in other.traces)], band, last)
        if unit:
            assign(self._y_axis, label=unit)
        visible = [trace for trace in thin if len(trace.epoch)]
        note = "thin: left behind by a rewind" if any(len(ghost.epoch) > 1 for ghost in ghosts) else ""
        names = [(other.name, other.dash) for other in others]
        assign(self._legend, value=markup.legend(thin, markup.band_label(band), note, names))
        assign(self._empty.layout, display="none" if visible else "flex")

    def _ensure(self, traces: Sequence[Trace], others: Sequence[Overlay]) -> None:
        new = [trace for trace in traces if trace.key not in self._curves]
        for trace in new:
            self._curves[trace.key] = curve = _Curve(trace, self._scales)
            if self._on_click is not None:
                curve.dots.on_element_click(lambda _, event: self._on_click(round(event["data"]["x"])))
        unknown = [(other, t) for other in others for t in other.traces if (other.key, t.key) not in self._others]
        for other, trace in unknown:
            self._others[other.key, trace.key] = _thin_line(trace, other.dash, self._scales)
        if new or unknown:
            self._arrange()

    def _arrange(self) -> None:
        """Give the figure its marks, those that must be seen and touched last."""
        curves = self._curves.values()
        ribbons, ghosts, lines, dots = ([getattr(c, p) for c in curves] for p in ("ribbon", "ghost", "line", "dots"))
        others, upright = self._others.values(), (self._chosen, self._switch)
        self.figure.marks = [self._band, *ribbons, *ghosts, *upright, *others, *lines, *dots, *self._guests]

    def _show_others(self, others: Sequence[Overlay]) -> None:
        wanted = {(other.key, trace.key): (other, trace) for other in others for trace in other.traces}
        for key, line in self._others.items():
            if key not in wanted:
                assign(line, x=np.zeros(0, np.float32), y=np.zeros(0, np.float32))
                continue
            other, trace = wanted[key][0], wanted[key][1].thinned(MOST_POINTS)
            assign(line, x=trace.epoch.astype(np.float32), y=trace.value.astype(np.float32))
            assign(line, labels=[f"{other.name}: {trace.label}"], line_style=BQPLOT_DASHES[other.dash])

    @property
    def scales(self) -> dict[str, bq.LinearScale]:
        """The scales, for marks of others."""
        return self._scales

    def invite(self, marks: Sequence[bq.Mark]) -> None:
        """Draw marks of others on top."""
        self._guests += marks
        self.figure.marks = [*self.figure.marks, *marks]

    def choose(self, epoch: float | None) -> None:
        """Mark a chosen epoch, or none."""
        _show_upright(self._chosen, epoch)

    def _show_limits(self, traces: Sequence[Trace], band: Band | None, last: float) -> None:
        _show_axis(self._x_axis, 0.0, last, whole=True)
        _show_axis(self._y_axis, *(self._limits or _limits_of(traces, band)))


class _Curve:
    """The marks of one trace: its interval, its line, a discarded future, and the points that answer to the mouse."""

    def __init__(self, trace: Trace, scales: dict):
        self.ribbon = _ribbon(scales, trace.color, 0.16)
        nothing = {
            "x": np.zeros(0, np.float32),
            "y": np.zeros(0, np.float32),
            "scales": scales,
            "colors": [trace.color],
        }
        self.line = bq.Lines(**nothing, line_style=BQPLOT_DASHES[trace.dash], stroke_width=2.2)
        self.ghost = bq.Lines(**nothing, line_style=BQPLOT_DASHES[trace.dash], stroke_width=1.1, opacities=[0.5])
        tip = bq.Tooltip(fields=["name"], show_labels=False)
        self.dots = bq.Scatter(**nothing, names=np.array([""]), display_names=False, default_size=20, tooltip=tip)
        self.dots.hovered_style = {"opacity": 1.0}
        self.line.interactions = {}

    def show(self, trace: Trace, dots: bool) -> None:
        assign(self.line, x=trace.epoch.astype(np.float32), y=trace.value.astype(np.float32))
        if dots:
            none = np.empty(0)
            _show_ribbon(self.ribbon, *((trace.epoch, trace.low, trace.high) if trace.low is not None else (none,) * 3))
            self._show_dots(trace)

    def haunt(self, ghost: Trace | None) -> None:
        """Draw the discarded future of this trace, or none."""
        x, y = (ghost.epoch, ghost.value) if ghost is not None else (np.zeros(0), np.zeros(0))
        assign(self.ghost, x=x.astype(np.float32), y=y.astype(np.float32))

    def _show_dots(self, trace: Trace) -> None:
        few = trace.thinned(MOST_DOTS)
        names = np.array([hover_text(few, i) for i in range(len(few.epoch))] or [""])
        seen = np.array([1.0 if len(trace.epoch) <= FEW_DOTS else 0.0])  # many dots would hide the dashes
        assign(self.dots, opacities=seen, x=few.epoch.astype(np.float32), y=few.value.astype(np.float32), names=names)

    def hide(self) -> None:
        none = np.zeros(0, np.float32)
        for mark in (self.line, self.ghost, self.dots):
            assign(mark, x=none, y=none)
        assign(self.ribbon, visible=False)


def _thin_line(trace: Trace, dash: str, scales: dict) -> bq.Lines:
    """Return an empty line of another run; the mouse reads its name."""
    nothing = {"x": np.zeros(0, np.float32), "y": np.zeros(0, np.float32), "scales": scales}
    tip = bq.Tooltip(fields=["name"], show_labels=False)
    return bq.Lines(**nothing, colors=[trace.color], line_style=BQPLOT_DASHES[dash], stroke_width=1.2, tooltip=tip)


def _show_axis(axis: bq.Axis, low: float, high: float, whole: bool = False) -> None:
    """Set limits and ticks together; the library's own ticks are not round numbers."""
    if (axis.scale.min, axis.scale.max) == (low, high) and axis.tick_values is not None:
        return
    ticks = np.array(nice_ticks(low, high, whole=whole))
    assign(axis.scale, min=low, max=high)
    assign(axis, tick_format="d" if whole else f".{_digits(ticks)}f")  # first: new ticks are written in the old format
    assign(axis, tick_values=ticks)


def _digits(ticks: np.ndarray) -> int:
    return next(digits for digits in range(10) if np.allclose(ticks, ticks.round(digits), atol=1e-9))


def hover_text(trace: Trace, i: int) -> str:
    """Return what the mouse reads at point `i` of a trace."""
    interval = f" [{trace.low[i]:.2f}, {trace.high[i]:.2f}]" if trace.low is not None else ""
    return f"{trace.label}: {trace.value[i]:.3f}{interval} at epoch {trace.epoch[i]:g}"


def _upright(scales: dict, dash: str) -> bq.Lines:
    """Return a hidden vertical line."""
    look = {"colors": ["#808080"], "line_style": dash, "stroke_width": 1.5, "visible": False}
    return bq.Lines(x=np.zeros(2, np.float32), y=np.array([0, 1], np.float32), scales=scales, **look)


def _show_upright(mark: bq.Lines, epoch: float | None) -> None:
    if epoch is not None:
        assign(mark, x=np.array([epoch, epoch], dtype=np.float32))
    assign(mark, visible=epoch is not None)


def _ribbon(scales: dict, color: str, opacity: float) -> bq.Lines:
    return bq.Lines(
        x=np.array([0, 1], np.float32),
        y=np.zeros((2, 2), np.float32),
        scales=scales,
        colors=[color],
        fill="between",
        fill_colors=[color],
        fill_opacities=[opacity],
        opacities=[0.0, 0.0],
        visible=False,
    )


def _show_ribbon(mark: bq.Lines, epoch: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
    if not len(epoch):
        assign(mark, visible=False)
        return
    if len(epoch) == 1:  # a region needs two points; the library also drops axes of length one
        epoch, low, high = np.array([epoch[0] - 0.1, epoch[0] + 0.1]), np.repeat(low, 2), np.repeat(high, 2)
    assign(mark, x=epoch.astype(np.float32), y=np.stack([low, high]).astype(np.float32), visible=True)


def _limits_of(traces: Sequence[Trace], band: Band | None) -> tuple[float, float]:
    """Return round limits that hold every value and interval, and zero."""
    parts = [part for trace in traces for part in (trace.value, trace.low, trace.high) if part is not None]
    parts += [band.low, band.high] if band is not None else []
    values = np.concatenate([np.zeros(1), *parts])
    low = -nice_limit(-float(values.min())) if values.min() < 0 else 0.0
    return low, nice_limit(1.04 * float(values.max()))

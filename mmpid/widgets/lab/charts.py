"""The four live charts of the competition lab: strength, the course of learning, the error, and its scaling."""

from html import escape

import ipywidgets as widgets
import numpy as np

from mmpid.plots.traces import BLUE, GRAY, GREEN, VERMILION, modality_style, nice_limit, nice_ticks
from mmpid.widgets.lab.world import SWEEP_CLASSES, Sweep, World, discovered, lacking
from mmpid.widgets.parts import marks as mk
from mmpid.widgets.parts import markup
from mmpid.widgets.parts.plot import Plot
from mmpid.widgets.parts.xy_chart import MARGIN, Series, XYChart, panel

COLORS = [modality_style(i)[0] for i in range(2)]
SCHEDULE_STYLE = {
    "joint": (VERMILION, "dashed", "circle"),
    "two-stage": (GREEN, "solid", "square"),
    "one-shaped": ("#cc78bc", "dotted", "cross"),
    "two-stage-margin": ("#56b4e9", "dashdot", "diamond"),
}
# predicted or actual winner of a class: each has its own sign, so that color is never the only cue
SIGNS = {0: ("circle", COLORS[0]), 1: ("triangle", COLORS[1]), 2: ("square", GREEN), -1: ("cross", GRAY)}
_ROWS = {"predicted": 0.955, "kept": 0.865}
_PAIR = 0.36  # width of a bar, in classes
_ROOM = 0.78  # share of the height that the bars may use; the signs are above them


class WinnerChart:
    """A pair of bars per class, and above them the winner that ECS predicts and the actual one."""

    TITLE = "Who is strong in each class, and who gets it"

    def __init__(self, names: tuple[str, str]):
        self._names, self._key = names, _key(names)
        self.plot = Plot()
        self.widget = panel("winners", widgets.HTML(markup.title(self.TITLE)), self.plot)

    def show(self, world: World) -> None:
        """Bring the chart to a world."""
        classes, top = np.arange(len(world.ecs)), nice_limit(world.ecs.max() / _ROOM)
        ticks = [tick for tick in nice_ticks(0, top) if tick <= _ROOM * top]
        up = mk.axis("ECS at the start (no unit)", 0, top, ticks, [f"{tick:g}" for tick in ticks])
        across = mk.axis("class", -0.6, len(classes) - 0.4, classes[:: 1 + len(classes) // 20])
        marks = [self._bars(i, classes, world.ecs[:, i]) for i in range(2)]
        for row, owner in (("predicted", world.predicted), ("kept", world.kept)):
            for who, (sign, color) in SIGNS.items():
                mine = classes[owner == who]
                at = np.full(len(mine), _ROWS[row] * top)
                look = {"sign": sign, "size": 4.0, "filled": row == "kept"}
                marks.append(mk.points(f"{row} {who}", mine, at, color, **look))
        self.plot.show(marks, across, up, legend=self._key, title=self.TITLE, left=MARGIN)

    def _bars(self, i: int, classes: np.ndarray, ecs: np.ndarray) -> mk.Mark:
        """Return the bars of one modality; solid and hollow bars differ in more than color."""
        says = [f"{self._names[i]}, class {k}: ECS {value:.3g}" for k, value in enumerate(ecs)]
        place = classes + (i - 0.5) * _PAIR
        return mk.bars(self._names[i], place, ecs, COLORS[i], width=_PAIR, filled=i == 0, says=says)


class StrataChart:
    """The test error by insufficient modality, and the share of the total error that comes from each case."""

    TITLE = "Test error by what a sample lacks"

    def __init__(self, names: tuple[str, str]):
        self._kinds = lacking(names)
        self.plot = Plot()
        self.widget = panel("strata", widgets.HTML(markup.title(self.TITLE)), self.plot)

    def show(self, world: World) -> None:
        """Bring the chart to a world."""
        places = np.arange(len(self._kinds))
        across = mk.axis("insufficient in the sample", -0.5, len(places) - 0.5, places, self._kinds)
        up = mk.axis("test error (fraction wrong)", 0, 1, np.linspace(0, 1, 6))
        says = [f"{kind}: error {value:.3f}" for kind, value in zip(self._kinds, world.strata, strict=True)]
        shares = [f"{100 * w:.3g} %" for w in world.strata_weights]
        words = f"of all samples {shares[0]}, {shares[1]}, {shares[2]} and {shares[3]} are of these four kinds"
        legend = f'<div class="mmpid-legend mmpid-detail">{words}</div>'
        bars = mk.bars("error", places, world.strata, BLUE, width=0.5, says=says)
        self.plot.show([bars], across, up, legend=legend, title=self.TITLE, left=MARGIN)


class CompetitionCharts:
    """The four panels."""

    def __init__(self, names: tuple[str, str]):
        self._names = names
        self.winners, self.strata = WinnerChart(names), StrataChart(names)
        self.course = XYChart(
            title="The course of discovery",
            x="step of gradient descent",
            y="classes discovered (number)",
            name="course",
        )
        self.sweep = XYChart(
            title="Error against the number of classes",
            x="number of classes K",
            y="test error (fraction wrong)",
            name="sweep",
            empty="The errors over K appear here, one world after the other.",
            log=True,
        )
        panels = (self.winners, self.course, self.strata, self.sweep)
        self.widget = widgets.Box([one.widget for one in panels])
        self.widget.add_class("mmpid-charts")

    def show_world(self, world: World) -> None:
        """Update all charts except the sweep to a world."""
        self.winners.show(world)
        self.strata.show(world)
        limits = (0.0, float(world.knobs.n_steps)), (0.0, 1.05 * len(world.ecs))
        curves = course_series(world, self._names)
        self.course.show(curves, *limits, upright=world.hand_over, extra=_hand_over(world))

    def show_sweep(self, sweep: Sweep) -> None:
        """Update the sweep to the results computed so far."""
        series = sweep_series(sweep)
        values = np.concatenate([one.y for one in series])
        low = 10.0 ** np.floor(np.log10(values.min(initial=1e-3)))
        high = 10.0 ** np.ceil(np.log10(values.max(initial=1e-1)))
        self.sweep.show(series, (0.92 * SWEEP_CLASSES[0], 1.08 * SWEEP_CLASSES[-1]), (low, high))


FLOOR = 1e-7  # where an error of zero is drawn, because a log axis has no zero


def course_series(world: World, names: tuple[str, str]) -> list[Series]:
    """Return how many classes each modality has discovered, and would have discovered alone according to ECS."""
    series = []
    for kind, times in (("thin", world.sim.predicted_time), ("line", world.sim.discovery_time)):
        for i, name in enumerate(names):
            x, y = discovered(times[:, i], world.knobs.n_steps)
            label = name if kind == "line" else f"{name} alone, predicted by ECS"
            dash = modality_style(i)[1] if kind == "thin" else "solid" if i == 0 else "dashdot"
            series.append(Series(key=f"{kind}{i}", label=label, x=x, y=y, color=COLORS[i], dash=dash, kind=kind))
    return series[2:] + series[:2]


def sweep_series(sweep: Sweep) -> list[Series]:
    """Return the mean error over K for each schedule, one dot per world, and the laws mu and mu squared."""
    series = []
    for name, by_k in sweep.errors.items():
        color, dash, marker = SCHEDULE_STYLE[name]
        ks = np.array(sorted(by_k), dtype=float)
        mean = np.array([max(float(np.mean(by_k[k])), FLOOR) for k in ks])
        dots = [(k, max(value, FLOOR)) for k in ks for value in by_k[k]]
        x, y = np.array(dots).reshape(-1, 2).T
        found = sweep.slope(name)
        words = f"{name}: slope {found.estimate:.2f} [{found.low:.2f}, {found.high:.2f}]" if found else name
        series.append(Series(key=name, label=words, x=ks, y=mean, color=color, dash=dash))
        series.append(Series(key=f"{name} worlds", label=name, x=x, y=y, color=color, kind="dots", marker=marker))
    rates = np.array([sweep.knobs.rate(k) for k in SWEEP_CLASSES])
    for power, label, dash in ((1, "μ", "dashdot"), (2, "μ²", "dotted")):
        law = np.maximum(rates**power, FLOOR)
        series.append(
            Series(key=label, label=label, x=np.array(SWEEP_CLASSES, float), y=law, color=GRAY, dash=dash, kind="thin")
        )
    return series


def _hand_over(world: World) -> str:
    if world.knobs.schedule == "joint":
        return ""
    return "upright: joint training begins" if world.hand_over is not None else "stage 1 has not ended"


def _key(names: tuple[str, str]) -> str:
    """Return the legend: what the bars and the signs above them mean."""
    names = escape(names[0]), escape(names[1])
    bars = "".join(f"<span>{_box(COLORS[i], i == 0)}{name}</span>" for i, name in enumerate(names))
    words = {0: names[0], 1: names[1], 2: "both", -1: "nobody yet"}
    signs = "".join(f"<span>{_glyph(who)}{word}</span>" for who, word in words.items())
    rows = "upper row: named by ECS; lower row: has learned the class at the end"
    return f'<div class="mmpid-legend">bars: {bars} signs: {signs}<span class="mmpid-detail">{rows}</span></div>'


def _box(color: str, filled: bool) -> str:
    fill = color if filled else "none"
    box = f'<rect x="2" y="1" width="10" height="9" fill="{fill}" stroke="{color}" stroke-width="1.5"/>'
    return f'<svg width="14" height="11" aria-hidden="true">{box}</svg>'


_SHAPES = {
    0: '<circle cx="6" cy="6" r="4.2"/>',
    1: '<path d="M6 1.5 L10.5 10 L1.5 10 Z"/>',
    2: '<rect x="2" y="2" width="8" height="8"/>',
    -1: '<path d="M4.5 1.5h3v3h3v3h-3v3h-3v-3h-3v-3h3z"/>',
}


def _glyph(who: int) -> str:
    return f'<svg width="12" height="12" fill="{SIGNS[who][1]}" aria-hidden="true">{_SHAPES[who]}</svg>'

"""What another switch rule would have done on this run, asked of the record while a threshold is dragged."""

from collections.abc import Callable

import ipywidgets as widgets

from mmpid.rules import FixedEpoch, PeakSynergy, RedundancyPlateau, SwitchRule
from mmpid.rules.replay import replay
from mmpid.widgets.board.branches import Runs
from mmpid.widgets.board.text import what_if
from mmpid.widgets.parts import marks as mk
from mmpid.widgets.parts.curve_chart import CurveChart

COLOR = "#d55e00"
PEAK, PLATEAU, EPOCH = "synergy falls below its peak", "redundancy stops rising", "a fixed epoch"


class WhatIf:
    """A rule, its threshold as a slider and as a line in the chart, and the answer of a replay.

    For `PeakSynergy` the line is the level in bits below which synergy counts as fallen; for `FixedEpoch` it is the
    epoch. The threshold of `RedundancyPlateau` is a gain and not a level, so it has a slider only.

    Parameters
    ----------
    chart
        The chart of atoms, in which the line is drawn and dragged.
    runs
        The chosen one is asked.
    guarded
        Wraps callbacks so that the board shows their exceptions.
    """

    def __init__(self, chart: CurveChart, runs: Runs, guarded: Callable):
        self._runs = runs
        self._chart = chart
        self._peak = 0.0
        self.rules: dict[str, tuple[widgets.Widget, Callable[[float], SwitchRule]]] = {
            PEAK: (
                _slider("below this fraction of the peak", 0.8, 0.05, 1.0, 0.01),
                lambda v: PeakSynergy(drop=v),
            ),
            PLATEAU: (
                _slider("gains less than (bits)", 0.05, 0.0, 0.5, 0.01),
                lambda v: RedundancyPlateau(min_gain=v),
            ),
            EPOCH: (_slider("epoch", 10, 0, 60, 1), lambda v: FixedEpoch(epoch=round(v))),
        }
        self.rule = widgets.Dropdown(
            options=list(self.rules), description="Switch when", tooltip="The rule to ask; nothing is trained"
        )
        self.rule.style.description_width = "initial"
        self._use = widgets.Button(
            description="Use this rule",
            icon="check",
            tooltip="Let the controller of this run follow this rule from now on",
        )
        self._use.on_click(guarded(lambda _: self._adopt()))
        self._answer = widgets.HTML()
        chart.plot.on_drag(guarded(self._dragged))
        self._sliders = widgets.Box([slider for slider, _ in self.rules.values()])
        row = widgets.Box([self.rule, self._sliders, self._use])
        row.add_class("mmpid-row")
        self.widget = widgets.Accordion(
            [widgets.VBox([row, self._answer])], titles=("What if another rule had decided?",), selected_index=None
        )
        for one in (self.rule, *self._sliders.children):
            one.observe(lambda _: runs.notify(), "value")
        self.widget.observe(lambda _: runs.notify(), "selected_index")

    @property
    def threshold(self) -> float:
        """The present rule's threshold, in its own unit."""
        return float(self.rules[self.rule.value][0].value)

    def chosen_rule(self) -> SwitchRule:
        """Return the rule with its threshold."""
        return self.rules[self.rule.value][1](self.threshold)

    def show(self, record) -> None:
        """Ask the rule, and draw its line and its answer; nothing while the panel is closed."""
        if self.widget.selected_index is None:
            self._chart.invite([])
            return
        for name, (slider, _) in self.rules.items():
            slider.layout.display = "" if name == self.rule.value else "none"
        probes = [row for row in record.lineage("probe") if row["stage"] == "unimodal"]
        decisions = replay(record, self.chosen_rule()) if probes else []
        self._answer.value = what_if(decisions, len(probes))
        switch = decisions[-1] if decisions and decisions[-1].action == "switch" else None
        self._peak = max((row["synergy"] for row in probes), default=0.0)
        at = [mk.upright("what if", switch.epoch, COLOR, thick=3, opacity=0.6)] if switch is not None else []
        self._chart.invite([*at, *(self._threshold() if probes else [])])

    def _threshold(self) -> list[mk.Mark]:
        """Return the threshold as a line with a grip, if it is a level or an epoch."""
        (_, right), (low, top) = self._chart.limits["x"], self._chart.limits["y"]
        if self.rule.value == EPOCH:
            line = mk.upright("threshold", self.threshold, COLOR, dash="dashed")
            return [line, mk.handle("grip", self.threshold, low + 0.93 * (top - low), COLOR, along="x")]
        if self.rule.value == PEAK:
            height = self.threshold * self._peak
            line = mk.level("threshold", height, COLOR, dash="dashed")
            return [line, mk.handle("grip", 0.97 * right, height, COLOR, along="y")]
        return []

    def _dragged(self, place: dict[str, float]) -> None:
        """Turn the grip's place into the slider's value; the publisher does the rest."""
        slider, _ = self.rules[self.rule.value]
        value = place["x"] if "x" in place else place["y"] / max(self._peak, 1e-9)
        slider.value = type(slider.value)(min(max(round(value, 2), slider.min), slider.max))

    def _adopt(self) -> None:
        rule = self.chosen_rule()
        self._runs.session.post(lambda trainer: trainer.set_rule(rule), "use this rule")


def _slider(words: str, value: float, low: float, high: float, step: float) -> widgets.Widget:
    kind = widgets.IntSlider if isinstance(value, int) else widgets.FloatSlider
    slider = kind(
        value=value,
        min=low,
        max=high,
        step=step,
        description=words,
        tooltip="The rule's threshold; the line in the first chart can be dragged instead",
        layout=widgets.Layout(width="360px"),
    )
    slider.style.description_width = "initial"
    return slider

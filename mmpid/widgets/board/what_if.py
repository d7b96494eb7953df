"""What another switch rule would have done on this run, asked of the record while a threshold is dragged."""

from collections.abc import Callable

import bqplot as bq
import ipywidgets as widgets
import numpy as np

from mmpid.train.replay import replay
from mmpid.train.rules import FixedEpoch, PeakSynergy, RedundancyPlateau, SwitchRule
from mmpid.widgets.board.branches import Runs
from mmpid.widgets.board.text import what_if
from mmpid.widgets.parts.assign import assign

COLOR = "#d55e00"


class WhatIf:
    """A rule, its threshold as a slider and as a line in the chart, and the answer of a replay.

    For `PeakSynergy` the line is the level in bits below which synergy counts as fallen; for `FixedEpoch` it is the
    epoch. The threshold of `RedundancyPlateau` is a gain and not a level, so it has a slider only.

    Parameters
    ----------
    scales
        The scales of the chart of atoms.
    runs
        The chosen one is asked.
    guarded
        Wraps callbacks so that the board shows their exceptions.
    """

    def __init__(self, scales: dict, runs: Runs, guarded: Callable):
        self._runs = runs
        self._scales = scales
        self._peak = 0.0
        self.rules: dict[str, tuple[widgets.Widget, Callable[[float], SwitchRule]]] = {
            "synergy falls below its peak": (
                _slider("below this fraction of the peak", 0.8, 0.05, 1.0, 0.01),
                lambda v: PeakSynergy(drop=v),
            ),
            "redundancy stops rising": (
                _slider("gains less than (bits)", 0.05, 0.0, 0.5, 0.01),
                lambda v: RedundancyPlateau(min_gain=v),
            ),
            "a fixed epoch": (_slider("epoch", 10, 0, 60, 1), lambda v: FixedEpoch(epoch=round(v))),
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
        self.line, self.handle, self.mark = self._marks()
        self.handle.on_drag(guarded(self._dragged))
        self.handle.on_drag_end(guarded(self._dragged))
        self._sliders = widgets.Box([slider for slider, _ in self.rules.values()])
        row = widgets.Box([self.rule, self._sliders, self._use])
        row.add_class("mmpid-row")
        self.widget = widgets.Accordion(
            [widgets.VBox([row, self._answer])], titles=("What if another rule had decided?",), selected_index=None
        )
        for one in (self.rule, *self._sliders.children):
            one.observe(lambda _: runs.announce(), "value")
        self.widget.observe(lambda _: runs.announce(), "selected_index")

    @property
    def marks(self) -> list[bq.Mark]:
        """What the chart has to draw."""
        return [self.mark, self.line, self.handle]

    @property
    def threshold(self) -> float:
        """The present rule's threshold, in its own unit."""
        return float(self.rules[self.rule.value][0].value)

    def chosen_rule(self) -> SwitchRule:
        """Return the rule with its threshold."""
        return self.rules[self.rule.value][1](self.threshold)

    def show(self, record) -> None:
        """Ask the rule, and draw its line and its answer; nothing while the panel is closed."""
        opened = self.widget.selected_index is not None
        for mark in self.marks:
            assign(mark, visible=opened and (mark is self.mark or self.rule.value != "redundancy stops rising"))
        if not opened:
            return
        for name, (slider, _) in self.rules.items():
            assign(slider.layout, display="" if name == self.rule.value else "none")
        probes = [row for row in record.lineage("probe") if row["stage"] == "unimodal"]
        if not probes:
            assign(self._answer, value=what_if([], 0))
            return
        decisions = replay(record, self.chosen_rule())
        assign(self._answer, value=what_if(decisions, len(probes)))
        switch = decisions[-1] if decisions and decisions[-1].action == "switch" else None
        assign(self.mark, visible=switch is not None)
        if switch is not None:
            assign(self.mark, x=np.array([switch.epoch, switch.epoch], np.float32))
        self._peak = max(row["synergy"] for row in probes)
        self._show_line()

    def _show_line(self) -> None:
        right, top = self._scales["x"].max, self._scales["y"].max
        if self.rule.value == "a fixed epoch":
            x, y, at = [self.threshold] * 2, [self._scales["y"].min, top], (self.threshold, 0.93 * top)
        else:
            level = self.threshold * self._peak
            x, y, at = [0, right], [level, level], (0.97 * right, level)
        assign(self.line, x=np.array(x, np.float32), y=np.array(y, np.float32))
        along_x = self.rule.value == "a fixed epoch"
        place = {"x": np.array([at[0]], np.float32), "y": np.array([at[1]], np.float32)}
        assign(self.handle, restrict_x=along_x, restrict_y=not along_x, **place)

    def _dragged(self, _, event) -> None:
        """Turn the handle's place into the slider's value; the publisher does the rest."""
        point, (slider, _) = event["point"], self.rules[self.rule.value]
        value = point["x"] if self.rule.value == "a fixed epoch" else point["y"] / max(self._peak, 1e-9)
        slider.value = type(slider.value)(min(max(round(value, 2), slider.min), slider.max))

    def _adopt(self) -> None:
        rule = self.chosen_rule()
        self._runs.session.post(lambda trainer: trainer.follow(rule), "use this rule")

    def _marks(self) -> tuple[bq.Lines, bq.Scatter, bq.Lines]:
        nowhere = np.zeros(2, np.float32)
        across = {"x": self._scales["x"], "y": bq.LinearScale(min=0, max=1, allow_padding=False)}
        look = {"colors": [COLOR], "visible": False}
        line = bq.Lines(x=nowhere, y=nowhere, scales=self._scales, stroke_width=1.5, line_style="dashed", **look)
        mark = bq.Lines(
            x=nowhere, y=np.array([0, 1], np.float32), scales=across, stroke_width=3, opacities=[0.6], **look
        )
        handle = bq.Scatter(
            x=nowhere[:1],
            y=nowhere[:1],
            scales=self._scales,
            marker="diamond",
            default_size=160,
            enable_move=True,
            update_on_move=True,
            **look,
        )
        return line, handle, mark


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

"""The knobs of the competition lab: widgets on one side, a setting on the other."""

from collections.abc import Callable
from dataclasses import fields

import ipywidgets as widgets

from mmpid._validate import choice
from mmpid.theory.schedules import SCHEDULES
from mmpid.widgets.lab.world import Knobs

CLASSES = (4, 6, 8, 12, 16, 24, 32)
SCALES = (0.001, 0.002, 0.004, 0.007, 0.01, 0.02, 0.05, 0.1, 0.2)
RATES = {"c / K: falls with K": False, "c / 16: the same for every K": True}
_WORDS = {
    "joint": "joint from the start",
    "two-stage": "two-stage: each alone, then joint",
    "one-shaped": "only modality 1 alone first",
    "two-stage-margin": "two-stage with a margin of 120 steps",
}


class LabControls:
    """One widget per knob; `knobs` reads them, `set` writes them.

    Parameters
    ----------
    start
        The setting to begin with.
    changed
        Called after every move of a knob.
    """

    def __init__(self, start: Knobs, changed: Callable[[], None]):
        self._changed, self._filling = changed, True
        self._make_world(start)
        self._make_course()
        self.another = _button("Another world", "random", "The same setting with other data and initial weights")
        self.reset = _button("Back to the start", "undo", "All knobs at their initial values")
        self.another.on_click(lambda _: setattr(self.seed, "value", (self.seed.value + 1) % 10_000))
        self.reset.on_click(lambda _: self.set(start))
        for one in self.inputs:
            one.observe(lambda _: self._moved(), "value")
        self.set(start, quiet=True)
        self.widget = widgets.Box([*self.inputs, self.another, self.reset])
        self.widget.add_class("mmpid-row")

    def _make_world(self, start: Knobs) -> None:
        """Make the knobs of the data and the initial weights."""
        words = "Number of classes; the time to compute grows with its square"
        self.n_classes = _choice(CLASSES, start.n_classes, "Classes K", words)
        words = "Spread of the initial weights; competition needs it far below 0.5, the threshold of discovery"
        self.init_scale = _choice(SCALES, start.init_scale, "Initial scale s0", words)
        words = "How many times stronger modality 2 is than modality 1"
        self.ratio = _slider(widgets.FloatSlider, 0.5, 2.0, 0.05, "Imbalance 2 : 1", words)
        words = "A sample lacks a modality with probability c / K"
        self.insufficiency = _slider(widgets.FloatSlider, 0.0, 2.0, 0.05, "Insufficient, c", words)
        words = "How the rate of insufficient samples depends on K"
        self.constant_rate = _menu(RATES, "Rate over K", words)
        words = "Seed of data and initial weights"
        self.seed = widgets.BoundedIntText(
            min=0, max=9999, description="World (seed)", tooltip=words, layout=_wide("210px")
        )
        self.seed.style.description_width = "120px"

    def _make_course(self) -> None:
        """Make the knobs of the training schedule."""
        names = {_WORDS[name]: name for name in SCHEDULES}
        self.schedule = _menu(names, "Schedule", "What is trained when; the total number of steps stays the same")
        words = "Stage 1 ends when every class of each modality is learned and the two are balanced"
        self.oracle = widgets.Checkbox(
            description="an oracle ends stage 1", tooltip=words, indent=False, layout=_wide("190px")
        )
        self.shaping_steps = _slider(widgets.IntSlider, 0, 500, 10, "Stage 1, steps", "Steps of unimodal training")
        self.n_steps = _slider(widgets.IntSlider, 100, 1200, 50, "Steps in all", "Steps of both stages together")

    @property
    def inputs(self) -> list[widgets.Widget]:
        """Every widget with a value."""
        first = [self.n_classes, self.init_scale, self.ratio, self.insufficiency, self.constant_rate]
        return [*first, self.schedule, self.shaping_steps, self.oracle, self.n_steps, self.seed]

    @property
    def knobs(self) -> Knobs:
        """The present setting."""
        values = {f.name: getattr(self, f.name).value for f in fields(Knobs)}
        if self.schedule.value == "joint" or self.oracle.value:
            values["shaping_steps"] = None
        return Knobs(**values)

    def set(self, knobs: Knobs, quiet: bool = False) -> None:
        """Move every knob, as one change."""
        self._filling = True
        for f in fields(Knobs):
            value = getattr(knobs, f.name)
            if f.name != "shaping_steps":
                getattr(self, f.name).value = value
        self.oracle.value = knobs.shaping_steps is None
        self.shaping_steps.value = 100 if knobs.shaping_steps is None else knobs.shaping_steps
        self._filling = False
        self._enable()
        if not quiet:
            self._changed()

    def _moved(self) -> None:
        if not self._filling:
            self._enable()
            self._changed()

    def _enable(self) -> None:
        self.oracle.disabled = self.schedule.value == "joint"
        self.shaping_steps.disabled = self.oracle.disabled or self.oracle.value


def make_knobs(settings: dict) -> Knobs:
    """Return the setting, refusing unknown names."""
    for name in settings:
        choice(name, "a knob of the lab", [f.name for f in fields(Knobs)])
    return Knobs(**settings)


def _choice(options, value, words: str, tooltip: str) -> widgets.SelectionSlider:
    known = [(f"{one:g}", one) for one in sorted({*options, value})]
    slider = widgets.SelectionSlider(
        options=known, value=value, description=words, tooltip=tooltip, continuous_update=True, layout=_wide()
    )
    slider.style.description_width = "120px"
    return slider


def _slider(kind, low, high, step, words: str, tooltip: str):
    slider = kind(min=low, max=high, step=step, description=words, tooltip=tooltip, layout=_wide())
    slider.style.description_width = "120px"
    return slider


def _menu(options: dict, words: str, tooltip: str) -> widgets.Dropdown:
    menu = widgets.Dropdown(options=options, description=words, tooltip=tooltip, layout=_wide())
    menu.style.description_width = "120px"
    return menu


def _button(words: str, icon: str, tooltip: str) -> widgets.Button:
    return widgets.Button(
        description=words, icon=icon, tooltip=tooltip, layout=widgets.Layout(width="auto", min_width="72px")
    )


def _wide(width: str = "340px") -> widgets.Layout:
    return widgets.Layout(width=width)

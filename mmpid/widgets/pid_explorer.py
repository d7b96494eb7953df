"""Edit a small joint and see its atoms: a first lesson in partial information decomposition."""

import threading

import bqplot as bq
import ipywidgets as widgets
import numpy as np

from mmpid.plots.information_diagram import information_diagram
from mmpid.plots.style import Picture
from mmpid.plots.traces import ATOM_STYLE, SHORT_NAMES
from mmpid.widgets import scene as sc
from mmpid.widgets import text
from mmpid.widgets.charts import assign
from mmpid.widgets.look import stylesheet
from mmpid.widgets.place import resolve_mode


class PIDExplorer:
    """Edit the joint of two binary sources and a binary target, and see R, U1, U2 and S at once.

    Choose a gate, mix it with another one, add noise, or type the weights of the eight cells. The bars show the four
    atoms in bits; a sentence explains each; tables show the pairwise marginals, which alone determine R, U1 and U2,
    and the optimum q, the joint with these marginals that has no synergy.

    Parameters
    ----------
    gate
        Name of the first gate, one of `mmpid.widgets.scene.PRESETS`.
    mode
        "live", "static", or "auto"; static shows a picture.

    Examples
    --------
    >>> explorer = PIDExplorer(mode="live")
    >>> round(explorer.scene.atoms["synergy"], 3)
    1.0
    >>> explorer.noise.value = 1.0
    >>> explorer.scene.atoms["synergy"]
    0.0
    """

    def __init__(self, gate: str = "XOR: only together", mode: str = "auto"):
        self.mode = resolve_mode(mode)
        self._lock = threading.RLock()  # callbacks may come from two threads
        names = list(sc.PRESETS)
        wide = widgets.Layout(width="330px")
        self.gate = widgets.Dropdown(
            options=names, value=gate, description="Gate", tooltip="A canonical joint", layout=wide
        )
        self.other = widgets.Dropdown(
            options=names, value=names[3], description="mixed with", tooltip="The joint to mix in", layout=wide
        )
        self.mix = _share("share of it", "0: the gate alone; 1: the other one alone")
        self.noise = _share("noise", "Share of the uniform joint, in which nothing is known")
        self.cells = [_cell(i) for i in range(8)]
        self.bars, self.figure = _bars()
        self._words, self._tables = widgets.HTML(), widgets.HTML()
        for control in (self.gate, self.other, self.mix, self.noise):
            control.observe(lambda _: self._from_gates(), "value")
        for cell in self.cells:
            cell.observe(lambda _: self._from_cells(), "value")
        self._filling = False
        self._from_gates()
        self.root = widgets.VBox([stylesheet(), self._layout(), self._tables])
        self.root.add_class("mmpid-board")

    @property
    def weights(self) -> list[float]:
        """The eight cells in the order of x1, x2, y; y runs fastest."""
        return [cell.value for cell in self.cells]

    def _from_gates(self) -> None:
        with self._lock:
            joint = sc.make_joint(self.gate.value, self.other.value, self.mix.value, self.noise.value)
            self._filling = True
            for cell, value in zip(self.cells, joint.flatten().tolist(), strict=True):
                cell.value = round(value, 4)
            self._filling = False
            self._show(sc.make_scene(joint))

    def _from_cells(self) -> None:
        with self._lock:
            if not self._filling:
                self._show(sc.make_scene(self.weights))

    def _show(self, scene: sc.Scene) -> None:
        self.scene = scene
        values = np.array(list(scene.atoms.values()))
        assign(self.bars, y=values)
        self._words.value = sc.sentences(scene)
        self._tables.value = sc.tables(scene)

    def _layout(self) -> widgets.Box:
        grid = widgets.GridBox(
            [widgets.HTML(f'<span class="mmpid-detail">{word}</span>') for word in ("x1 x2", "y = 0", "y = 1")]
            + [one for i in range(4) for one in (widgets.HTML(f"{i // 2} {i % 2}"), *self.cells[2 * i : 2 * i + 2])],
            layout=widgets.Layout(grid_template_columns="50px 90px 90px", align_items="center"),
        )
        left = [widgets.HTML(text.title("Two sources and a target", "all binary")), self.gate, self.other, self.mix]
        left += [self.noise, widgets.HTML(text.title("Weights of the cells", "edit them; they are normalized")), grid]
        right = [widgets.HTML(text.title("What the sources know about the target")), self.figure, self._words]
        panels = [widgets.VBox(left), widgets.VBox(right)]
        for panel in panels:
            panel.add_class("mmpid-chart")
        box = widgets.Box(panels)
        box.add_class("mmpid-charts")
        return box

    def picture(self) -> Picture:
        """Return the present joint's atoms as the diagram of two circles."""
        figure = Picture(figsize=(6, 4.2), layout="constrained")
        information_diagram(self.scene.result, figure.subplots(), title=self.gate.value)
        return figure

    def _ipython_display_(self) -> None:
        from IPython.display import display

        if self.mode == "live":
            display(self.root)
        display({"image/png": self.picture().png(), "text/plain": f"PID explorer: {self.gate.value}"}, raw=True)


def _share(words: str, tooltip: str) -> widgets.FloatSlider:
    return widgets.FloatSlider(
        min=0, max=1, step=0.01, description=words, tooltip=tooltip, layout=widgets.Layout(width="330px")
    )


def _cell(i: int) -> widgets.BoundedFloatText:
    place = f"x1 = {i // 4}, x2 = {i // 2 % 2}, y = {i % 2}"
    return widgets.BoundedFloatText(
        min=0, max=1e6, step=0.05, tooltip=f"Weight of the cell {place}", layout=widgets.Layout(width="84px")
    )


def _bars() -> tuple[bq.Bars, bq.Figure]:
    scales = {"x": bq.OrdinalScale(), "y": bq.LinearScale(min=0, max=1, allow_padding=False)}
    scales["color"] = bq.OrdinalColorScale(colors=[color for color, _ in ATOM_STYLE.values()], domain=[0, 1, 2, 3])
    tip = bq.Tooltip(fields=["x", "y"], labels=["atom", "bits"], formats=["", ".4f"])
    bars = bq.Bars(x=list(SHORT_NAMES.values()), y=np.zeros(4), color=np.arange(4), scales=scales)
    bars.tooltip, bars.padding = tip, 0.35
    ticks = np.linspace(0, 1, 6)
    axes = [
        bq.Axis(scale=scales["x"], grid_lines="none"),
        bq.Axis(scale=scales["y"], side="left", label="information (bits)", label_offset="3em", tick_values=ticks),
    ]
    axes[1].tick_format = ".1f"
    figure = bq.Figure(
        marks=[bars],
        axes=axes,
        fig_margin={"top": 8, "bottom": 30, "left": 52, "right": 14},
        padding_y=0,
        animation_duration=150,
        display_toolbar=False,
        background_style={"fill": "none"},
        layout=widgets.Layout(width="100%", height="220px", min_width="0"),
    )
    return bars, figure

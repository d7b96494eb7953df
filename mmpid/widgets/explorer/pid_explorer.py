"""Edit a small joint and see its atoms: a first lesson in partial information decomposition."""

import threading
from typing import cast

import ipywidgets as widgets
import numpy as np

from mmpid._validate import choice
from mmpid.plots.information_diagram import information_diagram
from mmpid.plots.style import Picture
from mmpid.plots.traces import ATOMS, SHORT_NAMES, atom_color
from mmpid.widgets.explorer import scene as sc
from mmpid.widgets.parts import marks as mk
from mmpid.widgets.parts import markup
from mmpid.widgets.parts.environment import resolve_mode
from mmpid.widgets.parts.lifecycle import StaticPicture, Still, close_tree, heard, register_widget, show_widget
from mmpid.widgets.parts.plot import Plot
from mmpid.widgets.parts.stylesheet import stylesheet
from mmpid.widgets.parts.worker import problem

MOST_CLASSES = 4
GATES, COMPONENTS = "gates", "a mix of R, U1, U2, S"


class PIDExplorer:
    """Edit the joint of two binary sources and a small target, and see R, U1, U2 and S at once.

    Start from a gate, mix it with another one, or start from a mix of four joints, each with one bit of one atom;
    correlate the sources, add noise, or type the weights of the cells. The bars show the four atoms in bits; a sentence
    explains each; tables show the pairwise marginals, which alone determine R, U1 and U2, and the optimum q, the joint
    with these marginals that has no synergy.

    Parameters
    ----------
    gate
        Name of the first gate, one of `mmpid.widgets.explorer.scene.PRESETS`.
    mode
        "live", "static", or "auto"; static shows a picture and makes no widget.

    Raises
    ------
    ConfigError
        If there is no such gate.

    Notes
    -----
    The atoms of a mixture are not the mixture of the atoms. An equal mix of two joints has less than half of each
    atom, because an observer does not know which joint a sample came from.

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
        self._recipe = sc.Recipe(gate=choice(gate, "gate", tuple(sc.PRESETS)))
        self.scene = sc.make_scene(self._recipe.joint())
        self.origin = None
        self._still = StaticPicture(self._bundle)
        self._lock = threading.RLock()  # callbacks may come from two threads
        self._filling = False
        if self.mode == "live":
            self._build(gate)
            register_widget(self)

    def __repr__(self) -> str:
        atoms = ", ".join(f"{SHORT_NAMES[name]} {value:.3f}" for name, value in self.scene.atoms.items())
        return f"PIDExplorer({self.mode}, {atoms} bits)"

    def _build(self, gate: str) -> None:
        names = list(sc.PRESETS)
        self.start = _menu(
            [GATES, COMPONENTS],
            GATES,
            "Start from",
            "Gates, or a mix of four joints that have one bit of one atom each",
        )
        self.gate = _menu(names, gate, "Gate", "A canonical joint")
        self.other = _menu(names, names[3], "mixed with", "The joint to mix in")
        self.mix = _share("share of it", "0: the gate alone; 1: the other one alone")
        self.shares = {
            name: _share(words, f"Weight of the joint with one {words} bit and nothing else", value=0.25)
            for name, words in zip(sc.COMPONENTS, ("redundant", "unique 1", "unique 2", "synergistic"), strict=True)
        }
        self.correlation = _share(
            "correlation", "Let the sources agree (above 0) or disagree (below) more often", low=-1
        )
        self.noise = _share("noise", "Share of the uniform joint, in which nothing is known")
        self.cells = [_cell(i) for i in range(4 * MOST_CLASSES)]
        self.plot = Plot()
        words = ["x1 x2", *(f"y = {y}" for y in range(MOST_CLASSES))]
        self._heads = [widgets.HTML(f'<span class="mmpid-detail">{w}</span>', layout=_place(w)) for w in words]
        self._words, self._tables, self._failure = widgets.HTML(), widgets.HTML(), widgets.HTML()
        sliders = (self.mix, *self.shares.values(), self.correlation, self.noise)
        for control in (self.start, self.gate, self.other, *sliders):
            control.observe(lambda _: self._guarded(self._from_recipe), "value")
        for cell in self.cells:
            cell.observe(lambda _: self._guarded(self._from_cells), "value")
        self._from_recipe()
        self.root = widgets.VBox([stylesheet(), self._failure, self._layout(), self._tables])
        for name in ("mmpid-board", "mmpid-explorer"):
            self.root.add_class(name)

    @property
    def recipe(self) -> sc.Recipe:
        """The recipe that the controls set; it does not include cells edited by hand."""
        if self.mode == "static":
            return self._recipe
        shares = tuple(one.value for one in self.shares.values()) if self.start.value == COMPONENTS else None
        tuned = {"correlation": self.correlation.value, "noise": self.noise.value}
        gate, other = cast(str, self.gate.value), cast(str, self.other.value)
        return sc.Recipe(gate=gate, other=other, mix=self.mix.value, shares=shares, **tuned)

    @property
    def weights(self) -> list[float]:
        """The visible cells in the order of x1, x2, y; y runs fastest."""
        return [cell.value for i, cell in enumerate(self.cells) if i % MOST_CLASSES < self.scene.joint.shape[2]]

    def picture(self) -> Picture:
        """Return the current joint's atoms as a diagram of two circles."""
        figure = Picture(figsize=(6, 4.2), layout="constrained")
        information_diagram(self.scene.result, figure.subplots(), title=self._title)
        return figure

    def close(self) -> None:
        """End the thread that keeps the picture current, and remove the widgets; the picture stays."""
        self._still.close()
        if self.mode == "live":
            close_tree(self.root)

    @property
    def _title(self) -> str:
        """Description of the joint, for the picture."""
        recipe = self.recipe
        wanted = recipe.joint()
        if wanted.shape != self.scene.joint.shape or (wanted - self.scene.joint).abs().max() > 1e-3:
            return "Cells edited by hand"
        if recipe.shares is not None:
            return "A mix of the four components"
        return recipe.gate if recipe == sc.Recipe(gate=recipe.gate, other=recipe.other) else f"{recipe.gate}, changed"

    def _from_recipe(self) -> None:
        with self._lock:
            joint = self.recipe.joint()
            self._filling = True
            for i, cell in enumerate(self.cells):
                row, y = divmod(i, MOST_CLASSES)
                seen = y < joint.shape[2]
                cell.value = round(float(joint.flatten(0, 1)[row, y]), 4) if seen else 0.0
                cell.layout.display = self._heads[y + 1].layout.display = None if seen else "none"
            self._filling = False
            self._choose_sliders()
            self._show(sc.make_scene(joint))

    def _from_cells(self) -> None:
        with self._lock:
            if not self._filling:
                self._show(sc.make_scene(self.weights))

    def _choose_sliders(self) -> None:
        mixing = self.start.value == COMPONENTS
        for control in (self.gate, self.other, self.mix):
            control.layout.display = "none" if mixing else None
        for control in self.shares.values():
            control.layout.display = None if mixing else "none"

    def _show(self, scene: sc.Scene) -> None:
        self.scene = scene
        _show_atoms(self.plot, scene.atoms)
        self._words.value = sc.sentences(scene)
        self._tables.value = sc.tables(scene)
        self._still.refresh()

    def _guarded(self, callback) -> None:
        """Make the call and show any exception, which a notebook would hide."""
        try:
            callback()
            self._failure.value = ""
        except Exception as error:
            self._filling = False
            self._failure.value = problem(error)

    def _layout(self) -> widgets.Box:
        left = [widgets.HTML(markup.title("Two sources and a target", "binary sources, two to four classes"))]
        left += [self.start, self.gate, self.other, self.mix, *self.shares.values(), self.correlation, self.noise]
        left += [widgets.HTML(markup.title("Weights of the cells", "edit them; they are normalized")), self._grid()]
        right = [widgets.HTML(markup.title("What the sources know about the target")), self.plot, self._words]
        panels = [widgets.VBox(left), widgets.VBox(right)]
        for panel in panels:
            panel.add_class("mmpid-chart")
        box = widgets.Box(panels)
        box.add_class("mmpid-charts")
        return box

    def _grid(self) -> widgets.VBox:
        rows = [widgets.HBox(self._heads)]
        for i in range(4):
            name = widgets.HTML(f"{i // 2} {i % 2}", layout=_place("x1 x2"))
            cells = self.cells[MOST_CLASSES * i : MOST_CLASSES * (i + 1)]
            rows.append(widgets.HBox([name, *cells], layout=widgets.Layout(align_items="center")))
        return widgets.VBox(rows, layout=widgets.Layout(margin="0 0 8px 0"))

    def _bundle(self) -> dict:
        return {"image/png": self.picture().png(), "text/plain": f"PID explorer: {self._title}. {self!r}"}

    def _display_(self) -> object:
        """Return what marimo shows instead of this object."""
        return heard(self.root) if self.mode == "live" else Still(self._bundle())

    def _ipython_display_(self) -> None:
        if self.mode == "live":
            show_widget(self.root)
        self._still.display()


def _menu(options, value: str, words: str, tooltip: str) -> widgets.Dropdown:
    return widgets.Dropdown(options=options, value=value, description=words, tooltip=tooltip, layout=_wide())


def _share(words: str, tooltip: str, *, low: float = 0.0, value: float = 0.0) -> widgets.FloatSlider:
    return widgets.FloatSlider(
        value=value, min=low, max=1, step=0.01, description=words, tooltip=tooltip, layout=_wide()
    )


def _wide() -> widgets.Layout:
    return widgets.Layout(width="330px")


def _place(words: str) -> widgets.Layout:
    return widgets.Layout(width="44px" if words == "x1 x2" else "84px", margin="2px")


def _cell(i: int) -> widgets.BoundedFloatText:
    row, y = divmod(i, MOST_CLASSES)
    return widgets.BoundedFloatText(
        min=0,
        max=1e6,
        step=0.05,
        tooltip=f"Weight of the cell x1 = {row // 2}, x2 = {row % 2}, y = {y}",
        layout=_place("cell"),
    )


def _show_atoms(plot: Plot, atoms: dict[str, float]) -> None:
    """Draw the atoms, in the order of their names, as bars of their colors."""
    names, values = list(SHORT_NAMES.values()), list(atoms.values())
    across = mk.axis("", -0.6, 3.6, range(4), names)
    up = mk.axis("information (bits)", 0, 1, np.linspace(0, 1, 6))
    bars = [
        mk.bars(name, [i], [value], color, width=0.65, says=[f"{name}: {value:.4f} bits"])
        for i, (name, value, color) in enumerate(zip(names, values, map(atom_color, ATOMS), strict=True))
    ]
    plot.show(bars, across, up, title="The four atoms in bits")

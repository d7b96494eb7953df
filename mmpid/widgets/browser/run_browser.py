"""The runs of a folder side by side: their curves, their results, and what differed in what went in."""

from pathlib import Path
from typing import cast

import ipywidgets as widgets

from mmpid.plots.style import Picture
from mmpid.plots.traces import ATOMS, SHORT_NAMES, nice_limit
from mmpid.widgets.browser import picture, text
from mmpid.widgets.browser import runs as rn
from mmpid.widgets.parts import markup
from mmpid.widgets.parts.curve_chart import CurveChart
from mmpid.widgets.parts.environment import resolve_mode
from mmpid.widgets.parts.lifecycle import StaticPicture, close_tree, register_widget, show_widget
from mmpid.widgets.parts.stylesheet import stylesheet
from mmpid.widgets.parts.worker import Worker, problem

MOST_CHOICES, FIRST_CHOICE = 200, 2  # nobody reads more boxes; the newest runs are chosen at first
_STILL_RULES = """<style>
.jp-OutputArea-child:has(.mmpid-board) ~ .jp-OutputArea-child:has(.mmpid-still) { display: none; }
.mmpid-choices { max-height: 130px; overflow-y: auto !important; }
.mmpid-found { width: 100%; } .mmpid-found th, .mmpid-found td { text-align: left !important; }
.mmpid-reason { font-style: italic; } .mmpid-found-box { max-height: 330px; overflow: auto; }
.mmpid-comparison caption { white-space: nowrap; }
.mmpid-comparison td, .mmpid-comparison th { text-align: left !important; }
</style>"""


class RunBrowser:
    """Find the runs in a folder, choose some, and see their curves, results, differences and decisions together.

    A run is a folder that `Trainer(..., out_dir=...)` or `trainer.save` wrote, or a file of `record.save`. Runs that
    are being written by another process are shown as far as they are. What cannot be read is listed with the reason.

    Parameters
    ----------
    runs
        A folder, a record, a trainer, or a list or dict of these; a dict names them.
    mode
        "live", "static", or "auto": live where a front end shows widgets. Static leaves a picture and tables.

    Raises
    ------
    InputError
        If `runs` holds something that has no record.

    Notes
    -----
    Accuracies are of the test set once a run is finished, and of the validation set before; the table says which.
    Two runs with one seed each differ by luck, too: `mmpid.compare` runs several seeds.

    Examples
    --------
    >>> from mmpid import RunRecord
    >>> one, two = RunRecord({"modalities": ["a", "b"], "seed": 0}), RunRecord({"modalities": ["a", "b"], "seed": 1})
    >>> browser = RunBrowser({"first": one, "second": two}, mode="static")
    >>> browser.differences()
    (['entry', 'first', 'second'], [['seed', '0', '1']])
    """

    def __init__(self, runs=".", mode: str = "auto"):
        self.mode = resolve_mode(mode)
        self._source = runs
        self._still = StaticPicture(self._bundle)
        self.origin = None
        self._found = rn.find(runs)
        self._live = LiveBrowser(runs, self._found, self._still.refresh) if self.mode == "live" else None
        if self._live:
            register_widget(self)

    def __repr__(self) -> str:
        return f"RunBrowser({self.mode}, {len(self.runs)} entries, {len(self.chosen)} chosen)"

    @property
    def runs(self) -> list[rn.Run]:
        """All that was found, unreadable entries included."""
        return self._live.found if self._live else self._found

    @property
    def chosen(self) -> list[rn.Run]:
        """The runs that are compared; in static mode the six newest."""
        return self._live.chosen if self._live else newest(self._found, len(rn.COLORS) - 2)

    def refresh(self) -> None:
        """Look for runs again; live in the background."""
        if self._live:
            self._live.refresh()
        else:
            self._found = rn.find(self._source)

    def wait(self, timeout: float | None = None) -> bool:
        """Block until the browser shows its present choice, and raise what went wrong; False after `timeout`."""
        return self._live.worker.wait(timeout) if self._live else True

    def differences(self) -> tuple[list[str], list[list[str]]]:
        """Return head and rows of the table of what differs between the chosen runs' cards."""
        return rn.differences(self.chosen)

    def picture(self) -> Picture:
        """Return the curves of the chosen runs as a matplotlib figure."""
        live = self._live
        view = live.view if live else (next(iter(rn.CURVES)), rn.ANSWER, ATOMS[-1])
        return picture.picture(self.chosen, *view)

    def close(self) -> None:
        """End the background threads and take the widgets away; the picture stays."""
        self._still.close()
        if self._live:
            self._live.close()

    def _bundle(self) -> dict:
        return {"image/png": self.picture().png(dpi=80), "text/plain": f"Run browser: {len(self.chosen)} runs"}

    def _tables(self) -> dict:
        parts = [text.status(self.runs, self.chosen, _where(self._source)), text.overview(self.runs, self.chosen)]
        page = "".join([_STILL_RULES, '<div class="mmpid-still">', *parts, text.comparison(self.chosen), "</div>"])
        return {"text/html": page, "text/plain": f"Run browser: {len(self.runs)} entries"}

    def _ipython_display_(self) -> None:
        from IPython.display import display

        if self._live:
            show_widget(self._live.root)
        self._still.display()
        display(self._tables(), raw=True)


class LiveBrowser:
    """The widgets; one thread reads files and brings everything up to date, callbacks only ask it to."""

    def __init__(self, source, found: list[rn.Run], settled):
        self._source, self._settled = source, settled
        self.found, self.chosen = found, []
        self._stale = False
        self._button = widgets.Button(
            description="Refresh", icon="refresh", tooltip="Look for runs again", layout=widgets.Layout(width="auto")
        )
        self._button.on_click(lambda _: self.refresh())
        self.quantity = _menu(list(rn.CURVES), "Curve", "What the first chart shows")
        self.output = _menu([rn.ANSWER], "of", "Whose accuracy or loss: a modality, their average, or the joint head")
        atoms = {f"{SHORT_NAMES[atom]}, {words}": atom for atom, words in zip(ATOMS, _ATOM_WORDS, strict=True)}
        self.atom = _menu(atoms, "Information", "Which part of the information the second chart shows")
        self.atom.value = "synergy"
        for menu in (self.quantity, self.output, self.atom):
            menu.observe(lambda _: self._ask(), "value")
        self.choices: dict[str, widgets.Checkbox] = {}
        self._choices = _row([], "mmpid-choices")
        self.curves = CurveChart(title="How well they do", unit="", empty=_NO_CURVE, name="runs")
        self.atoms = CurveChart(
            title="What their encoders know", unit="information (bits)", empty=_NO_CURVE, name="atoms", note=_BANDS
        )
        self._charts = widgets.Box([self.curves.widget, self.atoms.widget])
        self._charts.add_class("mmpid-charts")
        self._status, self._failure, self._table, self._comparison = (widgets.HTML() for _ in range(4))
        self._table.add_class("mmpid-found-box")
        self._comparison.add_class("mmpid-comparison")
        self._data = widgets.HTML()
        self._data.add_class("mmpid-tables")
        self._folded = widgets.Accordion([self._data], titles=("The charts' data as tables",), selected_index=None)
        self._folded.observe(lambda _: self._ask(), "selected_index")
        self.root = widgets.VBox([stylesheet(), *self._layout()])
        for name in ("mmpid-board", "mmpid-browser"):
            self.root.add_class(name)
        self.worker = Worker(lambda _: [self._look()], lambda _: None, self._trouble, name="runs")
        self._offer()
        self._show()

    def _layout(self) -> list[widgets.Widget]:
        rules = widgets.HTML(_STILL_RULES, layout=widgets.Layout(display="none"))
        menus = _row([self._button, self.quantity, self.output, self.atom])
        return [
            rules,
            self._status,
            self._failure,
            self._choices,
            self._table,
            menus,
            self._charts,
            self._comparison,
            self._folded,
        ]

    @property
    def view(self) -> tuple[str, str, str]:
        """What the charts show: quantity, output, atom."""
        return cast(tuple[str, str, str], (self.quantity.value, self.output.value, self.atom.value))

    def refresh(self) -> None:
        """Look for runs again, in the background."""
        self._stale = True
        self._ask()

    def close(self) -> None:
        """End the thread and take the widgets away."""
        self.worker.close()
        close_tree(self.root)

    def _ask(self) -> None:
        self.worker.ask(True)

    def _look(self) -> None:
        if self._stale:
            self._stale = False  # before reading: a refresh that is asked for meanwhile must read again
            self.found = rn.find(self._source)
            self._offer()
        self._show()

    def _offer(self) -> None:
        """Make a box for each run; those that were chosen stay so, at first the newest are."""
        first = not self.choices
        good = [run for run in self.found if run.record is not None][:MOST_CHOICES]
        preset = {run.name for run in newest(good, FIRST_CHOICE)} if first else set()
        boxes = {run.name: self.choices.get(run.name) or self._box(run, run.name in preset) for run in good}
        gone = [box for name, box in self.choices.items() if name not in boxes]
        self.choices = boxes
        self._choices.children = tuple(boxes.values())
        for box in gone:
            box.close()
        names = rn.outputs(good)
        if tuple(names) != tuple(self.output.options):
            kept = self.output.value
            self.output.options = names
            self.output.value = kept if kept in names else names[0]

    def _box(self, run: rn.Run, chosen: bool) -> widgets.Checkbox:
        box = widgets.Checkbox(
            value=chosen,
            description=run.name,
            tooltip=f"Draw and compare the run {run.name} ({run.place})",
            indent=False,
            layout=widgets.Layout(width="auto", margin="2px 14px 2px 2px"),
        )
        box.observe(lambda _: self._ask(), "value")
        return box

    def _show(self) -> None:
        boxes = self.choices
        self.chosen = [run for run in self.found if run.name in boxes and boxes[run.name].value]
        quantity, output, atom = self.view
        epochs = [row["epoch"] for run in self.chosen for row in rn.record_of(run).lineage("epoch")]
        last = nice_limit(max(epochs, default=10))
        curves, atoms = rn.curves(self.chosen, quantity, output), rn.atoms(self.chosen, atom)
        self.curves.show(curves, unit=rn.CURVES[quantity][1], last=max(last, 1))
        self.atoms.show(atoms, unit=f"{SHORT_NAMES[atom]} (bits)", last=max(last, 1))
        if self._folded.selected_index is not None:
            captions = f"{rn.CURVES[quantity][1]}, {output}", f"{SHORT_NAMES[atom]}, bits [95 % interval]"
            tables = (markup.curves_table(t, caption) for t, caption in zip((curves, atoms), captions, strict=True))
            self._data.value = "".join(tables)
        self._status.value = text.status(self.found, self.chosen, _where(self._source))
        self._table.value = text.overview(self.found, self.chosen)
        self._comparison.value = text.comparison(self.chosen)
        self._settled()

    def _trouble(self, error: Exception | None) -> None:
        self._failure.value = problem(error)


_ATOM_WORDS = ("redundant", "unique to the first", "unique to the second", "synergistic")
_NO_CURVE = "The curves of the chosen runs appear here, as far as they recorded this."
_BANDS = "bands: 95 % intervals"


def newest(found: list[rn.Run], count: int) -> list[rn.Run]:
    """Return the readable runs that were created last, in the order in which they were found."""
    good = [run for run in found if run.record is not None]
    ranked = sorted(good, key=lambda run: str(rn.record_of(run).metadata.get("created", "")), reverse=True)[:count]
    return [run for run in good if any(run is one for one in ranked)]


def _where(source) -> str:
    return str(Path(source)) if isinstance(source, str | Path) else "the given runs"


def _menu(options, words: str, tooltip: str) -> widgets.Dropdown:
    menu = widgets.Dropdown(options=options, description=words, tooltip=tooltip, layout=widgets.Layout(width="290px"))
    menu.style.description_width = "80px"
    return menu


def _row(children, *names: str) -> widgets.Box:
    row = widgets.Box(list(children))
    for name in ("mmpid-row", *names):
        row.add_class(name)
    return row

"""The live run browser: one thread reads files; the page shows the runs found and reports the user's choice."""

from pathlib import Path

import anywidget
import traitlets

from mmpid.errors import InputError
from mmpid.plots.charts import Chart
from mmpid.plots.traces import nice_limit
from mmpid.widgets.browser import runs as rn
from mmpid.widgets.browser import text
from mmpid.widgets.parts import markup
from mmpid.widgets.parts.lifecycle import close_tree
from mmpid.widgets.parts.page import packed, script, styles
from mmpid.widgets.parts.worker import Worker, problem

FIRST_CHOICE = 2  # this many of the newest runs are chosen at first
_NO_CURVE = "The curves of the chosen runs appear here,\nas far as they recorded this."


class RunView(anywidget.AnyWidget):
    """What the page knows: every run found, and the charts and tables of the chosen ones."""

    _esm = traitlets.Unicode(script("dom.js", "theme.js", "scale.js", "chart.js", "browser.js")).tag(sync=True)
    _css = traitlets.Unicode(styles("board.css", "browser.css")).tag(sync=True)
    setup = traitlets.Dict({}).tag(sync=True)
    now = traitlets.Dict({}).tag(sync=True)
    runs = traitlets.List([]).tag(sync=True)
    charts = traitlets.Dict({}).tag(sync=True)
    comparison = traitlets.Unicode("").tag(sync=True)
    tables = traitlets.Unicode("").tag(sync=True)


class LiveBrowser:
    """The page, and a thread that reads files and updates everything; callbacks only send requests to it."""

    def __init__(self, source, found: list[rn.Run], settled):
        self._source, self._settled = source, settled
        self.found: list[rn.Run] = found
        self.chosen: list[rn.Run] = []
        self.quantity, self.output, self.part = next(iter(rn.CURVES)), rn.ANSWER, "synergy"
        self._wanted = {run.name for run in newest(found, FIRST_CHOICE)}
        self._stale = self._open = False
        self.view = RunView(setup={"columns": list(text.COLUMNS)})
        self.view.on_msg(lambda _, said, buffers: self.hear(said))
        self.worker = Worker(lambda _: [self._look()], lambda _: None, self._trouble, name="runs")
        self._failure = ""
        self._show()

    @property
    def shown(self) -> tuple[str, str, str]:
        """What the charts show: quantity, output, part of the information."""
        return self.quantity, self.output, self.part

    def hear(self, said: dict) -> None:
        """Do what the page asks for."""
        try:
            self._obey(said)
        except Exception as error:  # a notebook would hide it
            self._trouble(error)
            return
        self.worker.ask(True)

    def _obey(self, said: dict) -> None:
        what = said.get("do")
        if what == "choose":
            (self._wanted.add if said["value"] else self._wanted.discard)(str(said["name"]))
        elif what == "show":
            options = self._options()
            for name in ("quantity", "output", "part"):
                if name in said and said[name] in dict(options[name]):
                    setattr(self, name, said[name])
        elif what == "tables":
            self._open = bool(said["open"])
        elif what == "refresh":
            self._stale = True
        else:
            raise InputError(f"the run browser knows no command {what!r}.")

    def refresh(self) -> None:
        """Look for runs again, in the background."""
        self.hear({"do": "refresh"})

    def close(self) -> None:
        """End the thread and remove the widget."""
        self.worker.close()
        close_tree(self.view)

    def _look(self) -> None:
        if self._stale:
            self._stale = False  # before reading, because a refresh requested meanwhile must read again
            self.found = rn.find(self._source)
            self._wanted &= {run.name for run in self.found}
        self._show()

    def _options(self) -> dict[str, list[tuple[str, str]]]:
        outputs = rn.outputs([run for run in self.found if run.record is not None])
        return {
            "quantity": [(name, name) for name in rn.CURVES],
            "output": [(name, "average (ens)" if name == "ens" else name) for name in outputs],
            "part": [(name, f"{short}, {words}") for name, (short, words) in rn.PARTS.items()],
        }

    def _show(self) -> None:
        self.chosen = [run for run in self.found if run.record is not None and run.name in self._wanted]
        options = self._options()
        if self.output not in dict(options["output"]):
            self.output = rn.ANSWER
        curves, parts = rn.curves(self.chosen, self.quantity, self.output), rn.parts(self.chosen, self.part)
        unit, part = rn.CURVES[self.quantity][1], f"{rn.PARTS[self.part][0]} (bits, bands: 95 % intervals)"
        accuracy = (0.0, 1.0) if "accuracy" in self.quantity else None
        self.view.charts = packed(
            Chart(key="curves", title="How well they do", unit=unit, empty=_NO_CURVE, traces=tuple(curves),
                  limits=accuracy),
            Chart(key="parts", title="What their encoders know", unit=part, empty=_NO_CURVE, traces=tuple(parts)),
        )  # fmt: skip
        self.view.runs = [text.entry(run, self.chosen) for run in self.found]
        self.view.comparison = text.comparison(self.chosen)
        captions = f"{unit}, {self.output}", f"{rn.PARTS[self.part][0]}, bits [95 % interval]"
        tables = (markup.curves_table(t, words) for t, words in zip((curves, parts), captions, strict=True))
        self.view.tables = "".join(tables) if self._open else ""
        epochs = [row["epoch"] for run in self.chosen for row in rn.record_of(run).lineage("epoch")]
        words, more = text.found(self.found, self.chosen, where(self._source))
        self.view.now = {
            "words": words, "more": more, "options": options, "quantity": self.quantity, "output": self.output,
            "part": self.part, "end": max(nice_limit(max(epochs, default=10)), 1), "open": self._open,
            "failure": self._failure,
        }  # fmt: skip
        self._settled()

    def _trouble(self, error: Exception | None) -> None:
        self._failure = problem(error)
        self.view.now = {**self.view.now, "failure": self._failure}


def newest(found: list[rn.Run], count: int) -> list[rn.Run]:
    """Return the readable runs that were created last, in the order found."""
    good = [run for run in found if run.record is not None]
    ranked = sorted(good, key=lambda run: str(rn.record_of(run).metadata.get("created", "")), reverse=True)[:count]
    return [run for run in good if any(run is one for one in ranked)]


def where(source) -> str:
    """Return the name of the place that was searched for runs."""
    return str(Path(source)) if isinstance(source, str | Path) else "the given runs"

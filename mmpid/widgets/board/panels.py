"""The four charts of the board and their data as tables: rows of the record in, charts brought up to date."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import ipywidgets as widgets

from mmpid.plots import traces as tr
from mmpid.studies.diagnose import diagnose
from mmpid.widgets.board import text
from mmpid.widgets.board.branches import Run
from mmpid.widgets.board.history import History, thinned
from mmpid.widgets.parts import markup
from mmpid.widgets.parts.curve_chart import MOST_POINTS, CurveChart, Overlay

PARTS = ("pid", "accuracy", "ecs", "loss")


class Panels:
    """What the encoders know, how strong they are, how well they do, and their losses.

    Parameters
    ----------
    modalities
        Names of the modalities; U1 belongs to the first, U2 to the second.
    on_probe
        Called with the epoch of a probe that was clicked.
    refresh
        Called when the user asks for other data; must return at once.
    """

    def __init__(self, modalities: tuple[str, ...], on_probe: Callable[[int], None], refresh: Callable[[], None]):
        self._modalities = modalities
        self._shown: dict[str, tuple] = {}
        self._make_charts(on_probe)
        self._make_proxy()
        self.charts = widgets.Box([panel.widget for panel in (self.pid, self.accuracy, self.ecs, self.loss)])
        self.charts.add_class("mmpid-charts")
        self._make_folded()
        self.proxy.observe(lambda _: refresh(), "value")
        for folded in (self.tables, self.more):
            folded.observe(lambda _: refresh(), "selected_index")

    def _make_charts(self, on_probe: Callable[[int], None]) -> None:
        self.pid = CurveChart(
            title="What the encoders know about the label",
            unit="information (bits)",
            empty="R, U1, U2 and S appear here after the first probe.",
            name="pid",
            note="bands: 95 % intervals",
            on_click=on_probe,
        )
        self.accuracy = CurveChart(
            title="Validation accuracy",
            unit="accuracy (fraction correct)",
            empty="The accuracy of each head appears here after the first epoch.",
            name="accuracy",
            limits=(0.0, 1.0),
        )
        self.ecs = CurveChart(
            title="Strength of each modality (ECS)",
            unit="proxy (own unit)",
            empty="How strongly each modality competes appears here after the first probe.",
            name="ecs",
        )
        self.loss = CurveChart(
            title="Training loss",
            unit="cross-entropy (nats)",
            empty="The loss of each head appears here after the first epoch.",
            name="loss",
        )

    def _make_proxy(self) -> None:
        """Make the menu of proxies, beside the heading of their chart."""
        self.proxy = widgets.Dropdown(
            description="Proxy",
            tooltip="Which of the recorded proxies for competitive strength to draw",
            layout=widgets.Layout(width="200px", visibility="hidden"),
        )
        self.proxy.style.description_width = "initial"
        self.ecs.tools.children = (*self.ecs.tools.children, self.proxy)

    def _make_folded(self) -> None:
        """Make what is folded away at first: tables, strength by class, findings."""
        self._table, self._classes, self._findings = (widgets.HTML() for _ in range(3))
        self._table.add_class("mmpid-tables")
        self.tables = widgets.Accordion([self._table], titles=("The charts' data as tables",), selected_index=None)
        self.more = widgets.Accordion(
            [self._classes, self._findings],
            titles=("Strength by class, latest probe", "What stands out in this run"),
            selected_index=None,
        )

    def show(
        self,
        history: History,
        *,
        parts: Sequence[str] = PARTS,
        others: Sequence[Run] = (),
    ) -> None:
        """Bring some charts and the tables to the rows on the present path; what has not changed is not even computed.

        The future that the latest rewind discarded is drawn thin, and so are the runs `others`.
        """
        epochs, probes, left = history.of("epoch"), history.of("probe"), history.left
        paths = {id(run): run.history.update() for run in others}
        switch = tr.switch_epoch(history.decided)
        # one x axis for all charts
        reached = max([history.reached, *(path.reached for path in paths.values())])
        common = {"switch": switch, "last": tr.nice_limit(1.02 * reached or 10)}
        beside = tuple((id(run), run.name, len(paths[id(run)].path)) for run in others)
        context = (switch, common["last"], len(left), beside)

        def over(kind: str, traces_of: Callable) -> dict:
            """Return what is drawn thin: the discarded future, and the other runs."""
            found = [Overlay(id(r), r.name, r.dash, traces_of(_few(paths[id(r)].of(kind)))) for r in others]
            return {"ghosts": traces_of(_few([row for row in left if row["kind"] == kind])), "others": found}

        if "pid" in parts and self._is_news("pid", probes, *context):
            few = _few(probes)
            self.pid.show(self._atoms(few), band=tr.null_band(few), **over("probe", self._atoms), **common)
        if "ecs" in parts and self._is_news("ecs", probes, *context, self.proxy.value):
            strength = self._strength(_few(probes))
            unit = f"{self.proxy.value} (own unit)" if self.proxy.value else ""
            self.ecs.show(strength, unit=unit, **over("probe", self._strength), **common)
        for part, panel, traces in (
            ("accuracy", self.accuracy, self._accuracy),
            ("loss", self.loss, self._loss),
        ):
            if part in parts and self._is_news(part, epochs, *context):
                panel.show(traces(_few(epochs)), **over("epoch", traces), **common)
        if "pid" in parts and self.tables.selected_index is not None:
            self._show_tables(epochs, probes)

    def _atoms(self, probes: list[dict]) -> list[tr.Trace]:
        return tr.pid_traces(probes, self._modalities)

    def _accuracy(self, epochs: list[dict]) -> list[tr.Trace]:
        return tr.accuracy_traces(epochs, self._modalities)

    def _loss(self, epochs: list[dict]) -> list[tr.Trace]:
        return tr.loss_traces(epochs, self._modalities)

    def show_more(self, record) -> None:
        """Fill the folded panel that is open: strength by class, or findings."""
        if self.more.selected_index == 0:
            self._classes.value = self._by_class(record)
        elif self.more.selected_index == 1:
            self._findings.value = text.findings(diagnose(record))

    def _by_class(self, record) -> str:
        probes, proxy = record.lineage("probe"), self.proxy.value
        table = tr.strength_by_class(probes[-1], self._modalities, proxy) if probes and proxy else None
        if table is None:
            return '<div class="mmpid-detail">Appears here after a probe that recorded strength by class.</div>'
        names = record.metadata.get("class_names") or range(table.shape[1])
        return text.class_table(table, self._modalities, list(names)[: table.shape[1]], f"{proxy}, own unit")

    def _is_news(self, part: str, rows: list[dict], *context) -> bool:
        """Whether a part differs from what it shows; remembers the answer."""
        seen, old = (len(rows), id(rows[-1]) if rows else 0, *context), self._shown.get(part)
        self._shown[part] = seen
        return seen != old

    def _show_tables(self, epochs: list[dict], probes: list[dict]) -> None:
        curves = (
            (self._atoms(probes), "Information, bits [95 % interval]"),
            (self._accuracy(epochs), "Validation accuracy, fraction correct"),
            (self._strength(probes), f"Strength: {self.proxy.value}, own unit"),
            (self._loss(epochs), "Training loss, nats"),
        )
        self._table.value = "".join(markup.curves_table(traces, caption) for traces, caption in curves)

    def _strength(self, probes: list[dict]) -> list[tr.Trace]:
        """Return the chosen proxy's curves, offering the proxies once some are recorded."""
        recorded = tuple(tr.ecs_proxies(probes[-1:]))
        if recorded and recorded != tuple(self.proxy.options):
            self.proxy.options = recorded
            self.proxy.value = self.proxy.value if self.proxy.value in recorded else recorded[0]
            self.proxy.layout.visibility = "visible"
        chosen = self.proxy.value or "none"
        # one key for both, so that another proxy replaces the curves instead of adding some
        found = tr.ecs_traces(probes, self._modalities, chosen)
        return [replace(trace, key=trace.label) for trace in found]


def _few(rows: Sequence[dict]) -> Sequence[dict]:
    """Return as many rows as a chart can show."""
    return thinned(rows, MOST_POINTS)

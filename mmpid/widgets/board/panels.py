"""The tabs of the expert level: decisions, findings, runs, and the charts' data as tables."""

from mmpid.plots import charts
from mmpid.plots.reading import placed_probes
from mmpid.studies.diagnose import diagnose
from mmpid.widgets.board import text
from mmpid.widgets.board.branches import Run, Runs, summary
from mmpid.widgets.parts import markup

TABS = ("strength", "decisions", "findings", "runs", "rates", "tables")


class Panel:
    """The content of the open tab; only this tab is built, and only when its run has changed."""

    def __init__(self, metadata):
        self._modalities = list(metadata["modalities"])
        self._open = ""
        self._made_of: tuple = ()
        self._looked_at: tuple = ()
        self._found: tuple = ()
        self.n_findings = 0

    def open(self, name: str) -> None:
        """Open a tab, or none."""
        self._open = name if name in TABS else ""
        self._made_of = ()

    def show(self, view, run: Run, runs: Runs) -> None:
        """Update the open tab."""
        history = run.history
        rows = (run.name, len(history.of("probe")), len(history.decided))
        if rows != self._looked_at and (runs.state != "playing" or self._open == "findings"):
            self._looked_at, self._found = rows, diagnose(run.record) if run.record.rows else ()
            self.n_findings = len(self._found)
        made_of = (self._open, rows, len(history.path), len(runs.all), runs.state, self.n_findings)
        if made_of == self._made_of:
            return
        self._made_of = made_of
        view.panel = {"name": self._open, "html": self._html(run, runs)}

    def _html(self, run: Run, runs: Runs) -> str:
        if self._open == "decisions":
            return text.decisions(run.history.decided)
        if self._open == "findings":
            return text.findings(self._found)
        if self._open == "runs":
            return text.runs_table([summary(one, one is run, runs.state_of(one)) for one in runs.all])
        if self._open == "tables":
            return self._tables(run)
        return ""

    def _tables(self, run: Run) -> str:
        epochs = run.history.of("epoch")
        probes = placed_probes(run.history.path, run.record.metadata)
        shown = (
            charts.atoms_chart(probes, self._modalities),
            charts.accuracy_chart(epochs, self._modalities),
            charts.loss_chart(epochs, self._modalities),
        )
        return "".join(markup.curves_table(chart.traces, f"{chart.title}; {chart.unit}") for chart in shown)

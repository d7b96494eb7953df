"""The solvable model of modality competition, live: turn a knob and see the winner of each class and the error."""

import time
from functools import partial
from typing import cast

import ipywidgets as widgets

from mmpid.plots.style import Picture
from mmpid.widgets.lab import text
from mmpid.widgets.lab.charts import CompetitionCharts
from mmpid.widgets.lab.controls import LabControls, make_knobs
from mmpid.widgets.lab.picture import picture
from mmpid.widgets.lab.world import Knobs, Sweep, World, make_sweep, make_world
from mmpid.widgets.parts.environment import resolve_mode
from mmpid.widgets.parts.fold import Fold
from mmpid.widgets.parts.lifecycle import StaticPicture, Still, close_tree, heard, register_widget, show_widget
from mmpid.widgets.parts.stylesheet import stylesheet
from mmpid.widgets.parts.worker import Worker, problem

NAMES = ("modality 1", "modality 2")


class CompetitionLab:
    """See two modalities compete for classes in a model small enough to solve while you turn its knobs.

    Each move of a knob simulates one world (`mmpid.theory.simulate`) and shows the Effective Competitive Strength of
    both modalities in each class with the predicted and the actual winner, the course of discovery, and the test error
    by what a sample lacks. Meanwhile a background thread computes the error against the number of classes for joint and
    two-stage training, with four worlds per point.

    Parameters
    ----------
    mode
        "live", "static", or "auto": live if a front end shows widgets. Static computes everything in the calling thread
        when it is shown, leaves one picture, and makes no widget.
    names
        What to call the two modalities.
    **knobs
        Initial values of the knobs: `n_classes`, `init_scale`, `ratio` (strength of modality 2 over 1), `insufficiency`
        (c in the rate c / K of insufficient samples), `constant_rate`, `schedule`, `shaping_steps` (None: an oracle
        ends stage 1), `n_steps`, `seed`.

    Raises
    ------
    ConfigError
        If a knob is unknown or out of range.

    Notes
    -----
    The model is a caricature: one-layer encoders, additive fusion, synthetic data. The error law over K is inherited
    from the rate c / K, which is set by hand: choose a constant rate and it vanishes. See `docs/ecs.md`.

    Examples
    --------
    >>> lab = CompetitionLab(mode="static", n_classes=4)
    >>> lab.world.hits
    (3, 3)
    """

    def __init__(self, mode: str = "auto", *, names: tuple[str, str] = NAMES, **knobs):
        self.mode = resolve_mode(mode)
        self.names = cast(tuple[str, str], tuple(names))
        self._start = make_knobs(knobs)
        self._world: World | None = None
        self._sweep: Sweep | None = None
        self._still = StaticPicture(self._bundle)
        self.origin = None
        self._live = LiveLab(self._start, self.names, self._still.refresh) if self.mode == "live" else None
        if self._live:
            register_widget(self)

    def __repr__(self) -> str:
        return f"CompetitionLab({self.mode}, {self.knobs})"

    @property
    def knobs(self) -> Knobs:
        """The present setting."""
        return self._live.controls.knobs if self._live else self._start

    @property
    def world(self) -> World:
        """The world that is shown."""
        if self._live:
            return self._live.world
        self._world = self._world or make_world(self._start)
        return self._world

    @property
    def sweep(self) -> Sweep:
        """The errors over K; in live mode those computed so far."""
        if self._live:
            return self._live.sweep
        if self._sweep is None:
            *_, self._sweep = make_sweep(self._start.for_sweep)
        return self._sweep

    def wait(self, timeout: float | None = None, *, sweep: bool = False) -> bool:
        """Block until the shown world, and with `sweep` the errors over K, belong to the present knobs.

        Returns
        -------
        bool
            False if `timeout` seconds passed first.

        Raises
        ------
        Exception
            The error of the computation, which the lab also shows.
        """
        if not self._live:
            return True
        done = self._live.worlds.wait(timeout)
        return (self._live.sweeps.wait(timeout) if sweep else True) and done

    def picture(self) -> Picture:
        """Return the current state as a matplotlib figure, with the sweep as far as it is computed."""
        return picture(self.world, self.sweep, self.names)

    def close(self) -> None:
        """End the background threads and remove the widgets; the picture stays."""
        self._still.close()
        if self._live:
            self._live.close()

    def _bundle(self) -> dict:
        plain = f"Competition lab: {text.seen(self.world, self.names)}"
        return {"image/png": self.picture().png(dpi=80), "text/plain": plain}

    def _display_(self) -> object:
        """Return what marimo shows instead of this object."""
        return heard(self._live.root) if self._live else Still(self._bundle())

    def _ipython_display_(self) -> None:
        if self._live:
            show_widget(self._live.root)
        self._still.display()


class LiveLab:
    """The widgets, one thread for the world of the current knobs, and one for the sweep over K."""

    def __init__(self, start: Knobs, names: tuple[str, str], settled):
        self._names, self._settled = names, settled
        self.world = make_world(start)  # in this call, so that a wrong setting is an error of the cell
        self.sweep = Sweep(knobs=start.for_sweep)
        self._problems: dict[str, Exception] = {}
        self.controls = LabControls(start, self._moved)
        self.charts = CompetitionCharts(names)
        self._status, self._took, self._progress, self._failure = (widgets.HTML() for _ in range(4))
        self._bar = widgets.FloatProgress(
            min=0, max=1, tooltip="Worlds of the sweep simulated", layout=widgets.Layout(width="130px", height="16px")
        )
        self._folded = Fold(words="The charts' data as tables")
        self._folded.observe(lambda _: self._fill_tables(), "unfolded")
        line = widgets.Box([self._bar, self._progress, self._took])
        line.add_class("mmpid-row")
        parts = [
            stylesheet(),
            self.controls.widget,
            self._status,
            self._failure,
            self.charts.widget,
            line,
            self._folded,
        ]
        self.root = widgets.VBox(parts)
        for name in ("mmpid-board", "mmpid-lab"):
            self.root.add_class(name)
        self._show_world((self.world, None))
        self._show_sweep(self.sweep)
        self.worlds = Worker(_timed_world, self._show_world, partial(self._trouble, "world"), name="lab-world")
        self.sweeps = Worker(
            self._sweep_politely, self._show_sweep, partial(self._trouble, "sweep"), delay=0.5, name="lab-sweep"
        )
        self._asked = start.for_sweep
        self.sweeps.ask(self._asked)

    def close(self) -> None:
        """End the threads and remove the widgets."""
        for worker in (self.worlds, self.sweeps):
            worker.close()
        close_tree(self.root)

    def _moved(self) -> None:
        """Request the world of the knobs; a callback must neither compute nor hide an exception."""
        try:
            knobs = self.controls.knobs
            self._took.value = '<span class="mmpid-detail">simulating</span>'
            self.worlds.ask(knobs)
            if knobs.for_sweep != self._asked:
                self._asked = knobs.for_sweep
                self.sweeps.ask(self._asked)
        except Exception as error:
            self._trouble("knobs", error)

    def _sweep_politely(self, knobs: Knobs):
        """Run the sweep, but let a requested world go first."""
        for state in make_sweep(knobs):
            yield state
            self.worlds.rest()

    def _show_world(self, found: tuple[World, float | None]) -> None:
        self.world, seconds = found
        self._status.value = text.status(self.world, self._names)
        took = f"world simulated in {seconds:.2f} s" if seconds is not None else ""
        self._took.value = f'<span class="mmpid-detail">{took}</span>'
        self.charts.show_world(self.world)
        self._fill_tables()
        self._settled()

    def _show_sweep(self, sweep: Sweep) -> None:
        self.sweep = sweep
        self._progress.value = text.progress(sweep)
        self._bar.value = sweep.done / max(sweep.total, 1)
        self.charts.show_sweep(sweep)
        self._fill_tables()
        if sweep.complete:
            self._settled()

    def _fill_tables(self) -> None:
        if self._folded.unfolded:
            self._folded.html = text.tables(self.world, self.sweep, self._names)

    def _trouble(self, where: str, error: Exception | None) -> None:
        """Show an exception; None means no error there."""
        self._problems.pop(where, None)
        if error is not None:
            self._problems[where] = error
        self._failure.value = problem(next(iter(self._problems.values()), None))


def _timed_world(knobs: Knobs):
    started = time.perf_counter()
    world = make_world(knobs)
    yield world, time.perf_counter() - started

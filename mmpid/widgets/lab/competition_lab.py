"""The solvable model of modality competition, live: turn a knob and see who wins each class, and what that costs."""

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
    both modalities in each class with the winner that it predicts and the one that came to be, the course of
    discovery, and the test error by what a sample lacks. Meanwhile the error against the number of classes is computed
    in the background for joint and two-stage training, four worlds a point.

    Parameters
    ----------
    mode
        "live", "static", or "auto": live where a front end shows widgets. Static computes everything in the calling
        thread when it is shown, leaves one picture, and makes no widget.
    names
        What to call the two modalities.
    **knobs
        Where the knobs begin: `n_classes`, `init_scale`, `ratio` (strength of modality 2 over 1), `insufficiency` (c in
        the rate c / K of insufficient samples), `constant_rate`, `schedule`, `shaping_steps` (None: an oracle ends
        stage 1), `n_steps`, `seed`.

    Raises
    ------
    ConfigError
        If a knob is unknown or out of range.

    Notes
    -----
    The model is a caricature: one-layer encoders, additive fusion, data made for the purpose. The error law over K is
    inherited from the rate c / K, which is put in by hand: choose a constant rate and it vanishes. See `docs/ecs.md`.

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
        """The errors over K, live as far as they are computed."""
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
            What went wrong with the computation; the lab shows it, too.
        """
        if not self._live:
            return True
        done = self._live.worlds.wait(timeout)
        return (self._live.sweeps.wait(timeout) if sweep else True) and done

    def picture(self) -> Picture:
        """Return the present state as a matplotlib figure, the sweep as far as it is computed."""
        return picture(self.world, self.sweep, self.names)

    def close(self) -> None:
        """End the background threads and take the widgets away; the picture stays."""
        self._still.close()
        if self._live:
            self._live.close()

    def _bundle(self) -> dict:
        plain = f"Competition lab: {text.seen(self.world, self.names)}"
        return {"image/png": self.picture().png(dpi=80), "text/plain": plain}

    def _display_(self) -> object:
        """Return what marimo shows in place of this."""
        return heard(self._live.root) if self._live else Still(self._bundle())

    def _ipython_display_(self) -> None:
        if self._live:
            show_widget(self._live.root)
        self._still.display()


class LiveLab:
    """The widgets, and a thread each for the world of the present knobs and for the sweep over K."""

    def __init__(self, start: Knobs, names: tuple[str, str], settled):
        self._names, self._settled = names, settled
        self.world = make_world(start)  # here and now, so that a wrong setting is an error of the cell
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
        """End the threads and take the widgets away."""
        for worker in (self.worlds, self.sweeps):
            worker.close()
        close_tree(self.root)

    def _moved(self) -> None:
        """Ask for the world of the knobs; a callback must neither compute nor hide an exception."""
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
        """Run the sweep, letting a world that was asked for go first."""
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
        """Show an exception; None: all is well there."""
        self._problems.pop(where, None)
        if error is not None:
            self._problems[where] = error
        self._failure.value = problem(next(iter(self._problems.values()), None))


def _timed_world(knobs: Knobs):
    started = time.perf_counter()
    world = make_world(knobs)
    yield world, time.perf_counter() - started

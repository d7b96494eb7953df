"""The live board: a session, a publisher, and the widgets that show them."""

import threading
import traceback
from functools import partial

import ipywidgets as widgets

from mmpid.live.session import Failure
from mmpid.plots.overview import test_scores
from mmpid.widgets.board import text
from mmpid.widgets.board.branches import Run, Runs, RunsPanel
from mmpid.widgets.board.controls import Controls
from mmpid.widgets.board.history import History
from mmpid.widgets.board.keep import Keep
from mmpid.widgets.board.panels import PARTS, Panels
from mmpid.widgets.board.publisher import Publisher
from mmpid.widgets.board.rates import rates_in_force
from mmpid.widgets.board.snapshot import Snapshot
from mmpid.widgets.board.what_if import WhatIf
from mmpid.widgets.parts import markup
from mmpid.widgets.parts.look import stylesheet
from mmpid.widgets.parts.progress_line import ProgressLine
from mmpid.widgets.parts.residents import make_room, settle_in, take_away

# While training, every third update brings one chart up to date, in turn, and the others only the bar and the state:
# the browser draws on the cores that train, and a bar costs nothing that could be measured, a chart does.
# What the controller waits for changes with every probe, faster than one can read: it comes with the chart of probes.
CHART_UPDATES = 3


class LiveBoard:
    """Widgets around one trainer and its branches.

    Every update comes from the publisher's thread; every click is a command to the run that is chosen.
    """

    def __init__(self, trainer, *, name=None, origin=None):
        make_room(origin)  # before a session of this cell begins
        self.trainer = trainer
        self.runs = Runs(trainer, name=name, origin=origin)
        self.session = self.runs.session
        self.snapshot = Snapshot(trainer.record)
        self._problems: dict[str, Failure] = {}
        self._turn = 0  # updates so far: which chart is next
        self._all_at_once = True
        self._status, self._hint, self._failure, self._decisions = (widgets.HTML() for _ in range(4))
        self._said: tuple = ()  # what the hint and the decisions were of
        self._progress = ProgressLine(about="Epochs trained, of all epochs")
        self._note, self._refused = widgets.HTML(), widgets.HTML()
        self._build(tuple(trainer.record.metadata["modalities"]))
        self.publisher = Publisher(self.runs, self.show, self._settled, partial(self._trouble, "update"))
        self.root = widgets.VBox([stylesheet(), *self._layout()])
        self.root.add_class("mmpid-board")
        self.show()
        self.publisher.start()
        settle_in(self, origin)  # only now: what could not be built has nothing to close

    def _build(self, modalities: tuple[str, ...]) -> None:
        runs, on_error = self.runs, partial(self._trouble, "click")
        self.controls = Controls(runs, modalities, self._branched, on_error, self._refuse)
        guarded = self.controls.guarded
        self.controls.start.observe(lambda _: runs.notify(), "value")
        self.panels = Panels(modalities, guarded(self.controls.choose), runs.notify)
        self.what_if = WhatIf(self.panels.pid, runs, guarded)
        self.keep = Keep(runs, guarded, self._say, partial(self._trouble, "report"))
        self.runs_panel = RunsPanel(runs, guarded, self._other_run)

    @property
    def branches(self) -> list:
        """The trainers that were branched off, oldest first."""
        return [run.trainer for run in self.runs.all[1:]]

    def _layout(self) -> list:
        heading = widgets.HTML(markup.title("Decisions", "newest first"))
        return [
            self.controls.widget,
            self.keep.widget,
            self._progress,
            self._status,
            self._hint,
            self._failure,
            self._refused,
            self._note,
            self.runs_panel.widget,
            self.panels.charts,
            heading,
            self._decisions,
            self.what_if.widget,
            self.panels.more,
            self.panels.tables,
        ]

    def show(self) -> None:
        """Bring every widget to the present state of the chosen run; equal values send nothing."""
        self.controls.shower = threading.get_ident()
        try:
            self._show()
        finally:
            self.controls.shower = None

    def _show(self) -> None:
        run = self.runs.chosen
        history = run.history.update()
        now = self.state(run, history)
        closed, parts = self.runs.state == "closed", self._whose_turn()
        self.controls.show(now, starts="pid" in parts)
        self.keep.show()
        self._status.value = text.status(now)
        self._progress.show(*text.progress(now))
        self._failure.value = self._worst(run)
        self.panels.pid.choose(self.controls.chosen)
        if parts:
            self.panels.show(history, parts=parts, others=self.runs.others)
        if "pid" in parts:
            self.panels.show_more(run.record)
            self.runs_panel.show()
            self.what_if.show(run.record)
        said = (len(history.decided), now.stage, now.auto)
        if "pid" in parts or said != self._said:
            self._hint.value = text.hint(now)
            waiting = [] if now.state == "playing" else _holding(history)  # a list that rests; the hint says it, too
            self._decisions.value = text.decisions([*history.decided, *waiting])
            self._said = said
        self._turn += 1  # only now: what could not be drawn is tried again at once
        if closed:
            self.runs.close_branches()

    def _whose_turn(self) -> tuple[str, ...]:
        """Return the charts to bring up to date: all unless something plays."""
        if self.runs.state != "playing" or self._all_at_once:
            self._all_at_once = False
            return PARTS
        turn, words_only = divmod(self._turn, CHART_UPDATES)
        return () if words_only else (PARTS[turn % len(PARTS)],)

    def _worst(self, run: Run) -> str:
        """Return what went wrong in training or, if nothing did, in the board itself."""
        if run.session.failure is not None:
            return text.failure(run.session.failure)
        return text.failure(next(iter(self._problems.values()), None), of_training=False)

    def state(self, run: Run, history: History) -> text.State:
        """Read what there is to say; the training thread may be in the middle of a step."""
        trainer, metadata, holding = run.trainer, run.record.metadata, _holding(history)
        done, total = trainer.progress
        return text.State(
            state=run.session.state,
            stage=trainer.stage,
            epoch=trainer.epoch,
            active=tuple(trainer.active),
            modalities=tuple(metadata["modalities"]),
            auto=trainer.auto,
            device=str(metadata.get("device", "cpu")),
            done=done,
            total=total,
            batches=run.session.batches,
            probes=history.probed,
            waiting_for=holding[0]["reason"].rstrip(".") if holding else "",
            notice=run.session.notice,
            run=run.name if len(self.runs.all) > 1 else "",
            rates=rates_in_force(history.path, trainer.stage, metadata),
            result=" ".join(test_scores(trainer.record)) if trainer.finished else "",
        )

    def display(self) -> None:
        """Show the live board and, under it, the picture that outlives it."""
        from IPython.display import display

        display(self.root)
        if not self.snapshot.displayed:
            self.snapshot.display(self.note)

    def close(self) -> None:
        """End the threads and take the widgets away."""
        self.runs.close()
        self.publisher.stop()
        take_away(self.root)

    def _branched(self, child, name: str) -> None:
        """Take a branch in, and say how to go on with it; called in the training thread of its parent."""
        run = self.runs.adopt(child, name)
        self._say(text.branched(run.name, len(self.branches) - 1, child.epoch))

    def _other_run(self) -> None:
        """Draw at once: another run is in front, or one was shown or hidden."""
        self.controls.forget()
        self._all_at_once = True
        self.runs.notify()

    def _say(self, html: str) -> None:
        self._note.value = html

    def _refuse(self, words: str) -> None:
        self._refused.value = text.note(words, alert=True) if words else ""

    def _settled(self) -> None:
        self.snapshot.update(self.note, self.panels.proxy.value)

    @property
    def note(self) -> str:
        """What the picture says of the state; that the board was closed is no news of the run."""
        state = self.session.state
        return state if state != "closed" else "finished" if self.trainer.finished else "paused"

    def _trouble(self, where: str, error: Exception | None) -> None:
        """Show an exception of the board itself; it must not stay in a log that nobody reads. None: all is well."""
        if error is None:
            if self._problems.pop(where, None) is not None:
                self.runs.notify()
            return
        self._problems[where] = Failure(error=error, text="".join(traceback.format_exception(error)))
        traceback.clear_frames(error.__traceback__)
        self._failure.value = text.failure(self._problems[where], of_training=False)


def _holding(history: History) -> list[dict]:
    """Return the latest decision if it is to hold: what is waited for."""
    return [row for row in history.of("decision")[-1:] if row["action"] == "hold"]

"""The live board: a session, a publisher, and the widgets that show them."""

import time
import traceback
import weakref
from functools import partial

import ipywidgets as widgets

from mmpid.plots.overview import test_scores
from mmpid.plots.traces import worth_showing
from mmpid.train.session import Failure, Session
from mmpid.widgets import text
from mmpid.widgets.controls import Controls
from mmpid.widgets.look import stylesheet
from mmpid.widgets.panels import Panels
from mmpid.widgets.publisher import Publisher
from mmpid.widgets.snapshot import Snapshot
from mmpid.widgets.what_if import WhatIf

CHART_SECONDS = 0.6  # curves follow while training, the words beside them more often
DOT_SECONDS = 3.0  # bands and the points under the mouse cost as much as all the rest
_boards: "weakref.WeakSet[LiveBoard]" = weakref.WeakSet()


class LiveBoard:
    """Widgets around one trainer; every update comes from the publisher's thread, every click is a command."""

    def __init__(self, trainer, *, name=None, origin=None):
        _close_earlier_runs_of(origin)
        self.trainer = trainer
        self.origin = origin
        self.session = Session(trainer, name, origin=origin)
        modalities = tuple(trainer.record.card["modalities"])
        self.snapshot = Snapshot(trainer.record)
        self._problems: dict[str, Failure] = {}
        self._due_at: dict[str, float] = {}
        self.branches: list = []
        self.controls = Controls(self.session, modalities, self._branched, partial(self._trouble, "click"))
        self.controls.start.observe(lambda _: self.session.announce(), "value")
        self.panels = Panels(modalities, self.controls.guarded(self.controls.choose), self.session.announce)
        self.what_if = WhatIf(self.panels.pid.scales, self.session, self.controls.guarded)
        self.panels.pid.invite(self.what_if.marks)
        self._status, self._progress, self._failure, self._decisions = (widgets.HTML() for _ in range(4))
        self._branch_note = widgets.HTML()
        self.publisher = Publisher(self.session, self.show, self._settled, partial(self._trouble, "update"))
        self.root = widgets.VBox([stylesheet(), *self._layout()])
        self.root.add_class("mmpid-board")
        self.show()
        self.publisher.start()
        _boards.add(self)

    def _layout(self) -> list:
        self._progress.add_class("mmpid-progress-line")
        line = widgets.Box([self.controls.progress, self._progress])
        line.add_class("mmpid-row")
        heading = widgets.HTML(text.title("Decisions", "newest first"))
        return [
            self.controls.widget,
            line,
            self._status,
            self._failure,
            self._branch_note,
            self.panels.charts,
            heading,
            self._decisions,
            self.what_if.widget,
            self.panels.more,
            self.panels.tables,
        ]

    def show(self) -> None:
        """Bring every widget to the present state of the session; equal values send nothing."""
        rows = self.trainer.record.rows[:]  # before the path: rows that come in between belong to it
        path = self.trainer.record.lineage()
        decisions = [row for row in path if row["kind"] == "decision"]
        now = self.state(decisions, tuple(row["epoch"] for row in path if row["kind"] == "probe"))
        self.controls.show(now)
        self._status.value = text.status(now)
        self._progress.value = text.progress(now)
        self._failure.value = text.failure(self.session.failure or next(iter(self._problems.values()), None))
        self.panels.pid.choose(self.controls.chosen)
        if self._due("charts", now.state):
            dots = self._due("dots", now.state)
            self.panels.show(path, rows, dots=dots)
            self.panels.show_more(self.trainer.record)
            self.what_if.show(self.trainer.record)
            self._postpone("charts", CHART_SECONDS)  # only now: what could not be drawn is tried again at once
            if dots:
                self._postpone("dots", DOT_SECONDS)
        self._decisions.value = text.decisions(worth_showing(decisions))

    def _due(self, part: str, state: str) -> bool:
        """Whether a costly part is to be shown: now and then while training, always otherwise."""
        return state != "playing" or time.monotonic() >= self._due_at.get(part, 0.0)

    def _postpone(self, part: str, seconds: float) -> None:
        self._due_at[part] = time.monotonic() + seconds

    def state(self, decisions: list[dict], probes: tuple[int, ...]) -> text.State:
        """Read what there is to say; the training thread may be in the middle of a step."""
        trainer, card = self.trainer, self.trainer.record.card
        done, total = trainer.progress
        holding = bool(decisions) and decisions[-1]["action"] == "hold"
        return text.State(
            state=self.session.state,
            stage=trainer.stage,
            epoch=trainer.epoch,
            active=tuple(trainer.active),
            modalities=tuple(card["modalities"]),
            auto=trainer.auto,
            device=str(card.get("device", "cpu")),
            done=done,
            total=total,
            batches=self.session.batches,
            probes=probes,
            waiting_for=decisions[-1]["reason"].rstrip(".") if holding else "",
            notice=self.session.notice,
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
        self.session.close()
        self.publisher.stop()
        for widget in _all_widgets(self.root):
            widget.close()
        _boards.discard(self)

    def _branched(self, child) -> None:
        """Keep a branch for the user, and say how to go on with it; called in the training thread."""
        self.branches.append(child)
        number = len(self.branches) - 1
        self._branch_note.value = text.branched(number, child.epoch)
        self.session.announce()

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
                self.session.announce()
            return
        self._problems[where] = Failure(error=error, text="".join(traceback.format_exception(error)))
        traceback.clear_frames(error.__traceback__)
        self._failure.value = text.failure(self._problems[where])


def _close_earlier_runs_of(origin) -> None:
    """Close boards made by an earlier run of the same cell: their output is gone, their memory must go too."""
    for board in list(_boards):
        if origin is not None and board.origin is not None and board.origin[0] == origin[0] and board.origin != origin:
            board.close()


def _all_widgets(widget: widgets.Widget) -> list[widgets.Widget]:
    """Return a widget and everything below it, once each."""
    found, open_ = {}, [widget]
    while open_:
        one = open_.pop()
        if one.model_id and one.model_id not in found:
            found[one.model_id] = one
            values = (getattr(one, name) for name in one.keys)
            open_ += [w for value in values for w in _widgets_in(value)]
    return list(found.values())


def _widgets_in(value) -> list[widgets.Widget]:
    if isinstance(value, widgets.Widget):
        return [value]
    if isinstance(value, (list, tuple)):
        return [one for one in value if isinstance(one, widgets.Widget)]
    if isinstance(value, dict):
        return [one for one in value.values() if isinstance(one, widgets.Widget)]
    return []

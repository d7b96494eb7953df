"""The live board: sessions, a publisher, and the page that shows them."""

import traceback
from functools import partial

from mmpid.errors import InputError
from mmpid.live.registry import sessions
from mmpid.live.session import Failure
from mmpid.plots.headline import headline_of
from mmpid.widgets.board import scene, text
from mmpid.widgets.board.branches import Run, Runs
from mmpid.widgets.board.commands import Commands
from mmpid.widgets.board.history import History
from mmpid.widgets.board.panels import Panel
from mmpid.widgets.board.publisher import Publisher
from mmpid.widgets.board.rates import rates_in_force
from mmpid.widgets.board.saving import Saving
from mmpid.widgets.board.snapshot import Snapshot
from mmpid.widgets.board.text import Message
from mmpid.widgets.board.view import BoardView, setup_of
from mmpid.widgets.board.what_if import ask
from mmpid.widgets.parts.lifecycle import close_earlier, close_tree, register_widget, show_widget

# While training, every third update brings one chart up to date, in turn, and the others only the words and the clock:
# the browser draws on the cores that train, and words cost nothing that could be measured, a chart does.
CHART_UPDATES = 3


class LiveBoard:
    """One page around a trainer and its branches.

    Every update comes from the publisher's thread; every click is a command to the chosen run.
    """

    def __init__(self, trainer, *, name=None, origin=None):
        close_earlier(origin)  # before a session of this cell begins
        self.trainer = trainer
        self.runs = Runs(trainer, name=name, origin=origin)
        self.session = self.runs.session
        self.snapshot = Snapshot(trainer.record, hint=text.GONE)
        self._problems: dict[str, Failure] = {}
        self._turn = 0  # updates so far: which chart is next
        self._all_at_once = True
        self._message: Message | None = None
        self._told: tuple = ()  # what the headline was made of
        self._headline: dict = {}
        self._asked: dict = {}
        self._batches = 0
        self._build(trainer.record.metadata)
        self.publisher = Publisher(self.runs, self.show, self._settled, partial(self._trouble, "update"))
        self.show()
        self.publisher.start()
        register_widget(self, origin)  # only now, because an incomplete board has nothing to close

    def _build(self, metadata) -> None:
        self.scene, self.stories = scene.Scene(metadata), scene.Stories(metadata)
        self.saving = Saving(
            lambda words, code: self._say(Message(words=words, code=code, kind="said")),
            partial(self._trouble, "report"),
        )
        self.commands = Commands(self.runs, self.saving, self._say, self._branched)
        self.panel = Panel(metadata)
        self.view = BoardView(self._hear, **setup_of(metadata, self.trainer))

    @property
    def branches(self) -> list:
        """The trainers that were branched off, oldest first."""
        return [run.trainer for run in self.runs.all[1:]]

    # ---- showing ---------------------------------------------------------------------------------------------

    def show(self) -> None:
        """Update the page to the current state of the chosen run; unchanged values are not sent."""
        run = self.runs.chosen
        history = run.history.update()
        now = self.state(run, history)
        closed, parts = self.runs.state == "closed", self._whose_turn()
        if self.commands.can_undo and run.session.batches != self._batches:
            self.commands.forget_undo()
        self._batches = run.session.batches
        decided, known = len(history.decided), self._told[:1]
        self.scene.show(self.view, history, parts, self.runs.others)
        if "known" in parts or (decided,) != known:
            self._show_events(run, history, now)
        if "known" in parts:
            self.panel.show(self.view, run, self.runs)
            self._answer(run)
        if "strength" in parts or now.state != "playing":
            self.view.stories = self.stories.update(history.path, most=4 if now.state == "playing" else None)
        self.view.now = self._now(run, history, now)
        self._turn += 1  # only now, so that a failed drawing is tried again at once
        if closed:
            self.runs.close_branches()

    def _show_events(self, run: Run, history: History, now: text.State) -> None:
        others = [other for other in self.runs.all if other is not run]
        self.view.events = scene.events(history, others, now.epoch, run.record.metadata)

    def _now(self, run: Run, history: History, now: text.State) -> dict:
        failure = self._worst(run)
        done, total = now.done, now.total
        return {
            "state": now.state,
            "stage": now.stage,
            "epoch": now.epoch,
            "end": max(now.epoch + max(total - done, 0), history.reached, 1),
            "progress": text.progress(now),
            "active": list(now.active),
            "auto": now.auto,
            "speed": self.runs.pace.speed,
            "device": now.device,
            "headline": self._tell(run, history, now),
            "message": self._foot(now).to_dict(),
            "question": self.commands.question,
            "undo": self.commands.can_undo,
            "failure": failure,
            "rates": {name: f"{rate:.4g}" for name, rate in now.rates.items()},
            "run": run.name,
            "runs": [{"name": other.name, "shown": other.shown} for other in self.runs.all],
            "folder": self.saving.offer(run),
            "counts": {"decisions": len(history.decided), "findings": self.panel.n_findings},
            "rewindable": sorted(set(history.probed))[-scene.MOST_POINTS :],
        }

    def _tell(self, run: Run, history: History, now: text.State) -> dict:
        """Return the headline; during training, each probe, decision or epoch of stage 2 renews it."""
        failure = run.session.failure.summary if run.session.failure is not None and now.state == "failed" else ""
        told = (
            len(history.decided),
            len(history.probed),
            run.name,
            now.stage,
            now.auto,
            failure,
            now.state == "finished",
        )
        told += (len(history.of("epoch")) if now.stage == "joint" or now.state != "playing" else 0, len(history.left))
        if told != self._told:
            made = headline_of(history.path, run.record.metadata, failure=failure, auto=now.auto)
            self._headline, self._told = scene.plain(made), told
        return self._headline

    def _foot(self, now: text.State) -> Message:
        if now.notice:
            return Message(words=now.notice, kind="refused")
        return self._message or text.resting(now)

    def _whose_turn(self) -> tuple[str, ...]:
        """Return the charts to update: all of them unless a run plays."""
        if self.runs.state != "playing" or self._all_at_once:
            self._all_at_once = False
            return scene.PARTS
        turn, words_only = divmod(self._turn, CHART_UPDATES)
        return () if words_only else (scene.PARTS[turn % len(scene.PARTS)],)

    def _worst(self, run: Run) -> dict | None:
        """Return what went wrong in training or, if nothing did, in the board itself."""
        problem, of_training = run.session.failure, True
        if problem is None:
            problem, of_training = next(iter(self._problems.values()), None), False
        if problem is None:
            return None
        words = text.failure_summary(problem, of_training)
        return {"summary": words, "advice": problem.advice, "trace": problem.text, "training": of_training}

    def state(self, run: Run, history: History) -> text.State:
        """Read the state to show; the training thread may be in the middle of a step."""
        trainer, metadata = run.trainer, run.record.metadata
        holding = [row for row in history.of("decision")[-1:] if row["action"] == "hold"]
        done, total = trainer.progress
        state = self.runs.state_of(run)
        return text.State(
            state=state,
            stage=trainer.stage,
            epoch=trainer.epoch,
            active=tuple(trainer.active),
            modalities=tuple(metadata["modalities"]),
            auto=trainer.auto,
            device=str(metadata.get("device", "cpu")),
            done=done,
            total=total,
            batches=run.session.batches,
            waiting_for=holding[0]["reason"].rstrip(".") if holding else "",
            run=run.name if len(self.runs.all) > 1 else "",
            rates=rates_in_force(history.path, trainer.stage, metadata),
            notice=run.session.notice,
            replaced=state == "closed" and any(s.trainer is trainer and s is not run.session for s in sessions()),
        )

    # ---- hearing ---------------------------------------------------------------------------------------------

    def _hear(self, said: dict) -> None:
        """Carry out what the page asks for; errors are shown on the board, because a notebook would hide them."""
        try:
            self._obey(said)
            self._trouble("click", None)
        except InputError as refusal:
            self._say(Message(words=text.sentence(refusal), kind="refused"))
        except Exception as error:
            self._trouble("click", error)
        self.publisher.show_last()

    def _obey(self, said: dict) -> None:
        what = said.get("do")
        if what not in ("what_if", "tab", "table"):
            self.session.notice = ""  # the outcome of the previous command has been read by now
        if what == "what_if":
            self._asked = {key: said[key] for key in ("rule", "value") if key in said}
            self._answer(self.runs.chosen)
        elif what in ("tab", "table"):
            self.panel.open(said.get("name", ""))
            self.runs.notify()
            self.panel.show(self.view, self.runs.chosen, self.runs)
        elif what == "proxy":
            self.scene.proxy = said.get("name")
            self._redraw()
        elif what == "dismiss":
            self._say(None)
        else:
            if what not in ("cancel", "confirm"):
                self._message = None
            self.commands.obey(said)
            if what in ("choose", "show"):
                self._redraw()

    def _answer(self, run: Run) -> None:
        self.view.answer = ask(run.record, **self._asked) if self._asked else {}

    def _redraw(self) -> None:
        """Draw at once, because another run is in front, or one was shown or hidden."""
        self._all_at_once, self._told = True, ()
        self.scene.forget()
        self.runs.notify()

    def _say(self, message: Message | None) -> None:
        self._message = message if message is not None and message.words else None
        if self._message is not None:
            self.session.notice = ""  # the newest message wins
        self.runs.notify()
        self.publisher.show_last()

    def _branched(self, child, name: str) -> None:
        """Add a branch and say how to continue with it; called in the training thread of its parent."""
        run = self.runs.adopt(child, name)
        words = f"“{run.name}” stands at epoch {child.epoch}; drive it under Runs. In code:"
        self._say(Message(words=words, code=f"board.branches[{len(self.branches) - 1}]", kind="said"))

    def _trouble(self, where: str, error: Exception | None) -> None:
        """Show an exception of the board itself, which must not stay in a log that nobody reads. None: no error."""
        if error is None:
            if self._problems.pop(where, None) is not None:
                self.runs.notify()
            return
        self._problems[where] = Failure(error=error, text="".join(traceback.format_exception(error)))
        traceback.clear_frames(error.__traceback__)
        self.view.now = {**self.view.now, "failure": self._worst(self.runs.chosen)}

    # ---- life ------------------------------------------------------------------------------------------------

    def display(self) -> None:
        """Show the live board and, under it, the picture that outlives it."""
        show_widget(self.view)
        if not self.snapshot.displayed:
            self.snapshot.display(self.note)

    def wait(self, timeout: float | None = None) -> None:
        """Block until the board's run stops playing; raise a training error if there was one."""
        try:
            if self.runs.pace.plays(self.session):
                self.runs.pace.wait(timeout)
        except KeyboardInterrupt:
            self.runs.pace.stop()
            self.session.pause()
            raise
        self.session.wait(timeout)

    def close(self) -> None:
        """End the threads and close the widget."""
        self.runs.close()
        self.publisher.stop()
        close_tree(self.view)

    def _settled(self) -> None:
        self.snapshot.update(self.note, self.scene.proxy)

    @property
    def note(self) -> str:
        """What the picture says about the state; the closing of the board is not part of it."""
        state = self.session.state
        return state if state != "closed" else "finished" if self.trainer.finished else "paused"

"""One background thread per trainer: play, pause and step without blocking the caller.

This module does not import Jupyter: the notebook board, a script and a test drive the same object.
"""

import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Hashable

from mmpid._validate import choice, number
from mmpid.errors import ConfigError, TrainingError
from mmpid.live.fair_lock import FAIR_LOCK
from mmpid.live.notifier import Notifier
from mmpid.live.progress import Failure, Goal, stride
from mmpid.live.registry import register, unregister

STATES = ("idle", "playing", "paused", "finished", "failed", "closed")
SLICE_SECONDS = 0.05  # fast micro-steps run this long between announcements, so that these cost almost nothing


class Session:
    """Train in one daemon thread, in micro-steps of one or a few batches, carrying out commands between micro-steps.

    Every method returns at once (only `wait` and `close` block), may be called from any thread, and never raises a
    training error: `failure` keeps it and `wait` raises it.

    Parameters
    ----------
    trainer
        Anything with `step(batches=1)`, `finished`, `epoch` and `record.rows`, in practice a `mmpid.Trainer`.
    name
        Key under which this session is listed. A new session with the same key, or for the same trainer, closes the
        old one and takes over, so that running a notebook cell again never leaves a second thread training.
        By default the trainer itself is the key.
    origin
        Where the session was made, as `(place, count)`: a new session from the same place with another count closes the
        earlier ones. The board passes the notebook cell and its execution count.
    on_change
        Called after each change, in the thread that made it, with True if the change is plain progress; must return at
        once.

    Notes
    -----
    Sessions take turns, one micro-step each: torch's random numbers are global, and this way a run gets the same
    numbers beside others as alone.

    Interrupting the kernel stops the cell that runs, not this thread; `wait` turns the interrupt into a pause, and
    `pause_all()` pauses every session.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> class Countdown:
    ...     epoch, finished, record = 0, False, SimpleNamespace(rows=[])
    ...     def step(self, batches=1):
    ...         self.epoch += batches
    ...         self.finished = self.epoch >= 3
    >>> session = Session(Countdown())
    >>> session.play()
    >>> session.wait(timeout=10)
    True
    >>> session.state
    'finished'
    >>> session.close()
    True
    """

    def __init__(
        self,
        trainer,
        name: Hashable = None,
        *,
        origin: tuple[Hashable, int] | None = None,
        on_change: Callable[[bool], None] | None = None,
    ):
        self._notifier = Notifier()
        self.trainer = trainer
        self._on_change = on_change
        self.name = name
        self.origin = origin
        self.failure: Failure | None = None
        self.notice = ""  # the message about the last command that failed
        self.batches = 0  # micro-steps trained by this session
        self._commands: deque[tuple[str, Callable]] = deque()
        self._stride = 1
        self._goal: Goal | None = None
        self._state = "finished" if trainer.finished else "paused" if trainer.record.rows else "idle"
        self._closing = False
        register(self)
        self._thread = threading.Thread(target=self._run, name=f"mmpid-session-{name or id(trainer)}", daemon=True)
        self._thread.start()

    def __repr__(self) -> str:
        label = f"{self.name!r}, " if self.name is not None else ""
        return f"Session({label}{self._state}, epoch {self.trainer.epoch})"

    @property
    def state(self) -> str:
        """One of "idle", "playing", "paused", "finished", "failed", "closed"."""
        return self._state

    @property
    def alive(self) -> bool:
        """Whether the thread exists; False after `close`."""
        return self._thread.is_alive()

    @property
    def closing(self) -> bool:
        """Whether `close` was called; the thread may still be in its last micro-step."""
        return self._closing

    def play(self) -> None:
        """Train until told otherwise, or to the end. After a failure: try again."""
        self._aim("end")

    def pause(self) -> None:
        """Stop after the micro-step that is running."""
        self._command("pause", self._stop)

    def step(self, *, batches: int | None = None, epochs: int | None = None) -> None:
        """Train for some batches, or until some more epochs are complete, then pause. One epoch by default."""
        if batches is not None and epochs is not None:
            raise ConfigError("`batches` and `epochs` exclude each other; give one of them.")
        if batches is not None:
            self._aim("batch", number(batches, "batches", low=1, integer=True))
        else:
            self._aim("epoch", number(1 if epochs is None else epochs, "epochs", low=1, integer=True))

    def to_next_probe(self) -> None:
        """Train until the next probe is in the record, then pause."""
        self._aim("probe", 1)

    def post(self, command: Callable, label: str = "command") -> None:
        """Call `command(trainer)` in the training thread, between two micro-steps.

        An exception is kept as `notice` and does not stop the training: asking for something impossible is not a
        failure of the run.
        """
        self._command(label, lambda: command(self.trainer))

    def wait(self, timeout: float | None = None) -> bool:
        """Block until training is not playing; return False if `timeout` seconds passed first.

        Raises
        ------
        TrainingError
            From the original exception, if training failed.
        KeyboardInterrupt
            If the kernel was interrupted; the session is paused first.
        """
        try:
            with self._notifier.transitioned:
                settled = self._notifier.transitioned.wait_for(lambda: not self.busy, timeout)
        except KeyboardInterrupt:
            self.pause()
            raise
        if self.failure is not None and self._state == "failed":
            advice = f" {self.failure.advice}" if self.failure.advice else ""
            raise TrainingError(f"Training stopped: {self.failure.summary}.{advice}") from self.failure.error
        return settled

    @property
    def version(self) -> int:
        """Grows with every change that a display should show."""
        return self._notifier.version

    @property
    def transitions(self) -> int:
        """Grows with every change that is more than progress."""
        return self._notifier.transitions

    def wait_for_change(self, version: int, timeout: float | None = None) -> int:
        """Block until :attr:`version` differs from `version`, or the timeout; return the current version."""
        return self._notifier.wait_for_change(version, timeout)

    def wait_for_transition(self, transitions: int, timeout: float | None = None) -> int:
        """Block until :attr:`transitions` differs from `transitions`, or the timeout; return the current number."""
        return self._notifier.wait_for_transition(transitions, timeout)

    def notify(self, progress: bool = False) -> None:
        """Count one change and wake the threads that wait for it."""
        self._notifier.notify(progress)
        if self._on_change is not None:
            self._on_change(progress)

    def close(self, timeout: float | None = 5.0) -> bool:
        """End the thread after its current micro-step; return whether it ended within `timeout` seconds."""
        with self._notifier.changed:
            self._closing = True
            self._notifier.changed.notify_all()
            self._notifier.transitioned.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout)
        unregister(self)
        return not self._thread.is_alive()

    @property
    def busy(self) -> bool:
        """Whether training runs or a command is pending."""
        return not self._closing and self._thread.is_alive() and (self._state == "playing" or bool(self._commands))

    def _aim(self, kind: str, more: int = 0) -> None:
        """Ask the thread to continue training; repeating the same kind of step before it is done adds to it."""

        def start():
            if self._goal is not None and self._goal.kind == kind:
                self._goal.remaining += more
            elif not self.trainer.finished or self._state == "failed":  # its last rows may not be on the disk yet
                self._goal, self.failure = Goal(kind, more, len(self.trainer.record.rows)), None
                self._set("playing")

        self._command("start", start)

    def _command(self, label: str, action: Callable) -> None:
        with self._notifier.changed:
            if not self._closing:
                self._commands.append((label, action))
                self._notifier.changed.notify_all()
                return
        self.notice = f"This session is closed, so {label!r} was ignored."
        self.notify()

    def _stop(self) -> None:
        self._goal = None
        if self._state == "playing":
            self._set("paused")

    def _set(self, state: str) -> None:
        with self._notifier.changed:
            self._state = choice(state, "state", STATES)
        self.notify()

    def _run(self) -> None:
        """Carry out commands, train, and sleep, until closed; the only place that touches the trainer."""
        while True:
            with self._notifier.changed:
                self._notifier.changed.wait_for(lambda: self._closing or self._commands or self._goal is not None)
                if self._closing:
                    break
            self._apply()
            if self._goal is not None:
                self._advance()
        self._set("closed")

    def _apply(self) -> None:
        while self._commands:
            label, action = self._commands[0]
            try:
                with FAIR_LOCK:
                    action()
                self.notice = ""
            except Exception as error:
                traceback.clear_frames(error.__traceback__)
                self.notice = f"Could not {label}: {error}"
            if self.trainer.finished:
                self._goal = None
                self._set("finished")
            elif self._state == "finished":  # for example after a rewind
                self._set("paused")
            self._commands.popleft()  # only now, so that `busy` holds until the command has taken effect
            self.notify()

    def _advance(self) -> None:
        """Train for one slice of time, or until the goal, a command or the end."""
        deadline = time.perf_counter() + SLICE_SECONDS
        try:
            while self._goal is not None and not self._commands and not self._closing:
                n = self._stride if self._goal.kind == "end" else 1
                before = getattr(self.trainer, "updates", None)
                with FAIR_LOCK:
                    started = time.perf_counter()
                    self.trainer.step(batches=n)
                    self._stride = stride((time.perf_counter() - started) / n)
                self.batches += n if before is None else self.trainer.updates - before  # the run may end within n
                if self.trainer.finished:
                    self._goal = None
                    return self._set("finished")
                if self._goal.reached(self.trainer.record.rows):
                    return self._stop()
                if time.perf_counter() > deadline:
                    break
        except BaseException as error:  # even SystemExit from a user's callback must not leave a dead board
            return self._fail(error)
        return self.notify(progress=True)

    def _fail(self, error: BaseException) -> None:
        self.failure = Failure.of(error)
        self._goal = None
        self._set("failed")

"""Slow motion: a run trains at a fixed number of epochs per second, slow enough to see what happens."""

import threading
import time
from collections.abc import Callable

from mmpid.errors import TrainingError
from mmpid.live.session import Session

SPEEDS = {"full": 0.0, "4": 4.0, "1": 1.0}  # epochs per second; 0 is as fast as it trains


class Pace:
    """Play a session at full speed, or request one epoch at a time from a separate thread.

    The rows are the same: an epoch is trained as `session.step(epochs=1)` trains it.

    Parameters
    ----------
    on_change
        Called when slow motion begins or ends.
    """

    def __init__(self, on_change: Callable[[], None] = lambda: None):
        self.speed = "full"
        self._on_change = on_change
        self._changed = threading.Condition()
        self._session: Session | None = None
        self._thread: threading.Thread | None = None

    @property
    def active(self) -> bool:
        """Whether slow motion is on, including while it waits for the next epoch."""
        return self._session is not None

    def plays(self, session: Session) -> bool:
        """Whether slow motion trains this session."""
        return self._session is session

    def play(self, session: Session) -> None:
        """Train at the chosen speed until told otherwise, or to the end."""
        if not SPEEDS[self.speed]:
            self.stop()
            session.play()
            return
        with self._changed:
            self._session = session
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="mmpid-pace", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        self._on_change()

    def stop(self) -> None:
        """End slow motion; the current epoch continues."""
        with self._changed:
            was, self._session = self._session, None
            self._changed.notify_all()
        if was is not None:
            self._on_change()

    def choose(self, speed: str, session: Session) -> None:
        """Set another speed; a run that plays continues with it."""
        if speed not in SPEEDS:
            raise ValueError(f"`speed` must be one of {', '.join(SPEEDS)}; it was {speed!r}.")
        playing = self.plays(session) or session.state == "playing"
        self.speed = speed
        if playing:
            self.stop()
            session.pause()
            self.play(session)

    def wait(self, timeout: float | None = None) -> bool:
        """Block until slow motion is over; False after `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._session is None, timeout)

    def _run(self) -> None:
        while True:
            with self._changed:
                session, speed = self._session, SPEEDS[self.speed]
                if session is None:
                    return
            started = time.monotonic()
            if not self._one_epoch(session):
                with self._changed:
                    if self._session is session:
                        self._session = None
                    self._changed.notify_all()
                self._on_change()
                return
            with self._changed:
                left = started + (1 / speed if speed else 0.0) - time.monotonic()
                if left > 0:
                    self._changed.wait_for(lambda ours=session: self._session is not ours, left)

    def _one_epoch(self, session: Session) -> bool:
        """Train one epoch; return whether there may be more."""
        session.step(epochs=1)
        try:
            session.wait()
        except TrainingError:  # the board shows it, and `wait()` raises it again
            return False
        return session.state == "paused"

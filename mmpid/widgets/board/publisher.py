"""A thread that shows a session's latest state a few times per second; the training thread never draws."""

import threading
import time
from collections.abc import Callable

from mmpid.live.session import Session
from mmpid.widgets.board.branches import Runs

MOST_PER_SECOND = 6.25


class Publisher:
    """Call `show()` after changes of a session, at most 6.25 times per second; the latest state wins.

    The last state (paused, finished, failed, closed) is always shown, and the end of a play or a step at once. When
    nothing has changed for `settle_seconds`, `settled()` is called once, in a separate thread: this is the place for
    work that is too slow for every update. An exception in either goes to `on_error`, and None when all is well again.
    """

    def __init__(
        self,
        session: Session | Runs,
        show: Callable[[], None],
        settled: Callable[[], None],
        on_error: Callable[[Exception | None], None],
        *,
        settle_seconds: float = 0.7,
    ):
        self.session = session
        self.count = 0  # updates so far
        self.shown = -1  # the version of the session that was shown last
        self.seconds = 0.0  # processor time they took
        self.over = False  # whether updates are shown only on request
        self._show, self._settled, self._on_error = show, settled, on_error
        self._settle_seconds = settle_seconds
        self._stopped = threading.Event()
        self._lock = threading.Lock()  # after the end, several threads may ask at once
        self._slow: threading.Thread | None = None
        self._thread = threading.Thread(target=self._run, name="mmpid-publisher", daemon=True)

    def start(self) -> None:
        """Start the thread; the current state is shown first."""
        self._thread.start()

    def stop(self, timeout: float = 2.0) -> None:
        """End the thread."""
        self._stopped.set()
        self.session.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout)

    def show_last(self) -> None:
        """Show the current state in the calling thread, once the session is closed and this thread has ended."""
        if self.over:
            with self._lock:
                self._guarded(self._show)

    def _run(self) -> None:
        version, settled = -1, True
        while not self._stopped.is_set():
            latest = self.session.wait_for_change(version, self._settle_seconds)
            if latest == version:
                if not settled and self.session.state != "playing":
                    settled = self._settle()
                continue
            version, settled = latest, False
            closed = self.session.state == "closed"
            self._publish(latest)
            if closed:
                self.over = True
                self.show_last()  # what was said meanwhile
                self._guarded(self._settled)
                break

    def _settle(self) -> bool:
        """Start the slow work unless it is still running; return whether it was started."""
        if self._slow is not None and self._slow.is_alive():
            return False
        self._slow = threading.Thread(target=self._guarded, args=(self._settled,), name="mmpid-picture", daemon=True)
        self._slow.start()
        return True

    def _publish(self, version: int) -> None:
        started, worked = time.monotonic(), time.thread_time()
        playing, turns = self.session.state == "playing", self.session.transitions
        self._guarded(self._show)
        self.count, self.shown = self.count + 1, version
        self.seconds += time.thread_time() - worked
        while (left := started + 1 / MOST_PER_SECOND - time.monotonic()) > 0 and not self._stopped.is_set():
            if playing and self.session.state != "playing":
                return  # a step or a pause is over: the result of a click is shown at once
            turns = self.session.wait_for_transition(turns, left)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
            self._on_error(None)
        except Exception as error:  # a chart that cannot be drawn must not end the updates
            self._on_error(error)

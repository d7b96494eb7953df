"""Something that changes in one thread while another waits for it to change."""

import threading


class Notifier:
    """Count changes, and wake whoever waits for one.

    Mere progress, more of the same, is announced many times a second. Whoever waits for a turn of events sleeps through
    it: to wake costs the thread that trains as much as the one that wakes, since both need Python's lock.

    Attributes
    ----------
    version : int
        Grows with every change that a display should show.
    turns : int
        Grows with every change that is more than progress.

    Examples
    --------
    >>> counter = Notifier()
    >>> counter.notify()
    >>> counter.wait_for_change(version=0)
    1
    >>> counter.notify(progress=True)
    >>> counter.version, counter.transitions
    (2, 1)
    """

    def __init__(self):
        self.version = self.transitions = 0
        lock = threading.RLock()
        self._changed, self._transitioned = threading.Condition(lock), threading.Condition(lock)

    def wait_for_change(self, version: int, timeout: float | None = None) -> int:
        """Block until `self.version` differs from `version`, or the timeout; return the present version."""
        with self._changed:
            self._changed.wait_for(lambda: self.version != version, timeout)
            return self.version

    def wait_for_transition(self, turns: int, timeout: float | None = None) -> int:
        """Block until `self.transitions` differs from `turns`, or the timeout; return their present number."""
        with self._transitioned:
            self._transitioned.wait_for(lambda: self.transitions != turns, timeout)
            return self.transitions

    def notify(self, progress: bool = False) -> None:
        """Count one change and wake whoever waits for it."""
        with self._changed:
            self.version += 1
            self._changed.notify_all()
            if not progress:
                self.transitions += 1
                self._transitioned.notify_all()

"""Something that changes in one thread while another waits for it to change."""

import threading


class Notifier:
    """Count changes, and wake the threads that wait for one.

    Plain progress is announced many times per second. A thread that waits for a transition sleeps through it: waking up
    costs the training thread as much as the thread that wakes, because both need Python's lock.

    Attributes
    ----------
    version : int
        Grows with every change that a display should show.
    transitions : int
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
        self.changed, self.transitioned = threading.Condition(lock), threading.Condition(lock)

    def wait_for_change(self, version: int, timeout: float | None = None) -> int:
        """Block until `self.version` differs from `version`, or the timeout; return the current version."""
        with self.changed:
            self.changed.wait_for(lambda: self.version != version, timeout)
            return self.version

    def wait_for_transition(self, transitions: int, timeout: float | None = None) -> int:
        """Block until `self.transitions` differs from `transitions`, or the timeout; return the current number."""
        with self.transitioned:
            self.transitioned.wait_for(lambda: self.transitions != transitions, timeout)
            return self.transitions

    def notify(self, progress: bool = False) -> None:
        """Count one change and wake the threads that wait for it."""
        with self.changed:
            self.version += 1
            self.changed.notify_all()
            if not progress:
                self.transitions += 1
                self.transitioned.notify_all()

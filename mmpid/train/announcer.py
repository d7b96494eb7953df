"""Something that changes in one thread while another waits for it to change."""

import threading


class Announcer:
    """Count changes, and wake whoever waits for one.

    Attributes
    ----------
    version : int
        Grows with every change that a display should show.

    Examples
    --------
    >>> counter = Announcer()
    >>> counter.announce()
    >>> counter.wait_for_change(version=0)
    1
    """

    def __init__(self):
        self.version = 0
        self._changed = threading.Condition()

    def wait_for_change(self, version: int, timeout: float | None = None) -> int:
        """Block until `self.version` differs from `version`, or the timeout; return the present version."""
        with self._changed:
            self._changed.wait_for(lambda: self.version != version, timeout)
            return self.version

    def announce(self) -> None:
        """Count one change and wake whoever waits for it."""
        with self._changed:
            self.version += 1
            self._changed.notify_all()

"""Whose turn it is to compute, among the training threads of this process."""

import threading
from collections import deque


class FairLock:
    """One session after the other, first come, first served.

    torch's random numbers and its number of threads belong to the process: two micro-steps at the same time would draw
    from the same random numbers, and a run beside another would get different numbers than alone.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._queue: deque[threading.Lock] = deque()

    def __enter__(self) -> None:
        mine = threading.Lock()
        mine.acquire()
        with self._lock:
            self._queue.append(mine)
            if self._queue[0] is mine:
                return
        mine.acquire()  # the session before this one releases it

    def __exit__(self, *_) -> None:
        with self._lock:
            self._queue.popleft()
            if self._queue:
                self._queue[0].release()


FAIR_LOCK = FairLock()

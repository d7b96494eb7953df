"""Workers end with the process that gives them work, however that ends."""

import os
import threading
import time

LOOK_SECONDS = 0.2
_WATCHED: set[int] = set()


def end_with(parent: int) -> None:
    """End this process soon after its parent, the process with the number `parent`, has ended; return at once.

    A worker whose driver was killed would go on training, for nobody, and the next driver would wait for it. It
    stops as by a kill: whatever it writes is replaced whole, so nothing is left half done.

    Notes
    -----
    On Windows a process does not learn of the end of its parent in this way, and the worker finishes its run; the lock
    of the run's folder still keeps a second process away from it.
    """
    if os.name == "nt" or parent in _WATCHED:
        return
    _leave_orphan(parent)
    _WATCHED.add(parent)
    threading.Thread(target=_watch, args=(parent,), daemon=True, name="mmpid-parent-watch").start()


def _watch(parent: int) -> None:
    while True:
        _leave_orphan(parent)
        time.sleep(LOOK_SECONDS)


def _leave_orphan(parent: int) -> None:
    if os.getppid() != parent:  # an orphan gets another parent at once
        os._exit(1)

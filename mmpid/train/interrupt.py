"""Let a keyboard interrupt wait until the batch is done, so that it never leaves a half-made update."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def delayed_interrupt() -> Iterator[threading.Event]:
    """Yield an event that an interrupt sets instead of raising; check it between batches.

    Outside the main thread Python delivers no interrupts, and the event stays unset. An interrupt that was not
    handled inside is raised at the end.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, lambda *_: asked.set())
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)
    if asked.is_set():
        raise KeyboardInterrupt

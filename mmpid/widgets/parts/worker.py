"""A thread for work that a knob requests and that is too slow for a callback: the latest request wins."""

import atexit
import threading
import traceback
import weakref
from collections.abc import Callable, Iterable
from html import escape
from typing import Any

_workers: "weakref.WeakSet[Worker]" = weakref.WeakSet()
_NOTHING = object()


class Worker:
    """Work on the latest request in one daemon thread.

    `work(request)` yields results, and each is passed to `show`. Between two results, a newer request cancels the rest
    of the older one, so moving a knob twenty times costs one computation plus the one that was running.

    Parameters
    ----------
    work
        A generator function of the request.
    show
        Called in the thread with each result.
    on_error
        Called in the thread with an exception from either function, and with None after success. Otherwise a notebook
        would hide the exception.
    delay
        Seconds without a newer request before work begins.
    name
        Name of the thread, after "mmpid-".
    """

    def __init__(
        self,
        work: Callable[[Any], Iterable],
        show: Callable[[Any], None],
        on_error: Callable[[Exception | None], None] = lambda error: None,
        *,
        delay: float = 0.0,
        name: str = "worker",
    ):
        self._work, self._show, self._on_error, self._delay = work, show, on_error, delay
        self._changed = threading.Condition()
        self._request: object = _NOTHING
        self._busy = self._closing = False
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name=f"mmpid-{name}", daemon=True)
        self._thread.start()
        _workers.add(self)

    @property
    def alive(self) -> bool:
        """Whether the thread exists; False after `close`."""
        return self._thread.is_alive()

    def ask(self, request: object) -> None:
        """Work on this request next, instead of any other; returns at once. Ignored after `close`."""
        with self._changed:
            self._request = request
            self._changed.notify_all()

    def wait(self, timeout: float | None = None) -> bool:
        """Block until the latest request is done; raise its error if it failed. False after `timeout` seconds."""
        done = self.rest(timeout)
        if done and self.error is not None:
            raise self.error
        return done

    def rest(self, timeout: float | None = None) -> bool:
        """Block until the latest request is done, whether or not it failed; False after `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._closing or not (self._busy or self._waiting), timeout)

    def close(self, timeout: float = 2.0) -> bool:
        """End the thread after its current result; return whether it ended within `timeout` seconds."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    @property
    def _waiting(self) -> bool:
        return self._request is not _NOTHING

    def _run(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._closing or self._waiting)
                if self._closing:
                    return  # a closed worker is never busy, so waiting threads continue
                self._busy = True
                request = self._latest()
            if request is not _NOTHING:
                self._answer(request)

    def _latest(self) -> object:
        """Take the latest request, once none has come for `delay` seconds; called with the lock held."""
        request = _NOTHING
        while self._waiting and not self._closing:
            request, self._request = self._request, _NOTHING
            if self._delay:
                self._changed.wait_for(lambda: self._closing or self._waiting, self._delay)
        return _NOTHING if self._closing else request

    def _answer(self, request: object) -> None:
        try:
            for result in self._work(request):
                if self._closing or self._waiting:
                    return
                self._show(result)
            self.error = None
            self._on_error(None)
        except Exception as error:
            self.error = error
            self._on_error(error)


def problem(error: Exception | None) -> str:
    """Describe an error, with its traceback on request; empty for None."""
    if error is None:
        return ""
    words = escape(f"{type(error).__name__}: {error}")
    trace = escape("".join(traceback.format_exception(error)))
    traceback.clear_frames(error.__traceback__)  # a kept exception would keep the frames' tensors
    folded = f"<details><summary>Traceback</summary><pre>{trace}</pre></details>"
    return f'<div class="mmpid-failure" role="alert"><b>This could not be shown: {words}</b>{folded}</div>'


@atexit.register
def _close_all() -> None:
    for worker in list(_workers):
        worker.close(timeout=1.0)

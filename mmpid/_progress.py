"""Progress bars for what takes longer than two seconds; silent where nobody would see them."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_listener: ContextVar[Callable[[float], None] | None] = ContextVar("_listener", default=None)


@contextmanager
def listening(listener: Callable[[float], None]) -> Iterator[None]:
    """Call `listener` with the share that is done, from 0 to 1, whenever a long computation within says so."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def advance(done: int, total: int) -> None:
    """Say how much of a long computation is done, to whoever listens."""
    listener = _listener.get()
    if listener is not None:
        listener(done / total)


@contextmanager
def progress_bar(total: int, *, initial: int = 0, unit: str = "it", show: bool = True):
    """Yield a tqdm bar: a widget in a live notebook, text in a terminal, none when output goes to a file.

    A notebook that runs headless gets no bar: a saved progress widget would be noise in its outputs.
    """
    from tqdm import tqdm
    from tqdm.auto import tqdm as tqdm_auto

    live = "JPY_SESSION_NAME" in os.environ and "MMPID_HEADLESS" not in os.environ
    visible = show and (live or sys.stderr.isatty())
    kind = tqdm_auto if live else tqdm
    with kind(total=total, initial=initial, unit=unit, disable=not visible, delay=1, leave=False) as bar:
        yield bar

"""Run many tiny tensor operations on one thread: handing them to several costs more than it saves."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from threadpoolctl import ThreadpoolController  # pyright: ignore[reportMissingTypeStubs]  (it has none)

_Controller: Any = ThreadpoolController

# Above this many cells of a joint, or numbers in the sources, operations are large enough to gain from threads.
SMALL_JOINT = 10_000
SMALL_SOURCES = 1_000_000


def one_thread(small: bool) -> AbstractContextManager[object]:
    """One OpenMP thread for the calling thread while `small` work is done; other threads keep theirs.

    On two busy cores the barriers between some thousand operations of a few microseconds cost ten times the work.
    The pools are looked up every time, which takes two or three milliseconds, since scikit-learn loads its own late.
    The environment cannot say instead: a variable that is set after the import of scikit-learn changes nothing.
    """
    return _Controller().limit(limits=1, user_api="openmp") if small else nullcontext()

"""Run many tiny tensor operations on one thread: handing them to several costs more than it saves."""

import os
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from threadpoolctl import ThreadpoolController  # pyright: ignore[reportMissingTypeStubs]  (it has none)

_Controller: Any = ThreadpoolController

# Above this many cells of a joint, or numbers in the sources, operations are large enough to gain from threads.
SMALL_JOINT = 10_000
SMALL_SOURCES = 1_000_000


def one_thread(small: bool) -> AbstractContextManager[object]:
    """One OpenMP thread for the calling thread while `small` work is done; other threads keep theirs.

    On two busy cores the barriers between some thousand operations of a few microseconds cost ten times the work.
    The pools are looked up every time, which takes a few milliseconds, since scikit-learn loads its own late. A process
    that never has a second thread, such as a worker of a parallel study, need not look.
    """
    if os.environ.get("OMP_NUM_THREADS") == "1" and torch.get_num_threads() == 1:
        return nullcontext()
    return _Controller().limit(limits=1, user_api="openmp") if small else nullcontext()

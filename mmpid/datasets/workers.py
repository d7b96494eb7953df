"""Processes that read samples: started where they pay, kept from one reading to the next, ended with the run."""

import multiprocessing
import os
import pickle
import signal
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from mmpid.errors import InputError, TrainingError

START_SECONDS = 3.0  # what it costs to start a process that must import torch first, about
_OF_THE_PARENT: list[Any] = []  # loaders that a forked child inherited: to end their processes is not its business

Batch = Any  # ({name: tensor}, labels), or a sentence on what is wrong with the data

# a process ended: before a batch, or while it handed one over
DIED = (RuntimeError, ConnectionError, EOFError, FileNotFoundError)


class Workers:
    """Processes that read batches for one or several sources.

    One set of processes serves training, evaluation and probes, one reading at a time: a reading that begins while
    another is under way takes its place, and the other one asks again for what it still needs. Whether a batch is read
    here or in a process changes no number.

    Where starting a process means importing everything again (`spawn`, the only way on Windows and macOS), batches are
    read in this process until that has taken as long as starting would: this never costs more than twice the better
    of both. A `worker_init` can prepare a dataset for its process, so with one processes are started at once.

    Parameters
    ----------
    number : int
        How many processes; 0 reads in this one.
    init : callable, optional
        Called with its number in each process.
    context
        How processes are started, as from `multiprocessing.get_context`; by default the system's way.
    """

    def __init__(self, number: int = 0, init: Callable[[int], Any] | None = None, context: Any = None):
        self.number, self.init, self.context = number, init, context
        self._known: weakref.WeakSet[Any] = weakref.WeakSet()  # sources, which hold this object
        self._reset()

    def _reset(self) -> None:
        self._lock, self._pid = threading.RLock(), os.getpid()
        self._loader: DataLoader | None = None
        self._reading: Iterator[Batch] | None = None
        self._numbers: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        self._feed, self._pins, self._turn, self._spent = _Feed(), False, None, 0.0

    def __reduce__(self):
        return Workers, (self.number, self.init, self.context)

    def know(self, source: Any) -> None:
        """Take a source into account when processes are started, so that they can read all of them."""
        self._known.add(source)

    def read(self, source: Any, order: Sequence[list[int]], *, pin: bool = False) -> Iterator[Batch]:
        """Give the batch of each list of rows of a source, in page-locked memory if `pin`."""
        if os.getpid() != self._pid:
            _OF_THE_PARENT.append((self._loader, self._reading))
            self._reset()
        self.know(source)
        turn = object()
        try:
            for place in range(len(order)):
                with self._lock:
                    batch = self._next(turn, source, order, place, pin)
                yield batch
        finally:
            with self._lock:
                if self._turn is turn:
                    self._turn = None

    def close(self) -> None:
        """End the processes; they are started again when there is something to read."""
        if os.getpid() != self._pid:
            return
        with self._lock:
            reading = self._reading
            self._loader = self._reading = self._turn = None
            self._spent = 0.0
            shut_down = getattr(reading, "_shutdown_workers", None)
            if shut_down is not None:  # a traceback may hold the iterator, whose end would end them otherwise
                shut_down()

    def _next(self, turn: object, source: Any, order: Sequence[list[int]], place: int, pin: bool) -> Batch:
        """Read the batch at a place of an order, here or in a process."""
        if self._turn is not turn and not self._pays(len(order) - place):
            start = time.perf_counter()
            batch = source.read_here(order[place])
            self._spent += time.perf_counter() - start
            return _pinned(batch) if pin and not isinstance(batch, str) else batch
        try:
            if self._turn is not turn:
                self._begin(source, order[place:], pin)
                self._turn = turn
            assert self._reading is not None
            return next(self._reading)
        except BaseException as problem:
            self.close()
            if isinstance(problem, DIED):
                said = (str(problem).splitlines() or [type(problem).__name__])[0].rstrip(".")
                raise TrainingError(
                    f"a process that reads samples ended: {said}. If memory ran out, use fewer "
                    f"`num_workers`; a dataset defined in a notebook cannot be read by processes started with "
                    f"'spawn': move it to a module, or use num_workers=0."
                ) from problem
            raise

    def _pays(self, n_batches: int) -> bool:
        """Return whether processes are to read: there are some, or it takes longer without them."""
        if self.number == 0 or self._reading is not None:
            return self.number > 0
        cheap = self._method() == "fork" or self.init is not None
        return n_batches > 1 and (cheap or self._spent >= START_SECONDS)

    def _method(self) -> str:
        if self.context is not None:
            return self.context.get_start_method()
        return multiprocessing.get_start_method(allow_none=True) or multiprocessing.get_all_start_methods()[0]

    def _begin(self, source: Any, order: Sequence[list[int]], pin: bool) -> None:
        """Start a reading; start the processes if there are none, or none that know the source."""
        if source not in self._numbers or (pin and not self._pins):
            self.close()
        with warnings.catch_warnings():  # more processes than cores are the caller's choice, and the loader has said so
            warnings.filterwarnings("ignore", "This DataLoader will create", UserWarning)
            warnings.filterwarnings("ignore", "Got pickle error", UserWarning)  # refused below
            if self._loader is None:
                self._start(pin)
            self._feed.requests = [(self._numbers[source], rows) for rows in order]
            self._reading = self._start_iterating()

    def _start(self, pin: bool) -> None:
        sources = list(self._known)
        self._numbers = weakref.WeakKeyDictionary(zip(sources, range(len(sources)), strict=True))
        self._feed, self._pins = _Feed(), pin
        feed: Any = self._feed  # a `DataLoader` declares lists of rows, and hands on whatever it is given
        self._loader = DataLoader(
            _Requests(sources),
            batch_sampler=feed,
            collate_fn=_unchanged,
            num_workers=self.number,
            persistent_workers=True,
            pin_memory=pin,
            worker_init_fn=partial(_begin_work, self.init),
            multiprocessing_context=self.context,
            generator=torch.Generator(),  # the loader must not draw its workers' seeds from the global one
        )

    def _start_iterating(self) -> Iterator[Batch]:
        """Return the loader's iterator over the requests; the first one starts the processes."""
        assert self._loader is not None
        requests: Any = self._loader.dataset
        try:
            return iter(self._loader)
        except (pickle.PicklingError, AttributeError, TypeError) as problem:
            raise InputError(
                f"processes started with {self._method()!r} need a dataset that can be pickled: {problem}. Define its "
                f"class and functions in a module, or use num_workers=0."
            ) from problem
        finally:
            requests.sources = []  # each process has its own; kept here, they would keep this object alive


@contextmanager
def closed_if(read_whole: bool, *sources: Any) -> Iterator[None]:
    """End the processes of sources after they were read as a whole, and where reading failed."""
    try:
        yield
    except BaseException:
        read_whole = True
        raise
    finally:
        for source in sources if read_whole else ():
            source.workers.close()


class _Feed:
    """The requests of the present reading: what a `DataLoader` takes for its batch sampler."""

    def __init__(self):
        self.requests: list[tuple[int, list[int]]] = []

    def __iter__(self) -> Iterator[tuple[int, list[int]]]:
        return iter(self.requests)

    def __len__(self) -> int:
        return len(self.requests)


class _Requests(Dataset):
    """Gives whole checked batches to a loader."""

    def __init__(self, sources: list[Any]):
        self.sources = sources

    def __getitems__(self, request: tuple[int, list[int]]) -> Batch:
        number, rows = request
        return self.sources[number].read_here(rows)


def _begin_work(init: Callable[[int], Any] | None, number: int) -> None:
    """Prepare a process: an interrupt of the notebook is meant for its parent alone, which ends it when it is time."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if init is not None:
        init(number)


def _unchanged(batch: Batch) -> Batch:
    return batch


def _pinned(batch: Batch) -> Batch:
    inputs, labels = batch
    return {name: x.pin_memory() for name, x in inputs.items()}, labels.pin_memory()

"""One writer for each run folder: a lock that the operating system releases when its process ends, however it ends."""

import errno
import json
import os
import platform
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from mmpid.errors import ConfigError, MMPIDWarning, TrainingError, warn

if os.name == "nt":
    import msvcrt
else:
    import fcntl

LOCKED_BYTE = 1 << 30  # Windows locks ranges of bytes and hides them from readers: lock one behind the text
NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK)  # what file systems without locks answer
RECENT = 1.0  # seconds after which a run that another thread of this process trained counts as at rest
WAIT = 0.05  # seconds between two checks at a lock that another process has
TRIES = 5  # times that a lock file may vanish between two system calls

_ALL: "weakref.WeakSet[FolderLock]" = weakref.WeakSet()
_GUARD = threading.RLock()


class Permit:
    """Whether a run may change, and which thread is changing it.

    Attributes
    ----------
    refusal : str
        Why the run must stay as it is; empty while it may change.
    """

    def __init__(self):
        self.refusal = ""
        self._thread, self._depth, self._last = 0, 0, -RECENT

    def check(self) -> None:
        """Raise `TrainingError` if the run must stay as it is."""
        if self.refusal:
            raise TrainingError(self.refusal)

    @contextmanager
    def use(self) -> Iterator[None]:
        """Say that this thread changes the run, which must be allowed."""
        self.check()
        self._thread, self._depth = threading.get_ident(), self._depth + 1
        try:
            yield
        finally:
            self._depth, self._last = self._depth - 1, time.monotonic()

    @property
    def in_use(self) -> bool:
        """Whether another thread of this process changes the run, or did so a moment ago."""
        recent = self._depth > 0 or time.monotonic() - self._last < RECENT
        return recent and self._thread != threading.get_ident()


class _HeldError(ConfigError):
    """Another process, or another trainer of this one, holds the lock."""


class FolderLock:
    """The right to write a run folder, held by at most one trainer at a time.

    The lock is on the open file and belongs to the process: it ends with it, also when the process is killed. The
    file holds the process, its host and the time, for the message to whoever comes second. Reading needs no lock.

    Two trainers of one process may follow each other, as when a notebook cell runs again: the later one takes over,
    and the permit of the earlier one is withdrawn. That is refused while another thread trains the earlier one.

    Notes
    -----
    A forked child, such as a worker that reads samples, closes its copy of the file at once; else it would hold the
    lock after its parent was killed. Where the file system has no locks a warning says so, and nothing is refused.
    """

    def __init__(self, path: Path, permit: Permit):
        self.path, self.permit = path, permit
        self._file: int | None = None

    def acquire(self, *, take_over: bool = True) -> None:
        """Take the lock; raise `ConfigError` if another process or another busy trainer has it."""
        with _GUARD:
            for _ in range(TRIES):
                file = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
                try:
                    holder = _holder_here(file)
                    if holder is not None:
                        self._take_over(holder, take_over)
                    elif not self._lock(file):
                        raise _HeldError(self._held_elsewhere(file))
                    else:
                        self._file, file = file, None
                finally:
                    if file is not None:
                        os.close(file)
                if self.is_ours():
                    _ALL.add(self)
                    self._sign()
                    return
                self.release()  # the file was deleted between opening and locking it
        raise ConfigError(f"the folder {self.path.parent} is being deleted. Choose another folder.")

    def wait(self) -> None:
        """Take the lock as soon as no process and no trainer has it."""
        while True:
            try:
                return self.acquire(take_over=False)
            except _HeldError:
                time.sleep(WAIT)

    def release(self) -> None:
        """Let go of the lock, if it is held."""
        with _GUARD:
            file, self._file = self._file, None
            _ALL.discard(self)
            if file is not None:
                with suppress(OSError):
                    os.close(file)

    def is_ours(self) -> bool:
        """Whether the lock is held, and its file is still the one in the folder."""
        if self._file is None:
            return False
        try:
            return os.path.samestat(os.fstat(self._file), os.stat(self.path))
        except OSError:
            return False

    def __del__(self):
        file, self._file = getattr(self, "_file", None), None
        if file is not None:
            with suppress(OSError):
                os.close(file)

    def _take_over(self, holder: "FolderLock", allowed: bool) -> None:
        """Take the lock from another trainer of this process, which may not write any more."""
        where = self.path.parent
        if not allowed or holder.permit.in_use:
            raise _HeldError(
                f"the run in {where} is being trained by another Trainer of this process. Pause that one and wait a "
                f"second, or read the run with Trainer.load({str(where)!r}, data, read_only=True)."
            )
        self._file, holder._file = holder._file, None
        _ALL.discard(holder)
        holder.permit.refusal = (
            f"another Trainer of this process has taken over the run in {where} and writes it now. Go on with that "
            f"one, or take the run back with Trainer.load({str(where)!r}, data)."
        )

    def _lock(self, file: int) -> bool:
        """Lock an open file; return False if another process has it locked."""
        try:
            if os.name == "nt":
                os.lseek(file, LOCKED_BYTE, os.SEEK_SET)
                msvcrt.locking(file, msvcrt.LK_NBLCK, 1)  # pyright: ignore[reportAttributeAccessIssue]
            else:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as problem:
            if problem.errno in NO_LOCKS:
                warn(
                    f"the file system of {self.path.parent} has no locks, so a second writer cannot be refused. Let "
                    "only one process train in this folder.",
                    MMPIDWarning,
                )
                return True
            if problem.errno in (errno.EAGAIN, errno.EACCES, errno.EDEADLK):
                return False
            raise
        return True

    def _sign(self) -> None:
        """Write down which process holds the lock; without space on the disk it is held all the same."""
        signature = {"pid": os.getpid(), "host": platform.node(), "since": datetime.now().isoformat(" ", "seconds")}
        with suppress(OSError):
            assert self._file is not None
            os.ftruncate(self._file, 0)
            os.lseek(self._file, 0, os.SEEK_SET)
            os.write(self._file, json.dumps(signature).encode())

    def _held_elsewhere(self, file: int) -> str:
        """Say which process holds the lock, and what to do."""
        where = self.path.parent
        try:
            os.lseek(file, 0, os.SEEK_SET)
            by = dict(json.loads(os.read(file, 4096)))
            who = f"by process {by['pid']} on {by['host']}, since {by['since']}"
        except (OSError, ValueError, KeyError, TypeError):
            who = "by another process"
        return (
            f"the run in {where} is being written {who}. Read it with Trainer.load({str(where)!r}, data, "
            f"read_only=True), which disturbs nothing; to go on with it, end that process first (in a notebook: "
            f"trainer.close(), or shut its kernel down)."
        )


def _holder_here(file: int) -> FolderLock | None:
    """Return the lock of this process on the same file, if there is one."""
    for lock in list(_ALL):
        held = lock._file
        if held is not None and os.path.samestat(os.fstat(held), os.fstat(file)):
            return lock
    return None


def _close_copies() -> None:
    """Close the inherited files in a forked child; the parent's locks stay."""
    global _GUARD
    _GUARD = threading.RLock()  # another thread of the parent may have held it
    for lock in list(_ALL):
        file, lock._file = lock._file, None
        lock.permit.refusal = (
            f"this process was forked from the one that writes {lock.path.parent}, and must not write there as well. "
            "Make the Trainer after the fork."
        )
        if file is not None:
            with suppress(OSError):
                os.close(file)
    _ALL.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_copies)

"""A disk that fails when it is told to: what a full disk, a killed process and a reader in between do to a folder."""

import builtins
import errno
import os
from pathlib import Path

from mmpid.runs import files

CALLS = ("write", "truncate", "flush")


class Killed(BaseException):
    """The process is dead: nothing of it runs any more."""


class Disk:
    """Counts what is done to the disk, and does something else at one call or a few.

    From the call numbered `fails` on, `times` calls raise `error`, writing half of what they should. At that call, a
    process can also be `killed`, or somebody else look.
    """

    def __init__(self, monkeypatch, sync=True):
        self.error = errno.ENOSPC
        self.behave()
        self._sync, self._unlink = sync, Path.unlink
        for name in ("fsync", "replace"):
            monkeypatch.setattr(
                files.os, name, self._called(getattr(os, name) if sync or name != "fsync" else _nothing)
            )
        monkeypatch.setattr(files, "open", self._called(self._open), raising=False)
        monkeypatch.setattr(Path, "unlink", lambda path, *rest, **options: self._unlinked(path, *rest, **options))

    def behave(self, fails=-1, times=0, error=errno.ENOSPC, kills=-1, looks=-1, look=None):
        """Count anew, and fail as asked."""
        self.calls, self.fails, self.times, self.error = 0, fails, times, error
        self.kills, self.looks, self.look = kills, looks, look

    def _called(self, function, half=None):
        def called(*arguments):
            number, self.calls = self.calls, self.calls + 1
            if number == self.looks:
                self.look()
            if self.fails <= number < self.fails + self.times or number == self.kills:
                if half is not None:
                    half(*arguments)
                if number == self.kills:
                    raise Killed
                raise OSError(self.error, os.strerror(self.error))
            return function(*arguments)

        return called

    def _unlinked(self, path, *arguments, **options):
        if self.kills >= 0 and self.calls > self.kills:
            raise Killed
        self._unlink(path, *arguments, **options)

    def _open(self, path, mode):
        handle = builtins.open(path, mode, buffering=0)  # noqa: SIM115  (closed in `__exit__`)
        disk = self

        class Handle:
            def __enter__(self):
                return self

            def __exit__(self, *_):
                handle.close()

            def __getattr__(self, name):
                if name not in CALLS:
                    return getattr(handle, name)
                half = (lambda content: handle.write(content[: len(content) // 2])) if name == "write" else None
                return disk._called(getattr(handle, name), half)

        return Handle()


def _nothing(_):
    """Stands for fsync where nobody pulls the plug."""

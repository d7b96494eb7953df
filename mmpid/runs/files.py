"""Files that a crash, or a full disk, leaves either as they were or as they should be."""

import os
import time
from contextlib import suppress
from pathlib import Path

PATIENCE = 2.0  # seconds; Windows does not replace a file while somebody reads it


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a crash leaves either the old content or the new one, never a part.

    If it fails, what was half written is removed: on a full disk its space is needed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        _replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def write_at_end(path: Path, end: int, content: bytes) -> int:
    """Write `content` from byte `end` on, as the new end of a file, and return that end.

    What lies behind `end` was left there by a write that failed, and is replaced.
    """
    with open(path, "r+b") as handle:
        handle.seek(end)
        handle.write(content)
        handle.truncate()
        handle.flush()
        os.fsync(handle.fileno())
    return end + len(content)


def cut_at(path: Path, end: int) -> None:
    """Cut a file after `end` bytes; this needs no space on the disk."""
    with open(path, "r+b") as handle:
        handle.truncate(end)
        os.fsync(handle.fileno())


def remove_leftovers(folder: Path, name: str) -> None:
    """Remove what processes that were killed left of files named like `name`, a pattern, in one folder."""
    for leftover in folder.glob(f".{name}.*.tmp"):
        with suppress(OSError):
            leftover.unlink()


def reason(problem: OSError) -> str:
    """Return what the operating system says about a failure, such as "No space left on device"."""
    return problem.strerror or type(problem).__name__


def _replace(source: Path, target: Path) -> None:
    give_up = time.monotonic() + PATIENCE
    while True:
        try:
            return os.replace(source, target)
        except PermissionError:
            if os.name != "nt" or time.monotonic() > give_up:
                raise
        time.sleep(0.01)

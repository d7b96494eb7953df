"""The training sessions of this process, and which of them a new one replaces."""

import atexit
import threading
from collections.abc import Hashable
from typing import Any

from mmpid.errors import TrainingError

_SESSIONS: dict[Hashable, Any] = {}  # by name, or by the identity of the trainer
_LOCK = threading.RLock()


def sessions() -> tuple:
    """Return the live sessions of this process, oldest first."""
    with _LOCK:
        return tuple(session for session in _SESSIONS.values() if session.alive)


def pause_all() -> None:
    """Pause every live session; interrupting the kernel does not do that."""
    for session in sessions():
        session.pause()


def register(new) -> None:
    """Close the sessions that `new` replaces, and register it."""
    for old in [session for session in sessions() if _replaces(new, session)]:
        if not old.close() and old.trainer is new.trainer:
            raise TrainingError(
                f"The thread of {old!r} did not end within 5 s, so it cannot be replaced: it is in a long step. "
                "Wait for that step to end and run this cell again, or restart the kernel."
            )
    with _LOCK:
        _SESSIONS[new.name if new.name is not None else id(new.trainer)] = new


def unregister(closed) -> None:
    """Remove a session from the list."""
    with _LOCK:
        for key in [key for key, session in _SESSIONS.items() if session is closed]:
            del _SESSIONS[key]


def _replaces(new, old) -> bool:
    same_name = new.name is not None and new.name == old.name
    same_place = (
        new.origin is not None
        and old.origin is not None
        and new.origin[0] == old.origin[0]
        and new.origin[1] != old.origin[1]
    )
    return same_name or same_place or new.trainer is old.trainer


@atexit.register
def _close_all() -> None:
    for session in sessions():
        session.close(timeout=1.0)

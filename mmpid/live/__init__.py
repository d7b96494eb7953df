"""A run in a thread: the session that trains, the lock that sessions share, and the list of sessions."""

from mmpid.live.registry import pause_all, sessions
from mmpid.live.session import Session

__all__ = ["Session", "pause_all", "sessions"]

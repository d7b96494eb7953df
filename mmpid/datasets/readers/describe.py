"""What a reader says of the data that it opened."""

from typing import Any


def described(options: dict[str, Any], *, name: str, origin: str, **about) -> dict[str, Any]:
    """Return the options of a data set: its name and origin unless they are given, and what the reader did."""
    out: dict[str, Any] = {"name": name, "origin": origin} | options
    return out | {"options": about | (out.get("options") or {})}

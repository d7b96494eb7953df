"""The rows of a record on the path to the present, found at the price of the new ones."""

import threading


class Lineage:
    """Follow a list of rows that grows, and tell those on the path to its end: discarded futures left out.

    A run asks for its path several times per epoch. Going through all rows each time made an epoch of a run of 2,000
    epochs take twice as long as one of a run of 100.
    """

    def __init__(self):
        self._lock = threading.Lock()  # a board reads the record that a training thread appends to
        self._forget([])

    def _forget(self, rows: list[dict]) -> None:
        self._rows, self._last = rows, None
        self.seen = 0  # of the rows, on the path or not
        self.path: list[dict] = []
        self.by_kind: dict[str, list[dict]] = {}

    def of(self, rows: list[dict], kind: str | None = None) -> list[dict]:
        """Return a list of the rows on the path, of one kind if it is given; safe to call from any thread."""
        with self._lock:
            self.follow(rows)
            return list(self.path if kind is None else self.by_kind.get(kind, ()))

    def follow(self, rows: list[dict]) -> tuple[list[dict], bool]:
        """Take in the rows that came since; return those of them on the path, and whether they are all of the path."""
        count = len(rows)  # rows that come in between are for the next time
        new = rows[self.seen : count]
        other = rows is not self._rows or count < self.seen or (self.seen and rows[self.seen - 1] is not self._last)
        if other or any("parent" in row for row in new):  # a rewind, or the first row of a branch
            self._forget(rows)
            new = _on_path(rows[:count])
        for row in new:
            self.by_kind.setdefault(row["kind"], []).append(row)
        self.path += new
        self.seen, self._last = count, rows[count - 1] if count else None
        return new, len(new) == len(self.path)


def _on_path(rows: list[dict]) -> list[dict]:
    """Return the rows on the path to the last one."""
    limits = _path_limits(rows)
    return [row for index, row in enumerate(rows) if index < limits.get(row["segment"], 0)]


def _path_limits(rows: list[dict]) -> dict[int, int]:
    """Return {segment: number of rows that count} for the segments that lead to the last row."""
    starts = {row["segment"]: (row["parent"], row["from_row"]) for row in rows if "parent" in row}
    segment, limit = (rows[-1]["segment"] if rows else 0), len(rows)
    limits = {segment: limit}
    while segment in starts:
        segment, start = starts[segment]
        limits[segment] = limit = min(limit, start)
    return limits

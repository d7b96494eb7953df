"""The rows of a run on the path to the current state; an update costs only as much as the new rows."""

from collections.abc import Sequence

from mmpid.plots.traces import left_behind
from mmpid.runs.lineage import Lineage


class History:
    """What a board reads from a record several times per second, while training appends to it.

    Otherwise each update would go through thousands of rows, while Python's lock keeps training waiting. The path only
    grows, except after a rewind: then it is read again.

    Parameters
    ----------
    record
        A `RunRecord`.
    """

    def __init__(self, record):
        self._record, self._lineage = record, Lineage()
        self._forget()

    def _forget(self) -> None:
        self.left: list[dict] = []  # the future that the latest rewind discarded
        self.reached = 0  # the last epoch of either
        self.decided: list[dict] = []  # the decisions on the path that changed something
        self.probed: list[int] = []  # the epochs of its probes

    @property
    def path(self) -> list[dict]:
        """The rows on the path."""
        return self._lineage.path

    def of(self, kind: str) -> list[dict]:
        """Return the rows of one kind on the path."""
        return self._lineage.by_kind.get(kind, [])

    def update(self) -> "History":
        """Read the rows added since the last call; return self."""
        rows = self._record.rows
        new, anew = self._lineage.follow(rows)
        if anew:
            self._forget()
            self.left = left_behind(new, rows[: self._lineage.seen])
        self.probed += [row["epoch"] for row in new if row["kind"] == "probe"]
        self.decided += [row for row in new if row["kind"] == "decision" and row["action"] != "hold"]
        self.reached = max([self.reached, *(row["epoch"] for part in (new, self.left) for row in part)])
        return self


def thinned(many: Sequence, most: int) -> Sequence:
    """Return at most `most` rows, with the first and the last: every second, or every fourth, and so on.

    Chosen rows stay chosen as more arrive, until there are twice as many; a curve through evenly spaced rows would
    jitter.
    """
    if len(many) <= most:
        return many
    stride = 1 << ((len(many) - 1) // (most - 1)).bit_length()
    return [*many[:-1:stride], many[-1]]

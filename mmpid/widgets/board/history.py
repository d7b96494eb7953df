"""The rows of a run on the path to the present, kept up to date at the price of the new rows."""

from collections.abc import Sequence

from mmpid.plots.traces import left_behind
from mmpid.runs.lineage import Lineage


class History:
    """What a board reads of a record several times per second, while a training appends to it.

    A record of thousands of rows would be gone through at each update otherwise, while Python's lock keeps the training
    waiting. The path only grows, but for a rewind: then it is read again.

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
        """Take in the rows that came since; return itself."""
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
    """Return at most `most` of them, with the first and the last: every second, or every fourth, and so on.

    What was chosen stays chosen as more come, until twice as many are there; a curve through evenly spaced ones would
    tremble.
    """
    if len(many) <= most:
        return many
    stride = 1 << ((len(many) - 1) // (most - 1)).bit_length()
    return [*many[:-1:stride], many[-1]]

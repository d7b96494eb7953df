"""The rows of a run on the path to the present, kept up to date at the price of the new rows."""

from collections.abc import Sequence

from mmpid.plots.traces import left_behind


class History:
    """What a board reads of a record several times a second, while a training appends to it.

    A record of thousands of rows would be gone through at each update otherwise, while Python's lock keeps the training
    waiting. The path only grows, but for a rewind: then it is read anew.

    Parameters
    ----------
    record
        A `RunRecord`.
    """

    def __init__(self, record):
        self._record = record
        self._forget()

    def _forget(self) -> None:
        self._seen, self._last = 0, None
        self.path: list[dict] = []
        self.left: list[dict] = []  # the future that the latest rewind discarded
        self.reached = 0  # the last epoch of either
        self.decided: list[dict] = []  # the decisions on the path that changed something
        self.probed: list[int] = []  # the epochs of its probes
        self._by_kind: dict[str, list[dict]] = {}

    def of(self, kind: str) -> list[dict]:
        """Return the rows of one kind on the path."""
        return self._by_kind.get(kind, [])

    def update(self) -> "History":
        """Take in the rows that came since; return itself."""
        rows = self._record.rows
        count = len(rows)  # rows that come in between are for the next update
        if count < self._seen or (self._seen and rows[self._seen - 1] is not self._last):
            self._forget()
        new = rows[self._seen : count]
        if any("parent" in row for row in new):  # a rewind, or the first row of a branch
            self._forget()
            earlier = self._record.prefix(count)
            new = earlier.lineage()
            self.left = left_behind(new, earlier.rows)
        for row in new:
            self._by_kind.setdefault(row["kind"], []).append(row)
            if row["kind"] == "probe":
                self.probed.append(row["epoch"])
            elif row["kind"] == "decision" and row["action"] != "hold":
                self.decided.append(row)
        self.path += new
        self.reached = max([self.reached, *(row["epoch"] for part in (new, self.left) for row in part)])
        self._seen, self._last = count, rows[count - 1] if count else None
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

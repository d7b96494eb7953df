"""What the batches of an epoch gave: losses and right answers, kept as they are and read many batches at a time."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from math import inf, isfinite, nan
from typing import Any, NamedTuple

import torch
from torch import Tensor

MOST_LOGITS = 1 << 20  # that wait to be judged, at most: 4 MiB of float32
MOST_LOSSES = 1 << 12  # batches whose losses wait to be read, at most


class EpochMetrics:
    """Losses (nats) and numbers of right answers of one epoch: one row per batch, one column per loss.

    Adding a batch computes nothing, since the update of a small network takes no longer than a few dozen operations:
    its losses and logits, without their graph, wait until those of many batches are read at once. Right answers are
    counted for all of these together, in the row of the first. NaN stands for what was not trained; a loss that is
    itself NaN is infinity. `mean` averages a tensor over several processes. Terms that callbacks name get columns of
    their own when they first come.
    """

    def __init__(
        self,
        columns: Sequence[str],
        sizes: Sequence[int],
        device: torch.device,
        mean: Callable[[Tensor], Tensor] | None = None,
    ):
        self.columns, self.sizes = tuple(columns), list(sizes)
        self._names = frozenset(self.columns)
        self._device, self._mean = device, mean
        self._losses, self._right = ([[nan] * len(self.columns) for _ in self.sizes] for _ in range(2))
        self._unread: list[_Batch] = []  # their losses
        self._unjudged: list[_Batch] = []  # their logits and labels
        self._judged: list[tuple[list[_Batch], Tensor]] = []  # batches, and the counts of right answers
        self._held = 0

    # ---- writing ---------------------------------------------------------------------------------------------

    def add(
        self, number: int, losses: Mapping[str, Tensor], logits: Mapping[str, Tensor], target: Tensor, parts: int = 1
    ) -> None:
        """Add what a batch gave; `target` are the labels of this process's part, one of `parts` equal ones."""
        if not self._names.issuperset(losses):
            self._add_columns([name for name in losses if name not in self._names])
        self.sizes[number] = len(target) * parts
        self._unread.append(_Batch(number, (tuple(losses), parts), losses.values()))
        if logits:
            self._unjudged.append(_Batch(number, (tuple(logits), parts), (*logits.values(), target)))
            self._held += len(logits) * next(iter(logits.values())).numel()

    def _add_columns(self, names: Sequence[str]) -> None:
        """Make room for losses that were not known when the epoch began."""
        self.columns = (*self.columns, *names)
        self._names = frozenset(self.columns)
        for table in (self._losses, self._right):
            for row in table:
                row += [nan] * len(names)

    def trim(self) -> None:
        """Let no more wait than memory should hold."""
        if self._held > MOST_LOGITS:
            self._judge()
        if len(self._unread) > MOST_LOSSES:
            self._read_losses()

    def _judge(self) -> None:
        """Count right answers; nothing leaves the device."""
        for (names, _), batches in _alike(self._unjudged):
            *logits, target = zip(*(batch.tensors for batch in batches), strict=True)
            answers = torch.cat([z for own in logits for z in own]).argmax(1).view(len(names), -1)
            counts = answers.eq(torch.cat(target)).sum(1)
            self._judged.append(([batch._replace(tensors=()) for batch in batches], counts))
        self._unjudged, self._held = [], 0

    def _read_losses(self) -> None:
        """Copy the losses that wait from the device."""
        for (names, _), batches in _alike(self._unread):
            places = [self.columns.index(name) for name in names]
            nats = iter(torch.stack([loss for batch in batches for loss in batch.tensors]).tolist())
            for batch in batches:
                for place in places:
                    loss = next(nats)
                    self._losses[batch.number][place] = loss if isfinite(loss) else inf
        self._unread = []

    def _read_right(self) -> None:
        """Copy the numbers of right answers from the device."""
        self._judge()
        for batches, counts in self._judged:
            names, parts = batches[0].kind
            for name, count in zip(names, counts.tolist(), strict=True):
                place = self.columns.index(name)
                for batch in batches:
                    self._right[batch.number][place] = 0.0
                self._right[batches[0].number][place] = float(count * parts)
        self._judged = []

    # ---- reading ---------------------------------------------------------------------------------------------

    def losses(self, start: int = 0, stop: int | None = None) -> list[list[float]]:
        """Return the losses of some batches, a row per batch."""
        self._read_losses()
        return self._averaged(self._losses[start:stop])

    def mean_losses(self) -> dict[str, float]:
        """Return the mean loss of each classifier over its batches."""
        table = _float32(self.losses())
        means = table.mean(0).tolist()
        return self._named(means if all(map(isfinite, means)) else table.nanmean(0).tolist())  # as a rule, none is NaN

    def accuracies(self) -> dict[str, float]:
        """Return the share of right answers among the samples that each classifier was trained on.

        Each batch was answered before its update, and with dropout: the accuracies lag behind those on held-out data.
        """
        self._read_right()
        shares = []
        for column in zip(*self._averaged(self._right), strict=True):
            trained = [(right, size) for right, size in zip(column, self.sizes, strict=True) if right == right]
            right, seen = map(sum, zip(*trained, strict=True)) if trained else (nan, 1)
            shares.append(right / seen)
        return self._named(shares)

    def _averaged(self, table: list[list[float]]) -> list[list[float]]:
        return self._mean(_float32(table).to(self._device)).tolist() if self._mean else table

    def _named(self, values: list[float]) -> dict[str, float]:
        """Return the values that are numbers, by classifier."""
        return {name: x for name, x in zip(self.columns, values, strict=True) if x == x}

    # ---- state -----------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return the columns, the tables and the sizes of the batches."""
        self._read_losses()
        self._read_right()
        tables = {"losses": _float32(self._losses), "right": _float32(self._right)}
        return {**tables, "sizes": list(self.sizes), "columns": list(self.columns)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load :meth:`state_dict`."""
        self.columns, self.sizes = tuple(state["columns"]), list(state["sizes"])
        self._names = frozenset(self.columns)
        self._losses, self._right = state["losses"].tolist(), state["right"].tolist()
        self._unread, self._unjudged, self._judged, self._held = [], [], [], 0

    def copy_first(self, other: "EpochMetrics", n: int) -> None:
        """Begin with the first `n` batches of other metrics of this epoch."""
        other._read_losses()
        other._read_right()
        self.sizes[:n] = other.sizes[:n]
        self._losses[:n], self._right[:n] = other._losses[:n], other._right[:n]


class _Batch(NamedTuple):
    """One batch: its number, what was trained on it and in how many equal parts, and what that gave."""

    number: int
    kind: tuple[tuple[str, ...], int]
    tensors: Iterable[Tensor]


def _alike(batches: "list[_Batch]") -> "list[tuple[tuple[tuple[str, ...], int], list[_Batch]]]":
    """Return batches of one kind that follow each other, together."""
    return [(kind, list(group)) for kind, group in groupby(batches, lambda batch: batch.kind)]


def _float32(table: list[list[float]]) -> Tensor:
    """Return a table as a tensor, of the same dtype whatever the default is."""
    return torch.tensor(table, dtype=torch.float32)

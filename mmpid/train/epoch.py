"""The batches of the epoch under way: which samples, in which order, and what they gave."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mmpid.datasets import Split
from mmpid.errors import InputError
from mmpid.train.metrics import EpochMetrics
from mmpid.train.parallel import Parallel
from mmpid.train.position import Position
from mmpid.train.random_numbers import sample_order


def cut(order: Tensor, batch_size: int, joins_single: bool) -> list[Tensor]:
    """Cut an order of samples into batches; a last batch of one sample joins the one before it where that is asked.

    Examples
    --------
    >>> [len(batch) for batch in cut(torch.arange(129), 64, joins_single=True)]
    [64, 65]
    """
    batches = list(order.split(batch_size))
    if joins_single and len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches


class Epoch:
    """Cuts the training split into batches, an order that is a function of seed and epoch alone.

    Attributes
    ----------
    metrics : EpochMetrics
        Losses and right answers of the batches.
    samples : Tensor, optional
        Positions of the training split that are trained on, where a callback chose them; None for all.
    joins_single : bool
        Whether a last batch of one sample joins the batch before it: batch normalization cannot train on one alone.
    """

    def __init__(self, train: Split, seed: int, device: torch.device, parallel: Parallel | None):
        self.train, self.seed, self.device, self.parallel = train, seed, device, parallel
        self.joins_single = False
        self.samples: Tensor | None = None
        self.muted: dict[str, Tensor] = {}
        self.metrics = EpochMetrics((), (), device)
        self._places: list[Tensor] = []  # of each batch, in `samples` if there are any
        self._order: list[Tensor] = []  # of each batch, in the training split
        self._feed: Iterator[tuple[dict[str, Tensor], Tensor]] | None = None

    @property
    def n_batches(self) -> int:
        """Batches of this epoch."""
        return len(self._order)

    def lay_out(self, position: Position, batch_size: int, columns: Sequence[str]) -> None:
        """Order the training samples and cut them into batches.

        Batches before the place where the batch size changed are done; they stand as empty ones.
        """
        done, taken = position.cut
        n = len(self.train) if self.samples is None else len(self.samples)
        order = sample_order(self.seed, position.epoch, n).to(self.train.target.device)
        due = cut(order[taken:], batch_size, self.joins_single)
        self._places = [order[:0]] * done + [self._share(index) for index in due]
        samples = self.samples
        self._order = self._places if samples is None else [samples.to(order.device)[i] for i in self._places]
        self._feed = None
        sizes = [0] * done + [len(index) for index in due]
        self.metrics = EpochMetrics(columns, sizes, self.device, self.parallel.mean if self.parallel else None)

    def cut_rest(self, position: Position, batch_size: int) -> None:
        """Cut what is left of the epoch into batches of another size."""
        done, before = position.batch, self.metrics
        position.cut = (done, sum(before.sizes[:done]))
        self.lay_out(position, batch_size, before.columns)
        self.metrics.copy_first(before, done)

    def _share(self, index: Tensor) -> Tensor:
        """Return the samples of a batch that this process trains on: all of them, when it is alone."""
        return self.parallel.share(index) if self.parallel else index

    def next_batch(self, number: int) -> tuple[dict[str, Tensor], Tensor]:
        """Return a batch; those before it are not read again when an epoch is taken up halfway."""
        if self._feed is None:
            self._feed = self.train.batches(self._order[number:], device=self.device)
        return next(self._feed)

    def index(self, number: int) -> Tensor:
        """Return the positions in the training split of a batch's samples."""
        return self._order[number]

    def n_parts(self, number: int) -> int:
        """Return into how many parts a batch is divided among processes."""
        own = len(self._order[number]) if number < self.n_batches else 0
        return self.metrics.sizes[number] // own if own else 1

    def mutes(self, number: int) -> dict[str, Tensor]:
        """Return the muted rows of a batch, by modality."""
        return {name: rows[self._places[number].to(rows.device)] for name, rows in self.muted.items()}

    def rewind_feed(self) -> None:
        """Read again from the batch that is due: the last one was not finished."""
        self._feed = None

    def set_samples(self, index: Tensor | None, muted: Mapping[str, Tensor]) -> None:
        """Choose the samples of the epochs that follow."""
        n = len(self.train)
        if index is not None and (index.ndim != 1 or not len(index) or int(index.min()) < 0 or int(index.max()) >= n):
            raise InputError(f"`index` must hold positions of the {n} training samples; it was {index}.")
        length = n if index is None else len(index)
        for name, rows in muted.items():
            if rows.shape != (length,) or rows.dtype is not torch.bool:
                raise InputError(
                    f"`muted[{name!r}]` must be boolean with one entry per sample, ({length},); it was {rows.dtype} of "
                    f"shape {tuple(rows.shape)}."
                )
        self.samples, self.muted = None if index is None else index.clone(), dict(muted)

    def state_dict(self, within: bool) -> dict[str, Any]:
        """Return the choice of samples and, within an epoch, what its batches gave."""
        state: dict[str, Any] = {} if self.samples is None else {"samples": self.samples}
        state |= {"muted": {name: rows.to(torch.uint8) for name, rows in self.muted.items()}}
        return state | {"metrics": self.metrics.state_dict()} if within else state

    def load_state_dict(
        self, state: Mapping[str, Any], position: Position, batch_size: int, columns: Sequence[str]
    ) -> None:
        """Restore what :meth:`state_dict` returned."""
        self.samples = state["samples"].clone() if "samples" in state else None
        self.muted = {name: rows.bool() for name, rows in state["muted"].items()}
        if "metrics" in state:
            self.lay_out(position, batch_size, columns)
            self.metrics.load_state_dict(state["metrics"])

"""Samples that stay in a `Dataset` and are read batch by batch, in our own order, each batch the same every time."""

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence, Sized
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from mmpid._progress import progress_bar
from mmpid.datasets.batch_checks import batch_labels, batch_tensor, check_finite, check_shapes, pair, shown, single
from mmpid.datasets.split import Split, positions, select
from mmpid.datasets.workers import Workers
from mmpid.errors import InputError

CHUNK = 64  # samples per batch where the order is ours alone


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """A map-style dataset and how to read it; `shapes` is what every sample must look like."""

    dataset: Dataset
    collate: Callable = default_collate
    workers: Workers = field(default_factory=Workers)
    pin_memory: bool = True
    labeled: bool = True  # whether labels of samples are read; else the caller gave them
    transform: Callable | None = None
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(cast(Sized, self.dataset))

    def opened(self) -> "Source":
        """Return this source with the shapes of its first sample."""
        inputs, _ = read_batch(self, [0])
        return replace(self, shapes={name: tuple(x.shape[1:]) for name, x in inputs.items()})

    def read(self, order: Sequence[list[int]], *, pin: bool = False) -> Iterator[tuple[dict[str, Tensor], Tensor]]:
        """Yield (inputs, labels) on the CPU for each list of rows."""
        for batch in self.workers.read(self, order, pin=pin):
            if isinstance(batch, str):
                raise InputError(batch)
            yield batch

    def read_here(self, rows: list[int]) -> tuple[dict[str, Tensor], Tensor] | str:
        """Return a checked batch; what is wrong with the data comes back as text, also from another process."""
        try:
            return read_batch(self, rows)
        except InputError as problem:
            return str(problem)

    def read_all(self, rows: Sequence[int] | None = None, *, keep: bool) -> tuple[dict[str, Tensor], Tensor]:
        """Read every sample once; return all labels and, with `keep`, all samples as float32."""
        rows = list(range(len(self))) if rows is None else list(rows)
        order = [rows[i : i + CHUNK] for i in range(0, len(rows), CHUNK)]
        parts, labels = {name: [] for name in self.shapes}, []
        with progress_bar(total=len(rows), unit="sample") as bar:
            for inputs, label in self.read(order):
                labels.append(label)
                for name in self.shapes if keep else ():
                    parts[name].append(inputs[name].to(torch.float32))
                bar.update(len(label))
        return {name: torch.cat(x) for name, x in parts.items() if x}, torch.cat(labels)


def read_batch(source: Source, rows: Sequence[int]) -> tuple[dict[str, Tensor], Tensor]:
    """Read and check the samples `rows`; random transforms are a function of `rows`, so that a resume repeats them."""
    draws = source.collate is not default_collate or not getattr(source.dataset, "repeatable", False)
    with _random_numbers_of(rows) if draws else nullcontext():
        items = [_read_item(source.dataset, row) for row in rows]
        try:
            batch = source.collate(items)
        except Exception as problem:
            raise InputError(_blame(source, items, rows, problem)) from problem
    inputs, labels = pair(batch, f"the batch of samples {shown(rows)}")
    inputs = {name: batch_tensor(x, name, rows) for name, x in inputs.items()}
    check_shapes({name: tuple(x.shape[1:]) for name, x in inputs.items()}, source.shapes, f"samples {shown(rows)}")
    for name, x in inputs.items():
        check_finite(x, name, rows)
    inputs = {name: inputs[name] for name in source.shapes or inputs}
    inputs = source.transform(inputs) if source.transform else inputs
    inputs = {name: single(x, name, rows) for name, x in inputs.items()}
    return inputs, batch_labels(labels, rows) if source.labeled else torch.zeros(len(rows), dtype=torch.int64)


def _read_item(dataset: Dataset, row: int):
    try:
        return dataset[row]
    except InputError:
        raise
    except Exception as problem:
        raise InputError(
            f"sample {row} could not be read: {type(problem).__name__}: {problem}. "
            f"Try `dataset[{row}]` by itself to see where."
        ) from problem


def _blame(source: Source, items: list, rows: Sequence[int], problem: Exception) -> str:
    """Say which sample could not be put into a batch, and why; what a collate of one's own accepts is its business."""
    shapes = source.shapes
    try:
        for row, item in zip(rows, items, strict=True) if source.collate is default_collate else ():
            inputs, _ = pair(item, f"sample {row}")
            for name, x in inputs.items():
                if not isinstance(x, (Tensor, np.ndarray, int, float)):
                    batch_tensor(x, name, [row])
            found = {name: tuple(np.shape(x)) for name, x in inputs.items()}
            shapes = shapes or found
            check_shapes(found, shapes, f"sample {row}")
    except InputError as found:
        return str(found)
    return (
        f"`collate_fn` failed on the samples {shown(rows)}: {type(problem).__name__}: {problem}. "
        f"It must return ({{modality name: tensor}}, labels)."
    )


@contextmanager
def _random_numbers_of(rows: Sequence[int]) -> Iterator[None]:
    """Seed torch, NumPy and Python by `rows`, and restore all three afterward."""
    seed = int.from_bytes(hashlib.blake2b(repr(list(rows)).encode(), digest_size=4).digest())
    state = random.getstate(), np.random.get_state()  # noqa: NPY002 (a transform may use the global generator)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would reset the accelerator's generator, too
        np.random.seed(seed)  # noqa: NPY002
        random.seed(seed)
        try:
            yield
        finally:
            random.setstate(state[0])
            np.random.set_state(state[1])  # noqa: NPY002


class StreamedSplit(Split):
    """A split whose samples stay in a `Dataset`; same methods as :class:`Split`, but without `inputs`."""

    source: Source
    rows: Tensor
    labels: Tensor | None

    def __init__(
        self, *, name: str, source: Source, rows: Tensor, target: Tensor, labels: Tensor | None,
        groups: Tensor | None = None,
    ):  # fmt: skip
        values = {"name": name, "source": source, "rows": rows, "target": target, "labels": labels, "groups": groups}
        for key, value in values.items():
            object.__setattr__(self, key, value)

    def __repr__(self) -> str:
        return f"StreamedSplit({self.name!r}: {len(self)} samples of {', '.join(self.source.shapes)})"

    @property
    def inputs(self) -> dict[str, Tensor]:  # pyright: ignore[reportIncompatibleVariableOverride]  (refusal is meant)
        """Refused: reading a whole split must be asked for."""
        raise InputError(
            f"the samples of split {self.name!r} are streamed, not in memory. Iterate `split.batches(order)`, or read "
            f"them all with `split.in_memory()`."
        )

    def batches(self, order: Sequence[Tensor], *, device=None) -> Iterator[tuple[dict[str, Tensor], Tensor]]:
        """Read one batch for each index tensor of `order`; copy it to `device` without blocking."""
        device = torch.device("cpu" if device is None else device)
        order = [index.cpu() for index in order]
        pin = self.source.pin_memory and device.type == "cuda"
        reading = self.source.read([self.rows[index].tolist() for index in order], pin=pin)
        for index, (inputs, labels) in zip(order, reading, strict=True):
            self._check_labels(index, labels)
            moved = {name: x.to(device, non_blocking=True).to(torch.float32) for name, x in inputs.items()}
            yield moved, self.target[index].to(device, non_blocking=True)

    def _check_labels(self, index: Tensor, labels: Tensor) -> None:
        """Refuse a dataset whose samples are others than when it was opened."""
        if self.labels is None or torch.equal(self.labels[index], labels):
            return
        first = int((self.labels[index] != labels).nonzero()[0])
        raise InputError(
            f"sample {int(self.rows[index[first]])} had the label {int(self.labels[index[first]])} when the data were "
            f"opened, and has {int(labels[first])} now. `dataset[i]` must always be the same sample."
        )

    def subset(self, indices) -> "StreamedSplit":
        """Return the samples at `indices`, still streamed."""
        index = positions(indices, len(self))
        labels = None if self.labels is None else self.labels[index]
        return StreamedSplit(
            name=self.name, source=self.source, rows=self.rows[index], target=self.target[index], labels=labels,
            groups=select(self.groups, index),
        )  # fmt: skip

    def in_memory(self) -> Split:
        """Read all samples of this split and return them as tensors."""
        inputs, labels = self.source.read_all(self.rows.tolist(), keep=True)
        self._check_labels(torch.arange(len(self)), labels)
        return Split(name=self.name, inputs=inputs, target=self.target, groups=self.groups)

"""Samples that stay in a `Dataset` and are read batch by batch, in our own order, each batch the same every time."""

import hashlib
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from mmpid import _validate
from mmpid._progress import progress_bar
from mmpid.datasets.split import Split, positions, select
from mmpid.errors import InputError

CHUNK = 64  # samples a batch where the order is ours alone


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """A map-style dataset and how to read it; `shapes` is what every sample must look like."""

    dataset: Dataset
    collate: Callable = default_collate
    num_workers: int = 0
    pin_memory: bool = True
    worker_init: Callable | None = None
    context: object = None
    labeled: bool = True  # whether labels of samples are read; else the caller gave them
    transform: Callable | None = None
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.dataset)

    def opened(self) -> "Source":
        """Return this source with the shapes of its first sample."""
        inputs, _ = read_batch(self, [0])
        return replace(self, shapes={name: tuple(x.shape[1:]) for name, x in inputs.items()})

    def read(self, order: Sequence[Sequence[int]], *, pin: bool = False) -> Iterator[tuple[dict[str, Tensor], Tensor]]:
        """Yield (inputs, labels) on the CPU for each list of rows."""
        loader = DataLoader(
            _Batches(self),
            batch_sampler=order,
            collate_fn=_unchanged,
            num_workers=min(self.num_workers, len(order)),
            pin_memory=pin,
            worker_init_fn=self.worker_init,
            multiprocessing_context=self.context if self.num_workers and order else None,
            generator=torch.Generator(),  # the loader must not draw its workers' seeds from the global one
        )
        for batch in loader:
            if isinstance(batch, str):
                raise InputError(batch)
            yield batch

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


class _Batches(Dataset):
    """Gives whole checked batches to a loader; what is wrong with the data comes back as text, also from a worker."""

    def __init__(self, source: Source):
        self.source = source

    def __len__(self) -> int:
        return len(self.source)

    def __getitems__(self, rows: list[int]):
        try:
            return read_batch(self.source, rows)
        except InputError as problem:
            return str(problem)


def _unchanged(batch):
    return batch


def read_batch(source: Source, rows: Sequence[int]) -> tuple[dict[str, Tensor], Tensor]:
    """Read and check the samples `rows`; random transforms are a function of `rows`, so that a resume repeats them."""
    with _random_numbers_of(rows):
        items = [_read_item(source.dataset, row) for row in rows]
        try:
            batch = source.collate(items)
        except Exception as problem:
            raise InputError(_blame(source, items, rows, problem)) from problem
    inputs, labels = _pair(batch, f"the batch of samples {_shown(rows)}")
    inputs = {name: _tensor(x, name, rows) for name, x in inputs.items()}
    _check_shapes({name: tuple(x.shape[1:]) for name, x in inputs.items()}, source.shapes, f"samples {_shown(rows)}")
    for name, x in inputs.items():
        _check_finite(x, name, rows)
    inputs = {name: inputs[name] for name in source.shapes or inputs}
    inputs = source.transform(inputs) if source.transform else inputs
    inputs = {name: _single(x, name, rows) for name, x in inputs.items()}
    return inputs, _labels(labels, rows) if source.labeled else torch.zeros(len(rows), dtype=torch.int64)


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


def _pair(batch, what: str) -> tuple[Mapping, object]:
    """Return (inputs, label) or say what came instead."""
    if isinstance(batch, (tuple, list)) and len(batch) == 2 and isinstance(batch[0], Mapping):
        return batch[0], batch[1]
    got = type(batch).__name__
    if isinstance(batch, (tuple, list)):
        got += " of " + ", ".join(type(part).__name__ for part in batch)
    raise InputError(
        f"{what} must be a pair ({{modality name: tensor}}, label); it was a {got}. "
        f"Return such pairs from the dataset, or from `collate_fn`."
    )


def _tensor(value, name: str, rows: Sequence[int]) -> Tensor:
    if value is None or (isinstance(value, (list, tuple)) and any(x is None for x in value)):
        raise InputError(
            f"every sample must hold modality {name!r}; it is missing (None) in sample{'s' * (len(rows) > 1)} "
            f"{_shown(rows)}. Leave such samples out (torch.utils.data.Subset), or fill the gap: a batch cannot be "
            f"masked. `missing='drop'` is for arrays."
        )
    if not isinstance(value, Tensor | np.ndarray):  # default_collate makes a list of tensors out of lists, transposed
        raise InputError(
            f"modality {name!r} must be a tensor of real numbers in every sample; in samples {_shown(rows)} it was "
            f"{type(value).__name__}. Convert it in the dataset, for example with `torch.as_tensor`."
        )
    try:
        value = _validate.as_tensor(value, name).detach()
    except InputError as problem:
        raise InputError(f"modality {name!r} in samples {_shown(rows)}: {problem}") from problem
    if value.ndim == 0 or len(value) != len(rows):
        raise InputError(
            f"modality {name!r} must have one entry for each of the {len(rows)} samples {_shown(rows)}; its shape was "
            f"{tuple(value.shape)}. `collate_fn` must keep every sample, on the first axis."
        )
    return value


def _check_shapes(found: dict, expected: dict, where: str) -> None:
    """Refuse a modality that is missing, new, or of another shape than in the first sample."""
    if not expected:
        return
    missing, extra = [n for n in expected if n not in found], [n for n in found if n not in expected]
    if missing or extra:
        what = f"modality {missing[0]!r} is missing" if missing else f"modality {extra[0]!r} is new"
        raise InputError(
            f"every sample must hold the modalities {', '.join(expected)}; {what} in {where}. "
            f"Leave such samples out (torch.utils.data.Subset), or fill the gap."
        )
    for name, shape in expected.items():
        if found[name] != shape:
            raise InputError(
                f"all samples of modality {name!r} must have one shape, {shape} as in the first sample; it was "
                f"{found[name]} in {where}. Crop, pad or resample them to one length, which must be the same in every "
                f"batch: with n the longest, `torch.nn.functional.pad(x, (0, n - x.shape[-1]))` in the dataset."
            )


def _check_finite(x: Tensor, name: str, rows: Sequence[int]) -> None:
    if not x.is_floating_point() or bool(torch.isfinite(x.sum())):  # a sum is finite only if all its terms are
        return
    bad = (~torch.isfinite(x.flatten(1))).any(1).nonzero().flatten().tolist()
    if bad:  # else the sum overflowed
        raise InputError(
            f"modality {name!r} must be finite; sample {rows[bad[0]]} holds NaN or infinity "
            f"({len(bad)} of {len(rows)} samples in its batch). Leave it out (torch.utils.data.Subset), or impute it: "
            f"a batch cannot be masked. `missing='drop'` is for arrays."
        )


def _single(x: Tensor, name: str, rows: Sequence[int]) -> Tensor:
    """Return float64 as float32, which is what networks get; refuse what overflows."""
    if x.dtype != torch.float64:
        return x
    out = x.to(torch.float32)
    if bool(torch.isinf(out).any()):
        raise InputError(
            f"modality {name!r} must fit into float32, up to 3.4e38; in samples {_shown(rows)} it reaches "
            f"{float(x.abs().max()):.3g}. Divide by a constant in the dataset."
        )
    return out


def _labels(labels, rows: Sequence[int]) -> Tensor:
    """Return integer labels (n,) on the CPU; whole floats and a column (n, 1) are integers, too."""
    if isinstance(labels, (list, tuple)) and any(isinstance(label, str | bytes) for label in labels):
        raise InputError(
            f"labels must be class indices, one integer a sample; for samples {_shown(rows)} they were text, "
            f"{labels[0]!r}. Give them as `target=[label for _, label in dataset]`, where text is understood."
        )
    try:
        return _validate.labels(labels, "labels", len(rows)).cpu()
    except InputError as problem:
        got = f"{labels.dtype} of shape {tuple(labels.shape)}" if isinstance(labels, Tensor) else type(labels).__name__
        raise InputError(
            f"labels must be class indices, one integer a sample; for samples {_shown(rows)} they were {got}. "
            f"Return an int as label, or give the classes as `target=`. {problem}"
        ) from problem


def _blame(source: Source, items: list, rows: Sequence[int], problem: Exception) -> str:
    """Say which sample could not be put into a batch, and why; what a collate of one's own accepts is its business."""
    shapes = source.shapes
    try:
        for row, item in zip(rows, items, strict=True) if source.collate is default_collate else ():
            inputs, _ = _pair(item, f"sample {row}")
            for name, x in inputs.items():
                if not isinstance(x, (Tensor, np.ndarray, int, float)):
                    _tensor(x, name, [row])
            found = {name: tuple(np.shape(x)) for name, x in inputs.items()}
            shapes = shapes or found
            _check_shapes(found, shapes, f"sample {row}")
    except InputError as found:
        return str(found)
    return (
        f"`collate_fn` failed on the samples {_shown(rows)}: {type(problem).__name__}: {problem}. "
        f"It must return ({{modality name: tensor}}, labels)."
    )


def _shown(rows: Sequence[int]) -> str:
    return ", ".join(map(str, rows[:3])) + (f", ... ({len(rows)} in all)" if len(rows) > 3 else "")


@contextmanager
def _random_numbers_of(rows: Sequence[int]) -> Iterator[None]:
    """Seed torch, NumPy and Python by `rows`, and restore all three afterwards."""
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
    """A split whose samples stay in a `Dataset`; same methods as :class:`Split`, but `inputs` are not at hand."""

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
    def inputs(self) -> dict[str, Tensor]:
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

"""Doors for `Dataset`s and `DataLoader`s: check them, read them into memory where they fit, stream them otherwise."""

from collections.abc import Mapping, Sequence, Sized
from dataclasses import replace
from math import prod
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    default_collate,
)

from mmpid import _validate
from mmpid.datasets.checks import check_names, check_shapes, read_target
from mmpid.datasets.cuts import SPLITS, carve, say_carved
from mmpid.datasets.paired import PairedDatasets, join_groups, join_targets
from mmpid.datasets.splits import rename_splits
from mmpid.datasets.stream import Source
from mmpid.datasets.streamed import StreamedInputs
from mmpid.datasets.workers import Workers, closed_if
from mmpid.errors import ConfigError, InputError, LeakageWarning, ShapeError, warn

MEMORY = 2**30  # bytes; data that need less are read into memory


class Opened(NamedTuple):
    """What a data set is made of: samples in memory or streamed, their labels, how to split them, and their groups."""

    inputs: dict[str, Tensor] | StreamedInputs
    target: Tensor
    split: object
    groups: object = None
    class_names: Sequence[str] | None = None
    notes: tuple[str, ...] = ()


def open_datasets(datasets, *, target, split, in_memory, num_workers, class_names) -> Opened:
    """See :meth:`mmpid.MultimodalData.from_datasets`."""
    check_names(datasets, "datasets", "datasets")
    lengths = {name: _length(dataset, f"datasets[{name!r}]") for name, dataset in datasets.items()}
    if len(set(lengths.values())) > 1:
        raise ShapeError(f"all datasets must have the same number of samples; they had {lengths}. Align them first.")
    given = None
    if target is not None:
        given, class_names = read_target(target, next(iter(lengths.values())), class_names)
    workers = _validate.number(num_workers, "num_workers", low=0, integer=True)
    source = Source(dataset=PairedDatasets(datasets, given), workers=Workers(workers))
    return _open_one(source, given, split, in_memory)._replace(class_names=class_names)


def open_loaders(loaders, *, target, split, groups, in_memory, seed: int, class_names) -> Opened:
    """See :meth:`mmpid.MultimodalData.from_loaders`."""
    given = None
    if not isinstance(loaders, Mapping):
        source = _source_of(loaders, "loaders")
        if target is not None:
            given, class_names = read_target(target, len(source), class_names)
            source = replace(source, labeled=False)
        return _open_one(source, given, split, in_memory)._replace(groups=groups, class_names=class_names)
    if split is not None:
        raise ConfigError("`split` cuts a single loader; each loader of `loaders` is a split already.")
    notes: list[str] = []
    loaders = rename_splits(loaders, "loaders", notes)
    if "train" not in loaders or "test" not in loaders:
        raise InputError(
            f"`loaders` must hold 'train' and 'test' (and may hold 'probe' and 'validation'); it held "
            f"{', '.join(map(repr, loaders))}. Or give one loader and `split`."
        )
    sources = {name: _source_of(loaders[name], f"loaders[{name!r}]") for name in SPLITS if name in loaders}
    _check_overlap(sources)
    if target is not None:
        given, class_names = read_target(*join_targets(target, sources), class_names)
        sources = {name: replace(source, labeled=False) for name, source in sources.items()}
    opened = _open_many(sources, given, join_groups(groups, sources), in_memory, seed, notes)
    return opened._replace(class_names=class_names, notes=tuple(notes))


def _source_of(loader, name: str) -> Source:
    """Take the dataset and the way to read it out of a loader; its order is not taken."""
    if not isinstance(loader, DataLoader):
        raise InputError(
            f"`{name}` must be a torch DataLoader; it was {type(loader).__name__}. For datasets see `from_datasets`, "
            f"for arrays `from_arrays`."
        )
    _length(loader.dataset, f"{name}.dataset")
    if loader.batch_sampler is None:
        raise InputError(
            f"`{name}` must make batches of single samples; it was built with batch_size=None. Give a batch size and "
            f"a dataset of samples."
        )
    _check_sampler(loader, name)
    workers = Workers(loader.num_workers, loader.worker_init_fn, loader.multiprocessing_context)
    collate = loader.collate_fn or default_collate
    return Source(dataset=loader.dataset, collate=collate, workers=workers, pin_memory=loader.pin_memory)


def _share_workers(sources: dict[str, Source]) -> dict[str, Source]:
    """Let sources that start their processes in the same way share them: not four sets for four splits."""
    shared: dict[tuple, Workers] = {}
    out = {}
    for name, source in sources.items():
        own = source.workers
        out[name] = replace(source, workers=shared.setdefault((own.number, own.init, own.context), own))
    return out


def _check_sampler(loader: DataLoader, name: str) -> None:
    """Refuse a sampler that picks, repeats or weights samples: all are taken, in our own order."""
    sampler = loader.batch_sampler if type(loader.batch_sampler) is not BatchSampler else loader.batch_sampler.sampler
    everything = type(sampler) is SequentialSampler or (
        type(sampler) is RandomSampler
        and not sampler.replacement
        and sampler.num_samples == len(cast(Sized, loader.dataset))
    )
    if not everything:
        raise InputError(
            f"`{name}` must give every sample once. A Trainer sets the order itself, so that a resumed run repeats "
            f"it. It had a {type(sampler).__name__} that picks, repeats or weights samples, which is not possible "
            f"here. For a part of a dataset use torch.utils.data.Subset(dataset, indices); for rare classes, "
            f"class_weight='balanced'."
        )


def _length(dataset, name: str) -> int:
    if isinstance(dataset, IterableDataset) or not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__"):
        kind = "an IterableDataset" if isinstance(dataset, IterableDataset) else type(dataset).__name__
        raise InputError(
            f"`{name}` must be a map-style Dataset with `dataset[i]` and `len(dataset)`, so that a run can be repeated "
            f"and resumed; it was {kind}. Index its samples once, for example as a list of pairs, or read it into "
            f"arrays and use MultimodalData.from_arrays."
        )
    if len(dataset) == 0:
        raise InputError(f"`{name}` must hold samples; it was empty. Check the path that it reads.")
    return len(dataset)


def _check_overlap(sources: Mapping[str, Source]) -> None:
    """Refuse one dataset in two splits; warn where subsets of one dataset share samples."""
    seen: list[tuple[str, object, set | None]] = []
    for name, source in sources.items():
        base, rows = _base(source.dataset)
        for other, other_base, other_rows in seen:
            if base is not other_base:
                continue
            if rows is None or other_rows is None:
                raise InputError(
                    f"`loaders[{name!r}]` and `loaders[{other!r}]` read the same dataset. Give each a part of it "
                    f"(torch.utils.data.Subset), or one loader and `split`."
                )
            if rows & other_rows:
                warn(f"{len(rows & other_rows)} samples are in both {other!r} and {name!r}.", LeakageWarning)
        seen.append((name, base, rows))


def _base(dataset) -> tuple[object, set[int] | None]:
    """Return the dataset that subsets of subsets are parts of, and their samples' numbers in it; None for all."""
    rows = None
    while isinstance(dataset, Subset):
        rows = [int(dataset.indices[i]) for i in (range(len(dataset.indices)) if rows is None else rows)]
        dataset = dataset.dataset
    return dataset, None if rows is None else set(rows)


def _open_one(source: Source, given: Tensor | None, split, in_memory) -> Opened:
    """Open a single source that is to be cut."""
    source = source.opened()
    keep = fits(in_memory, source.shapes, len(source))
    with closed_if(keep, source):
        inputs, labels = source.read_all(keep=keep) if keep or given is None else ({}, torch.zeros(0))
    if not keep:
        inputs = _stream({name: (source, 0) for name in SPLITS}, labels if given is None else None)
    return Opened(inputs, labels if given is None else given, split)


def _open_many(sources: dict[str, Source], given: Tensor | None, groups, in_memory, seed: int, notes: list) -> Opened:
    """Open one source per split; carve the probe and the validation split out of training where they are missing."""
    sources = _share_workers(sources)
    first = sources["train"].opened()
    sources = {name: first if name == "train" else _like(source, first, name) for name, source in sources.items()}
    for source in sources.values():
        source.workers.know(source)
    keep = fits(in_memory, first.shapes, sum(map(len, sources.values())))
    with closed_if(keep, *sources.values()):
        parts = {name: source.read_all(keep=keep) for name, source in sources.items()} if keep or given is None else {}
    labels = torch.cat([label for _, label in parts.values()]) if parts and given is None else None
    final = cast(Tensor, labels if given is None else given)  # labels are read where none are given
    ends = np.cumsum([len(s) for s in sources.values()])
    splits = {name: np.arange(end - len(s), end) for end, (name, s) in zip(ends, sources.items(), strict=True)}
    starts = {name: int(rows[0]) for name, rows in splits.items()}
    missing = [name for name in SPLITS if name not in sources]
    if missing:
        notes.append(say_carved(missing))
        splits |= carve(splits["train"], missing, final, groups, np.random.default_rng([seed, 0]))
    if keep:
        inputs = {name: torch.cat([part[name] for part, _ in parts.values()]) for name in first.shapes}
        return Opened(inputs, final, splits, groups)
    homes = {name: name if name in sources else "train" for name in SPLITS}
    places = {name: (sources[home], starts[home]) for name, home in homes.items()}
    return Opened(_stream(places, labels), final, splits, groups)


def _like(source: Source, first: Source, name: str) -> Source:
    """Open a further source, which must give what the training source gives."""
    opened = source.opened()
    if opened.shapes != first.shapes:
        raise ShapeError(
            f"all loaders must give the same modalities and shapes; 'train' gave {first.shapes}, {name!r} gave "
            f"{opened.shapes}. Use the same transforms."
        )
    return opened


def _stream(sources: dict[str, tuple[Source, int]], labels: Tensor | None) -> StreamedInputs:
    inputs = StreamedInputs(sources, labels)
    check_names(inputs.shapes, "inputs", "tensors")
    check_shapes({name: ("N", *shape) for name, shape in inputs.shapes.items()})
    return inputs


def fits(in_memory, shapes: Mapping[str, tuple[int, ...]], n_samples: int) -> bool:
    """Return whether the samples are to be read into memory."""
    _validate.choice(in_memory, "in_memory", ("auto", True, False))
    if in_memory != "auto":
        return in_memory
    return 4 * n_samples * sum(prod(shape) for shape in shapes.values()) <= MEMORY

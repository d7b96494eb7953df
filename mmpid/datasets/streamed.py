"""Samples that stay in `Dataset`s: a data set has labels and splits in memory, and reads samples as they are needed."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from mmpid.datasets.split import select
from mmpid.datasets.stream import Source, StreamedSplit
from mmpid.errors import InputError

SAMPLED = 16  # samples of each split that go into the fingerprint


class StreamedInputs(Mapping):
    """Stands for `data.inputs` of data too large for memory: it says where samples are, and refuses to be indexed.

    Parameters
    ----------
    sources : mapping of str to (Source, int)
        Of each split, where its samples are read, and the number of that source's first sample in the target.
    labels : Tensor, optional
        The labels as the datasets give them, in the order of the target; None where the caller gave the target.

    Attributes
    ----------
    scale_problems : dict of str to str
        What is unusual about the scale of each modality, in training samples that were read when the data were opened.
    """

    def __init__(self, sources: Mapping[str, tuple[Source, int]], labels: Tensor | None):
        self.sources, self.labels = dict(sources), labels
        self._fingerprint = ""
        self.scale_problems: dict[str, str] = {}
        for source, _ in self.sources.values():
            source.workers.know(source)

    def _refuse(self, *_):
        raise InputError(
            "the samples of these data are streamed, not in memory. Iterate `data.split(name).batches(order)`, read "
            "one split with `data.split(name).in_memory()`, or open the data with in_memory=True."
        )

    __getitem__ = __iter__ = __len__ = _refuse

    def __repr__(self) -> str:
        return "<streamed>"

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of one sample of each modality."""
        return self.sources["train"][0].shapes

    def split(self, name: str, index: Tensor, target: Tensor, groups: Tensor | None = None) -> StreamedSplit:
        """Return one split; its samples are read when they are asked for."""
        source, start = self.sources[name]
        labels = None if self.labels is None else self.labels[index]
        return StreamedSplit(
            name=name, source=source, rows=index - start, target=target[index], labels=labels,
            groups=select(groups, index),
        )  # fmt: skip

    def transformed(self, transform) -> "StreamedInputs":
        """Return the same samples, each batch as `transform` makes it."""
        made = {source: replace(source, transform=transform) for source, _ in self.sources.values()}
        return StreamedInputs(
            {name: (made[source], start) for name, (source, start) in self.sources.items()}, self.labels
        )

    def release_workers(self) -> None:
        """End the processes that read the samples; the next reading starts them again."""
        for source, _ in self.sources.values():
            source.workers.close()

    def to(self, device) -> "StreamedInputs":
        """Return these samples as they are: batches go to the device that `batches` is given."""
        return self

    def fingerprint(self, target: Tensor, splits: Mapping[str, Tensor]) -> str:
        """Return twelve hexadecimal digits that change when labels, splits, shapes or a sampled item change.

        Of each split, 16 samples at even distances are read, once; a change in another sample goes unnoticed.
        """
        if self._fingerprint:
            return self._fingerprint
        digest = hashlib.sha256(repr(self.shapes).encode())
        digest.update(target.numpy().tobytes())
        for key, index in splits.items():
            digest.update(key.encode())
            digest.update(index.numpy().tobytes())
            split = self.split(key, index, target)
            some = torch.linspace(0, len(split) - 1, min(SAMPLED, len(split))).round().long()
            for x in split.subset(some).in_memory().inputs.values():
                digest.update(x.numpy().tobytes())
        self._fingerprint = digest.hexdigest()[:12]
        return self._fingerprint

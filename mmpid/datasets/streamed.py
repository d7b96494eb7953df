"""A data set whose samples stay in `Dataset`s: labels and splits in memory, samples read when they are needed."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from mmpid import _validate
from mmpid.datasets.multimodal import MultimodalData
from mmpid.datasets.splits import SPLITS
from mmpid.datasets.stream import Source, StreamedSplit
from mmpid.errors import InputError

SAMPLED = 16  # samples of each split that go into the fingerprint


class _NotInMemory(Mapping):
    """Stands for `data.inputs` of streamed data, and says what to do instead."""

    def _refuse(self, *_):
        raise InputError(
            "the samples of these data are streamed, not in memory. Iterate `data.split(name).batches(order)`, read "
            "one split with `data.split(name).in_memory()`, or open the data with in_memory=True."
        )

    __getitem__ = __iter__ = __len__ = _refuse

    def __repr__(self) -> str:
        return "<streamed>"


@dataclass(frozen=True, kw_only=True, repr=False)
class StreamedData(MultimodalData):
    """What :meth:`MultimodalData.from_loaders` and `from_datasets` return for data too large for memory.

    `sources` maps a split to (source, number of its first sample in `target`); `labels` are the labels as the dataset
    gives them, None where the caller gave the target.
    """

    inputs: Mapping = field(default_factory=_NotInMemory)
    sources: dict[str, tuple[Source, int]]
    labels: Tensor | None = None

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities, in order."""
        return tuple(self.shapes)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of one sample of each modality."""
        return self.sources["train"][0].shapes

    def sample(self, n: int = 2) -> dict[str, Tensor]:
        """Read the first `n` training samples of each modality."""
        n = _validate.number(n, "n", low=1, integer=True)
        train = self.split("train")
        return train.subset(range(min(n, len(train)))).in_memory().inputs

    def split(self, name: str) -> StreamedSplit:
        """Return one split; its samples are read when they are asked for."""
        index = self.splits[_validate.choice(name, "split", SPLITS)]
        source, start = self.sources[name]
        labels = None if self.labels is None else self.labels[index]
        return StreamedSplit(name=name, source=source, rows=index - start, target=self.target[index], labels=labels)

    def to(self, device) -> "StreamedData":
        """Return these data as they are: batches go to the device that `batches` is given."""
        return self

    @cached_property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that change when labels, splits, shapes or a sampled item change.

        Of each split, 16 samples at even distances are read; a change in another sample goes unnoticed.
        """
        digest = hashlib.sha256(repr(self.shapes).encode())
        digest.update(self.target.numpy().tobytes())
        for key in SPLITS:
            digest.update(key.encode())
            digest.update(self.splits[key].numpy().tobytes())
            split = self.split(key)
            some = torch.linspace(0, len(split) - 1, min(SAMPLED, len(split))).round().long()
            for x in split.subset(some).in_memory().inputs.values():
                digest.update(x.numpy().tobytes())
        return digest.hexdigest()[:12]

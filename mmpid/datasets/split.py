"""Samples in memory: those of a data set, and one split of it with the batches that a given order makes of them."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mmpid import _validate
from mmpid.errors import InputError


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """Samples of one split: `inputs` maps modality to (n, ...), `target` is (n,), `groups` (n,) or None, on the CPU.

    Data that are streamed from a `Dataset` have splits with the same methods, and without `inputs`.

    Examples
    --------
    >>> from mmpid import datasets
    >>> split = datasets.load("av-digits").split("probe")
    >>> order = torch.arange(len(split)).split(100)
    >>> [(inputs["audio"].shape[0], len(target)) for inputs, target in split.batches(order)]
    [(100, 100), (100, 100), (40, 40)]
    """

    name: str
    inputs: dict[str, Tensor]
    target: Tensor
    groups: Tensor | None = None

    def __len__(self) -> int:
        return len(self.target)

    def batches(self, order: Sequence[Tensor], *, device=None) -> Iterator[tuple[dict[str, Tensor], Tensor]]:
        """Yield one batch (inputs, target) for each index tensor of `order`, on `device` (default: where they are)."""
        home = self.target.device
        device = home if device is None else torch.device(device)
        for index in order:
            index = index.to(home)
            inputs = {name: x.index_select(0, index).to(device) for name, x in self.inputs.items()}
            yield inputs, self.target.index_select(0, index).to(device)

    def subset(self, indices) -> "Split":
        """Return the samples at `indices` (positions in this split, or a mask of it), in that order."""
        index = positions(indices, len(self)).to(self.target.device)
        inputs = {name: x[index] for name, x in self.inputs.items()}
        return replace(self, inputs=inputs, target=self.target[index], groups=select(self.groups, index))

    def in_memory(self) -> "Split":
        """Return this split: its samples are tensors already."""
        return self


def positions(indices, length: int) -> Tensor:
    """Return positions in a split of `length` samples as int64, on the CPU; a mask of them is one way to give them."""
    index = _validate.as_tensor(indices, "indices").cpu()
    if index.dtype == torch.bool and tuple(index.shape) == (length,):
        return index.nonzero()[:, 0]
    if index.ndim != 1 or (index.numel() and (index.is_floating_point() or index.dtype == torch.bool)):
        raise InputError(
            f"`indices` must be whole numbers (n,), or True and False for each of the {length} samples; it had dtype "
            f"{index.dtype} and shape {tuple(index.shape)}. For example [0, 2]."
        )
    index = index.to(torch.int64)
    if len(index) and not -length <= int(index.min()) <= int(index.max()) < length:
        raise InputError(
            f"`indices` must be positions 0..{length - 1} in this split; they ran from {int(index.min())} to "
            f"{int(index.max())}. Numbers of samples in the whole data set are in `data.splits`."
        )
    return index


def select(groups: Tensor | None, index: Tensor) -> Tensor | None:
    """Return the groups of the samples at `index`, on the CPU, where resampling is drawn; None if there are none."""
    return None if groups is None else groups[index.cpu()]


class TensorInputs(dict[str, Tensor]):
    """Modality name to samples (N, ...): a dict that knows what a data set asks of its samples.

    :class:`~mmpid.datasets.streamed.StreamedInputs` answers the same for samples that are not in memory.
    """

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of one sample of each modality."""
        return {name: tuple(x.shape[1:]) for name, x in self.items()}

    def split(self, name: str, index: Tensor, target: Tensor, groups: Tensor | None = None) -> Split:
        """Return the samples at `index`; `target` and `groups` are those of all samples."""
        inputs = {key: x[index] for key, x in self.items()}
        return Split(name=name, inputs=inputs, target=target[index], groups=select(groups, index))

    def to(self, device) -> "TensorInputs":
        """Return the same samples on `device`."""
        return TensorInputs({key: x.to(device) for key, x in self.items()})

    def fingerprint(self, target: Tensor, splits: Mapping[str, Tensor]) -> str:
        """Return twelve hexadecimal digits that change when any sample, label or split changes."""
        digest = hashlib.sha256()
        for key, x in self.items():
            digest.update(key.encode())
            digest.update(x.cpu().contiguous().numpy().tobytes())
        digest.update(target.cpu().numpy().tobytes())
        for key, index in splits.items():
            digest.update(key.encode())
            digest.update(index.cpu().numpy().tobytes())
        return digest.hexdigest()[:12]

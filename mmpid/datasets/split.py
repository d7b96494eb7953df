"""One split of a data set, in memory: labels, samples, and the batches that a given order makes of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Split:
    """Samples of one split: `inputs` maps modality to (n, ...), `target` is (n,).

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
        """Return the samples at `indices` (positions in this split), in that order."""
        index = torch.as_tensor(indices, dtype=torch.int64, device=self.target.device)
        return replace(self, inputs={name: x[index] for name, x in self.inputs.items()}, target=self.target[index])

    def in_memory(self) -> "Split":
        """Return this split: its samples are tensors already."""
        return self

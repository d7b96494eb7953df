"""Training in several processes through Hugging Face accelerate: each takes a part of every batch, all do the rest."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmpid.errors import InputError, MissingDependencyError, MMPIDWarning, warn

BUCKET = 1 << 24  # numbers in one exchange of gradients: 64 MiB of float32


class Parallel:
    """The hooks by which a trainer works in several processes.

    Every process holds the model, the data and the record, and comes to the same decisions, since it sees the same
    numbers: the gradient is that of the whole batch, ``g = (1/P) sum_p g_p`` over P equal parts. A batch that does not
    divide evenly (the last of an epoch, say) is not divided: every process takes all of it, so that the average is
    still the gradient of the batch, and no part is ever empty. Only the main process writes files.

    Parameters
    ----------
    accelerator : accelerate.Accelerator
        As made in a script that `accelerate launch` started. Nothing needs to be prepared with it.

    Notes
    -----
    A `batch_size` that the number of processes does not divide gives no speed-up, and a warning. With class weights
    each part is normalized by its own weights, so the average is that of the batch only approximately. Batch
    normalization takes its statistics from each process's part; :meth:`synchronize` averages the running ones.

    References
    ----------
    Hugging Face accelerate, https://huggingface.co/docs/accelerate.

    Examples
    --------
    >>> from accelerate import Accelerator
    >>> Parallel(Accelerator(cpu=True)).share(torch.arange(4)).tolist()
    [0, 1, 2, 3]
    """

    def __init__(self, accelerator):
        try:
            from accelerate import Accelerator
        except ModuleNotFoundError as missing:
            raise MissingDependencyError(
                "training in several processes needs accelerate, which is not installed. "
                "Try: pip install 'mmpid[parallel]'"
            ) from missing
        if not isinstance(accelerator, Accelerator):
            raise InputError(
                f"`accelerator` must be an accelerate.Accelerator; it was {type(accelerator).__name__}. "
                f"Make one with accelerate.Accelerator()."
            )
        self.accelerator = accelerator
        self._warned = False

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.accelerator.is_main_process

    @property
    def n_processes(self) -> int:
        """How many processes train together."""
        return self.accelerator.num_processes

    def share(self, index: Tensor) -> Tensor:
        """Return the samples of a batch that this process trains on: an equal part, or all if there is none."""
        if len(index) % self.n_processes == 0:
            return self.part(index)
        if not self._warned and self.is_main:
            self._warned = True
            warn(
                f"a batch of {len(index)} samples cannot be split evenly among {self.n_processes} processes, so each "
                f"trains on all of it. Choose a `batch_size` that is a multiple of {self.n_processes}; a shorter last "
                f"batch of an epoch does no harm.",
                MMPIDWarning,
            )
        return index

    def part(self, values: Tensor) -> Tensor:
        """Return the rows of this process, of as many equal parts as there are processes."""
        return values.chunk(self.n_processes)[self.accelerator.process_index]

    def reduce(self, parameters: Sequence[nn.Parameter]) -> None:
        """Replace every gradient by its mean over the processes; parameters without one are passed over."""
        if self.n_processes == 1:
            return
        for bucket in _buckets([p.grad for p in parameters if p.grad is not None]):
            self._average(bucket)

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean of a tensor over the processes, such as the losses of their parts."""
        accelerator: Any = self.accelerator  # declares any nesting of tensors, where a tensor gives a tensor
        return accelerator.reduce(values, reduction="mean") if self.n_processes > 1 else values

    @torch.no_grad()
    def synchronize(self, model: nn.Module) -> None:
        """Give every process the main one's weights and the mean of all floating-point buffers."""
        if self.n_processes == 1:
            return
        from accelerate.utils import broadcast

        for parameter in model.parameters():
            parameter.copy_(broadcast(parameter.detach().clone(), from_process=0))
        for bucket in _buckets([buffer for buffer in model.buffers() if buffer.is_floating_point()]):
            self._average(bucket)

    @torch.no_grad()
    def _average(self, tensors: list[Tensor]) -> None:
        """Average tensors over the processes in one exchange, in place."""
        flat = self.mean(torch.cat([tensor.flatten() for tensor in tensors]))
        for tensor, part in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))


def _buckets(tensors: list[Tensor]) -> list[list[Tensor]]:
    """Group tensors of one type into exchanges of bounded size, in the same way in every process."""
    groups: dict[torch.dtype, list[list[Tensor]]] = {}
    for tensor in tensors:
        group = groups.setdefault(tensor.dtype, [[]])
        if group[-1] and sum(t.numel() for t in group[-1]) + tensor.numel() > BUCKET:
            group.append([])
        group[-1].append(tensor)
    return [bucket for group in groups.values() for bucket in group]

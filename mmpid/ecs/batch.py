"""The small batch that gradients are measured on, and the reductions that all proxies share."""

from collections.abc import Mapping, Sequence
from functools import cached_property

import torch
from torch import Tensor


class GradientBatch:
    """At most `max_samples` evenly thinned samples, and what turns sums over them into means over classes."""

    def __init__(self, inputs: Mapping[str, Tensor], target: Tensor, modalities: tuple[str, ...], n_classes: int):
        self.inputs, self.target = inputs, target
        self.modalities, self.n_classes = modalities, n_classes
        self.dtype = torch.get_default_dtype()

    @classmethod
    def of(cls, evidence, max_samples: int, dtype: torch.dtype) -> "GradientBatch":
        """Thin the inputs of a `ProxyEvidence`; sums over classes are made in `dtype`."""
        inputs, target = evidence.inputs, evidence.inputs_target
        if len(target) > max_samples:
            rows = torch.arange(0, max_samples * len(target), len(target), device=target.device) // max_samples
            inputs = {name: inputs[name].index_select(0, rows) for name in inputs}
            target = target.index_select(0, rows)
        batch = cls(inputs, target, evidence.modalities, evidence.n_classes)
        batch.dtype = dtype
        return batch

    @cached_property
    def member(self) -> Tensor:
        """Indicator (K, n) of the class of each sample."""
        return one_hot(self.target, self.n_classes, self.dtype)

    @cached_property
    def count(self) -> Tensor:
        """Samples (K, 1) of each class."""
        return self.member.sum(1, keepdim=True)

    @cached_property
    def weights(self) -> Tensor:
        """Weights (K, n) that turn a sum over samples into a mean over each class; NaN for absent classes."""
        return self.member / self.count

    def class_logits(self, unimodal: Tensor) -> Tensor:
        """Class means (M, K) of the true class's logit, from unimodal logits (M, K, n)."""
        return (unimodal * self.weights).sum(2)

    def round_robin(self, at_most: int) -> Tensor:
        """Rows that take the classes in turn, so that a small batch holds as many of each as it can."""
        turn = (self.member.cumsum(1) * self.member).sum(0)
        return turn.argsort(stable=True)[:at_most]


def one_hot(codes: Tensor, n_codes: int, dtype: torch.dtype) -> Tensor:
    """Return indicators (..., n_codes, N) of codes (..., N), in `dtype`."""
    shape = (*codes.shape[:-1], n_codes, codes.shape[-1])
    return torch.zeros(shape, dtype=dtype, device=codes.device).scatter_(-2, codes.unsqueeze(-2), 1)


def log_sum_exp(logits: Tensor) -> Tensor:
    """Logarithm of the sum of exponentials over the last axis but one, where a CPU takes several samples at once."""
    largest = logits.amax(-2, keepdim=True)
    return (logits - largest).exp_().sum(-2).log_().add_(largest.squeeze(-2))


def stacked(tensors: Sequence[Tensor]) -> Tensor:
    """Stack, filled up with zeros to the largest of each size."""
    if len({t.shape for t in tensors}) == 1:
        return torch.stack(tuple(tensors))
    shape = [max(sizes) for sizes in zip(*(t.shape for t in tensors), strict=True)]
    full = tensors[0].new_zeros(len(tensors), *shape)
    for place, tensor in zip(full, tensors, strict=True):
        place[tuple(slice(size) for size in tensor.shape)] = tensor
    return full

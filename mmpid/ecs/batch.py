"""The small batch that gradients are measured on, and the reductions that all proxies share."""

from collections.abc import Mapping
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
            rows = (torch.arange(max_samples) * len(target) // max_samples).to(target.device)
            inputs = {name: inputs[name].index_select(0, rows) for name in inputs}
            target = target.index_select(0, rows)
        batch = cls(inputs, target, evidence.modalities, evidence.n_classes)
        batch.dtype = dtype
        return batch

    @cached_property
    def member(self) -> Tensor:
        """Indicator (n, K) of the class of each sample."""
        return one_hot(self.target, self.n_classes, self.dtype)

    @cached_property
    def weights(self) -> Tensor:
        """Weights (n, K) that turn a sum over samples into a mean over each class; NaN for absent classes."""
        return self.member / self.member.sum(0)

    @cached_property
    def absent(self) -> Tensor:
        """Classes (K,) without samples."""
        return self.member.sum(0) == 0

    def class_logits(self, unimodal: Tensor) -> Tensor:
        """Class means (M, K) of the true class's logit, from unimodal logits (M, n, K)."""
        return (unimodal * self.weights).sum(1)

    def round_robin(self, at_most: int) -> Tensor:
        """Rows that take the classes in turn, so that a small batch holds as many of each as it can."""
        turn = (self.member.cumsum(0) * self.member).sum(1)
        return turn.argsort(stable=True)[:at_most]


def one_hot(codes: Tensor, n_codes: int, dtype: torch.dtype) -> Tensor:
    """Return indicators (..., n_codes) of codes (...), in `dtype`."""
    return torch.zeros(*codes.shape, n_codes, dtype=dtype, device=codes.device).scatter_(-1, codes.unsqueeze(-1), 1)


def softmax(logits: Tensor) -> Tensor:
    """Softmax over the last axis, written out: for few classes torch's own takes four times as long on a CPU."""
    weights = (logits - logits.amax(-1, keepdim=True)).exp_()
    return weights.div_(weights.sum(-1, keepdim=True))


def log_sum_exp(logits: Tensor) -> Tensor:
    """Logarithm of the sum of exponentials over the last axis, written out for the same reason."""
    largest = logits.amax(-1, keepdim=True)
    return (logits - largest).exp_().sum(-1).log_().add_(largest.squeeze(-1))

"""The small batch that gradients are measured on, and the reductions that all proxies share."""

from collections import Counter
from collections.abc import Mapping
from functools import cached_property, lru_cache

import torch
from torch import Tensor, nn


class Membership:
    """The class of each sample, and the weights that turn samples into means over each class and over the batch.

    Attributes
    ----------
    member : Tensor, shape (K, N)
        Indicator of the class of each sample.
    count : Tensor, shape (K,)
        Samples of each class.
    means : Tensor, shape (K + 1, N)
        Weights of the mean over each class, NaN for absent ones, and in the last row over all samples.
    columns : Tensor, shape (N, K + 1)
        The same, for products from the left.
    weights : Tensor, shape (K, N)
        Weights of the classes only.
    share : Tensor, shape (K,)
        Share of each class.
    """

    def __init__(self, target: Tensor, n_classes: int, dtype: torch.dtype):
        rows = _indicators(n_classes, dtype, target.device).index_select(1, target)
        count = rows.sum(1, keepdim=True)
        self.means = rows / count
        self.columns = self.means.T
        self.member, self.weights, self.count = rows[:-1], self.means[:-1], count[:-1, 0]
        self.share = self.count / len(target)


@lru_cache
def _indicators(n_classes: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return indicators (K + 1, K) of each class and, in the last row, of any class."""
    with torch.inference_mode(False):  # kept, and used outside of it, too
        return torch.cat([torch.eye(n_classes, dtype=dtype), torch.ones(1, n_classes, dtype=dtype)]).to(device)


class GradientBatch:
    """At most `max_samples` evenly thinned samples in an order in which the classes take turns.

    The first few samples are therefore a batch with as many samples of each class as possible.
    """

    def __init__(self, inputs: Mapping[str, Tensor], target: Tensor, modalities: tuple[str, ...], classes: Membership):
        self.inputs, self.target, self.modalities, self.classes = inputs, target, modalities, classes
        self.one = classes.means.new_ones(1, 1, 1)  # for biases, within products
        self._products: dict[float, Tensor] = {}
        self._pairs: dict[int, tuple[Tensor, Tensor]] = {}

    @classmethod
    def of(cls, evidence, max_samples: int, dtype: torch.dtype) -> "GradientBatch":
        """Thin the inputs of a `ProxyEvidence`; means over classes are made in `dtype`."""
        rows = torch.tensor(_in_turn(evidence.inputs_target.tolist(), max_samples)).to(evidence.inputs_target.device)
        inputs = {name: evidence.inputs[name].index_select(0, rows) for name in evidence.inputs}
        target = evidence.inputs_target.index_select(0, rows)
        return cls(inputs, target, evidence.modalities, Membership(target, evidence.n_classes, dtype))

    @cached_property
    def columns(self) -> list[Tensor]:
        """Inputs (width, n) of each modality."""
        return [self.inputs[name].flatten(1).T for name in self.modalities]

    def input_products(self, bias: float) -> Tensor:
        """Inner products (M, n, n) of the inputs, plus a constant."""
        if bias not in self._products:
            self._products[bias] = torch.stack([x.T @ x for x in self.columns]).add_(bias)
        return self._products[bias]

    def pairs(self, n: int) -> tuple[Tensor, Tensor]:
        """Return which pairs of the first n are of one class, (K, n * n), and how many of them are of each, (K,)."""
        if n not in self._pairs:
            member = self.classes.member[:, :n]
            self._pairs[n] = (member.unsqueeze(2) * member.unsqueeze(1)).flatten(1), member.sum(1)
        return self._pairs[n]

    def class_logits(self, unimodal: Tensor) -> Tensor:
        """Class means (M, K) of the true class's logit, from unimodal logits (M, K, n)."""
        return torch.linalg.vecdot(unimodal, self.classes.weights)


class Folds:
    """Two random folds of the samples of M modalities, and their labels, one modality after the other.

    A half that is one sample short gets a row of zeros. A single sample forms both folds.

    Attributes
    ----------
    fitted : Tensor, shape (2 M, K + 1, h)
        Rows that multiply the first and the second half: indicators of the classes less their shares, so that the
        products are those of centered features, and in the last row the weights of the mean.
    judged : Tensor, shape (2 M, K, h)
        Those of the second and of the first half.
    share : Tensor, shape (2 M, K, 1)
        Shares of the classes in the first and in the second half.
    count : Tensor, shape (K,)
        Samples of each class in both.
    """

    def __init__(self, classes: Membership, n_modalities: int, seed: int):
        n, device = classes.member.shape[1], classes.member.device
        self.short = n % 2 == 1 and n > 1
        order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
        order = order.repeat(2) if n == 1 else nn.functional.pad(order, (0, n % 2), value=n)
        one, two = order.chunk(2)
        starts = torch.arange(n_modalities).unsqueeze(1) * (n + self.short)
        self._rows = torch.cat([(starts + half).flatten() for half in (one, two, one)]).to(device)
        member = nn.functional.pad(classes.member, (0, int(self.short)))
        both = torch.stack([member.index_select(1, half.to(device)) for half in (one, two)])
        size = both.new_tensor([len(one), len(two) - self.short]).view(2, 1, 1)
        share = both.sum(2, keepdim=True) / size
        self.count = both.sum((0, 2))
        both, swapped, self.share = (x.repeat_interleave(n_modalities, 0) for x in (both, both.flip(0), share))
        weights = (1 / size).repeat_interleave(n_modalities, 0).expand(-1, -1, both.shape[2])
        self.fitted, self.judged = torch.cat([both - self.share, weights], 1), swapped.contiguous()

    def split(self, features: Tensor) -> Tensor:
        """Return the first half of features (M, N, d), the second, and the first again, (3 M, h, d)."""
        if self.short:
            features = nn.functional.pad(features, (0, 0, 0, 1))
        rows = features.flatten(0, 1).index_select(0, self._rows)
        return rows.view(3 * features.shape[0], -1, features.shape[2])


def _in_turn(labels: list[int], at_most: int) -> list[int]:
    """Evenly thinned positions in a list, sorted by how many of the same label come before."""
    n = len(labels)
    places = [i * n // at_most for i in range(at_most)] if n > at_most else range(n)
    seen: Counter = Counter()
    turns = []
    for place in places:
        label = labels[place]
        turns.append(seen[label])
        seen[label] += 1
    return [place for _, place in sorted(zip(turns, places, strict=True))]


@lru_cache
def tiny(dtype: torch.dtype) -> float:
    """Return the smallest positive number of full precision."""
    return torch.finfo(dtype).tiny


def indicator(scores: Tensor) -> Tensor:
    """Return the indicator of the largest score over the second-to-last axis; of equal scores the first counts.

    The scores are overwritten. Comparing with the maximum is much faster than finding its position.
    """
    largest = scores.amax(-2, keepdim=True)
    member = scores.eq_(largest)
    if float(member.sum()) > largest.numel():
        first_only(member)
    return member


def first_only(member: Tensor) -> None:
    """Keep only the first of equal scores over the second-to-last axis."""
    member.mul_(member.cumsum(-2).eq_(1))


def stacked(tensors: list[Tensor] | tuple[Tensor, ...]) -> Tensor:
    """Stack tensors, padded with zeros to the largest size of each axis."""
    first = tensors[0].shape
    if all(t.shape == first for t in tensors):
        return torch.stack(tensors)
    shape = [max(sizes) for sizes in zip(*(t.shape for t in tensors), strict=True)]
    full = tensors[0].new_zeros(len(tensors), *shape)
    for place, tensor in zip(full, tensors, strict=True):
        place[tuple(slice(size) for size in tensor.shape)] = tensor
    return full

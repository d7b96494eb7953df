"""From codes (or soft assignments) and a target to joint distributions, many weightings at once."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from mmpid.estimate.typed import broadcast


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """Which code each sample has in one source: ``codes`` (N,), and ``probs`` (N, n_codes) where there are any.

    ``soft`` says whether samples are counted by their probabilities instead of by their codes.
    """

    n_codes: int
    codes: Tensor
    probs: Tensor | None = None
    soft: bool = False

    def as_probs(self) -> Tensor:
        """Give the assignment as float64 probabilities (N, n_codes); a hard code becomes a one-hot row."""
        if self.soft and self.probs is not None:
            return self.probs.double()
        return one_hot(self.codes, self.n_codes).double()

    def as_given(self) -> Tensor:
        """Give the class probabilities behind the codes, float64 (N, n_codes); one-hot where there are none."""
        return one_hot(self.codes, self.n_codes).double() if self.probs is None else self.probs.double()


@dataclass(frozen=True, kw_only=True)
class PairedSample:
    """A sample of two assigned sources and a target, ready to be counted under any weights or labels."""

    source1: Assignment
    source2: Assignment
    target: Tensor
    n_classes: int

    def __len__(self) -> int:
        return len(self.target)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of the joint, target last."""
        return self.source1.n_codes, self.source2.n_codes, self.n_classes

    def joint(self, *, weights: Tensor | None = None, target: Tensor | None = None) -> Tensor:
        """Joint(s) of shape (..., x1, x2, y); ``weights`` (B, N) or permuted ``target`` (B, N) give B of them."""
        target = self.target if target is None else target
        if self.source1.soft or self.source2.soft:
            probs1, probs2 = self.source1.as_probs(), self.source2.as_probs()
            return soft_histogram(probs1, probs2, target, n_classes=self.n_classes, weights=weights)
        return joint_histogram(self.source1.codes, self.source2.codes, target, shape=self.shape, weights=weights)


def joint_histogram(
    codes1: Tensor, codes2: Tensor, target: Tensor, *, shape: tuple[int, int, int], weights: Tensor | None = None
) -> Tensor:
    """Count codes into p(x1, x2, y) = sum_i w_i 1[x1_i = x1, x2_i = x2, y_i = y] / sum_i w_i.

    Parameters
    ----------
    codes1, codes2, target : Tensor, int64 (N,) or batched (B, N)
        Codes from 0 and class indices from 0.
    shape : tuple of int
        ``(n1, n2, k)``, the size of the table.
    weights : Tensor (B, N) or (N,), optional
        How often each sample counts; the bootstrap passes multinomial counts. Default: once each.

    Returns
    -------
    Tensor, float64 (..., n1, n2, k)
        Sums to 1 over the last three axes, target last.

    Notes
    -----
    For loops, so nothing is checked: a code outside of ``shape`` is counted in another cell, or an error of torch.
    `estimate_pid` checks. The counts of a finite sample carry far too much synergy, see docs/estimation.md.

    Examples
    --------
    >>> import torch
    >>> codes, target = torch.tensor([0, 1, 1, 0]), torch.tensor([0, 1, 1, 1])
    >>> joint_histogram(codes, codes, target, shape=(2, 2, 2))[0, 0]
    tensor([0.2500, 0.2500], dtype=torch.float64)
    """
    n1, n2, k = shape
    cells = (codes1 * n2 + codes2) * k + target
    weights = torch.ones(1, dtype=torch.float64, device=cells.device) if weights is None else weights.double()
    cells, weights = broadcast(cells, weights)
    counts = torch.zeros(*cells.shape[:-1], n1 * n2 * k, dtype=torch.float64, device=cells.device)
    counts.scatter_add_(-1, cells, weights)
    counts = counts / weights.sum(-1, keepdim=True)
    return counts.reshape(*cells.shape[:-1], n1, n2, k)


def soft_histogram(
    probs1: Tensor, probs2: Tensor, target: Tensor, *, n_classes: int, weights: Tensor | None = None
) -> Tensor:
    """Average soft assignments into p(x1, x2, y) = sum_i w_i p1(x1|i) p2(x2|i) 1[y_i = y] / sum_i w_i.

    Differentiable with respect to both assignments. One-hot rows give what `joint_histogram` counts.

    Parameters
    ----------
    probs1, probs2 : Tensor (N, n1) and (N, n2)
        Probability of each code, rows summing to 1.
    target : Tensor, int64 (N,) or batched (B, N)
        Class indices from 0.
    n_classes : int
        k, the size of the last axis.
    weights : Tensor (B, N) or (N,), optional
        How often each sample counts. Default: once each.

    Returns
    -------
    Tensor, dtype of the probabilities, (..., n1, n2, k)
        Sums to 1 over the last three axes, target last.

    Notes
    -----
    For loops, so nothing is checked, neither that rows are probabilities (logits give a table of nonsense) nor labels;
    `estimate_pid` and `soft_pid` check. Within a sample the two codes are drawn independently of each other, so unsure
    heads count as less informative than their best guesses.

    Examples
    --------
    >>> import torch
    >>> unsure, sure = torch.full((2, 2), 0.5), torch.eye(2)
    >>> soft_histogram(unsure, sure, torch.tensor([0, 1]), n_classes=2).sum(0)
    tensor([[0.5000, 0.0000],
            [0.0000, 0.5000]])
    """
    n_samples, n1 = probs1.shape
    n2 = probs2.shape[1]
    outer = (probs1[:, :, None] * probs2[:, None, :]).reshape(n_samples, n1 * n2)
    labels = one_hot(target, n_classes).to(outer.dtype)
    if weights is not None:
        labels = labels * (weights / weights.sum(-1, keepdim=True)).to(outer.dtype)[..., None]
    else:
        labels = labels / n_samples
    joint = labels.transpose(-1, -2) @ outer
    return joint.transpose(-1, -2).reshape(*joint.shape[:-2], n1, n2, n_classes)

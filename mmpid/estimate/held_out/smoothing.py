"""Smoothed predictors of the class from one source: several ways to smooth, chosen by the score on held-out samples.

By class, the counts of a training part are shrunk toward a target T with the weight of ``alpha`` samples per class:

    p(x | y) = (count(x, y) + alpha T(x | y)) / (count(y) + alpha).

By code, the best of these is shrunk less for codes that are frequent, with the weight of ``beta`` samples per code:

    p(y | x) = (count(x, y) + beta q(y | x)) / (count(x) + beta),   q the posterior of the best by class.

A poor choice costs tightness, never truth: every predictor is a valid one.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from mmpid.estimate.held_out.folds import Folds
from mmpid.estimate.held_out.readings import FoldCodes

# Samples per class that a target weighs; the last is the target alone.
ALPHAS = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 1e4)
# Samples per code that the best smoothing by class weighs.
BETAS = (1.0, 4.0, 16.0, 64.0)
_PSEUDO = 0.5
# Samples per class that the common accuracy of a head weighs in the accuracy of each class.
_CLASS_WEIGHT = 4.0


def class_shares(folds: Folds, target: Tensor, n_classes: int) -> Tensor:
    """Return p(y) (F, k) in each training part and in the whole sample, half a sample added to each class."""
    table = torch.zeros(folds.count + 1, n_classes, dtype=torch.float64, device=target.device)
    table.scatter_add_(1, target.expand(folds.count + 1, -1), folds.training)
    table += _PSEUDO
    return table / table.sum(1, keepdim=True)


def shrinkage_targets(counts: Tensor, head: bool) -> list[Tensor]:
    """Return what p(x | y) can be shrunk toward, each (F, n, k), from counts (F, n, k).

    Always the pooled p(x). Where codes are the predicted classes of a head, also one that is right with a common
    probability, and one that is right with a probability of each class.
    """
    targets = [_pooled(counts)]
    if head:
        right = torch.diagonal(counts, dim1=1, dim2=2)
        common = (right.sum(1, keepdim=True) + _PSEUDO) / (counts.sum((1, 2))[:, None] + 2 * _PSEUDO)
        own = (right + _CLASS_WEIGHT * common) / (counts.sum(1) + _CLASS_WEIGHT)
        targets += [_mostly_right(counts, accuracy) for accuracy in (common.expand_as(right), own)]
    return targets


def _pooled(counts: Tensor) -> Tensor:
    shares = counts.sum(2) + _PSEUDO
    return (shares / shares.sum(1, keepdim=True)).unsqueeze(2).expand_as(counts)


def _mostly_right(counts: Tensor, accuracy: Tensor) -> Tensor:
    """Right with probability ``accuracy`` (F, k); errors go to the other classes as they do in all samples."""
    wrong = counts - torch.diag_embed(torch.diagonal(counts, dim1=1, dim2=2))
    off = _pooled(wrong).clone()
    torch.diagonal(off, dim1=1, dim2=2).zero_()
    off = off / off.sum(1, keepdim=True)
    return off * (1 - accuracy).unsqueeze(1) + torch.diag_embed(accuracy)


@dataclass(frozen=True, kw_only=True)
class SourceFit:
    """Predictors of the class from one source, for m ways to smooth, and the best of them.

    ``given_class`` (m, F, n, k) is p(x | y), ``log_posterior`` (m, F, n, k) log p(y | x), ``scores`` (m, N) the
    latter in nats at the samples held out, and ``means`` (m,) their means. ``rows`` lists the ways by target, each from
    little to much smoothing.
    """

    given_class: Tensor
    log_posterior: Tensor
    scores: Tensor
    means: Tensor
    best: int
    rows: tuple[tuple[int, ...], ...]

    def smoother(self, steps: int) -> int:
        """Return the way that smooths more than the best, by some steps, toward the same target."""
        row = next(row for row in self.rows if self.best in row)
        return row[min(row.index(self.best) + steps, len(row) - 1)]

    def alternatives(self) -> list[int]:
        """Return the best way toward each target."""
        return [max(row, key=lambda i: float(self.means[i])) for row in self.rows]


def fit_source(
    counts: Tensor, shares: Tensor, codes: FoldCodes, folds: Folds, target: Tensor, weights: Tensor | None = None
) -> SourceFit:
    """Score every way to smooth, by p(y | x) ~ p(x | y) p(y), and choose the best.

    ``weights`` (N,) are those of the samples where the shares p(y) are not those of the sample; they add up to 1.
    """
    toward = torch.stack(shrinkage_targets(counts, codes.classes))
    alphas = counts.new_tensor(ALPHAS).view(-1, 1, 1, 1)
    given_class = (counts + alphas * toward[:, None]) / (counts.sum(1, keepdim=True) + alphas)
    given_class = given_class.flatten(0, 1)
    joint = given_class * shares[:, None, :]
    posterior = joint / joint.sum(-1, keepdim=True)
    scores = codes.read(posterior.log(), folds, target)
    best = int(_means(scores, weights).argmax())
    seen = counts if weights is None else _with_shares(counts, shares)
    by_code = _by_code(seen, posterior[best])
    raked = joint[best].sum(-1, keepdim=True) * by_code
    raked = raked / raked.sum(-2, keepdim=True)
    posterior = torch.cat([posterior, by_code])
    scores = torch.cat([scores, codes.read(by_code.log(), folds, target)])
    size = len(ALPHAS)
    rows = [tuple(range(i, i + size)) for i in range(0, len(given_class), size)]
    rows.append((*range(len(given_class), len(posterior)), best))
    means = _means(scores, weights)
    return SourceFit(
        given_class=torch.cat([given_class, raked]),
        log_posterior=posterior.log(),
        scores=scores,
        means=means,
        best=int(means.argmax()),
        rows=tuple(rows),
    )


def _means(scores: Tensor, weights: Tensor | None) -> Tensor:
    return scores.mean(1) if weights is None else scores @ weights


def _with_shares(counts: Tensor, shares: Tensor) -> Tensor:
    """Scale counts (F, n, k) so that the classes have the shares (F, k), and as many samples as before in all."""
    sizes = counts.sum(1)
    wanted = shares * sizes.sum(1, keepdim=True)
    return counts * (wanted / sizes.clamp(min=_PSEUDO))[:, None, :]


def _by_code(counts: Tensor, posterior: Tensor) -> Tensor:
    """Return p(y | x) (b, F, n, k) smoothed by code, for every beta."""
    betas = counts.new_tensor(BETAS).view(-1, 1, 1, 1)
    return (counts + betas * posterior) / (counts.sum(-1, keepdim=True) + betas)

"""The five nested predictors: prior, either source, both without synergy, everything. Scores in nats.

Without synergy: with H_u the largest conditional entropy H_q(Y | X1, X2) among all q with the pairwise marginals of p,

    -H_u = max over (lam, mu) of  E[lam(x1, y) + mu(x2, y)]   subject to   sum_y exp(lam(x1, y) + mu(x2, y)) <= 1,

and the constraint, for every pair (x1, x2), does not depend on p. The multipliers of the solver are thus a predictor, a
product of two experts, and what it scores on samples that did not choose it is on average at most -H_u.
"""

from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from mmpid.estimate.held_out.folds import Folds
from mmpid.estimate.held_out.multipliers import nearly_best, roughly
from mmpid.estimate.held_out.readings import FoldCodes
from mmpid.estimate.held_out.smoothing import SourceFit, class_shares, fit_source
from mmpid.estimate.typed import unique, unique_inverse
from mmpid.pid.typed import integers_of

# Candidates that are solved, after all were compared roughly.
FINALISTS = 3
# Steps toward more smoothing that the two sources go from their own choices, where both are read together.
STEPS = ((0, 0), (1, 0), (0, 1), (1, 1), (2, 2))
# Samples per cell that the predictor without synergy weighs in the full table.
FULL_WEIGHTS = (1.0, 2.0, 4.0, 8.0, 16.0, 64.0, 256.0, 1024.0)


@dataclass(frozen=True, kw_only=True)
class Predictors:
    """Scores in nats: log-probability of each sample's class.

    ``held`` (5, N): at samples held out, of the prior, source 1, source 2, both without synergy, and everything.
    ``whole`` (4,): mean score of the first four when trained and scored on all samples.
    ``joint`` (N,): the best predictor without synergy that uses both sources, chosen or not.
    ``told``: whether one source tells the other, so that there is no synergy.
    """

    held: Tensor
    whole: Tensor
    joint: Tensor
    told: bool


def fit_predictors(
    codes: tuple[FoldCodes, FoldCodes], target: Tensor, n_classes: int, folds: Folds, quick: bool = False
) -> Predictors:
    """Train the five predictors on each fold's training part and on everything, in one batch of the solver.

    With ``quick`` only the best way to smooth each source is tried for both together. Where one source tells the other,
    both together know what that one knows: the predictors of both are then those of one.
    """
    shares = class_shares(folds, target, n_classes)
    prior = shares.log()[folds.index, target]
    fits = [fit_source(one.counts(folds, target, n_classes), shares, one, folds, target) for one in codes]
    told = one_tells_the_other(codes)
    union = _fit_union(fits, shares, codes, folds, target, quick, told)
    full = union.scores if told else _score_full(codes, target, n_classes, folds, union)
    alone = [
        one.read_whole(fit.log_posterior[fit.best, -1], folds, target) for one, fit in zip(codes, fits, strict=True)
    ]
    whole = torch.stack([shares.log()[-1, target], *alone, union.whole]).mean(1)
    held = torch.stack([prior, *(fit.scores[fit.best] for fit in fits), union.scores, full])
    return Predictors(held=held, whole=whole, joint=union.joint, told=told)


@dataclass(frozen=True, kw_only=True)
class _Union:
    """The predictor without synergy: multipliers (F, n1, k) and (F, n2, k) of each fold, and scores (N,)."""

    lam: Tensor
    mu: Tensor
    scores: Tensor
    whole: Tensor
    joint: Tensor


def one_tells_the_other(codes: tuple[FoldCodes, FoldCodes]) -> bool:
    """Whether a source determines the other under the codes of every fold, as copies do.

    No label is looked at. Codes that hardly repeat would always seem to; each pair must be seen twice on average.
    """
    if any(one.soft for one in codes):
        return False
    count = max(len(one.codes) for one in codes)
    for x1, x2 in zip(*(one.codes.expand(count, -1) for one in codes), strict=True):
        pairs, states = len(unique(x1 * codes[1].n_codes + x2)), (len(unique(x1)), len(unique(x2)))
        if 2 * pairs > len(x1) or pairs not in states or min(states) < 2:
            return False
    return True


def choose_elsewhere(scores: Tensor, folds: Folds) -> tuple[Tensor, Tensor]:
    """Choose for each fold the row of scores (m, N) that is best in all other folds.

    Returns the choices (F,), the last of them the best in all folds, and the scores (N,) by these choices. Choosing by
    the samples that are then scored would make the maximum of many scores read high.
    """
    by_fold = scores.new_zeros(len(scores), folds.count).index_add_(1, folds.index, scores)
    total = by_fold.sum(1, keepdim=True)
    chosen = torch.cat([total - by_fold, total], dim=1).argmax(0)
    return chosen, scores.gather(0, chosen[folds.index][None])[0]


def candidates(one: SourceFit, two: SourceFit) -> list[tuple[int, int]]:
    """List pairs of ways to smooth: around the best of each source, and with the best toward every other target."""
    near = {(one.smoother(a), two.smoother(b)) for a, b in STEPS}
    return sorted(near | set(product(one.alternatives(), two.alternatives())))


def _fit_union(
    fits: list[SourceFit],
    shares: Tensor,
    codes: tuple[FoldCodes, FoldCodes],
    folds: Folds,
    target: Tensor,
    quick: bool,
    told: bool,
) -> _Union:
    """Solve the finalists in all folds at once, and choose by held-out score; one source alone may be best, or must."""
    pairs = [(fits[0].best, fits[1].best)] if quick else candidates(*fits)
    if len(pairs) > FINALISTS:
        lams, mus = roughly(*marginals(fits, pairs, shares))
        scores = codes[0].read(lams, folds, target) + codes[1].read(mus, folds, target)
        pairs = [pairs[i] for i in integers_of(scores.mean(1).topk(FINALISTS).indices)]
    lams, mus = nearly_best(*marginals(fits, pairs, shares))
    joint = codes[0].read(lams, folds, target) + codes[1].read(mus, folds, target)
    one, two = (fit.log_posterior[fit.best] for fit in fits)
    lams = torch.cat([lams, one[None], torch.zeros_like(one)[None]])
    mus = torch.cat([mus, torch.zeros_like(two)[None], two[None]])
    scores = torch.cat([joint, *(fit.scores[fit.best][None] for fit in fits)])
    best, held = choose_elsewhere(scores[-2:] if told else scores, folds)
    best = best + len(joint) if told else best
    every = torch.arange(folds.count + 1, device=target.device)
    lam, mu = lams[best, every], mus[best, every]
    whole = codes[0].read_whole(lam[-1], folds, target) + codes[1].read_whole(mu[-1], folds, target)
    return _Union(lam=lam, mu=mu, scores=held, whole=whole, joint=joint[int(joint.mean(1).argmax())])


def marginals(fits: list[SourceFit], pairs: list[tuple[int, int]], shares: Tensor) -> tuple[Tensor, Tensor]:
    """Return p(x1, y) (c, F, n1, k) and p(x2, y) (c, F, n2, k) of pairs of ways to smooth."""
    one, two = (torch.tensor(part, device=shares.device) for part in zip(*pairs, strict=True))
    return fits[0].given_class[one] * shares[:, None, :], fits[1].given_class[two] * shares[:, None, :]


def _score_full(
    codes: tuple[FoldCodes, FoldCodes], target: Tensor, n_classes: int, folds: Folds, union: _Union
) -> Tensor:
    """Held-out scores (N,) of the full table, shrunk toward the predictor without synergy by the best weight."""
    weights = torch.tensor(FULL_WEIGHTS, dtype=torch.float64, device=target.device)
    scores = torch.empty(len(weights), len(target), dtype=torch.float64, device=target.device)
    for fold in range(folds.count):
        inside = folds.members(fold)
        read = _hard_table if not any(one.soft for one in codes) else _soft_table
        scores[:, inside] = read(codes, target, n_classes, folds.index != fold, fold, inside, union, weights)
    return choose_elsewhere(scores, folds)[1]


def _hard_table(
    codes: tuple[FoldCodes, FoldCodes],
    target: Tensor,
    n_classes: int,
    training: Tensor,
    fold: int,
    inside: Tensor,
    union: _Union,
    weights: Tensor,
) -> Tensor:
    """Scores (w, m) of the samples held out in one fold; only the cells that they lie in are looked at."""
    x1, x2 = (one.row(fold) for one in codes)
    pairs = x1 * codes[1].n_codes + x2
    known, place = unique_inverse(pairs)
    cells = place[training] * n_classes + target[training]
    counts = torch.bincount(cells, minlength=len(known) * n_classes).view(-1, n_classes)[place[inside]].double()
    prior = (union.lam[fold][x1[inside]] + union.mu[fold][x2[inside]]).softmax(-1)
    own = target[inside, None]
    count, share = counts.gather(1, own)[:, 0], prior.gather(1, own)[:, 0]
    return ((count + weights[:, None] * share) / (counts.sum(1) + weights[:, None])).log()


def _soft_table(
    codes: tuple[FoldCodes, FoldCodes],
    target: Tensor,
    n_classes: int,
    training: Tensor,
    fold: int,
    inside: Tensor,
    union: _Union,
    weights: Tensor,
) -> Tensor:
    """Score the same for soft codes: the mean over both codes of the logarithm of the shrunk table."""
    one, two = (part.weights(fold) for part in codes)
    labels = torch.nn.functional.one_hot(target[training], n_classes).double()
    counts = torch.einsum("na,nb,nk->abk", one[training], two[training], labels)
    prior = (union.lam[fold][:, None] + union.mu[fold][None]).softmax(-1)
    total = counts.sum(-1, keepdim=True)
    rows: list[Tensor] = []
    for weight in weights:
        table = ((counts + weight * prior) / (total + weight)).log()
        first = torch.einsum("na,abk->nbk", one[inside], table)
        mean = torch.einsum("nb,nbk->nk", two[inside], first)
        rows.append(mean.gather(1, target[inside, None])[:, 0])
    return torch.stack(rows)

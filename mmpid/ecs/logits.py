"""Proxies that need only the unimodal logits of the probe batch: no forward pass of their own.

Every function returns strengths by class, (M, K), and by modality, (M,) or None for the mean over classes.
"""

from functools import lru_cache
from itertools import combinations
from math import factorial, log

import torch
from torch import Tensor, nn

from mmpid.ecs.batch import log_sum_exp, one_hot
from mmpid.ecs.evidence import ProxyEvidence, ProxySettings
from mmpid.errors import InputError

Strength = tuple[Tensor, Tensor | None]
_CHUNK = 4_000_000  # fused logits held at a time


def class_logit(evidence: ProxyEvidence, settings: ProxySettings) -> Strength:
    """Class-mean unimodal logit, c_jr = mean over y=j of f_j^r(x).

    In the solvable model this is d Lambda^q / (q beta^(q-1)) of the leading neuron, an increasing function of ECS at
    fixed data strength. A softmax scorer is free up to a constant per sample, so compare it along one run, or between
    scorers built alike.
    """
    return evidence.class_mean(evidence.own), None


def mi(evidence: ProxyEvidence, settings: ProxySettings) -> Strength:
    """Variational mutual information in bits, log2 K + mean over y=j of log2 softmax_y(f^r), averaged over classes.

    With equally frequent classes this is log2 K - CE, the Barber-Agakov lower bound on I(Y; f^r). The mean over
    classes keeps it a lower bound (for equally likely classes) when the batch is not balanced. It is negative when a
    scorer is worse than guessing, and says nothing about ECS at a cold random initialization.
    """
    return (log(evidence.n_classes) + evidence.class_mean(evidence.log_likelihood)) / log(2), None


def margin(evidence: ProxyEvidence, settings: ProxySettings) -> Strength:
    """Class-mean margin, mean over y=j of f_y^r - max over k != y of f_k^r, in logits."""
    return evidence.class_mean(evidence.own - evidence.rival), None


def ogm(evidence: ProxyEvidence, settings: ProxySettings) -> Strength:
    """Ratio of OGM-GE (Peng et al., CVPR 2022): rho_r = s_r / s_other, s_r = sum of softmax(f^r)_y over the batch.

    By class the sums run over the samples of the class; with more than two modalities the others are averaged.
    """
    _at_least_two(evidence, "ogm")
    confidence = evidence.log_likelihood.exp()
    return _against_others(evidence.class_mean(confidence)), _against_others(confidence.mean(-1))


def shapley(evidence: ProxyEvidence, settings: ProxySettings) -> Strength:
    """Shapley value in bits of each modality for v(S) = mean over y=j of log2 softmax_y(sum over r in S of f^r).

    v of no modality is -log2 K. Two modalities: 1/2 [v(r) - v()] + 1/2 [v(12) - v(other)]. The cost is that of 2^M
    softmaxes of the stored logits; the values add up to v(all) + log2 K.
    """
    scores, own = evidence.scores, evidence.own
    larger, weights = _coalitions(len(scores), scores.dtype, scores.device)
    flat = scores.flatten(1)
    parts = larger.split(max(1, _CHUNK // flat.shape[1]))
    fused = [part @ own - log_sum_exp((part @ flat).view(len(part), *scores.shape[1:])) for part in parts]
    value = evidence.class_mean(torch.cat([evidence.log_likelihood, *fused]))
    gains = weights @ nn.functional.pad(value, (0, 0, 0, 1), value=-log(evidence.n_classes))
    return gains / log(2), None


@lru_cache
def _coalitions(n_modalities: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Members (2^M - M - 1, M) of every set of two or more modalities, and the weights (M, 2^M) in each Shapley value.

    The weights are those of the single modalities, of the sets of two or more, and of none.
    """
    sets = [members for size in range(1, n_modalities + 1) for members in combinations(range(n_modalities), size)]
    weights = torch.empty(n_modalities, len(sets) + 1, dtype=torch.float64)
    total = factorial(n_modalities)
    for column, members in enumerate([*sets, ()]):
        for row in range(n_modalities):
            # the set with r, against the set without it, in the orders in which r comes right after the others
            sign, others = (1, len(members) - 1) if row in members else (-1, len(members))
            weights[row, column] = sign * factorial(others) * factorial(n_modalities - others - 1) / total
    larger = sets[n_modalities:]
    inside = torch.zeros(len(larger), n_modalities)
    for row, members in enumerate(larger):
        inside[row, list(members)] = 1
    return inside.to(device, dtype), weights.to(device, dtype)


def prediction_mi(evidence: ProxyEvidence, settings: ProxySettings) -> Strength:
    """Plug-in mutual information I(Y; argmax f^r) in bits.

    By class the specific information sum over c of p(c|j) log2 p(c|j)/p(c), whose mean over p(j) is I(Y; C).
    """
    return code_information(evidence, evidence.scores.max(1).indices, evidence.n_classes)  # argmax is slower here


def code_information(evidence: ProxyEvidence, codes: Tensor, n_codes: int) -> Strength:
    """Specific information by class and I(Y; C) in bits for codes (M, N)."""
    member = one_hot(codes, n_codes, evidence.scores.dtype)
    given = evidence.class_mean(member)  # p(c|j) as (M, C, K), NaN for absent classes
    n = len(evidence.target)
    overall = member.sum(2, keepdim=True).clamp_(min=1).mul_(1 / n)
    specific = torch.special.xlogy(given, given / overall).sum(1).div_(log(2))
    return specific, (specific * (evidence.count / n)).nansum(1)


def _against_others(strength: Tensor) -> Tensor:
    others = (strength.sum(0) - strength) / (len(strength) - 1)
    return strength / others


def _at_least_two(evidence: ProxyEvidence, name: str) -> None:
    if len(evidence.modalities) < 2:
        raise InputError(
            f"`evidence` must have at least two modalities for the proxy {name!r}, which compares them; it had "
            f"{len(evidence.modalities)}. Ask for 'class_logit' or 'mi' instead."
        )

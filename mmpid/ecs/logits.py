"""Proxies that need only the unimodal logits of the probe batch: no forward pass of their own.

Every function returns strengths by class, (M, K), and by modality, (M,) or None for the mean over classes.
"""

from itertools import combinations
from math import factorial, log

import torch
from torch import Tensor

from mmpid.ecs.evidence import ProxyEvidence, ProxySettings
from mmpid.errors import InputError

Strength = tuple[Tensor, Tensor | None]


def class_logit(evidence: ProxyEvidence, settings: ProxySettings) -> Strength:
    """Class-mean unimodal logit, c_jr = mean over y=j of f_j^r(x).

    In the solvable model this is d Lambda^q / (q beta^(q-1)) of the leading neuron, an increasing function of ECS at
    fixed data strength. A softmax scorer is free up to a constant per sample, so compare it along one run, or between
    scorers built alike.
    """
    return evidence.class_mean(evidence.of_target(evidence.scores)), None


def mi(evidence: ProxyEvidence, settings: ProxySettings) -> Strength:
    """Variational mutual information in bits, log2 K + mean over y=j of log2 softmax_y(f^r), averaged over classes.

    With equally frequent classes this is log2 K - CE, the Barber-Agakov lower bound on I(Y; f^r). The mean over
    classes keeps it a lower bound (for equally likely classes) when the batch is not balanced. It is negative when a
    scorer is worse than guessing, and says nothing about ECS at a cold random initialization.
    """
    return (log(evidence.n_classes) + evidence.class_mean(evidence.of_target(evidence.log_probabilities))) / log(
        2
    ), None


def margin(evidence: ProxyEvidence, settings: ProxySettings) -> Strength:
    """Class-mean margin, mean over y=j of f_y^r - max over k != y of f_k^r, in logits."""
    rivals = evidence.scores.scatter(-1, evidence.target.expand(evidence.scores.shape[:-1]).unsqueeze(-1), -torch.inf)
    return evidence.class_mean(evidence.of_target(evidence.scores) - rivals.amax(-1)), None


def ogm(evidence: ProxyEvidence, settings: ProxySettings) -> Strength:
    """Ratio of OGM-GE (Peng et al., CVPR 2022): rho_r = s_r / s_other, s_r = sum of softmax(f^r)_y over the batch.

    By class the sums run over the samples of the class; with more than two modalities the others are averaged.
    """
    _at_least_two(evidence, "ogm")
    confidence = evidence.of_target(evidence.log_probabilities).exp()
    return _against_others(evidence.class_mean(confidence)), _against_others(confidence.mean(-1))


def shapley(evidence: ProxyEvidence, settings: ProxySettings) -> Strength:
    """Shapley value in bits of each modality for v(S) = mean over y=j of log2 softmax_y(sum over r in S of f^r).

    v of no modality is -log2 K. Two modalities: 1/2 [v(r) - v()] + 1/2 [v(12) - v(other)]. The cost is that of 2^M
    softmaxes of the stored logits; the values add up to v(all) + log2 K.
    """
    n_modalities = len(evidence.modalities)
    value = {(): torch.full((evidence.n_classes,), -log(evidence.n_classes)).to(evidence.scores)}
    for size in range(1, n_modalities + 1):
        for subset in combinations(range(n_modalities), size):
            fused = evidence.scores[list(subset)].sum(0).log_softmax(-1)
            value[subset] = evidence.class_mean(evidence.of_target(fused))
    gains = []
    for r in range(n_modalities):
        gain = torch.zeros_like(value[()])
        for subset, without in value.items():
            if r not in subset:
                weight = factorial(len(subset)) * factorial(n_modalities - len(subset) - 1) / factorial(n_modalities)
                gain = gain + weight * (value[tuple(sorted((*subset, r)))] - without)
        gains.append(gain)
    return torch.stack(gains) / log(2), None


def prediction_mi(evidence: ProxyEvidence, settings: ProxySettings) -> Strength:
    """Plug-in mutual information I(Y; argmax f^r) in bits.

    By class the specific information sum over c of p(c|j) log2 p(c|j)/p(c), whose mean over p(j) is I(Y; C).
    """
    return code_information(evidence, evidence.scores.argmax(-1), evidence.n_classes)


def code_information(evidence: ProxyEvidence, codes: Tensor, n_codes: int) -> Strength:
    """Specific information by class and I(Y; C) in bits for codes (M, N)."""
    member = torch.nn.functional.one_hot(codes, n_codes).to(evidence.scores.dtype)
    given = torch.einsum("mnc,nj->mjc", member, evidence.class_weights)
    prior = torch.bincount(evidence.target, minlength=evidence.n_classes).to(given) / len(evidence.target)
    specific = torch.special.xlogy(given, given / member.mean(1).unsqueeze(1)).nan_to_num(nan=0.0).sum(-1) / log(2)
    total = (specific * prior).sum(-1)
    return torch.where(prior > 0, specific, torch.nan), total


def _against_others(strength: Tensor) -> Tensor:
    others = (strength.sum(0) - strength) / (len(strength) - 1)
    return strength / others


def _at_least_two(evidence: ProxyEvidence, name: str) -> None:
    if len(evidence.modalities) < 2:
        raise InputError(
            f"`evidence` must have at least two modalities for the proxy {name!r}, which compares them; it had "
            f"{len(evidence.modalities)}. Ask for 'class_logit' or 'mi' instead."
        )

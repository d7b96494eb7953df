"""Proxies that need only the unimodal logits of the probe batch, without a forward pass of their own.

Each is a function of class means and returns strengths (M, K + 1) by class and, in the last column, over the batch.
"""

import torch
from torch import Tensor

from mmpid.ecs.evidence import ProxySettings
from mmpid.ecs.means import ClassMeans, coalitions
from mmpid.errors import InputError


def class_logit(means: ClassMeans, settings: ProxySettings) -> Tensor:
    """Class-mean unimodal logit, c_jr = mean over y=j of f_j^r(x).

    In the solvable model this is d Lambda^q / (q beta^(q-1)) of the leading neuron, an increasing function of ECS at
    fixed data strength. A softmax scorer is determined only up to a constant per sample, so compare it along one run,
    or between scorers of the same design.
    """
    return means["own"]


def mi(means: ClassMeans, settings: ProxySettings) -> Tensor:
    """Variational mutual information in bits, log2 K + mean over y=j of log2 softmax_y(f^r), averaged over classes.

    With equally frequent classes this is log2 K - CE, the Barber-Agakov lower bound on I(Y; f^r). The mean over
    classes keeps it a lower bound (for equally likely classes) when the batch is not balanced. It is negative when a
    scorer is worse than guessing, and says nothing about ECS at a cold random initialization.
    """
    return means.information_bounds[: means.n_modalities]


def margin(means: ClassMeans, settings: ProxySettings) -> Tensor:
    """Class-mean margin, mean over y=j of f_y^r - max over k != y of f_k^r, in logits."""
    return means["own"] - means["rival"]


def ogm(means: ClassMeans, settings: ProxySettings) -> Tensor:
    """Ratio of OGM-GE (Peng et al., CVPR 2022): rho_r = s_r / s_other, s_r = sum of softmax(f^r)_y over the batch.

    By class the sums run over the samples of the class; with more than two modalities the others are averaged.
    """
    confidence = means["confidence"]
    n_others = confidence.shape[0] - 1
    if not n_others:
        raise InputError(
            "`evidence` must have at least two modalities for the proxy 'ogm', which compares them; it had 1. "
            "Ask for 'class_logit' or 'mi' instead."
        )
    others = confidence.sum(0) - confidence
    return confidence / (others if n_others == 1 else others / n_others)


def shapley(means: ClassMeans, settings: ProxySettings) -> Tensor:
    """Shapley value in bits of each modality for v(S) = mean over y=j of log2 softmax_y(sum over r in S of f^r).

    v of no modality is -log2 K. Two modalities: 1/2 [v(r) - v()] + 1/2 [v(12) - v(other)]. The cost is that of 2^M
    softmaxes of the stored logits; the values add up to v(all) + log2 K.
    """
    gain = means.information_bounds  # v(S) - v(); the weights, with that of no modality, add up to zero
    _, weights = coalitions(means.n_modalities, gain.dtype, gain.device)
    return torch.mm(weights, gain)


def prediction_mi(means: ClassMeans, settings: ProxySettings) -> Tensor:
    """Plug-in mutual information I(Y; argmax f^r) in bits.

    By class the specific information sum over c of p(c|j) log2 p(c|j)/p(c), whose mean over p(j) is I(Y; C).
    """
    return means.information["predictions"]


def cluster_mi(means: ClassMeans, settings: ProxySettings) -> Tensor:
    """Plug-in mutual information I(Y; C) in bits of k-means clusters of the unimodal logits, 2K clusters by default.

    By class sum over c of p(c|j) log2 p(c|j)/p(c). Clusters of raw inputs can already follow the classes, so at the
    start this can be high, and even fall while the modality gets stronger; it is offered because the paper's own
    estimator clusters, not because it follows ECS.
    """
    return means.information["clusters"]

"""SynIB: with one modality corrupted, the joint prediction should carry no information."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmpid import _validate
from mmpid.train.callbacks import Callback
from mmpid.train.context import Context


def gaussian_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return the KL divergence of N(mean, variance) from N(0, 1), summed over classes, mean over samples, in nats."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean()


def dirichlet_divergence(evidence: Tensor) -> Tensor:
    """Return the KL divergence of Dirichlet(softplus(evidence) + 1) from the flat Dirichlet, mean over samples."""
    alpha = functional.softplus(evidence) + 1
    total, k = alpha.sum(1), alpha.shape[1]
    apart = torch.lgamma(total) - torch.lgamma(alpha).sum(1) - torch.lgamma(torch.tensor(float(k), dtype=alpha.dtype))
    return (apart + ((alpha - 1) * (torch.digamma(alpha) - torch.digamma(total)[:, None])).sum(1)).mean()


def anchor_divergence(joint: Tensor, other: Tensor) -> Tensor:
    """Return ``KL(p_other || p_joint)``, mean over samples: the prediction should match the other modality's."""
    return functional.kl_div(
        joint.log_softmax(1), other.detach().log_softmax(1), reduction="batchmean", log_target=True
    )


def corrupt(
    features: Tensor, share: float, generator: torch.Generator, n_parts: int = 1,
    own_part: Callable[[Tensor], Tensor] = torch.clone,
) -> Tensor:  # fmt: skip
    """Return features (B, ...) in which a share of the entries comes from other samples of the batch.

    If a batch is divided among processes, they come from samples of the same part.
    """
    order = torch.randperm(len(features), generator=generator)
    draws = own_part(torch.rand(n_parts * len(features), *features.shape[1:], generator=generator))
    return torch.where((draws < share).to(features.device), features[order.to(features.device)], features)


class SynIB(Callback):
    """Synergy information bottleneck (SynIB): penalize what the joint head predicts with one modality corrupted.

    For each modality the fusion head reads the batch once more, with part of that modality's embedding replaced by that
    of other samples. ``strength * KL(prediction || prior)`` is added to the loss, which rewards the head for using what
    needs all modalities.

    Parameters
    ----------
    strength : float
        Weight of the penalty; the released code has 0 (off) by default.
    prior : {"gaussian", "dirichlet", "anchor"}
        What the prediction should look like: a standard normal distribution of the logits, whose variance a separate
        layer predicts (:func:`gaussian_divergence`); a flat Dirichlet (:func:`dirichlet_divergence`); or the mean of
        the other modalities' own predictions (:func:`anchor_divergence`).
    share : float
        Share of the entries that are replaced.
    last : int
        Last epoch of joint training, counted from 0, in which it acts.
    variant : {"paper", "released"}
        With the released code's default settings the share is 0/0, so nothing is replaced: "released" does the same.

    Notes
    -----
    Works for every fusion and any number of modalities. Costs one more pass through the fusion head per modality, but
    none through the encoders: embeddings are corrupted, not inputs. The gates of the released code that search for the
    most destructive mask are not implemented.

    How it can mislead. If one modality alone determines the label, the penalty works against the loss: accuracy can
    fall while "synergy" rises. An additive fusion has no interaction to reward.

    References
    ----------
    arXiv 2606.09853, synergy information bottleneck.

    Examples
    --------
    >>> nothing = torch.zeros(2, 3)
    >>> float(gaussian_divergence(nothing, nothing)), float(anchor_divergence(nothing, nothing))
    (0.0, 0.0)
    """

    def __init__(
        self, strength: float = 0.1, *, prior: str = "gaussian", share: float = 0.5, last: int = 1000,
        variant: str = "paper",
    ):  # fmt: skip
        self.strength = _validate.number(strength, "strength", low=0, finite=True)
        self.prior = _validate.choice(prior, "prior", ("gaussian", "dirichlet", "anchor"))
        self.share = _validate.number(share, "share", low=0, high=1)
        self.last = _validate.number(last, "last", low=0, integer=True)
        self.variant = _validate.choice(variant, "variant", ("paper", "released"))

    def setup(self, ctx: Context) -> None:  # noqa: D102
        if self.prior == "gaussian":
            self._spread = ctx.add_module("synib", nn.Linear(sum(ctx.model.dims.values()), ctx.n_classes))

    def compute_loss(self, ctx: Context) -> Mapping[str, Tensor] | None:
        """Return the penalty of each modality."""
        if ctx.stage != "joint" or ctx.joint_epoch > self.last or not self.strength:
            return None
        share = self.share if self.variant == "paper" else 0.0
        terms = {}
        for name, x in ctx.features.items():
            masked = {**ctx.features, name: corrupt(x, share, ctx.generator, ctx.n_parts, ctx.own_part)}
            terms[f"synib.{name}"] = self.strength * self._divergence(ctx, name, masked)
        return terms

    def _divergence(self, ctx: Context, name: str, masked: Mapping[str, Tensor]) -> Tensor:
        logits = ctx.model.fuse(masked)
        if self.prior == "gaussian":
            pooled = torch.cat([ctx.model.pool(masked)[each] for each in ctx.modalities], 1)
            return gaussian_divergence(logits, self._spread(pooled).clamp(-10, 10))
        if self.prior == "dirichlet":
            return dirichlet_divergence(logits)
        others = [z.softmax(1) for other, z in ctx.scores("head").items() if other != name]
        return anchor_divergence(logits, torch.stack(others).mean(0).clamp_min(1e-12).log())

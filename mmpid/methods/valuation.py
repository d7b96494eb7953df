"""Sample valuation: retrain a modality alone on the samples to whose prediction it adds little."""

from itertools import chain, combinations
from math import factorial
from typing import Any

import torch
from torch import Tensor

from mmpid import _validate
from mmpid.errors import ConfigError
from mmpid.train.callbacks import Callback
from mmpid.train.context import Context

MOST_COPIES = 3


def coalitions(names: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return all non-empty sets of modalities."""
    return list(chain.from_iterable(combinations(names, n) for n in range(1, len(names) + 1)))


def values(right: dict[tuple[str, ...], Tensor], names: tuple[str, ...]) -> dict[str, Tensor]:
    """Return each modality's Shapley value (N,) where a set S that predicts the label is worth ``|S|``, else 0.

    For two modalities it is ``(ok_a + 2 ok_ab - ok_b) / 2``, from -.5 to 1.5.
    """
    worth = {each: len(each) * ok.double() for each, ok in right.items()}
    k, found = len(names), {}
    for name in names:
        total = torch.zeros_like(next(iter(worth.values())))
        for each in worth:
            if name in each:
                rest = tuple(other for other in each if other != name)
                weight = factorial(len(rest)) * factorial(k - len(rest) - 1) / factorial(k)
                total = total + weight * (worth[each] - (worth[rest] if rest else 0.0))
        found[name] = total
    return found


def copies(value: Tensor) -> Tensor:
    """Return how often to show a sample again with this modality alone: values of .5, 0, -.5 give 1, 2, 3."""
    return (2 * (1 - value) - 1e-9).ceil().clamp(0, MOST_COPIES).long()


def weakest(found: dict[str, Tensor], alpha: float) -> tuple[str, float]:
    """Return the modality with the least mean value (the last in a tie) and the share of samples to show again.

    The share is ``alpha * 2/3 * (largest - least mean)``.
    """
    means = {name: float(value.mean()) for name, value in found.items()}
    least = min(reversed(means), key=lambda name: means[name])
    return least, min(1.0, alpha * 2 / 3 * (max(means.values()) - means[least]))


class SampleValuation(Callback):
    """Sample-level valuation: show samples again with one modality alone where it contributes little.

    After each epoch of joint training every training sample is predicted with every set of modalities, absent
    embeddings set to zero, and :func:`values` says what each modality contributes. In the next epoch samples are shown
    again with all other modalities muted: at "sample" level as :func:`copies` says, at "modality" level a random share
    for the weakest modality (:func:`weakest`).

    Parameters
    ----------
    level : {"sample", "modality"}
        Which samples are shown again.
    alpha : float
        Factor of the share at "modality" level.
    warmup : int
        Epochs of joint training before the first valuation; 5 in the released code.

    Notes
    -----
    Works for every fusion and two to six modalities; encoders that return sequences raise an error. Costs a pass over
    the training split per epoch, and makes epochs up to seven times as long, so a comparison by epochs favors it.

    How it can mislead. Values are measured on training samples: once they are memorized, every modality contributes. An
    absent modality is a zero vector, which the fusion head may never have seen.

    References
    ----------
    Wei et al. (2024), Enhancing multimodal cooperation via sample-level modality valuation, CVPR, eq. 2 to 6.

    Examples
    --------
    >>> ok = torch.tensor([True])
    >>> v = values({("a",): ok, ("b",): ~ok, ("a", "b"): ok}, ("a", "b"))
    >>> float(v["a"]), float(v["b"]), copies(v["b"]).tolist()
    (1.5, 0.5, [1])
    """

    def __init__(self, level: str = "sample", *, alpha: float = 1.0, warmup: int = 5):
        self.level = _validate.choice(level, "level", ("sample", "modality"))
        self.alpha = _validate.number(alpha, "alpha", low=0, finite=True)
        self.warmup = _validate.number(warmup, "warmup", low=0, integer=True)

    def on_features(self, ctx: Context) -> None:
        """Refuse sequences."""
        if any(x.ndim > 2 for x in ctx.features.values()):
            raise ConfigError("SampleValuation needs one embedding per sample; an encoder returned a sequence.")

    @torch.no_grad()
    def on_epoch_end(self, ctx: Context) -> None:
        """Compute the values of the training samples and choose the samples of the next epoch."""
        if ctx.stage != "joint" or ctx.joint_epoch < self.warmup:
            return
        seen = ctx.evaluate("train")
        found = values(self._right(ctx, seen.embeddings, seen.target), ctx.modalities)
        n, device = len(seen.target), seen.target.device
        again: dict[str, Tensor] = {name: torch.empty(0, dtype=torch.int64) for name in ctx.modalities}
        if self.level == "sample":
            again = {name: torch.arange(n).repeat_interleave(copies(value).cpu()) for name, value in found.items()}
        else:
            name, share = weakest(found, self.alpha)
            again[name] = torch.randint(n, (round(share * n),), generator=ctx.generator)
        index = torch.cat([torch.arange(n), *again.values()])
        muted: dict[str, Any] = {name: torch.zeros(len(index), dtype=torch.bool) for name in ctx.modalities}
        start = n
        for name, rows in again.items():
            for other in ctx.modalities:
                muted[other][start : start + len(rows)] = other != name
            start += len(rows)
            ctx.log(f"again.{name}", len(rows) / n)
            ctx.log(f"value.{name}", float(found[name].mean()))
        ctx.set_samples(index.to(device), {name: mask.to(device) for name, mask in muted.items()})

    @staticmethod
    def _right(ctx: Context, embeddings: dict[str, Tensor], target: Tensor) -> dict[tuple[str, ...], Tensor]:
        """Return which samples each set of modalities predicts correctly."""
        logits = {
            each: ctx.forward(each, features=embeddings, training=False, grad=False)["joint"]
            for each in coalitions(ctx.modalities)
        }
        return {each: z.argmax(1) == target for each, z in logits.items()}

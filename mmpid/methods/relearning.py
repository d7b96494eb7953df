"""Diagnosing and Relearning: reset the encoders that overfit, as far as they overfit."""

import copy
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from mmpid import _validate
from mmpid.train.callbacks import Callback
from mmpid.train.context import Context


def purity(features: Tensor, target: Tensor, n_classes: int) -> float:
    """Return the share of samples whose label is the most frequent one in their k-means cluster.

    Every dimension is first scaled to [-1, 1] by its own range; there are as many clusters as classes.
    """
    from sklearn.cluster import KMeans

    x = features.detach().double().cpu().numpy()
    low, size = x.min(0), np.ptp(x, axis=0)
    x = np.where(size > 0, 2 * (x - low) / np.where(size > 0, size, 1.0) - 1, 0.0)
    n_clusters = min(n_classes, len(np.unique(x, axis=0)))
    cluster = cast(Any, KMeans)(n_clusters, n_init=10, random_state=0).fit_predict(x)
    counts = np.zeros((n_clusters, n_classes))
    np.add.at(counts, (cluster, target.cpu().numpy()), 1)
    return float(counts.max(1).sum() / len(x))


def reset_share(train: float, held_out: float, strength: float) -> float:
    """Return how far an encoder goes back to its start, ``tanh(strength * |P_train - P_held_out|)``."""
    return float(np.tanh(strength * abs(train - held_out)))


class DiagnosingRelearning(Callback):
    """Diagnosing and Relearning: encoders go back toward their start as far as they overfit.

    After epochs `every`, 2 `every`, ... of joint training (counted from 0), at most `times` times, each encoder becomes
    ``b * start + (1 - b) * now`` with ``b = tanh(strength * |P_train - P_held_out|)``. P is the :func:`purity` of its
    embeddings. Heads and the optimizer stay as they are.

    Parameters
    ----------
    every, times : int
        Epochs between two resets, and the number of resets; 20 and 3 in the released code.
    strength : float
        3 in the released code.
    split : {"validation", "probe"}
        The held-out samples. The published method uses the validation split, which is then no longer a fair judge of
        the best epoch.

    Notes
    -----
    Works for every fusion and any number of modalities. Each reset costs one pass over both splits and two k-means fits
    per modality. The row of the next epoch has the shares of the last reset.

    How it can mislead. A gap in purity is not a gap in loss: few held-out samples make clusters purer by chance. The
    published gain also contains a change of augmentation: the baseline trained with augmentation, the method without
    it. "Start" means the initial weights of the run, so after a unimodal stage a reset also undoes that stage.

    References
    ----------
    Wei et al. (2024), Diagnosing and re-learning for balanced multimodal learning, ECCV, eq. 4 to 6.

    Examples
    --------
    >>> x = torch.tensor([[0.0], [0.1], [5.0], [5.1]])
    >>> purity(x, torch.tensor([0, 0, 1, 1]), 2), round(reset_share(1.0, 0.5, strength=3.0), 3)
    (1.0, 0.905)
    """

    def __init__(self, every: int = 20, *, times: int = 3, strength: float = 3.0, split: str = "validation"):
        self.every = _validate.number(every, "every", low=1, integer=True)
        self.times = _validate.number(times, "times", low=1, integer=True)
        self.strength = _validate.number(strength, "strength", low=0, finite=True)
        self.split = _validate.choice(split, "split", ("validation", "probe"))
        self._start: dict[str, list[Tensor]] = {}

    def on_fit_start(self, ctx: Context) -> None:  # noqa: D102
        self._start = {name: [p.detach().clone() for p in ctx.parameters(name)] for name in ctx.modalities}

    @torch.no_grad()
    def on_epoch_end(self, ctx: Context) -> None:
        """Reset the encoders if it is time."""
        number, rest = divmod(ctx.joint_epoch - 1, self.every)
        if ctx.stage != "joint" or rest or not 1 <= number <= self.times:
            return
        train, held_out = ctx.evaluate("train"), ctx.evaluate(self.split)
        for name in ctx.modalities:
            seen, unseen = (purity(s.embeddings[name], s.target, ctx.n_classes) for s in (train, held_out))
            share = reset_share(seen, unseen, self.strength)
            ctx.log(f"reset.{name}", share)
            for parameter, start in zip(ctx.parameters(name), self._start[name], strict=True):
                if parameter.requires_grad:
                    parameter.lerp_(start.to(parameter.device), share)

    def state_dict(self) -> dict[str, Any]:  # noqa: D102
        return {"start": self._start}

    def load_state_dict(self, state: dict[str, Any]) -> None:  # noqa: D102
        self._start = copy.deepcopy(state["start"])

"""Codes that lose little of what an embedding tells of the class: clusters of predicted probabilities."""

from typing import Literal

import torch
from torch import Tensor

from mmpid.errors import InputError
from mmpid.estimate.kmeans import KMeansDiscretizer
from mmpid.estimate.readout import PredictionDiscretizer
from mmpid.pid.typed import choice, integer

FEWEST, MOST = 8, 64
# Samples for each pair of a code and a class that the automatic number of codes leaves; fewer would hide synergy.
PER_CELL = 16


def auto_codes(n_samples: int, n_classes: int) -> int:
    """Return the number of codes by sample size: sixteen samples per pair of code and class, 8 to 64 codes."""
    return max(FEWEST, min(MOST, n_samples // (PER_CELL * n_classes)))


class PosteriorDiscretizer:
    """k-means of the class probabilities that a linear readout predicts, or that a head gave.

    For what a source says of the class on its own, p(y | source) is all there is to know; clusters of it keep nearly
    all of that, where clusters of the embedding keep what varies most, and the predicted class only the largest
    entry. Distances are those of the square roots of probabilities (Hellinger).

    Parameters
    ----------
    inputs : "embeddings" or "scores"
        ``"embeddings"``: sources are (N, d), and a linear discriminant is fitted. ``"scores"``: sources are (N, k)
        logits or probabilities of a trained head.
    n_codes : int or "auto"
        Clusters; ``"auto"`` is N / (16 k), from 8 to 64.
    seed : int
        Seed of the folds and of the k-means++ start.

    Notes
    -----
    Probabilities that one source gives cannot carry an exclusive-or, however many codes there are. `fit` clusters
    probabilities of samples that the readout did not see; `estimate_pid` cross-fits both.

    Examples
    --------
    >>> import torch
    >>> y = torch.arange(60) % 3
    >>> codes = PosteriorDiscretizer().fit(torch.eye(3)[y], y).transform(torch.eye(3))
    >>> len(codes.unique())
    3
    """

    def __init__(self, inputs: str = "embeddings", *, n_codes: int | Literal["auto"] = "auto", seed: int = 0):
        choice(inputs, "inputs", ("embeddings", "scores"))
        self.inputs = inputs
        self.asked: int | Literal["auto"] = "auto" if n_codes == "auto" else integer(n_codes, "n_codes", 1)
        self.seed = integer(seed, "seed", 0)
        self.readout = PredictionDiscretizer(inputs)
        self.codebook: KMeansDiscretizer | None = None

    @property
    def saw_labels(self) -> bool:
        """True for a readout of embeddings."""
        return self.readout.saw_labels

    @property
    def n_codes(self) -> int:
        """Number of codes of the fitted codebook."""
        return self._fitted().n_codes

    def fit(self, source: Tensor, target: Tensor | None = None) -> "PosteriorDiscretizer":
        """Fit the readout, and the clusters of what it predicts for samples that it did not see."""
        if target is None:
            raise InputError("`target` must be given to fit a `PosteriorDiscretizer`.")
        self.readout.fit(source, target)
        probs = self.held_out_probabilities(source, target)
        size = auto_codes(len(target), probs.shape[1]) if self.asked == "auto" else self.asked
        if self.codebook is None:
            self.codebook = KMeansDiscretizer(size, probs.shape[1], seed=self.seed)
        self.codebook.n_clusters = min(size, len(target))
        self.codebook.fit(probs.sqrt(), target)
        return self

    def held_out_probabilities(self, source: Tensor, target: Tensor, count: int = 5) -> Tensor:
        """Return class probabilities (N, k) of each sample by a readout that did not see it."""
        if not self.saw_labels:
            return self.readout.probabilities(source)
        generator = torch.Generator().manual_seed(self.seed)
        order = torch.randperm(len(target), generator=generator).to(target.device)
        order = order[target[order].argsort(stable=True)]
        fold = torch.empty_like(order)
        fold[order] = torch.arange(len(order), device=order.device) % count
        nested = self.readout.nested_probabilities(source, target, fold, count)
        return nested[fold, torch.arange(len(fold), device=fold.device)]

    def code(self, probs: Tensor) -> Tensor:
        """Return the codes (N,) of class probabilities (N, k)."""
        return self._fitted().transform(probs.sqrt())

    def code_without(self, probs: Tensor, kept: Tensor) -> Tensor:
        """Return codes (F, N) of codebooks that are fitted on the samples that each row of ``kept`` (F, N) keeps."""
        return self._fitted().transform_without(probs.sqrt(), kept)

    def transform(self, source: Tensor) -> Tensor:
        """Give codes, int64 (N,)."""
        self._fitted()
        return self.code(self.readout.probabilities(source))

    def state_dict(self) -> dict[str, Tensor]:
        """Give the readout and the codebook as tensors."""
        book = {} if self.codebook is None else self.codebook.state_dict()
        parts: tuple[tuple[str, dict[str, Tensor]], ...] = (("readout", self.readout.state_dict()), ("codebook", book))
        return {f"{part}.{name}": tensor for part, state in parts for name, tensor in state.items()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore what `state_dict` gave."""
        parts: dict[str, dict[str, Tensor]] = {"readout": {}, "codebook": {}}
        for name, tensor in state.items():
            part, key = name.split(".", 1)
            parts[part][key] = tensor
        self.readout.load_state_dict(parts["readout"])
        self.codebook = None
        if parts["codebook"]:
            centers = parts["codebook"]["centers"]
            self.codebook = KMeansDiscretizer(len(centers), parts["codebook"]["components"].shape[0], seed=self.seed)
            self.codebook.load_state_dict(parts["codebook"])

    def _fitted(self) -> KMeansDiscretizer:
        if self.codebook is None:
            raise InputError("this `PosteriorDiscretizer` must be fitted first: call `.fit(source, target)`.")
        return self.codebook

    def __repr__(self) -> str:
        return f"PosteriorDiscretizer(inputs={self.inputs!r}, n_codes={self.asked!r})"

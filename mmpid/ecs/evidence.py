"""What proxies are computed from: one probe batch seen through the model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import cast

import torch
from torch import Tensor, nn

from mmpid._validate import finite, instance, labels, number
from mmpid.ecs.batch import Folds, GradientBatch, Membership, stacked
from mmpid.ecs.validation import as_matrices, check_finite, count_classes, in_order, target_of_batch, widths_of
from mmpid.errors import ShapeError
from mmpid.models.copies import copy_model


@dataclass(frozen=True, kw_only=True)
class ProxySettings:
    """Settings of the proxies that have any; the defaults suit small networks.

    Attributes
    ----------
    look_ahead_steps : int, at least 1
        Gradient-descent steps of the short look-ahead.
    learning_rate : float, above 0
        Step size of the look-ahead.
    max_samples : int, at least 1
        Largest number of samples that the proxies with gradients use; larger batches are thinned evenly. Fewer samples
        are noisier, and they raise the look-ahead, which descends on the samples that it is evaluated on; see
        docs/ecs.md for standard errors.
    n_ntk_samples : int, at least 2
        Largest number of samples for the tangent kernel, whose cost grows with samples times classes.
    n_clusters : int, at least 2, optional
        Clusters of `cluster_mi`; twice the number of classes by default.
    ridge : float, above 0
        Ridge penalty of `linear_probe`, relative to the mean variance of the embeddings.
    seed : int
        Seed of the k-means start and of the folds of `linear_probe`.
    """

    look_ahead_steps: int = 3
    learning_rate: float = 0.2
    max_samples: int = 48
    n_ntk_samples: int = 32
    n_clusters: int | None = None
    ridge: float = 1e-2
    seed: int = 0

    def __post_init__(self):
        number(self.look_ahead_steps, "look_ahead_steps", low=1, integer=True)
        number(self.learning_rate, "learning_rate", low=0, open_low=True)
        number(self.max_samples, "max_samples", low=1, integer=True)
        number(self.n_ntk_samples, "n_ntk_samples", low=2, integer=True)
        number(self.ridge, "ridge", low=0, open_low=True)
        number(self.seed, "seed", low=0, integer=True)
        if self.n_clusters is not None:
            number(self.n_clusters, "n_clusters", low=2, integer=True)


@dataclass(frozen=True, kw_only=True)
class ProxyEvidence:
    """One probe batch: its labels, the model's outputs for it, and, for gradients, the model itself.

    Attributes
    ----------
    target : Tensor, shape (N,)
        Class indices 0..K-1.
    unimodal_logits : dict of str to Tensor, shape (N, K), optional
        Logits of the scorer of each modality.
    embeddings : dict of str to Tensor, shape (N, d), optional
        Outputs of the encoder of each modality.
    model : nn.Module, optional
        Late-fusion model: `model(inputs)` has `logits` (B, K) and `unimodal`, a dict of (B, K); `model.encoders` is a
        `ModuleDict`. It is copied before use and never changed.
    inputs : dict of str to Tensor, shape (B, ...), optional
        Batch for the proxies that need gradients.
    inputs_target : Tensor, shape (B,), optional
        Labels of `inputs`; `target` when B = N.
    n_classes : int, optional
        K; taken from the logits, or else from the labels.

    Raises
    ------
    ShapeError
        If lengths, modalities or numbers of classes do not fit each other.
    InputError
        If labels are not class indices or numbers are not finite.

    Examples
    --------
    >>> evidence = ProxyEvidence(target=torch.tensor([0, 1]), unimodal_logits={"a": torch.eye(2), "b": -torch.eye(2)})
    >>> evidence.modalities, evidence.n_classes
    (('a', 'b'), 2)
    """

    target: Tensor
    unimodal_logits: Mapping[str, Tensor] | None = None
    embeddings: Mapping[str, Tensor] | None = None
    model: nn.Module | None = field(default=None, repr=False)
    inputs: Mapping[str, Tensor] | None = None
    inputs_target: Tensor | None = None
    n_classes: int | None = None

    def __post_init__(self):
        self._put("target", labels(self.target, "target"))
        if not len(self.target):
            raise ShapeError("`target` must have at least one sample; it had none. Probe a larger split.")
        for name in ("unimodal_logits", "embeddings"):
            matrices = as_matrices(getattr(self, name), name, len(self.target))
            for key, matrix in (matrices or {}).items():
                finite(matrix, f"{name}[{key!r}]")
            self._put(name, matrices)
        self._put("embeddings", in_order(self.embeddings, self.unimodal_logits))
        if self.n_classes is not None:
            number(self.n_classes, "n_classes", low=1, integer=True)
        if self.model is not None:
            instance(self.model, "model", nn.Module, "a module of torch", "Pass the model itself.")
        self._put("n_classes", count_classes(self))
        if self.inputs is not None:
            self._put("inputs_target", target_of_batch(self))
        self._put("_of_samples", {})

    def _put(self, name: str, value) -> None:
        """Set a field although the dataclass is frozen."""
        object.__setattr__(self, name, value)

    @classmethod
    def from_model(cls, model: nn.Module, inputs: Mapping[str, Tensor], target: Tensor) -> "ProxyEvidence":
        """Pass `inputs` through a copy of `model` in evaluation mode and keep what every proxy needs.

        Parameters
        ----------
        model : nn.Module
            Late-fusion model, see `ProxyEvidence`.
        inputs : dict of str to Tensor, shape (N, ...)
            Inputs of each modality.
        target : Tensor, shape (N,)
            Class indices.
        """
        with torch.no_grad():
            output = frozen_copy(model)(dict(inputs))
        return cls(
            target=target,
            unimodal_logits=dict(output.unimodal) or None,
            embeddings=dict(output.embeddings) or None,
            model=model,
            inputs=inputs,
            n_classes=output.logits.shape[1],
        )

    def seen(
        self,
        *,
        unimodal_logits: Mapping[str, Tensor] | None = None,
        embeddings: Mapping[str, Tensor] | None = None,
        model: nn.Module | None = None,
    ) -> "ProxyEvidence":
        """Evidence from the same samples, as a model sees them at another time.

        What depends on the samples alone, such as labels, thinned inputs and their inner products, is checked and
        computed once for all evidence that comes from one: a probe after every epoch should start from here.

        Parameters
        ----------
        unimodal_logits, embeddings, model
            As for the class. None of them is copied from the evidence on which this is called.

        Examples
        --------
        >>> samples = ProxyEvidence(target=torch.tensor([0, 1]))
        >>> samples.seen(unimodal_logits={"a": torch.eye(2), "b": -torch.eye(2)}).modalities
        ('a', 'b')
        """
        other, length = object.__new__(type(self)), self.target.shape[0]
        logits = as_matrices(unimodal_logits, "unimodal_logits", length)
        embeddings = in_order(as_matrices(embeddings, "embeddings", length), logits)
        vars(other).update(  # bypasses the checks of the class, which concern the samples
            target=self.target,
            inputs=self.inputs,
            inputs_target=self.inputs_target,
            n_classes=self.n_classes,
            _of_samples=vars(self)["_of_samples"],
            unimodal_logits=logits,
            embeddings=embeddings,
            model=model,
        )
        widths = widths_of(logits)
        if widths and widths != {self.n_classes}:
            raise ShapeError(
                f"`unimodal_logits` must have one column per class, {self.n_classes}; they had {sorted(widths)}. "
                "Give `n_classes` if the labels do not show all classes."
            )
        if logits:
            check_finite(other.scores, logits, "unimodal_logits")
        if embeddings:
            check_finite(other.features, embeddings, "embeddings")
        return other

    @cached_property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities."""
        for source in (self.unimodal_logits, self.embeddings, self.inputs):
            if source:
                return tuple(source)
        return ()

    @cached_property
    def scores(self) -> Tensor:
        """Unimodal logits, shape (M, K, N)."""
        logits = cast("Mapping[str, Tensor]", self.unimodal_logits)
        return torch.stack(list(logits.values())).mT.contiguous()  # half the time of a stack of columns

    @cached_property
    def features(self) -> Tensor:
        """Embeddings, padded with zeros to the widest, shape (M, N, d)."""
        return stacked(list(cast("Mapping[str, Tensor]", self.embeddings).values()))

    @cached_property
    def classes(self) -> Membership:
        """Which sample is in which class."""
        known = cast("Mapping[str, Tensor]", self.unimodal_logits or self.embeddings)
        dtype, k = next(iter(known.values())).dtype, cast(int, self.n_classes)
        return self.once(("classes", dtype), lambda: Membership(self.target, k, dtype))

    def folds(self, seed: int) -> Folds:
        """Return two random folds of the samples, in the precision of the embeddings."""
        dtype, size, k = self.features.dtype, self.features.shape[0], cast(int, self.n_classes)
        key = ("folds", dtype, size, seed)
        return self.once(key, lambda: Folds(Membership(self.target, k, dtype), size, seed))

    def gradient_batch(self, max_samples: int, dtype: torch.dtype) -> GradientBatch:
        """Return the small batch that gradients are measured on; means over classes are made in `dtype`."""
        key = ("batch", self.modalities, max_samples, dtype)
        return self.once(key, lambda: GradientBatch.of(self, max_samples, dtype))

    def once(self, key: tuple, make: Callable):
        """Return what depends on the samples alone; computed once for this evidence and all derived from it."""
        held = vars(self)["_of_samples"]
        if key not in held:
            with torch.inference_mode(False):  # autograd may use it, too
                held[key] = make()
        return held[key]


def frozen_copy(model: nn.Module) -> nn.Module:
    """Copy of `model` in evaluation mode, so that nothing done to it reaches the original."""
    twin = copy_model(model).eval()
    twin.zero_grad(set_to_none=True)
    return twin

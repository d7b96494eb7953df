"""What a model makes of a whole split, in evaluation mode: logits, embeddings, scores."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from mmpid.datasets import Split
from mmpid.models import LateFusion
from mmpid.models.modes import evaluating
from mmpid.train.losses import Loss, cross_entropy
from mmpid.train.scores import metric_name, score

CHUNK = 1024  # samples per forward pass in evaluation
# On a CPU samples of this many bytes, such as images, are read so many bytes at a time: what a convolution makes of
# them is ten times as much, and fits into a cache then. It takes a fifth of the time.
LARGE, LARGE_CHUNK = 2**12, 2**19
STREAMED_CHUNK = 128  # the same for data that are read as they are needed, where a chunk must fit into memory
AUTOCAST = {"bfloat16": torch.bfloat16, "float16": torch.float16}

Predict = Callable[[Mapping[str, Tensor], Mapping[str, Tensor], dict[str, Tensor]], Tensor]


def autocast(device: torch.device, precision: str) -> AbstractContextManager[Any]:
    """Return the context of forward passes and losses: half precision where it is safe, or nothing."""
    if precision in AUTOCAST:
        return torch.autocast(device.type, dtype=AUTOCAST[precision])
    return nullcontext()


@dataclass(frozen=True)
class Evaluation:
    """Logits and embeddings of one split, with its labels and the loss they are judged by."""

    target: Tensor
    logits: dict[str, Tensor]
    embeddings: dict[str, Tensor]
    loss_function: Loss = cross_entropy

    _scores: dict[str, tuple[float, float]] = field(default_factory=dict)

    def accuracy(self, name: str) -> float:
        """Return the share of samples whose largest logit is the label's."""
        return self.score((name,))[name][0]

    def loss(self, name: str) -> float:
        """Return the loss, as in training."""
        return self.score((name,))[name][1]

    def score(self, names: Sequence[str]) -> dict[str, tuple[float, float]]:
        """Return accuracy and loss of some classifiers, read from the device together; they are kept."""
        new = [name for name in names if name not in self._scores]
        if new:
            answers = torch.stack([self.logits[name].argmax(1) for name in new])
            accuracies = answers.eq(self.target).float().mean(1).tolist()
            losses = torch.stack([self.loss_function(self.logits[name], self.target) for name in new]).tolist()
            self._scores.update(zip(new, zip(accuracies, losses, strict=True), strict=True))
        return {name: self._scores[name] for name in names}

    def metric(self, metric: str | Callable[..., Any], name: str) -> float:
        """Return one metric of one classifier."""
        return self.accuracy(name) if metric == "accuracy" else score(metric, self.logits[name], self.target)

    def metrics(self, metrics: Sequence[Any], names: Sequence[str], prefix: str) -> dict[str, float]:
        """Return `{prefix}_{metric}.{classifier}` for every metric and classifier."""
        return {f"{prefix}_{metric_name(m)}.{name}": self.metric(m, name) for m in metrics for name in names}


def evaluate(
    model: LateFusion,
    split: Split,
    *,
    device: torch.device | None = None,
    loss: Loss = cross_entropy,
    precision: str = "float32",
    predict: Predict | None = None,
) -> Evaluation:
    """Return logits of each modality, of their average ("ens") and of the fusion head, in evaluation mode.

    The samples are taken to `device`, by default where the labels are. `predict` replaces the logits of the fusion
    head by a function of inputs, features and all logits.
    """
    device = split.target.device if device is None else device
    # not inference_mode: what an encoder caches in it cannot be used in training
    with evaluating(model), torch.no_grad(), autocast(device, precision):
        parts = [_read(model, inputs, predict) for inputs in _chunks(split, device)]
    names = model.modalities
    unimodal = {name: _join([logits[name] for logits, _ in parts]) for name in names}
    ensemble = torch.stack(list(unimodal.values())).mean(0)
    return Evaluation(
        target=split.target.to(device),
        logits={**unimodal, "ens": ensemble, "joint": _join([logits["joint"] for logits, _ in parts])},
        embeddings={name: _join([embeddings[name] for _, embeddings in parts]) for name in names},
        loss_function=loss,
    )


def _read(
    model: LateFusion, inputs: Mapping[str, Tensor], predict: Predict | None
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return all logits and embeddings of a chunk of samples."""
    features = model.embed(inputs)
    logits = model.classify(features)
    if predict is not None:
        logits["joint"] = predict(inputs, features, logits)
    return logits, model.pool(features)


def _chunks(split: Split, device: torch.device) -> Iterator[dict[str, Tensor]]:
    """Yield the samples of a split in order, as many as fit into memory at a time; those in memory are not copied."""
    if type(split) is not Split:
        order = torch.arange(len(split)).split(STREAMED_CHUNK)
        yield from (inputs for inputs, _ in split.batches(order, device=device))
        return
    chunk = _chunk_size(split.inputs, device)
    for start in range(0, len(split), chunk):
        yield {name: x[start : start + chunk].contiguous().to(device) for name, x in split.inputs.items()}


def _chunk_size(inputs: Mapping[str, Tensor], device: torch.device) -> int:
    """Return how many samples to read at a time."""
    size = sum(x[:1].numel() * x.element_size() for x in inputs.values())
    return CHUNK if device.type != "cpu" or size < LARGE else max(16, LARGE_CHUNK // size)


def _join(parts: list[Tensor]) -> Tensor:
    """Join the chunks of a split; what mixed precision made is float32 again."""
    whole = parts[0] if len(parts) == 1 else torch.cat(parts)
    return whole.float() if whole.dtype in AUTOCAST.values() else whole


def class_weights(target: Tensor, n_classes: int) -> Tensor:
    """Return n / (k n_c) for each class of some labels, float32 (k,): the weights at which classes count alike."""
    counts = torch.bincount(target, minlength=n_classes).clamp(min=1)
    return (len(target) / (n_classes * counts)).float()


def prior_loss(train: Tensor, held_out: Tensor, n_classes: int, weight: Tensor | None = None) -> float:
    """Return the cross-entropy in nats, on held-out labels, of the class frequencies of training alone.

    It is weighted like the losses: with class weights, the constant answer that minimizes the weighted loss.
    """
    share = torch.bincount(train, minlength=n_classes).clamp(min=0.5).float()
    logits = (share if weight is None else share * weight.to(share.device)).log()
    return float(cross_entropy(logits.expand(len(held_out), -1), held_out.to(share.device), weight))

"""Metrics by name, as scikit-learn computes them, of held-out logits and labels."""

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor

from mmpid import _validate
from mmpid.errors import TrainingError

Metric = Callable[[np.ndarray, np.ndarray], float]


def _accuracy(target: np.ndarray, probabilities: np.ndarray) -> float:
    return float((probabilities.argmax(1) == target).mean())


def _balanced_accuracy(target: np.ndarray, probabilities: np.ndarray) -> float:
    from sklearn.metrics import recall_score

    present = np.unique(target)  # classes without a sample have no recall
    answers = probabilities.argmax(1)
    return float(recall_score(target, answers, labels=present, average="macro", zero_division=0))  # pyright: ignore[reportArgumentType]  the stub says str, the manual 0


def _macro_f1(target: np.ndarray, probabilities: np.ndarray) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(target, probabilities.argmax(1), average="macro", zero_division=0))  # pyright: ignore[reportArgumentType]  the stub says str, the manual 0


def _macro_average_precision(target: np.ndarray, probabilities: np.ndarray) -> float:
    from sklearn.metrics import average_precision_score

    present = np.unique(target)
    each = [average_precision_score(target == k, probabilities[:, k]) for k in present]
    return float(np.mean(each))


METRICS: dict[str, Metric] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "macro_f1": _macro_f1,
    "macro_average_precision": _macro_average_precision,
}


def metric_name(metric: str | Callable[..., Any]) -> str:
    """Return the name of a metric in rows of the record."""
    return metric if isinstance(metric, str) else getattr(metric, "__name__", type(metric).__name__)


def score(metric: str | Callable[..., Any], logits: Tensor, target: Tensor) -> float:
    """Return one metric of logits (N, k) and labels (N,).

    A metric of the user's own, such as one of torchmetrics, is called with probabilities (N, k) and labels (N,), both
    tensors, and must return one number; larger must be better.
    """
    probabilities = logits.detach().float().softmax(1)
    if isinstance(metric, str):
        known = METRICS[_validate.choice(metric, "metrics", METRICS)]
        return known(target.cpu().numpy(), probabilities.cpu().numpy())
    value = metric(probabilities, target)
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError) as problem:
        raise TrainingError(
            f"a metric must return one number; {metric_name(metric)!r} returned {type(value).__name__}."
        ) from problem

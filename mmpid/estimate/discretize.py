"""Discretizers: fit on one split, transform any; each turns a source into codes from 0."""

import inspect
from typing import Protocol

import torch
from torch import Tensor

from mmpid._validate import number
from mmpid.errors import ConfigError, InputError, ShapeError
from mmpid.estimate.histogram import Assignment
from mmpid.estimate.kmeans import KMeansDiscretizer


class Discretizer(Protocol):
    """What `estimate_pid` asks of a discretizer of one source.

    ``saw_labels`` says whether `fit` looked at the target's values: if so, and the same samples are then counted,
    codes are found by cross-fitting.
    """

    saw_labels: bool

    @property
    def n_codes(self) -> int:
        """Number of codes after `fit`."""

    def fit(self, source: Tensor, target: Tensor | None = None) -> "Discretizer":
        """Learn from one split; returns itself."""

    def transform(self, source: Tensor) -> Tensor:
        """Give codes from 0, int64 (N,)."""

    def state_dict(self) -> dict[str, Tensor]:
        """Give what was learned as tensors."""

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore what `state_dict` gave."""


def is_discretizer(candidate) -> bool:
    """Whether an object has what the protocol asks for; looks without calling, since `n_codes` raises before `fit`."""
    names = ("fit", "transform", "n_codes", "saw_labels", "state_dict", "load_state_dict")
    missing = object()
    return all(inspect.getattr_static(candidate, name, missing) is not missing for name in names)


class PredictionDiscretizer:
    """The predicted class: argmax of class scores, or of a linear readout fitted to embeddings.

    Parameters
    ----------
    inputs : "scores" or "embeddings"
        ``"scores"``: sources are (N, k) logits or probabilities of a trained head, and nothing is learned here.
        ``"embeddings"``: sources are (N, d), and `fit` learns a linear discriminant from the labels (class means,
        pooled covariance shrunk towards its diagonal).
    soft : bool
        Spread each sample over the classes by its class probabilities instead of choosing the largest.
    shrinkage : float from 0 to 1
        Weight of the diagonal in the pooled covariance of the readout.

    Notes
    -----
    A head that was trained on the samples that it is probed with knows their labels: all its information then looks
    redundant. Probe a held-out split.

    Examples
    --------
    >>> import torch
    >>> PredictionDiscretizer().fit(torch.eye(3)).transform(torch.eye(3))
    tensor([0, 1, 2])
    """

    def __init__(self, inputs="scores", *, soft=False, shrinkage=0.1):
        if inputs not in ("scores", "embeddings"):
            raise ConfigError(f'`inputs` must be "scores" or "embeddings"; it was {inputs!r}.')
        self.inputs, self.soft = inputs, soft
        self.shrinkage = number(shrinkage, "shrinkage", low=0, high=1)
        self.weight = self.bias = None
        self._n_codes = None

    @property
    def saw_labels(self) -> bool:
        """True for a readout of embeddings."""
        return self.inputs == "embeddings"

    @property
    def n_codes(self) -> int:
        """Number of classes."""
        if self._n_codes is None:
            raise InputError("this `PredictionDiscretizer` must be fitted first: call `.fit(source, target)`.")
        return self._n_codes

    def fit(self, source: Tensor, target: Tensor | None = None) -> "PredictionDiscretizer":
        """Learn the readout from ``source`` (N, d) and labels; for scores, only note the number of classes."""
        _require_matrix(source)
        if self.inputs == "scores":
            self._n_codes = source.shape[1]
            return self
        if target is None:
            raise InputError('`target` must be given to fit a `PredictionDiscretizer(inputs="embeddings")`.')
        # a class that this fold lacks keeps its code if an earlier fit knew it
        self._n_codes = max(int(target.max()) + 1, self._n_codes or 0)
        self.weight, self.bias = _discriminant(source.detach().double(), target, self._n_codes, self.shrinkage)
        return self

    def probabilities(self, source: Tensor) -> Tensor:
        """Class probabilities, float64 (N, k)."""
        _require_matrix(source)
        if self.inputs == "scores":
            return class_probabilities(source)
        if self.weight is None or source.shape[1] != len(self.weight):
            wanted = "no fit yet" if self.weight is None else f"{len(self.weight)} columns, as at the fit"
            raise InputError(
                f"`source` must fit this readout of embeddings, {wanted}; it had {source.shape[1]} columns. "
                "Call `.fit(source, target)` first, and pass embeddings of the same encoder."
            )
        return (source.detach().double() @ self.weight.to(source.device) + self.bias.to(source.device)).softmax(-1)

    def transform(self, source: Tensor) -> Tensor:
        """Predicted class, int64 (N,)."""
        return self.probabilities(source).argmax(-1)

    def state_dict(self) -> dict[str, Tensor]:
        """Weights of the readout and the number of classes."""
        state = {} if self._n_codes is None else {"n_codes": torch.tensor(self._n_codes)}
        return state if self.weight is None else {**state, "weight": self.weight, "bias": self.bias}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore what `state_dict` gave."""
        self._n_codes = int(state["n_codes"]) if "n_codes" in state else None
        self.weight, self.bias = state.get("weight"), state.get("bias")

    def __repr__(self) -> str:
        return f"PredictionDiscretizer(inputs={self.inputs!r}, soft={self.soft})"


class QuantileDiscretizer:
    """Bins with equal counts, for a source of one dimension.

    Parameters
    ----------
    n_bins : int
        Bins asked for; tied values can merge some, see ``n_codes``.

    Notes
    -----
    Values beyond the fitted range belong to the outermost bins.

    Examples
    --------
    >>> import torch
    >>> QuantileDiscretizer(n_bins=2).fit(torch.arange(4.0)).transform(torch.tensor([-5.0, 9.0]))
    tensor([0, 1])
    """

    saw_labels = False

    def __init__(self, n_bins=10):
        self.n_bins = number(n_bins, "n_bins", low=1, integer=True)
        self.edges = None

    @property
    def n_codes(self) -> int:
        """Number of bins after merging equal edges."""
        if self.edges is None:
            raise InputError("this `QuantileDiscretizer` must be fitted first: call `.fit(source)`.")
        return len(self.edges) + 1

    def fit(self, source: Tensor, target: Tensor | None = None) -> "QuantileDiscretizer":
        """Find the bin edges; tied values can merge bins."""
        values = _column(source)
        levels = torch.linspace(0, 1, self.n_bins + 1, dtype=torch.float64, device=values.device)[1:-1]
        edges = torch.unique(torch.quantile(values, levels)) if len(levels) else values[:0]
        self.edges = edges[edges < values.max()]
        return self

    def transform(self, source: Tensor) -> Tensor:
        """Bin index, int64 (N,); a value on an edge belongs to the bin below it."""
        values = _column(source)
        return torch.bucketize(values, self.edges.to(values.device))

    def state_dict(self) -> dict[str, Tensor]:
        """Bin edges."""
        return {} if self.edges is None else {"edges": self.edges}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore what `state_dict` gave."""
        self.edges = state.get("edges")

    def __repr__(self) -> str:
        return f"QuantileDiscretizer(n_bins={self.n_bins})"


class CodesDiscretizer:
    """The user's own integer codes, renumbered 0, 1, ... in ascending order.

    Raises
    ------
    InputError
        In `fit` or `transform`, for fractions; in `transform`, for a code that `fit` has not seen.

    Examples
    --------
    >>> import torch
    >>> codes = torch.tensor([7, 3, 7])
    >>> CodesDiscretizer().fit(codes).transform(codes)
    tensor([1, 0, 1])
    """

    saw_labels = False

    def __init__(self):
        self.values = None

    @property
    def n_codes(self) -> int:
        """Number of distinct codes seen by `fit`."""
        if self.values is None:
            raise InputError("this `CodesDiscretizer` must be fitted first: call `.fit(source)`.")
        return len(self.values)

    def fit(self, source: Tensor, target: Tensor | None = None) -> "CodesDiscretizer":
        """Collect the distinct codes."""
        self.values = torch.unique(_integers(source))
        return self

    def transform(self, source: Tensor) -> Tensor:
        """Renumber; a code that `fit` has not seen is an error."""
        codes = _integers(source)
        index = torch.searchsorted(self.values.to(codes.device), codes).clamp(max=len(self.values) - 1)
        unseen = self.values.to(codes.device)[index] != codes
        if unseen.any():
            raise InputError(
                f"`source` must hold codes that were there at `fit`; {int(unseen.sum())} were not, such as "
                f"{int(codes[unseen][0])}. Fit on a split that has every code."
            )
        return index

    def state_dict(self) -> dict[str, Tensor]:
        """Distinct codes."""
        return {} if self.values is None else {"values": self.values}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore what `state_dict` gave."""
        self.values = state.get("values")

    def __repr__(self) -> str:
        return "CodesDiscretizer()"


def assign(discretizer: Discretizer, source: Tensor) -> Assignment:
    """Assign samples by a fitted discretizer, with class probabilities where it gives any."""
    if not isinstance(discretizer, PredictionDiscretizer):
        return Assignment(n_codes=discretizer.n_codes, codes=discretizer.transform(source))
    probs = discretizer.probabilities(source)
    return Assignment(n_codes=discretizer.n_codes, codes=probs.argmax(-1), probs=probs, soft=discretizer.soft)


def class_probabilities(scores: Tensor) -> Tensor:
    """Rows of probabilities from scores (N, k): kept if they are probabilities already, softmax of logits if not."""
    scores = scores.double()
    with torch.no_grad():
        is_probability = bool((scores >= 0).all() and (scores.sum(-1) - 1).abs().max() < 1e-4)
    return scores / scores.sum(-1, keepdim=True) if is_probability else scores.softmax(-1)


def _discriminant(source: Tensor, target: Tensor, n_classes: int, shrinkage: float) -> tuple[Tensor, Tensor]:
    """Weight (d, k) and bias (k,) of a linear discriminant; a class without samples gets probability 0."""
    counts = torch.bincount(target, minlength=n_classes).double()
    means = torch.zeros(n_classes, source.shape[1], dtype=torch.float64, device=source.device)
    means.index_add_(0, target, source)
    means /= counts.clamp(min=1)[:, None]
    residual = source - means[target]
    pooled = residual.T @ residual / len(source)
    diagonal = pooled.diagonal()
    floor = 1e-6 * float(diagonal.mean()) + 1e-12
    pooled = (1 - shrinkage) * pooled + torch.diag(shrinkage * diagonal + floor)
    weight = torch.linalg.solve(pooled, means.T)
    bias = -0.5 * (means.T * weight).sum(0) + (counts / counts.sum()).log()
    return weight, bias


def _require_matrix(source: Tensor) -> None:
    if source.ndim != 2:
        raise ShapeError(f"`source` must have two axes (N, d); its shape was {tuple(source.shape)}.")


def _column(source: Tensor) -> Tensor:
    if source.ndim == 2 and source.shape[1] == 1:
        source = source[:, 0]
    if source.ndim != 1:
        raise ShapeError(
            f"`source` must have one dimension for quantile bins, (N,) or (N, 1); its shape was "
            f"{tuple(source.shape)}. Use `KMeansDiscretizer` for more."
        )
    return source.detach().double().contiguous()


def _integers(source: Tensor) -> Tensor:
    if source.ndim == 2 and source.shape[1] == 1:
        source = source[:, 0]
    if source.ndim != 1 or (source.is_floating_point() and bool((source != source.round()).any())):
        raise InputError(
            f'`source` must be integer codes (N,) for `discretizer="codes"`; it was {source.dtype} of shape '
            f'{tuple(source.shape)}. For embeddings use `discretizer="kmeans"`.'
        )
    return source.detach().long().contiguous()


__all__ = [
    "CodesDiscretizer",
    "Discretizer",
    "KMeansDiscretizer",
    "PredictionDiscretizer",
    "QuantileDiscretizer",
]

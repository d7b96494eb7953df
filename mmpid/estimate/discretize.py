"""Discretizers: fit on one split, transform any; each turns a source into codes from 0."""

import inspect
from typing import Protocol

import torch
from torch import Tensor

from mmpid._validate import as_tensor, number
from mmpid.errors import InputError, ShapeError
from mmpid.estimate.histogram import Assignment
from mmpid.estimate.kmeans import KMeansDiscretizer
from mmpid.estimate.readout import PredictionDiscretizer


class Discretizer(Protocol):
    """What `estimate_pid` asks of a discretizer of one source.

    ``saw_labels`` says whether `fit` looked at the target's values: if so, and the same samples are then counted,
    codes are found by cross-fitting.
    """

    @property
    def saw_labels(self) -> bool:
        """Whether `fit` looks at the target's values."""
        ...

    @property
    def n_codes(self) -> int:
        """Number of codes after `fit`."""
        ...

    def fit(self, source: Tensor, target: Tensor | None = None) -> "Discretizer":
        """Learn from one split; returns itself."""
        ...

    def transform(self, source: Tensor) -> Tensor:
        """Give codes from 0, int64 (N,)."""
        ...

    def state_dict(self) -> dict[str, Tensor]:
        """Give what was learned as tensors."""
        ...

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore what `state_dict` gave."""
        ...


def is_discretizer(candidate: object) -> bool:
    """Whether an object has what the protocol asks for; looks without calling, since `n_codes` raises before `fit`."""
    names = ("fit", "transform", "n_codes", "saw_labels", "state_dict", "load_state_dict")
    missing = object()
    return all(inspect.getattr_static(candidate, name, missing) is not missing for name in names)


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

    def __init__(self, n_bins: int = 10):
        self.n_bins = int(number(n_bins, "n_bins", low=1, integer=True))
        self.edges: Tensor | None = None

    @property
    def n_codes(self) -> int:
        """Number of bins after merging equal edges."""
        return len(self._fitted()) + 1

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
        return torch.bucketize(values, self._fitted().to(values.device))

    def _fitted(self) -> Tensor:
        if self.edges is None:
            raise InputError("this `QuantileDiscretizer` must be fitted first: call `.fit(source)`.")
        return self.edges

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
        self.values: Tensor | None = None

    @property
    def n_codes(self) -> int:
        """Number of distinct codes seen by `fit`."""
        return len(self._fitted())

    def fit(self, source: Tensor, target: Tensor | None = None) -> "CodesDiscretizer":
        """Collect the distinct codes."""
        self.values = torch.unique(_integers(source))
        return self

    def transform(self, source: Tensor) -> Tensor:
        """Renumber; a code that `fit` has not seen is an error."""
        codes = _integers(source)
        values = self._fitted().to(codes.device)
        index = torch.searchsorted(values, codes).clamp(max=len(values) - 1)
        unseen = values[index] != codes
        if unseen.any():
            raise InputError(
                f"`source` must hold codes that were there at `fit`; {int(unseen.sum())} were not, such as "
                f"{int(codes[unseen][0])}. Fit on a split that has every code."
            )
        return index

    def _fitted(self) -> Tensor:
        if self.values is None:
            raise InputError("this `CodesDiscretizer` must be fitted first: call `.fit(source)`.")
        return self.values

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


def _column(source: Tensor) -> Tensor:
    source = as_tensor(source, "source")
    if source.ndim == 2 and source.shape[1] == 1:
        source = source[:, 0]
    if source.ndim != 1:
        raise ShapeError(
            f"`source` must have one dimension for quantile bins, (N,) or (N, 1); its shape was "
            f"{tuple(source.shape)}. Use `KMeansDiscretizer` for more."
        )
    return source.detach().double().contiguous()


def _integers(source: Tensor) -> Tensor:
    source = as_tensor(source, "source")
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

"""The predicted class as a code: of a head's class scores, or of a linear readout of embeddings."""

import torch
from torch import Tensor

from mmpid.errors import ConfigError, InputError, ShapeError
from mmpid.estimate.kmeans import power_of_two
from mmpid.estimate.typed import contract, share, solve
from mmpid.pid.typed import as_tensor


class PredictionDiscretizer:
    """The predicted class: argmax of class scores, or of a linear readout fitted to embeddings.

    Parameters
    ----------
    inputs : "scores" or "embeddings"
        ``"scores"``: sources are (N, k) logits or probabilities of a trained head, and nothing is learned here.
        ``"embeddings"``: sources are (N, d), and `fit` learns a linear discriminant from the labels (class means,
        pooled covariance shrunk toward its diagonal).
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

    def __init__(self, inputs: str = "scores", *, soft: bool = False, shrinkage: float = 0.1):
        if inputs not in ("scores", "embeddings"):
            raise ConfigError(f'`inputs` must be "scores" or "embeddings"; it was {inputs!r}.')
        self.inputs, self.soft = inputs, soft
        self.shrinkage = share(shrinkage, "shrinkage")
        self.weight: Tensor | None = None
        self.bias: Tensor | None = None
        self._n_codes: int | None = None

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
        source = _matrix(source)
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
        source = _matrix(source)
        if self.inputs == "scores":
            if self._n_codes not in (None, source.shape[1]):
                raise InputError(
                    f"`source` must have {self._n_codes} columns, one score per class as at the fit; it had "
                    f"{source.shape[1]}. Pass scores of the same head."
                )
            return class_probabilities(source)
        if self.weight is None or source.shape[1] != len(self.weight):
            wanted = "no fit yet" if self.weight is None else f"{len(self.weight)} columns, as at the fit"
            raise InputError(
                f"`source` must fit this readout of embeddings, {wanted}; it had {source.shape[1]} columns. "
                "Call `.fit(source, target)` first, and pass embeddings of the same encoder."
            )
        bias = torch.zeros(()) if self.bias is None else self.bias
        return (source.detach().double() @ self.weight.to(source.device) + bias.to(source.device)).softmax(-1)

    def nested_probabilities(self, source: Tensor, target: Tensor, fold: Tensor, count: int) -> Tensor:
        """Return class probabilities (count, N, k) of readouts for nested cross-fitting.

        ``fold`` (N,) is the fold of each sample, below ``count``. In row j a sample of fold i is read by a readout
        that saw neither fold i nor fold j.
        """
        k = max(int(target.max()) + 1, self._n_codes or 0)
        size = power_of_two(source)
        source = source.detach().double() / size
        source = source - source.mean(0)
        left_out = 1 - torch.eye(count, dtype=torch.float64, device=source.device)
        kept = left_out[:, None] * left_out[None]  # (j, i, fold): 1 where the readout of this pair saw the fold
        weight, bias = _discriminants(source, target, fold, kept.flatten(0, 1), k, self.shrinkage)
        weight, bias = (x.view(count, count, *x.shape[1:]) for x in (weight, bias))
        probs = source.new_empty(count, len(source), k)
        for i in range(count):
            inside = (fold == i).nonzero()[:, 0]
            probs[:, inside] = (source[inside] @ weight[:, i] + bias[:, i, None]).softmax(-1)
        return probs

    def transform(self, source: Tensor) -> Tensor:
        """Predicted class, int64 (N,)."""
        return self.probabilities(source).argmax(-1)

    def state_dict(self) -> dict[str, Tensor]:
        """Weights of the readout and the number of classes."""
        state = {} if self._n_codes is None else {"n_codes": torch.tensor(self._n_codes)}
        if self.weight is None or self.bias is None:
            return state
        return {**state, "weight": self.weight, "bias": self.bias}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore what `state_dict` gave."""
        self._n_codes = int(state["n_codes"]) if "n_codes" in state else None
        self.weight, self.bias = state.get("weight"), state.get("bias")

    def __repr__(self) -> str:
        return f"PredictionDiscretizer(inputs={self.inputs!r}, soft={self.soft})"


def class_probabilities(scores: Tensor) -> Tensor:
    """Rows of probabilities from scores (N, k): kept if they are probabilities already, softmax of logits if not."""
    scores = scores.double()
    with torch.no_grad():
        is_probability = bool((scores >= 0).all() and (scores.sum(-1) - 1).abs().max() < 1e-4)
    return scores / scores.sum(-1, keepdim=True) if is_probability else scores.softmax(-1)


def _discriminant(source: Tensor, target: Tensor, n_classes: int, shrinkage: float) -> tuple[Tensor, Tensor]:
    """Weight (d, k) and bias (k,) of a linear discriminant; a class without samples gets probability 0."""
    size = power_of_two(source)  # embeddings of any size are read alike
    source = source / size
    counts = torch.bincount(target, minlength=n_classes).double()
    means = torch.zeros(n_classes, source.shape[1], dtype=torch.float64, device=source.device)
    means.index_add_(0, target, source)
    means /= counts.clamp(min=1)[:, None]
    residual = source - means[target]
    pooled = residual.T @ residual / len(source)
    diagonal = pooled.diagonal()
    floor = 1e-6 * float(diagonal.mean()) + 1e-24  # the second part for constants, whose variance is rounding
    pooled = (1 - shrinkage) * pooled + torch.diag(shrinkage * diagonal + floor)
    weight = solve(pooled, means.T)
    bias = -0.5 * (means.T * weight).sum(0) + (counts / counts.sum()).log()
    return weight / size, bias


def _discriminants(
    source: Tensor, target: Tensor, fold: Tensor, kept: Tensor, n_classes: int, shrinkage: float
) -> tuple[Tensor, Tensor]:
    """Weight (p, d, k) and bias (p, k) of discriminants of centered samples, each fitted on the folds kept (p, f)."""
    n_folds, d = kept.shape[1], source.shape[1]
    cells = fold * n_classes + target
    counts = torch.bincount(cells, minlength=n_folds * n_classes).double().view(n_folds, n_classes)
    sums = source.new_zeros(n_folds * n_classes, d).index_add_(0, cells, source).view(n_folds, n_classes, d)
    squares = torch.stack([source[fold == f].T @ source[fold == f] for f in range(n_folds)])
    counts, sums, squares = kept @ counts, contract(kept, sums), contract(kept, squares)
    means = sums / counts.clamp(min=1).unsqueeze(-1)
    total = counts.sum(1)
    pooled = (squares - sums.mT @ means) / total.view(-1, 1, 1)
    diagonal = pooled.diagonal(dim1=1, dim2=2).clamp(min=0)
    floor = 1e-6 * diagonal.mean(1, keepdim=True) + 1e-24
    pooled = (1 - shrinkage) * pooled + torch.diag_embed(shrinkage * diagonal + floor)
    weight = solve(pooled, means.mT)
    bias = -0.5 * (means.mT * weight).sum(1) + (counts / total.unsqueeze(1)).log()
    return weight, bias


def _matrix(source: Tensor) -> Tensor:
    source = as_tensor(source, "source")
    if source.ndim != 2:
        raise ShapeError(f"`source` must have two axes (N, d); its shape was {tuple(source.shape)}.")
    return source

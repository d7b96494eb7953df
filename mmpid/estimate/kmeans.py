"""The k-means codebook: L2-normalized, PCA-reduced embeddings, warm-started from its previous fit."""

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import normalize

from mmpid._validate import finite
from mmpid.errors import ConfigError, InputError, ShapeError
from mmpid.estimate.libraries import best_matching, kmeans_centers
from mmpid.estimate.typed import eigh, share, unique
from mmpid.pid.typed import as_tensor, integer

# A basis or codebook of an earlier fit is kept while it explains this share of what a fresh one would.
KEEP_BASIS = 0.95


def auto_clusters(n_samples: int, n_classes: int) -> int:
    """Largest n <= 20 with n^2 k <= N / 2, and at least 4: two samples per cell of the full table where possible."""
    return max(4, min(20, int((n_samples / (2 * n_classes)) ** 0.5)))


class KMeansDiscretizer:
    """Cluster the embeddings of one source; a code is the index of the nearest center.

    Embeddings are L2-normalized (unless they have one dimension), centered and projected onto their leading
    principal components; k-means runs there, with scikit-learn on the CPU and with torch on a GPU.
    Fitted again, it starts from its previous centers and keeps their order, so that a trace of probes of a
    slowly changing encoder does not jump because clusters were found again; the principal axes are kept while they
    explain at least 95 % of the variance that fresh ones would.

    Parameters
    ----------
    n_clusters : int or "auto"
        Number of codes; fewer when there are fewer distinct points. ``"auto"``: the largest n <= 20 with
        n^2 k <= N / 2 and at least 4, for N samples and k classes (`fit` then needs the target, to count classes).
    n_components : int
        Principal components kept, at least 1.
    warm_start : bool
        Start a second fit from the first; ``False`` starts again with the same seed.
    memory : float from 0 to 1
        Weight of the previous centers in a warm-started fit: each new center is ``memory`` old and the rest new.
        0 forgets them once they have started the search; values toward 1 steady a trace and make it lag.
    seed : int
        Seed of the k-means++ start.
    backend : "auto", "sklearn" or "torch"
        ``"auto"`` is torch for tensors on a GPU and scikit-learn otherwise.

    Notes
    -----
    Clusters see no labels, so no cross-fitting is needed; the bias of counting remains. k-means keeps what varies
    most, which need not be what tells the target.

    Examples
    --------
    >>> import torch
    >>> points = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]])
    >>> codes = KMeansDiscretizer(n_clusters=2, n_components=1).fit(points).transform(points)
    >>> bool(codes[0] == codes[1]), bool(codes[0] == codes[2])
    (True, False)
    """

    saw_labels = False

    def __init__(
        self,
        n_clusters: int | Literal["auto"] = 20,
        n_components: int = 5,
        *,
        warm_start: bool = True,
        memory: float = 0.0,
        seed: int = 0,
        backend: str = "auto",
    ):
        if n_clusters != "auto":
            n_clusters = integer(n_clusters, "n_clusters", 1)
        if backend not in ("auto", "sklearn", "torch"):
            raise ConfigError(f'`backend` must be "auto", "sklearn" or "torch"; it was {backend!r}.')
        self.n_clusters: int | Literal["auto"] = n_clusters
        self.n_components = integer(n_components, "n_components", 1)
        self.memory = share(memory, "memory")
        self.seed = integer(seed, "seed", 0)
        self.warm_start, self.backend = warm_start, backend
        self.mean: Tensor | None = None
        self.components: Tensor | None = None
        self.centers: Tensor | None = None

    @property
    def n_codes(self) -> int:
        """Number of codes of the fitted codebook."""
        return len(self._fitted()[2])

    def fit(self, source: Tensor, target: Tensor | None = None) -> "KMeansDiscretizer":
        """Find the codebook of ``source`` (N, d); the target only counts classes for ``n_clusters="auto"``."""
        rows = _rows(source)
        previous = self._previous_centers(rows)
        self.mean, self.components = self._basis(rows)
        points = (rows - self.mean) @ self.components
        n_clusters = min(self._n_clusters(len(rows), target), _n_distinct(points, float(rows.abs().max())))
        start = None
        if previous is not None and len(previous) == n_clusters:
            start = (previous - self.mean) @ self.components
        centers = self._cluster(points, n_clusters, start)
        if start is not None:
            centers = self.memory * start + (1 - self.memory) * centers[_match(start, centers)]
        self.centers = centers
        return self

    def transform(self, source: Tensor) -> Tensor:
        """Give the index of the nearest center, int64 (N,)."""
        points, centers = self._projected(source)
        return torch.cdist(points, centers).argmin(-1)

    def transform_without(self, source: Tensor, kept: Tensor) -> Tensor:
        """Give the codes (F, N) of codebooks fitted on parts of a sample, for cross-fitting.

        ``kept`` (F, N) says which samples each fit may see. Each starts from the centers of this codebook and keeps its
        principal axes, so that a code means nearly the same in all of them.
        """
        points, centers = self._projected(source)
        rows: list[Tensor] = []
        for part in kept.bool():
            moved = _lloyd_torch(points[part], len(centers), centers, self.seed)
            moved = self.memory * centers + (1 - self.memory) * moved
            rows.append(torch.cdist(points, moved).argmin(-1))
        return torch.stack(rows)

    def _projected(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """Give samples and centers in the reduced space, on the device of the samples."""
        mean, components, centers = self._fitted()
        rows = _rows(source)
        if rows.shape[1] != len(mean):
            raise InputError(
                f"`source` must have {len(mean)} columns, as at the fit of this codebook; it had {rows.shape[1]}."
            )
        device = rows.device
        return (rows - mean.to(device)) @ components.to(device), centers.to(device)

    def state_dict(self) -> dict[str, Tensor]:
        """Tensors of the codebook, for a checkpoint; empty before the first fit."""
        if self.mean is None or self.components is None or self.centers is None:
            return {}
        return {"mean": self.mean, "components": self.components, "centers": self.centers}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore what `state_dict` gave; the next fit continues from it."""
        tensors = {name: state.get(name) for name in ("mean", "components", "centers")}
        self.__dict__.update({name: None if t is None else t.double().clone() for name, t in tensors.items()})

    def __repr__(self) -> str:
        return f"KMeansDiscretizer(n_clusters={self.n_clusters!r}, n_components={self.n_components})"

    def _n_clusters(self, n_samples: int, target: Tensor | None) -> int:
        """Resolve "auto"."""
        if self.n_clusters != "auto":
            return self.n_clusters
        if target is None:
            raise InputError('`target` must be given to `fit` when `n_clusters="auto"`: the rule counts classes.')
        return auto_clusters(n_samples, len(unique(target)))

    def _previous_centers(self, rows: Tensor) -> Tensor | None:
        """Centers of the last fit in the space of the embeddings, or None if there are none to start from."""
        if not self.warm_start or self.centers is None or len(self._fitted()[0]) != rows.shape[1]:
            return None
        mean, components, centers = (part.to(rows.device) for part in self._fitted())
        return centers @ components.T + mean

    def _basis(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (d,) and principal axes (d, c), kept from the last fit while they explain nearly as much."""
        mean, axes, explained = _principal_axes(rows, self.n_components)
        old = self.components
        if not self.warm_start or old is None or self.mean is None or old.shape != axes.shape:
            return mean, axes
        old_mean, old = self.mean.to(rows.device), old.to(rows.device)
        shift = float(((mean - old_mean) ** 2).sum())
        kept = float((((rows - mean) @ old) ** 2).sum(-1).mean())
        return (old_mean, old) if kept >= KEEP_BASIS * explained and shift <= 0.05 * explained else (mean, axes)

    def _cluster(self, points: Tensor, n_clusters: int, start: Tensor | None) -> Tensor:
        """Centers (n, c) in the reduced space."""
        on_gpu = points.device.type != "cpu"
        if self.backend == "torch" or (self.backend == "auto" and on_gpu):
            return _lloyd_torch(points, n_clusters, start, self.seed)
        return _lloyd_sklearn(points, n_clusters, start, self.seed)

    def _fitted(self) -> tuple[Tensor, Tensor, Tensor]:
        """Mean, principal axes and centers of the last fit."""
        if self.mean is None or self.components is None or self.centers is None:
            raise InputError("this `KMeansDiscretizer` must be fitted first: call `.fit(source)`.")
        return self.mean, self.components, self.centers


def _rows(source: Tensor) -> Tensor:
    """Float64 rows of unit length; a single column stays as it is, since its unit length is only a sign."""
    rows = as_tensor(source, "source").detach().double()
    if rows.ndim not in (1, 2) or 0 in rows.shape:
        raise ShapeError(f"`source` must have shape (N, d) or (N,); it was {tuple(rows.shape)}. Flatten samples.")
    finite(rows, "source")
    rows = rows[:, None] if rows.ndim == 1 else rows
    # of a size at which squares neither vanish nor overflow
    return normalize(rows / power_of_two(rows), dim=1) if rows.shape[1] > 1 else rows


def power_of_two(rows: Tensor) -> float:
    """Return the power of two next above the largest size in `rows`, by which division is exact; 1 if all are 0."""
    largest = float(rows.abs().max())
    return 2.0 ** min(math.frexp(largest)[1], 1023) if largest else 1.0


def _principal_axes(rows: Tensor, n_components: int) -> tuple[Tensor, Tensor, float]:
    """Mean, leading principal axes (d, c) and the variance they explain; through the smaller Gram matrix."""
    mean = rows.mean(0)
    centered = rows - mean
    n, d = rows.shape
    if d <= n:
        values, vectors = eigh(centered.T @ centered)
        axes = vectors.flip(-1)[:, : min(n_components, d)].contiguous()  # the layout in which a checkpoint restores it
    else:
        values, vectors = eigh(centered @ centered.T)
        axes = normalize(centered.T @ vectors.flip(-1)[:, : min(n_components, n)], dim=0)
    explained = float(values.flip(-1)[: axes.shape[1]].clamp(min=0).sum()) / n
    return mean, axes, explained


def _n_distinct(points: Tensor, size: float) -> int:
    """Count points that differ by more than rounding, that of rows of this size."""
    scale = float(points.abs().max()) or 1.0
    return len(unique((points / scale * 1e8).round(), dim=0)) if scale > 1e-12 * size else 1


def _match(old: Tensor, new: Tensor) -> Tensor:
    """Order of the new centers that puts each beside the old one it continues (least total squared distance)."""
    order = best_matching((torch.cdist(old, new) ** 2).cpu().numpy())
    return torch.as_tensor(order, device=new.device)


def _lloyd_sklearn(points: Tensor, n_clusters: int, start: Tensor | None, seed: int) -> Tensor:
    """k-means by scikit-learn, one run from `start` or two k-means++ runs."""
    if n_clusters == 1:
        return points.mean(0, keepdim=True)
    first = None if start is None else start.cpu().numpy()
    return torch.as_tensor(kmeans_centers(points.cpu().numpy(), n_clusters, first, seed), device=points.device)


def _lloyd_torch(points: Tensor, n_clusters: int, start: Tensor | None, seed: int, max_iter: int = 100) -> Tensor:
    """k-means by Lloyd's iterations on the device of `points`; an empty cluster moves to the farthest point."""
    centers = _plus_plus(points, n_clusters, seed) if start is None else start.clone()
    for _ in range(max_iter):
        distance, codes = torch.cdist(points, centers).min(-1)
        counts = torch.bincount(codes, minlength=n_clusters)
        sums = torch.zeros_like(centers).index_add_(0, codes, points)
        moved = torch.where(counts[:, None] > 0, sums / counts.clamp(min=1)[:, None], centers)
        empty = (counts == 0).nonzero()[:, 0]
        moved[empty] = points[distance.topk(len(empty)).indices]
        shift = float((moved - centers).abs().max())
        centers = moved
        if shift < 1e-6:
            break
    return centers


def _plus_plus(points: Tensor, n_clusters: int, seed: int) -> Tensor:
    """k-means++ start: each next center is a point drawn with probability by squared distance to the nearest."""
    generator = torch.Generator().manual_seed(seed)
    uniform = torch.rand(n_clusters, generator=generator, dtype=torch.float64).to(points.device)
    chosen = [points[int(uniform[0] * len(points))]]
    nearest = ((points - chosen[0]) ** 2).sum(-1)
    for u in uniform[1:]:
        cumulative = nearest.cumsum(0)
        index = torch.searchsorted(cumulative, u * cumulative[-1]).clamp(max=len(points) - 1)
        chosen.append(points[index])
        nearest = torch.minimum(nearest, ((points - chosen[-1]) ** 2).sum(-1))
    return torch.stack(chosen)

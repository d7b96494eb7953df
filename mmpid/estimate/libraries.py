"""What the estimators need of SciPy and scikit-learn, with types; both load slowly, so only at the first use.

Neither has type stubs, hence the three exceptions to the rules of the type checker.
"""

import importlib
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray


def best_matching(cost: NDArray[Any]) -> NDArray[np.intp]:
    """Return for each row the column of the assignment with the least total cost."""
    from scipy.optimize import linear_sum_assignment  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

    return cast("NDArray[np.intp]", linear_sum_assignment(cost)[1])


def student_quantile(level: float, degrees: int) -> float:
    """Return a quantile of Student's t distribution."""
    from scipy.special import stdtrit  # pyright: ignore[reportMissingTypeStubs]

    return float(stdtrit(degrees, level))


def kmeans_centers(points: NDArray[Any], n_clusters: int, start: NDArray[Any] | None, seed: int) -> NDArray[Any]:
    """Return the centers of k-means: of one run from `start`, or of the better of two k-means++ runs."""
    from sklearn.cluster import KMeans  # pyright: ignore[reportMissingTypeStubs]

    init, n_init = ("k-means++", 2) if start is None else (start, 1)
    model = cast(Any, KMeans)(n_clusters, init=init, n_init=n_init, max_iter=100, random_state=seed % 2**32)
    return model.fit(points).cluster_centers_


def load_thread_pools() -> None:
    """Load scikit-learn's clustering: its thread pool must be there before pools are limited."""
    importlib.import_module("sklearn.cluster")

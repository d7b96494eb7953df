"""`mmpid.datasets.read`: recognize the layout of a folder, and open the data in it."""

import inspect

from mmpid.datasets.inspection import OWN, folder_of, inspect_folder
from mmpid.datasets.multimodal import MultimodalData
from mmpid.datasets.readers import (
    affect,
    ave,
    avmnist,
    by_split,
    cgmnist_folder,
    cremad,
    food,
    kinetics,
    ucf,
    vggsound,
)
from mmpid.datasets.readers.arrays import read_arrays
from mmpid.errors import ConfigError, InputError

READERS = {
    OWN: read_arrays,
    cremad.AS_PUBLISHED: cremad.read_as_published,
    cremad.WITH_WAV: cremad.read_with_sound,
    cremad.WITH_BANKS: cremad.read_with_banks,
    by_split.FRAMES_AND_BANKS: by_split.read_banks_by_split,
    by_split.IMAGES_AND_TOKENS: by_split.read_tokens_by_split,
    ave.CUT: ave.read_ave,
    ave.AS_PUBLISHED: ave.read_as_published,
    kinetics.SPECTROGRAMS: kinetics.read_spectrograms,
    kinetics.BY_SPLIT: kinetics.read_by_split,
    kinetics.BY_CLASS: kinetics.read_by_class,
    ucf.TITLE: ucf.read_ucf,
    food.TITLE: food.read_food,
    avmnist.TITLE: avmnist.read_avmnist,
    vggsound.TITLE: vggsound.read_vggsound,
    affect.TITLE: affect.read_affect,
    cgmnist_folder.TITLE: cgmnist_folder.read_cgmnist_folder,
}


COMMON = ("seed", "standardize", "name", "origin", "license", "options")
OF_ARRAYS = ("split", "groups", "missing", "impute", "class_names")
OF_CLIPS = ("in_memory", "num_workers", "cache", "cache_bytes")


def reader_options(path) -> tuple[str, ...]:
    """Return the options of the reader of a folder, beside those of every data set."""
    layout = inspect_folder(folder_of(path)).layout
    return _own_options(layout) if layout in READERS else ()


def _own_options(layout: str) -> tuple[str, ...]:
    return tuple(name for name in inspect.signature(READERS[layout]).parameters if name not in ("root", "options"))


def _check_options(layout: str, options: dict) -> None:
    """Refuse an option that the reader of a layout does not take."""
    own = _own_options(layout)
    more = OF_CLIPS if "size" in own else ("missing", "impute") if own else OF_ARRAYS
    takes = (*own, *more, *COMMON)
    for name in options:
        if name not in takes:
            raise ConfigError(f"{layout}: the reader takes {', '.join(takes)}; it was given {name!r}.")


def readable(layout: str) -> bool:
    """Whether a layout, as an inspection names it, can be opened."""
    return layout in READERS


def read(path, **options) -> MultimodalData:
    """Open a data set from a folder in one of its usual layouts.

    Parameters
    ----------
    path : path
        The folder; `~` is understood.
    **options
        `seed`, `standardize`, `name`, `origin`, `license`, `options`; for clips also `size` (of images), `frames`,
        `split` ("official", "group", "random"), `in_memory`, `num_workers`, `cache` (a folder that
        keeps decoded clips, so that each is decoded once), `cache_bytes` (its largest size), and for arrays what
        :meth:`mmpid.MultimodalData.from_arrays` takes. An unknown option raises an error that lists the known ones.

    Returns
    -------
    MultimodalData
        Its `notes` say which layout was read and what was left out.

    Raises
    ------
    InputError
        The folder does not exist, its layout is unknown, or it has no reader.
    ConfigError
        An option that the reader does not take.
    MissingDependencyError
        Images are to be decoded and Pillow is not installed.

    Notes
    -----
    Nothing is unpickled. :func:`mmpid.datasets.inspect_folder` says what is missing without opening anything.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> folder, rng = pathlib.Path(tempfile.mkdtemp()), np.random.default_rng(0)
    >>> np.savez(folder / "all.npz", audio=rng.normal(size=(80, 4)), image=rng.normal(size=(80, 5, 5)),
    ...          labels=np.arange(80) % 2)
    >>> read(folder).shapes
    {'audio': (4,), 'image': (5, 5)}
    """
    root = folder_of(path)
    found = inspect_folder(root)
    if not readable(found.layout):
        said = (
            found.problems[0] if not found.layout else f"the layout was recognized, {found.layout}, and has no reader"
        )
        raise InputError(
            f"`path` must be a folder that can be read; {str(path)!r}: {said}. Layouts with a reader: "
            f"{'; '.join(READERS)}. For others use MultimodalData.from_arrays or from_datasets."
        )
    _check_options(found.layout, options)
    return READERS[found.layout](root, **options)

"""Write a small folder in one of the layouts in which the field's data sets circulate: tones and drawn frames."""

import os
from pathlib import Path

from mmpid import _validate
from mmpid.datasets.folder_writer import Writer
from mmpid.datasets.layout_writers import WRITERS
from mmpid.datasets.readers.media import require_pillow
from mmpid.errors import InputError

ARRAYS_ONLY = ("av-mnist", "mosi", "cg-mnist")  # layouts without images in files of their own


def make_folder(layout: str, path, *, n: int = 60, seed: int = 0) -> Path:
    """Write a small folder in one of the layouts of the field: tones, drawn frames and lists of a split.

    Parameters
    ----------
    layout : str
        "cremad" (frames and wav), "cremad-raw" (videos and wav; needs the program `ffmpeg`), "cremad-pmr",
        "cremad-fbank", "cremad-mla", "ave", "ave-raw" (videos; needs `ffmpeg`),
        "kinetics-sounds", "kinetics-sounds-valuation", "kinetics-sounds-arl",
        "ucf-101", "food-101", "mvsa", "av-mnist", "vggsound", "mosi" or "cg-mnist".
    path : path
        A folder that is empty or does not exist yet.
    n : int
        Clips, 40 to 7,442, which is all of CREMA-D.
    seed : int
        Seed of what is drawn.

    Returns
    -------
    Path
        The folder, which :func:`mmpid.datasets.read` opens.

    Raises
    ------
    InputError
        The folder holds files already.
    MissingDependencyError
        Pillow is not installed, and the layout holds images.

    Notes
    -----
    Names, lists and kinds of files are those of the published layouts. Images and spectrograms are smaller, and their
    content is made up: nothing that is learned from such a folder holds for the real data.

    Examples
    --------
    >>> import tempfile
    >>> from mmpid import datasets
    >>> folder = make_folder("av-mnist", tempfile.mkdtemp(), n=70)
    >>> datasets.read(folder).shapes
    {'audio': (112, 112), 'image': (28, 28)}
    """
    write = WRITERS[_validate.choice(layout, "layout", WRITERS)]
    n = _validate.number(n, "n", low=40, high=7442, integer=True)
    seed = _validate.number(seed, "seed", low=0, integer=True)
    root = Path(os.path.expanduser(_validate.path(path, "path")))
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise InputError(f"`path` must be an empty folder; {str(root)!r} is not. Name another one.")
    if layout not in ARRAYS_ONLY:
        require_pillow()
    root.mkdir(parents=True, exist_ok=True)
    write(Writer(root, seed), n)
    return root

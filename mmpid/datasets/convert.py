"""Write a data set as plain arrays, one archive per split: what was decoded once need not be decoded again."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from mmpid import _validate
from mmpid.datasets.cuts import SPLITS
from mmpid.datasets.multimodal import MultimodalData
from mmpid.errors import InputError


def convert_folder(data: MultimodalData, out) -> Path:
    """Write `train.npz`, `probe.npz`, `validation.npz` and `test.npz`, which :func:`mmpid.datasets.read` opens.

    Each holds the modalities as float32, `labels` as the names of the classes, and `groups` where there are some. A
    file is written under another name and renamed when it is complete, so a killed conversion leaves none cut short.

    Parameters
    ----------
    data : MultimodalData
        The data, in memory or streamed; one split at a time is read into memory.
    out : path
        A folder that is empty or does not exist yet.

    Raises
    ------
    InputError
        The folder holds files already.
    """
    folder = Path(os.path.expanduser(_validate.path(out, "out")))
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"`out` must be an empty folder; {str(folder)!r} is not. Name another one.")
    folder.mkdir(parents=True, exist_ok=True)
    names = np.array(data.class_names)
    for name in SPLITS:
        split = data.split(name).in_memory()
        arrays: dict[str, Any] = {key: x.cpu().numpy() for key, x in split.inputs.items()}
        arrays |= {"labels": names[split.target.cpu().numpy()], "class_names": names}
        if split.groups is not None:
            arrays["groups"] = split.groups.numpy()
        unfinished = folder / f".{name}.npz.part"
        with open(unfinished, "wb") as stream:
            np.savez(stream, **arrays)
        os.replace(unfinished, folder / f"{name}.npz")
    return folder

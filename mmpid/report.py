"""How a notebook hands its numbers over: one JSON file, and the same numbers in its output."""

import json
import numbers
import os
from collections.abc import Mapping
from pathlib import Path

from mmpid.errors import InputError

MIME = "application/vnd.mmpid.values+json"


class Published(dict):
    """The published values; in a notebook the cell's output carries them as JSON."""

    def _repr_mimebundle_(self, include=None, exclude=None):
        text = "\n".join(f"{name} = {value:.6g}" for name, value in self.items())
        return {"text/plain": text, MIME: dict(self)}


def publish(name: str, values: Mapping[str, float], *, out_dir="") -> Published:
    """Hand over the numbers that a notebook claims; `mmpid check` compares them with the stored references.

    Parameters
    ----------
    name : str
        Name of the notebook without its ending.
    values : mapping of str to float
        Flat, finite numbers.
    out_dir : path, optional
        Folder for `name.json`; "" writes no file, or one into the folder that `mmpid check` asks for.

    Returns
    -------
    Published
        A dict; as the last expression of a cell it is also stored in the notebook.

    Examples
    --------
    >>> publish("demo", {"gain": 0.04})["gain"]
    0.04
    """
    if not isinstance(name, str) or not isinstance(values, Mapping):
        raise InputError(
            f"`name` must be text and `values` map names to numbers; they were {type(name).__name__} and "
            f"{type(values).__name__}. Try publish('01_quickstart', {{'gain': 0.04}})."
        )
    checked = Published()
    for key, value in values.items():
        item = getattr(value, "item", None)
        number = item() if item is not None and set(getattr(value, "shape", ())) <= {1} else value
        if not isinstance(number, numbers.Real) or number != number or abs(number) == float("inf"):
            raise InputError(
                f"`values[{key!r}]` must be a finite number; it was {value!r}. Publish only what can be compared."
            )
        checked[str(key)] = float(number)
    folder = out_dir or os.environ.get("MMPID_OUT_DIR", "")
    if folder:
        path = Path(os.path.expanduser(os.path.expandvars(folder))) / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(checked, indent=1) + "\n")
    return checked

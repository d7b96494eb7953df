"""Class labels as users give them: integers, text, bytes, pandas categories; inside they are int64 from 0."""

import sys
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmpid._coerce import EXACT, as_tensor, finite
from mmpid.errors import InputError, ShapeError


def labels(value, name: str, length: int | None = None) -> Tensor:
    """Return integer class labels of shape (N,) as int64; a column (N, 1) is one, and whole floats are integers."""
    tensor = as_tensor(value, name).detach()
    if tensor.ndim == 2 and tensor.shape[1] == 1:
        tensor = tensor[:, 0]
    if tensor.ndim != 1:
        raise ShapeError(
            f"`{name}` must have one axis (N,), a class index per sample; its shape was {tuple(tensor.shape)}."
            + _advice_on_columns(tensor, name)
        )
    if length is not None and len(tensor) != length:
        raise ShapeError(f"`{name}` must have one entry per sample, {length}; it had {len(tensor)}.")
    if not tensor.is_floating_point():
        return tensor.to(torch.int64)
    finite(tensor, name)
    fraction = tensor != tensor.round()
    if bool(fraction.any()):
        raise InputError(
            f"`{name}` must hold class indices; it held fractions such as {float(tensor[fraction][0]):g}. Is it the "
            f"right column? For classes of a number, cut it: `numpy.digitize({name}, edges)`."
        )
    if len(tensor) and float(tensor.abs().max()) > EXACT:
        raise InputError(
            f"`{name}` must hold class indices up to {EXACT}, or digits are lost; it held "
            f"{float(tensor.abs().max()):g}. Try `numpy.unique({name}, return_inverse=True)[1]`."
        )
    return tensor.to(torch.int64)


def _advice_on_columns(tensor: Tensor, name: str) -> str:
    """Say what to type for a table of one column per class."""
    if tensor.ndim != 2 or not tensor.numel():
        return ""
    if bool(((tensor == 0) | (tensor == 1)).all()):
        if bool((tensor.sum(1) == 1).all()):
            return f" It is one-hot: try `numpy.asarray({name}).argmax(1)`, and name the columns with `class_names`."
        return " It marks several classes per sample, which is not supported: choose one class for each sample."
    return f" If it holds scores of the classes, try `numpy.asarray({name}).argmax(1)`."


def refuse_unlabeled(values: Tensor, name: str) -> None:
    """Refuse the marks of samples without a label among the sorted distinct labels: -100, and -1 beside 0, 1, ..."""
    low = int(values[0]) if len(values) else 0
    counted = low == -1 and len(values) > 2 and int(values[1]) == 0
    if -100 in values.tolist() or counted:
        mark = -100 if -100 in values.tolist() else -1
        raise InputError(
            f"`{name}` holds {mark} beside other labels, which usually marks samples without a label. Leave those "
            f"samples out, `keep = {name} != {mark}`. If it is a class, give the classes names or count them from 0: "
            f"`numpy.unique({name}, return_inverse=True)[1]`."
        )


def entries(value) -> np.ndarray:
    """Return the entries of a list as they are: NumPy makes text of the NaN, None or number that stands among text."""
    if isinstance(value, Tensor):
        value = as_tensor(value, "value").detach().cpu()
        value = value.to(torch.float32) if value.dtype == torch.bfloat16 else value
    if isinstance(value, np.ma.MaskedArray):  # a masked entry is missing
        mask = np.ma.getmaskarray(value)
        value = np.where(mask, np.array(None), value.data.astype(object)) if mask.any() else value.data
    try:
        array = np.asarray(value)
    except Exception:  # rows of several lengths, or an object that cannot be converted
        return _objects(value)
    listed = isinstance(value, list | tuple) and array.dtype.kind in "US"
    array = _objects(value) if listed else array
    return _decode(array) if array.dtype.kind in "SO" else array


def _objects(value) -> np.ndarray:
    try:
        return np.asarray(value, dtype=object)
    except Exception:  # rows of several lengths whose first axes agree
        array = np.empty(len(value), dtype=object)
        array[:] = list(value)
        return array


def _decode(array: np.ndarray) -> np.ndarray:
    """Return bytes, as HDF5 files store text, as text; what is not UTF-8 stays as it is."""
    if array.dtype.kind == "O" and not any(isinstance(entry, bytes) for entry in array.flat):
        return array
    out = array.astype(object)
    try:
        out.flat[:] = [entry.decode() if isinstance(entry, bytes) else entry for entry in out.flat]
    except UnicodeDecodeError:
        return array
    return out


def is_text(value) -> bool:
    """Whether an array, a list or a pandas column holds text, here or there."""
    if isinstance(value, Tensor):
        return False
    array = entries(value)
    return array.dtype.kind in "OU" and any(isinstance(entry, str) for entry in array.flat)


def text_labels(value, name: str, length: int) -> tuple[Tensor, tuple[str, ...]] | None:
    """Return labels that are text or ordered categories as int64 (N,), and the names of 0, 1, ...

    Text is counted in alphabetical order, a pandas category in the order of its categories. None for other labels.
    """
    categorical = _categorical(value)
    if categorical is not None:
        return _category_labels(categorical, name, length)
    if not is_text(value):
        return None
    array = entries(value)
    array = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
    if array.shape != (length,):
        raise ShapeError(f"`{name}` must have one label per sample, ({length},); its shape was {array.shape}.")
    missing = [i for i, label in enumerate(array) if not isinstance(label, str)]
    if missing:
        raise InputError(
            f"`{name}` must be text throughout, or integers; {len(missing)} of {length} labels are neither, the "
            f"first at index {missing[0]}: {array[missing[0]]!r}. Drop those samples first."
        )
    words, codes = np.unique(array.astype(str), return_inverse=True)
    return torch.as_tensor(codes.astype(np.int64)), tuple(words.tolist())


def _categorical(value):
    """Return a pandas Categorical whose order means something: an ordered one, or one of text."""
    pandas = sys.modules.get("pandas")
    if not pandas:
        return None
    if isinstance(value, pandas.DataFrame) and value.shape[1] == 1:
        value = value.iloc[:, 0]
    if isinstance(value, pandas.Series | pandas.Index):
        value = value.array
    if not isinstance(value, pandas.Categorical):
        return None
    text = len(value.categories) and all(isinstance(word, str) for word in value.categories)
    return value if value.ordered or text else None


def same_order(values: dict[str, Any]) -> None:
    """Refuse tables of pandas whose rows have the same index in another order: rows are taken as they stand."""
    pandas = sys.modules.get("pandas")
    if not pandas:
        return
    tables: dict[str, Any] = {
        name: x.index for name, x in values.items() if isinstance(x, pandas.DataFrame | pandas.Series)
    }
    for name, index in tables.items():
        first, other = next(iter(tables.items()))
        if len(index) != len(other) or index.equals(other):
            continue
        if index.value_counts().to_dict() == other.value_counts().to_dict():
            raise InputError(
                f"`{name}` must have its rows in the order of `{first}`; they have the same index in another order. "
                f"Try `{name}.loc[{first}.index]`, or `.reset_index(drop=True)` where the index means nothing."
            )


def absent_categories(value) -> tuple[str, ...]:
    """Return the pandas categories that no label has."""
    categorical = _categorical(value)
    if categorical is None:
        return ()
    present = set(np.unique(categorical.codes).tolist())
    return tuple(str(word) for i, word in enumerate(categorical.categories) if i not in present)


def _category_labels(value, name: str, length: int) -> tuple[Tensor, tuple[str, ...]]:
    if len(value) != length:
        raise ShapeError(f"`{name}` must have one label per sample, ({length},); its shape was ({len(value)},).")
    missing = np.flatnonzero(value.codes < 0)
    if len(missing):
        raise InputError(
            f"`{name}` must have a label for every sample; {len(missing)} of {length} are missing, the first at index "
            f"{missing[0]}. Drop those samples first."
        )
    present, codes = np.unique(value.codes, return_inverse=True)  # a category without samples is not a class here
    return torch.as_tensor(codes.astype(np.int64)), tuple(str(value.categories[i]) for i in present)

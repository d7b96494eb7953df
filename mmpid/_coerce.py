"""Turn what users pass as numbers or as labels into tensors without loss, or say what to type instead."""

import sys
from decimal import Decimal
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from mmpid.errors import InputError, ShapeError

DENSE_LIMIT = 2**32  # bytes; a sparse array that needs more than this as a dense one is refused
EXACT = 2**53  # whole numbers beyond this lose digits as float64
NUMBERS = (int, float, np.number, np.bool_, Decimal, Fraction)


def as_tensor(value, name: str) -> Tensor:
    """Return `value` as a dense tensor of real numbers, without a copy where possible.

    Sparse matrices of SciPy become dense, missing values of pandas and masked entries become NaN, and lists of
    tensors are stacked. A tensor keeps its device, its dtype and its gradient.
    """
    if isinstance(value, Tensor):
        return _check_tensor(value, name)
    if isinstance(value, list | tuple) and value and all(isinstance(entry, Tensor) for entry in value):
        return _check_tensor(_stack(value, name), name)
    try:
        array = _native(_as_array(value, name))
        return torch.as_tensor(array)
    except InputError:
        raise
    except Exception as problem:  # an object of another library may raise anything in __array__
        raise InputError(
            f"`{name}` must be an array or tensor of numbers; it was {type(value).__name__}: {problem}. "
            f"Try `numpy.asarray({name}, dtype=float)` to see what does not convert."
        ) from problem


def _check_tensor(value: Tensor, name: str) -> Tensor:
    if value.is_nested:
        raise InputError(
            f"`{name}` must be a dense tensor; it was a nested one, whose samples may differ in length. "
            f"Try `torch.nested.to_padded_tensor({name}, 0.0)`."
        )
    if value.layout != torch.strided or value.device.type == "meta":
        empty = value.device.type == "meta"
        what = "without data (device 'meta'). Load it" if empty else f"of layout {value.layout}. Try `.to_dense()`"
        raise InputError(f"`{name}` must be a dense tensor with data; it was one {what}.")
    if value.is_complex():
        raise InputError(f"`{name}` must hold real numbers; its dtype was {value.dtype}. Try `.abs()`.")
    if value.is_quantized:
        raise InputError(f"`{name}` must hold plain numbers; its dtype was {value.dtype}. Try `.dequantize()`.")
    if value.is_floating_point() and value.element_size() == 1:  # float8 has no arithmetic
        return value.to(torch.float32)
    if value.dtype in (torch.uint16, torch.uint32):  # most of torch cannot compute with them
        return value.to(torch.int64)
    return torch.as_tensor(_native(value.cpu().numpy())).to(value.device) if value.dtype == torch.uint64 else value


def _stack(values, name: str) -> Tensor:
    shapes = {tuple(entry.shape) for entry in values}
    if len(shapes) > 1:
        raise ragged(name, shapes)
    return torch.stack([entry.detach() if entry.requires_grad else entry for entry in values])


def ragged(name: str, shapes) -> ShapeError:
    """Return the error for samples of several shapes."""
    shown = ", ".join(map(str, sorted(shapes)[:3])) + (", ..." if len(shapes) > 3 else "")
    return ShapeError(
        f"`{name}` must have samples of one shape; they had the shapes {shown}. Crop them, or pad them: "
        f"`torch.nn.utils.rnn.pad_sequence([torch.as_tensor(x) for x in {name}], batch_first=True)`."
    )


def _check_dense_size(size: int, name: str) -> None:
    if size > DENSE_LIMIT:
        raise InputError(
            f"`{name}` is sparse and would need {size / 2**30:.1f} GiB as a dense array. Reduce its columns first, "
            f"for example with `TruncatedSVD(100).fit_transform({name})` of sklearn.decomposition."
        )


def _as_array(value, name: str) -> np.ndarray:
    """Return a NumPy array of a numeric dtype; missing values are NaN."""
    pandas = sys.modules.get("pandas")
    if type(value).__module__.startswith("scipy.sparse"):
        _check_dense_size(int(np.prod(value.shape)) * value.dtype.itemsize, name)
        value = value.toarray()
    elif pandas and isinstance(value, pandas.DataFrame | pandas.Series):
        value = _from_pandas(pandas, value, name)
    if isinstance(value, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(value)
        value = np.where(mask, np.nan, value.data.astype(float)) if mask.any() else value.data
    try:
        array = np.asarray(value)
    except ValueError:
        shapes = {np.shape(entry) for entry in value}
        if len(shapes) > 1:
            raise ragged(name, shapes) from None
        raise
    if array.dtype == object:
        array = _from_objects(array, name)
    if array.dtype.kind not in "fiub":
        raise InputError(_not_numbers(array, value, name))
    return array


def _from_pandas(pandas, value, name: str) -> np.ndarray:
    """Return numbers of a frame or a column of one; name the columns that hold none."""
    columns = [value.dtype] if isinstance(value, pandas.Series) else list(value.dtypes)
    numeric = [pandas.api.types.is_numeric_dtype(kind) for kind in columns]  # True for bool, too
    if all(numeric):
        plain = all(isinstance(kind, np.dtype) for kind in columns) and len({kind.kind for kind in columns}) == 1
        return value.to_numpy() if plain else value.to_numpy(dtype=float, na_value=np.nan)
    if isinstance(value, pandas.Series):
        if isinstance(value.dtype, pandas.CategoricalDtype):
            raise InputError(
                f"`{name}` must hold numbers; it was a column of categories. "
                f"Try `pandas.get_dummies({name}, dtype=float)`."
            )
        return value.to_numpy()
    others = [kind for kind, good in zip(columns, numeric, strict=True) if not good]
    if all(isinstance(kind, np.dtype) and kind.kind == "O" for kind in others):
        try:
            return _from_objects(value.to_numpy(dtype=object), name)
        except InputError:
            pass
    listed = [f"{column!r} ({kind})" for column, kind in zip(value.columns, columns, strict=True) if kind in others]
    raise InputError(
        f"`{name}` must hold numbers; these columns of the table do not: {', '.join(listed[:6])}. Leave them out, or "
        f"try {_as_numbers(others, name)}."
    )


def _as_numbers(kinds, name: str) -> str:
    """Return what turns columns without numbers into numbers."""
    letters = {kind.kind for kind in kinds}
    if "m" in letters:
        return f"`{name}.apply(lambda x: x.dt.total_seconds() if x.dtype.kind == 'm' else x)`"
    if "M" in letters:
        return f"`{name}.apply(lambda x: (x - x.min()).dt.total_seconds() if x.dtype.kind == 'M' else x)`"
    return f"`pandas.get_dummies({name}, dtype=float)`"


def _from_objects(array: np.ndarray, name: str) -> np.ndarray:
    """Return an array of objects as numbers: stack arrays of one shape, and make None and pandas.NA to NaN."""
    flat = array.ravel()
    nested = [entry for entry in flat if isinstance(entry, np.ndarray | Tensor | list | tuple)]
    if nested and len(nested) == len(flat):
        parts = [as_tensor(entry, name).detach().cpu().numpy() for entry in flat]
        shapes = {part.shape for part in parts}
        if len(shapes) > 1:
            raise ragged(name, shapes)
        return np.stack(parts).reshape(*array.shape, *parts[0].shape)
    if not flat.size or not any(isinstance(entry, NUMBERS) for entry in flat):
        return array
    missing = np.array([entry is None or str(entry) in ("<NA>", "NaT") for entry in flat])
    if not all(lost or isinstance(entry, NUMBERS) for lost, entry in zip(missing, flat, strict=True)):
        return array
    whole = all(isinstance(entry, int | np.integer) and not isinstance(entry, bool) for entry in flat)
    if whole and max(map(abs, map(int, flat))) < 2**63:
        return array.astype(np.int64)
    return np.array([np.nan if lost else float(entry) for lost, entry in zip(missing, flat, strict=True)]).reshape(
        array.shape
    )


def _not_numbers(array: np.ndarray, value, name: str) -> str:
    """Say what an array holds instead of real numbers, and what to type."""
    advice = {
        "c": f"complex numbers. Try `numpy.abs({name})`",
        "M": f"dates. Try `({name} - {name}.min()) / numpy.timedelta64(1, 's')`",
        "m": f"time differences. Try `{name} / numpy.timedelta64(1, 's')`",
        "V": f"records with named fields. Try `numpy.lib.recfunctions.structured_to_unstructured({name})` after "
        "`import numpy.lib.recfunctions`",
        "U": f"text. If it is text of numbers, try `numpy.asarray({name}, dtype=float)`; else leave it out",
        "S": f"bytes. If it is text of numbers, try `numpy.asarray({name}, dtype=float)`; else leave it out",
    }
    held = advice.get(array.dtype.kind)
    if held is None:
        listable = array.ndim == 0 and hasattr(value, "__iter__") and not hasattr(value, "__len__")
        held = f"Python objects such as {array.flat[0]!r:.60}" if array.size else "nothing"
        held += f". Try `list({name})`" if listable else ". Give an array, a list or a tensor of numbers"
    return f"`{name}` must be an array or tensor of numbers; it was {type(value).__name__} and holds {held}."


def _native(array: np.ndarray) -> np.ndarray:
    """Return an array that torch can take: native bytes, a dtype that torch has, writable, not reversed."""
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind == "u" and size > 1:  # torch has no full set of unsigned types
        fits = size < 8 or not array.size or int(array.max()) < 2**63
        return array.astype(np.int64 if fits else np.float64)
    if kind == "f" and size > 8:
        array = array.astype(np.float64)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if not array.flags.writeable or any(stride < 0 for stride in array.strides):
        array = array.copy()
    return array


def finite(tensor: Tensor, name: str, advice: str = "Drop or impute those samples first.") -> Tensor:
    """Return `tensor` if all its entries are finite; otherwise raise, saying how many are not and where."""
    if not tensor.is_floating_point():
        return tensor
    bad = ~torch.isfinite(tensor)
    if bad.any():
        first = tuple(int(i) for i in bad.nonzero()[0])
        raise InputError(
            f"`{name}` must be finite; {int(bad.sum())} of {tensor.numel()} entries are NaN or infinite, "
            f"the first at index {first}. {advice}"
        )
    return tensor

"""Any container, dtype, layout, gap or label at any door: the same numbers and classes, or one error of ours."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from mmpid import MultimodalData, estimate_pid
from mmpid.datasets.cuts import SPLITS
from mmpid.errors import MMPIDError, MMPIDWarning

N = 60
B = np.random.default_rng(5).normal(size=(N, 2))

DTYPES = ["f2", "f4", "f8", ">f4", ">f8", "g", "i1", "i2", "i4", "i8", ">i8", "u1", "u2", "u4", "u8", "?", "O"]
TORCH = [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.uint8, torch.int16, torch.int64, torch.bool]


def objects(rows):
    out = np.empty(len(rows), dtype=object)
    out[:] = list(rows)
    return out


LAYOUTS = {
    "plain": lambda x: x,
    "Fortran": np.asfortranarray,
    "reversed": lambda x: x[::-1].copy()[::-1],
    "strided": lambda x: np.repeat(x, 2, axis=0)[::2],
    "read-only": lambda x: np.lib.stride_tricks.as_strided(x, writeable=False),
}
CONTAINERS = {
    "array": lambda x: x,
    "list": lambda x: x.tolist(),
    "list of rows": list,
    "tuple": lambda x: tuple(x),
    "objects": objects,
    "frame": pd.DataFrame,
    "nullable frame": lambda x: pd.DataFrame(x).convert_dtypes(),
    "mixed frame": lambda x: pd.DataFrame(x).astype({0: object}),
    "series of rows": lambda x: pd.Series(list(x)),
    "masked": lambda x: np.ma.masked_array(x),
    "sparse": lambda x: scipy.sparse.csr_array(x.astype(float)),
    "tensor": lambda x: torch.as_tensor(x.astype(float)),
    "gradient": lambda x: torch.as_tensor(x.astype(float)).requires_grad_(),
    "list of tensors": lambda x: list(torch.as_tensor(x.astype(float))),
}
LABELS = {
    "int": lambda y: y,
    "uint8": lambda y: y.astype(np.uint8),
    "float": lambda y: y.astype(float),
    "object": lambda y: y.astype(object),
    "list": lambda y: y.tolist(),
    "column": lambda y: y[:, None],
    "tensor": torch.as_tensor,
    "float tensor": lambda y: torch.as_tensor(y, dtype=torch.float32),
    "nullable": lambda y: pd.Series(y, dtype="Int64"),
    "frame": lambda y: pd.DataFrame({"y": y}),
    "text": lambda y: np.array(["c", "a", "b", "d"])[y],
    "bytes": lambda y: np.array([b"c", b"a", b"b", b"d"])[y],
    "text objects": lambda y: np.array(["c", "a", "b", "d"], dtype=object)[y],
    "string column": lambda y: pd.Series(np.array(["c", "a", "b", "d"])[y], dtype="string"),
    "ordered": lambda y: pd.Categorical.from_codes(y, ["c", "a", "b", "d"], ordered=True),
    "category": lambda y: pd.Series(pd.Categorical.from_codes(y, ["c", "a", "b", "d"])),
    "numbered categories": lambda y: pd.Categorical.from_codes(y, [3, 1, 2, 0], ordered=True),
    "signs": lambda y: np.where(y % 2, 1, -1),
    "bool": lambda y: y % 2 == 1,
    "shifted": lambda y: y + 5,
}
BAD_LABELS = {
    "halves": lambda y: y + 0.5,
    "one-hot": lambda y: np.eye(4)[y],
    "gap": lambda y: np.where(np.arange(N) == 3, np.nan, y),
    "none": lambda y: [None if i == 3 else v for i, v in enumerate(y.tolist())],
    "na": lambda y: pd.Series(y, dtype="Int64").mask(np.arange(N) == 3),
    "missing category": lambda y: pd.Categorical.from_codes(np.where(np.arange(N) == 3, -1, y), list("cabd")),
    "unlabeled": lambda y: np.where(np.arange(N) == 3, -1, y),
    "ignored": lambda y: np.where(np.arange(N) == 3, -100, y),
    "huge": lambda y: y * 1e30 + 1e30,
    "complex": lambda y: y + 0j,
    "short": lambda y: y[:-1],
    "three axes": lambda y: y[:, None, None],
    "text and number": lambda y: ["a" if i % 2 else 1 for i in range(N)],
    "dates": lambda y: np.datetime64("2020-01-01") + y,
    "ragged": lambda y: [[1], [1, 2]] * (N // 2),
}


@st.composite
def samples(draw):
    """Return what a user passes, and the numbers that it means (NaN for what is missing)."""
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    values = rng.integers(0, 2 if draw(st.booleans()) else 20, size=(N, 3)).astype(float)
    values[0], values[1] = 0, 1
    if draw(st.booleans()):
        x = values.astype(draw(st.sampled_from(DTYPES)))
        meant = x.astype(float)
        x = LAYOUTS[draw(st.sampled_from(sorted(LAYOUTS)))](x)
        return CONTAINERS[draw(st.sampled_from(sorted(CONTAINERS)))](x), meant
    tensor = torch.as_tensor(values).to(draw(st.sampled_from(TORCH)))
    return tensor, tensor.to(torch.float64).numpy()


@st.composite
def gappy(draw):
    """Return samples with gaps, in the ways in which gaps are marked."""
    values = np.random.default_rng(draw(st.integers(0, 99))).normal(size=(N, 3))
    gap = np.zeros((N, 3), dtype=bool)
    gap[draw(st.lists(st.integers(0, N - 1), min_size=1, max_size=4)), draw(st.integers(0, 2))] = True
    meant = np.where(gap, np.nan, values)
    marks = {
        "nan": lambda: meant,
        "masked": lambda: np.ma.masked_array(values, mask=gap),
        "none": lambda: np.where(gap, None, values.astype(object)),
        "lists": lambda: [[None if lost else v for v, lost in zip(*row, strict=True)]
                          for row in zip(values.tolist(), gap, strict=True)],
        "nullable": lambda: pd.DataFrame(meant).astype("Float64"),
        "frame": lambda: pd.DataFrame(meant),
        "tensor": lambda: torch.as_tensor(meant),
    }  # fmt: skip
    return marks[draw(st.sampled_from(sorted(marks)))](), meant


def names_of(y) -> list[str]:
    """Return the labels as text, as the names of classes are to read."""
    column = y.iloc[:, 0] if isinstance(y, pd.DataFrame) else y
    flat = np.asarray(column, dtype=object).reshape(-1).tolist()
    return [label.decode() if isinstance(label, bytes) else label if isinstance(label, str) else str(int(label))
            for label in flat]  # fmt: skip


def check_same(data, meant, y):
    stored = {name: x for name in SPLITS for name, x in [(name, data.split(name).in_memory())]}
    for name, split in stored.items():
        rows = data.splits[name].numpy()
        assert np.allclose(split.inputs["a"].numpy(), meant[rows], rtol=1e-6)
    assert [data.class_names[i] for i in data.target.tolist()] == names_of(y)
    assert sorted(torch.cat(list(data.splits.values())).tolist()) == list(range(N))


def through(door, x, y, **options):
    """Open samples and labels at one of the doors."""
    if door == "arrays":
        return MultimodalData.from_arrays({"a": x, "b": B}, y, **options)
    if door == "datasets":
        return MultimodalData.from_datasets({"a": list(x), "b": list(B)}, target=y, **options)
    items = [({"a": a, "b": b}, 0) for a, b in zip(x, B, strict=True)]
    return MultimodalData.from_loaders(DataLoader(items), target=y, in_memory=door == "loaders", **options)


LABEL_KINDS = st.sampled_from(sorted(LABELS) + sorted(BAD_LABELS))


def examine(pair, kind, door, seed):
    x, meant = pair
    y = np.random.default_rng(seed).permutation(np.arange(N) % 4)
    y = (LABELS | BAD_LABELS)[kind](y)
    x = x if door == "arrays" else torch.as_tensor(meant)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            data = through(door, x, y, seed=seed)
        except MMPIDError:
            assert kind in BAD_LABELS, kind
            return
    assert kind not in BAD_LABELS
    assert all(issubclass(warning.category, MMPIDWarning) for warning in said), [str(w.message) for w in said]
    check_same(data, meant, y)


DOORS = st.sampled_from(["arrays", "arrays", "datasets", "loaders", "streams"])
QUIET = settings(deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)


@settings(QUIET, max_examples=200)
@given(samples(), LABEL_KINDS, DOORS, st.integers(0, 9))
def test_every_door_reads_what_was_meant_or_refuses_it(pair, kind, door, seed):
    examine(pair, kind, door, seed)


@pytest.mark.slow
@settings(QUIET, max_examples=4000)
@given(samples(), LABEL_KINDS, DOORS, st.integers(0, 9999))
def test_every_door_reads_what_was_meant_or_refuses_it_thousands_of_times(pair, kind, door, seed):
    examine(pair, kind, door, seed)


def examine_gaps(pair, how):
    x, meant = pair
    y = np.arange(N) % 4
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            data = MultimodalData.from_arrays({"a": x, "b": B}, y, **how)
        except MMPIDError as problem:
            assert not how and "impute" in str(problem)
            return
    lost = np.isnan(meant).any(1)
    if "missing" in how:
        assert len(said) == 1 and data.options["dropped"] == int(lost.sum())
        assert np.allclose(data.inputs["a"].numpy(), meant[~lost], rtol=1e-6)
    else:
        assert not said
        assert torch.isfinite(data.inputs["a"]).all()
        assert np.allclose(data.inputs["a"].numpy()[~lost], meant[~lost], rtol=1e-6)


HOW = st.sampled_from([{}, {"missing": "drop"}, {"impute": "median"}, {"impute": {"a": "mean"}}])


@settings(QUIET, max_examples=60)
@given(gappy(), HOW)
def test_gaps_are_refused_dropped_or_filled_and_never_read_as_numbers(pair, how):
    examine_gaps(pair, how)


@pytest.mark.slow
@settings(QUIET, max_examples=1000)
@given(gappy(), HOW)
def test_gaps_are_never_read_as_numbers_a_thousand_times(pair, how):
    examine_gaps(pair, how)


def examine_estimate(pair, kind, seed):
    x, _ = pair
    y = (LABELS | BAD_LABELS)[kind](np.random.default_rng(seed).permutation(np.arange(N) % 4))
    plain = np.random.default_rng(seed).permutation(np.arange(N) % 4)
    quiet = {"n_boot": 0, "n_null": 0, "warn": False, "seed": 0, "discretizer": "kmeans", "n_clusters": 2}
    quiet |= {"estimator": "counted"}  # the folds of the other one go by the order of the classes
    try:
        found = estimate_pid(x, B, y, **quiet)
    except MMPIDError:
        assert kind in BAD_LABELS, kind
        return
    assert kind not in BAD_LABELS
    if kind not in ("signs", "bool"):
        assert float(found.pid.total) == pytest.approx(float(estimate_pid(x, B, plain, **quiet).pid.total), abs=1e-5)


@settings(QUIET, max_examples=25)
@given(samples(), LABEL_KINDS, st.integers(0, 9))
def test_estimates_read_what_was_meant_or_refuse_it(pair, kind, seed):
    examine_estimate(pair, kind, seed)


@pytest.mark.slow
@settings(QUIET, max_examples=400)
@given(samples(), LABEL_KINDS, st.integers(0, 9999))
def test_estimates_read_what_was_meant_hundreds_of_times(pair, kind, seed):
    examine_estimate(pair, kind, seed)

"""Numbers and labels in the containers that people have them in: the same data, or one error whose advice works."""

import datetime

import numpy as np
import numpy.lib.recfunctions
import pandas as pd
import pytest
import scipy.sparse
import torch
from torch.utils.data import DataLoader, TensorDataset

from mmpid import MultimodalData, estimate_pid
from mmpid.datasets.cuts import SPLITS
from mmpid.errors import ConfigError, InputError, LabelWarning, ScaleWarning, ShapeError

N = 200
Y = np.arange(N) % 4
RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(N, 3)).round(3), RNG.normal(size=(N, 4))


def build(a=A, y=Y, **options):
    return MultimodalData.from_arrays({"a": a, "b": B}, y, **options)


def frame(kinds):
    table = pd.DataFrame(A, columns=list("xyz"))
    return table.astype(dict(zip("xyz", kinds, strict=True)))


def objects(rows):
    out = np.empty(len(rows), dtype=object)
    out[:] = rows
    return out


SAME = {
    "gradient": lambda: torch.as_tensor(A).requires_grad_(),
    "parameter": lambda: torch.nn.Parameter(torch.as_tensor(A)),
    "list of tensors": lambda: list(torch.as_tensor(A)),
    "list of tensors with gradients": lambda: list(torch.as_tensor(A).requires_grad_()),
    "list of arrays": lambda: list(A),
    "lists": lambda: A.tolist(),
    "array of arrays": lambda: objects(list(A)),
    "array of tensors": lambda: objects(list(torch.as_tensor(A))),
    "series of arrays": lambda: pd.Series(list(A)),
    "scipy csr": lambda: scipy.sparse.csr_array(A),
    "scipy coo matrix": lambda: scipy.sparse.coo_matrix(A),
    "frame": lambda: frame([float] * 3),
    "nullable frame": lambda: frame(["Float64"] * 3),
    "mixed nullable frame": lambda: frame(["Float64", "float32", "float64"]),
    "object frame": lambda: frame([object] * 3),
    "python objects": lambda: A.astype(object),
    "big-endian": lambda: A.astype(">f8"),
    "long double": lambda: A.astype(np.longdouble),
    "Fortran order": lambda: np.asfortranarray(A),
    "reversed": lambda: A[::-1][::-1],
    "read-only": lambda: np.frombuffer(A.tobytes()).reshape(A.shape),
    "masked without a mask": lambda: np.ma.masked_array(A),
    "generator, listed": lambda: list(row for row in A),
}


@pytest.mark.parametrize("kind", SAME)
def test_the_same_numbers_in_any_container_are_the_same_data(kind):
    assert torch.allclose(build(SAME[kind]()).inputs["a"], torch.as_tensor(A, dtype=torch.float32), atol=1e-6)
    assert not build(SAME[kind]()).inputs["a"].requires_grad


def test_mixed_columns_keep_their_values():
    table = pd.DataFrame({"x": A[:, 0], "flag": Y % 2 == 0, "n": pd.array(Y, dtype="Int64"), "u": Y.astype("uint8")})
    x = build(table).inputs["a"]
    assert torch.allclose(x[:, 0], torch.as_tensor(A[:, 0], dtype=torch.float32))
    assert x[:, 1].tolist() == (Y % 2 == 0).tolist() and x[:, 2].tolist() == Y.tolist() == x[:, 3].tolist()


@pytest.mark.parametrize("make", [
    lambda x: np.ma.masked_array(x, mask=np.arange(N * 3).reshape(N, 3) == 9),
    lambda x: pd.DataFrame(x).astype("Float64").mask(pd.DataFrame(np.arange(N * 3).reshape(N, 3) == 9)),
    lambda x: objects([[None if 3 * i + j == 9 else x[i, j] for j in range(3)] for i in range(N)]),
    lambda x: np.where(np.arange(N * 3).reshape(N, 3) == 9, None, x),
])  # fmt: skip
def test_what_is_masked_or_missing_is_missing(make):
    with pytest.raises(InputError, match=r"1 of 200 samples hold NaN, the first is sample 3.*impute=\{'a': 'median'\}"):
        build(make(A.copy()))
    data = build(make(A.copy()), impute={"a": "median"}, seed=0)
    train = data.splits["train"].numpy()
    kept = A[train[train != 3], 0]
    assert float(data.inputs["a"][3, 0]) == pytest.approx(np.median(kept), abs=1e-6)


REFUSED = {
    "nested": lambda: torch.nested.nested_tensor([torch.zeros(2 + i % 2) for i in range(N)], layout=torch.jagged),
    "ragged list": lambda: [[0.0] * (2 + i % 2) for i in range(N)],
    "ragged tensors": lambda: [torch.zeros(2 + i % 2) for i in range(N)],
    "ragged objects": lambda: objects([np.zeros(2 + i % 2) for i in range(N)]),
    "sparse tensor": lambda: torch.as_tensor(A).to_sparse(),
    "complex": lambda: A + 1j,
    "complex tensor": lambda: torch.as_tensor(A + 1j),
    "dates": lambda: np.array(["2020-01-01"] * N, dtype="datetime64[D]")[:, None],
    "records": lambda: np.array([(1.0, 2)] * N, dtype=[("u", float), ("v", int)]),
    "text": lambda: np.array([["x"]] * N),
    "frame with text": lambda: pd.DataFrame({"x": A[:, 0], "word": ["w"] * N}),
    "frame with categories": lambda: pd.DataFrame({"x": A[:, 0], "c": pd.Categorical(["w", "v"] * (N // 2))}),
    "frame with dates": lambda: pd.DataFrame({"x": A[:, 0], "t": pd.date_range("2020", periods=N)}),
    "frame with durations": lambda: pd.DataFrame({"x": A[:, 0], "t": pd.to_timedelta(np.arange(N), unit="h")}),
    "python objects": lambda: objects([datetime.date(2020, 1, 1)] * N),
    "generator": lambda: (row for row in A),
    "a number": lambda: 3.0,
    "nothing": lambda: None,
    "a mapping": lambda: {"x": A},
    "overflow": lambda: A * 1e300,
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_used_is_refused_by_name(kind):
    with pytest.raises(InputError, match=r"inputs\['a'\]"):
        build(REFUSED[kind]())
    with pytest.raises(InputError, match="source1"):
        x = REFUSED[kind]()
        estimate_pid(x if kind != "overflow" else [[0], [1, 2]], B, Y, n_boot=0, n_null=0, warn=False)


ADVICE = {  # what the message tells to type, with the name of the user's variable
    "nested": lambda x: torch.nested.to_padded_tensor(x, 0.0),
    "ragged list": lambda x: torch.nn.utils.rnn.pad_sequence([torch.as_tensor(r) for r in x], batch_first=True),
    "ragged objects": lambda x: torch.nn.utils.rnn.pad_sequence([torch.as_tensor(r) for r in x], batch_first=True),
    "sparse tensor": lambda x: x.to_dense(),
    "complex": np.abs,
    "complex tensor": lambda x: x.abs(),
    "records": numpy.lib.recfunctions.structured_to_unstructured,
    "frame with text": lambda x: pd.get_dummies(x, dtype=float),
    "frame with categories": lambda x: pd.get_dummies(x, dtype=float),
    "frame with dates": lambda x: x.apply(lambda x: (x - x.min()).dt.total_seconds() if x.dtype.kind == "M" else x),
    "frame with durations": lambda x: x.apply(lambda x: x.dt.total_seconds() if x.dtype.kind == "m" else x),
    "generator": list,
}


@pytest.mark.parametrize("kind", ADVICE)
def test_the_advice_of_a_refusal_works_when_typed(kind):
    from mmpid._coerce import as_tensor

    assert len(as_tensor(ADVICE[kind](REFUSED[kind]()), "x")) == N


def test_the_advice_for_dates_works_when_typed():
    x = np.datetime64("2020-01-01") + np.arange(N)[:, None]
    with pytest.raises(InputError, match=r"holds dates. Try `\(.*\.min\(\)\) / numpy\.timedelta64\(1, 's'\)`"):
        build(x)
    with pytest.warns(ScaleWarning):
        assert build((x - x.min()) / np.timedelta64(1, "s")).shapes["a"] == (1,)


# --- labels ----------------------------------------------------------------------------------------------------------

LABELS = {
    "column": lambda: Y[:, None],
    "column tensor": lambda: torch.as_tensor(Y)[:, None],
    "frame": lambda: pd.DataFrame({"y": Y}),
    "nullable": lambda: pd.Series(Y, dtype="Int64"),
    "whole floats": lambda: Y.astype(float),
    "float tensor with gradient": lambda: torch.as_tensor(Y, dtype=torch.float32).requires_grad_(),
    "unsigned": lambda: Y.astype(np.uint64),
    "big-endian": lambda: Y.astype(">i4"),
    "objects": lambda: Y.astype(object),
    "numbers of NumPy": lambda: [np.int16(y) for y in Y],
    "tensors": lambda: list(torch.as_tensor(Y)),
    "categories of integers": lambda: pd.Categorical(Y),
}


@pytest.mark.parametrize("kind", LABELS)
def test_the_same_labels_in_any_container_are_the_same_classes(kind):
    data = build(y=LABELS[kind]())
    assert data.target.tolist() == Y.tolist() and data.class_names == ("0", "1", "2", "3")


WORDS = np.array(["low", "mid", "high", "top"])[Y]


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("wrap", [pd.Series, pd.CategoricalIndex, pd.DataFrame, lambda x: x])
def test_categories_keep_their_order(ordered, wrap):
    column = pd.Categorical(WORDS, categories=["low", "mid", "high", "top"], ordered=ordered)
    data = build(y=wrap(column))
    assert data.class_names == ("low", "mid", "high", "top") and data.target.tolist() == Y.tolist()
    assert data.notes == ()


def test_ordered_categories_of_numbers_and_intervals_keep_their_order():
    down = build(y=pd.Categorical(Y, categories=[3, 2, 1, 0], ordered=True))
    assert down.class_names == ("3", "2", "1", "0") and down.target.tolist() == (3 - Y).tolist()
    cut = build(y=pd.cut(pd.Series(B[:, 0]), [-9, 0, 1, 9]))
    assert cut.class_names == ("(-9, 0]", "(0, 1]", "(1, 9]")


def test_a_category_without_samples_is_left_out_and_said():
    data = build(y=pd.Categorical(WORDS, categories=["none", "low", "mid", "high", "top"], ordered=True))
    assert data.class_names == ("low", "mid", "high", "top") and "none" in data.notes[0] and "none" in repr(data)


def test_bytes_are_text():
    for y in (WORDS.astype("S"), [word.encode() for word in WORDS], WORDS.astype("S").astype(object)):
        data = build(y=y)
        assert [data.class_names[i] for i in data.target] == WORDS.tolist()


BAD_LABELS = {
    "one-hot": (lambda: np.eye(4)[Y], "It is one-hot: try `numpy.asarray"),
    "one-hot frame": (lambda: pd.get_dummies(pd.Series(Y)), "It is one-hot: try `numpy.asarray"),
    "several classes": (lambda: np.ones((N, 3)), "several classes per sample"),
    "scores": (lambda: RNG.normal(size=(N, 4)), "scores of the classes, try"),
    "fractions": (lambda: Y + 0.5, "fractions such as 0.5.*numpy.digitize"),
    "too large": (lambda: Y * 1e300, "digits are lost"),
    "NaN": (lambda: np.where(Y == 0, np.nan, Y), "must be finite"),
    "missing": (lambda: pd.Series(Y, dtype="Int64").mask(Y == 0), "must be finite"),
    "missing category": (lambda: pd.Categorical(np.where(Y < 2, WORDS, None)), "must have a label for every sample"),
    "masked": (lambda: np.ma.masked_array(Y, mask=Y == 0), "must be finite"),
    "complex": (lambda: Y + 0j, "complex"),
    "ignored by torch": (lambda: np.where(np.arange(N) < 9, -100, Y), "holds -100.*without a label"),
    "unlabeled": (lambda: np.where(np.arange(N) < 9, -1, Y), "holds -1.*keep = target != -1"),
}


@pytest.mark.parametrize("kind", BAD_LABELS)
def test_labels_that_would_be_guessed_are_refused(kind):
    make, words = BAD_LABELS[kind]
    with pytest.raises(InputError, match=words):
        build(y=make())
    with pytest.raises(InputError):
        estimate_pid(A, B, make(), n_boot=0, n_null=0, warn=False)


def test_the_advice_on_labels_works_when_typed():
    assert build(y=np.asarray(np.eye(4)[Y]).argmax(1)).target.tolist() == Y.tolist()
    y = np.where(np.arange(N) < 9, -1, Y)
    keep = y != -1
    assert len(MultimodalData.from_arrays({"a": A[keep], "b": B[keep]}, y[keep]).target) == N - 9
    assert build(y=np.unique(y, return_inverse=True)[1]).n_classes == 5


def test_signs_are_two_classes():
    with pytest.warns(LabelWarning, match="-1->0, 1->1"):
        assert build(y=np.where(Y < 2, -1, 1)).class_names == ("-1", "1")


def test_rows_of_tables_in_another_order_are_not_paired():
    index = pd.Index([f"clip {i}" for i in range(N)])
    order = np.random.default_rng(1).permutation(N)
    a, y = pd.DataFrame(A, index=index), pd.Series(Y, index=index)
    for shuffled in (
        {"y": y.iloc[order]},
        {"a": a.iloc[order]},
        {"groups": pd.Series(np.arange(N) // 4, index=index[order])},
    ):
        with pytest.raises(InputError, match=r"same index in another order. Try `.*\.loc\["):
            build(**({"a": a, "y": y} | shuffled))
    plain = build(a.to_numpy(), y.to_numpy())
    assert build(a, y.iloc[order].loc[a.index]).fingerprint == plain.fingerprint
    assert build(a, y.reset_index(drop=True)).fingerprint == build(a, y).fingerprint == plain.fingerprint


# --- streams ---------------------------------------------------------------------------------------------------------


def datasets_of(y):
    return {"a": list(zip(torch.as_tensor(A), y, strict=True)), "b": torch.as_tensor(B)}


STREAMED_LABELS = [
    lambda: Y.astype(float), lambda: list(torch.as_tensor(Y, dtype=torch.float32)), lambda: [np.int8(y) for y in Y],
    lambda: [[y] for y in Y.tolist()], lambda: list(torch.as_tensor(Y)[:, None]),
]  # fmt: skip


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("make", STREAMED_LABELS)
def test_whole_labels_of_datasets_are_read_as_they_are(make, in_memory):
    assert MultimodalData.from_datasets(datasets_of(make()), in_memory=in_memory).target.tolist() == Y.tolist()


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("spoiled", [0.5, -2.9, torch.tensor(0.5), np.float32(2.5), float("nan"), None, [0, 1], 1e300])
def test_labels_of_datasets_are_never_rounded(spoiled, in_memory):
    y = Y.tolist()
    y[70] = spoiled
    with pytest.raises(InputError, match="labels must be class indices, one integer per sample; that of sample 70"):
        MultimodalData.from_datasets(datasets_of(y), in_memory=in_memory)


@pytest.mark.parametrize("in_memory", [True, False])
def test_text_labels_of_datasets_and_loaders_come_in_through_target(in_memory):
    samples = [({"a": torch.as_tensor(a), "b": torch.as_tensor(b)}, w) for a, b, w in zip(A, B, WORDS, strict=True)]
    with pytest.raises(InputError, match=r"target=\[label for _, label in dataset\]"):
        MultimodalData.from_datasets(datasets_of(WORDS.tolist()), in_memory=in_memory)
    with pytest.raises(InputError, match=r"target=\[label for _, label in dataset\]"):
        MultimodalData.from_loaders(DataLoader(samples), in_memory=in_memory)
    target = [label for _, label in samples]
    column = pd.Categorical(target, categories=["low", "mid", "high", "top"], ordered=True)
    for door, given in ((MultimodalData.from_datasets, datasets_of(target)),
                        (MultimodalData.from_loaders, DataLoader(samples))):  # fmt: skip
        assert door(given, target=target, in_memory=in_memory).class_names == ("high", "low", "mid", "top")
        assert door(given, target=column, in_memory=in_memory).target.tolist() == Y.tolist()
        named = door(given, target=target, class_names=["top", "high", "mid", "low"], in_memory=in_memory)
        assert named.target.tolist() == (3 - Y).tolist()


@pytest.mark.parametrize("in_memory", [True, False])
def test_targets_of_a_loader_a_split_are_joined(in_memory):
    samples = [({"a": torch.as_tensor(a), "b": torch.as_tensor(b)}, 0.5) for a, b in zip(A, B, strict=True)]
    loaders = {"train": DataLoader(samples[:150]), "test": DataLoader(samples[150:])}
    column = pd.Series(pd.Categorical(WORDS, categories=["low", "mid", "high", "top"], ordered=True))
    for given in (Y, Y[:, None], column, torch.as_tensor(Y)):
        parts = {"train": given[:150], "test": given[150:]}
        assert MultimodalData.from_loaders(loaders, target=parts, in_memory=in_memory).target.tolist() == Y.tolist()
    with pytest.raises(ShapeError, match=r"`target\['test'\]` must have one entry per sample, 50; it had 49"):
        MultimodalData.from_loaders(loaders, target={"train": Y[:150], "test": Y[151:]}, in_memory=in_memory)
    other = pd.Series(pd.Categorical(WORDS[150:], categories=["top", "high", "mid", "low"], ordered=True))
    with pytest.raises(InputError, match="same ordered categories"):
        MultimodalData.from_loaders(loaders, target={"train": column[:150], "test": other}, in_memory=in_memory)


def test_streamed_tensors_lose_their_gradient_and_arrays_are_taken():
    parts = {"a": torch.as_tensor(A, dtype=torch.float32).requires_grad_(), "b": TensorDataset(torch.as_tensor(B))}
    parts["b"] = list(B)
    data = MultimodalData.from_datasets(parts, target=Y, in_memory=False)
    inputs, _ = next(data.split("train").batches(torch.arange(4).split(4)))
    assert not inputs["a"].requires_grad and inputs["b"].dtype == torch.float32

    def collate(items):
        return {name: np.stack([x[name] for x, _ in items]) for name in "ab"}, np.array([y for _, y in items])

    samples = [({"a": a, "b": b}, y) for a, b, y in zip(A, B, Y, strict=True)]
    data = MultimodalData.from_loaders(DataLoader(samples, collate_fn=collate), in_memory=False)
    assert data.target.tolist() == Y.tolist()


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_batch_that_pads_to_its_own_longest_is_told_to_pad_to_one_length(in_memory):
    def collate(items):
        clips = [x["a"][: 2 + y % 2] for x, y in items]
        padded = torch.nn.utils.rnn.pad_sequence(clips, batch_first=True)
        return {"a": padded, "b": torch.stack([x["b"] for x, _ in items])}, torch.tensor([y for _, y in items])

    samples = [({"a": torch.as_tensor(a), "b": torch.as_tensor(b)}, int(y)) for a, b, y in zip(A, B, Y, strict=True)]
    with pytest.raises(InputError, match=r"the same in every batch: .*torch\.nn\.functional\.pad\(x, \(0, n - x"):
        MultimodalData.from_loaders(DataLoader(samples, collate_fn=collate), in_memory=in_memory)


def test_streamed_numbers_that_overflow_are_refused():
    with pytest.raises(InputError, match="must fit into float32"):
        MultimodalData.from_datasets(
            {"a": torch.as_tensor(A) * 1e300, "b": torch.as_tensor(B)}, target=Y, in_memory=False
        )


def test_a_setting_that_is_an_array_is_refused_by_name():
    with pytest.raises(ConfigError, match="`missing`"):
        build(missing=np.array(["refuse", "drop"]))
    assert set(build().splits) == set(SPLITS)

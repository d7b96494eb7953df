"""Splits: what is not given, other names, rare classes, and whole groups with every class in mind."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from mmpid import MultimodalData
from mmpid.datasets.cuts import SPLITS, cut_groups
from mmpid.errors import ConfigError, InputError

N = 200
Y = np.arange(N) % 4
RNG = np.random.default_rng(0)
INPUTS = {"a": RNG.normal(size=(N, 3)), "b": RNG.normal(size=(N, 4))}
NAMES = np.repeat(["train", "test"], [150, 50])
INDEX = {"train": np.arange(150), "test": np.arange(150, 200)}


def build(**options):
    return MultimodalData.from_arrays(INPUTS, Y, **options)


@pytest.mark.parametrize(
    "split",
    [NAMES, NAMES.tolist(), INDEX, {**INDEX, "probe": None}, {name: name == NAMES for name in ("train", "test")}],
)
@pytest.mark.parametrize("groups", [None, np.arange(N) // 5])
def test_train_and_test_are_enough_and_what_is_carved_is_said(split, groups):
    data = build(split=split, groups=groups, seed=1)
    assert data.splits["test"].tolist() == list(range(150, 200))
    parts = [set(data.splits[name].tolist()) for name in SPLITS[:3]]
    assert set.union(*parts) == set(range(150)) and sum(map(len, parts)) == 150
    assert [len(data.splits[name]) for name in ("probe", "validation")] == pytest.approx([22, 15], abs=5)
    assert "15% for probe and 10% for validation" in data.notes[0] and data.notes[0] in repr(data)
    loaders = {key: DataLoader([({k: torch.as_tensor(x[i]) for k, x in INPUTS.items()}, int(Y[i])) for i in rows])
               for key, rows in INDEX.items()}  # fmt: skip
    by_split = None if groups is None else {key: groups[rows] for key, rows in INDEX.items()}
    for in_memory in (True, False):
        other = MultimodalData.from_loaders(loaders, groups=by_split, in_memory=in_memory, seed=1)
        assert other.notes == data.notes
        assert all(torch.equal(other.splits[name], data.splits[name]) for name in SPLITS)


def test_fractions_of_train_and_test_alone():
    data = build(split={"train": 0.8, "test": 0.2})
    assert [len(data.splits[name]) for name in SPLITS] == [120, 24, 16, 40] and len(data.notes) == 1


@pytest.mark.parametrize("name", ["val", "dev", "valid"])
def test_other_names_of_validation_are_understood_and_said(name):
    words = np.array(["train", "probe", name, "test"])[np.arange(N) % 5 % 4]
    data = build(split=words)
    assert data.splits["validation"].tolist() == np.flatnonzero(words == name).tolist()
    assert data.notes == (f"the split named {name!r} is taken as 'validation'.",)
    index = {key: np.flatnonzero(words == key) for key in ("train", "probe", name, "test")}
    assert build(split=index).fingerprint == data.fingerprint
    with pytest.raises(ConfigError, match="another name of 'validation'"):
        build(split={**index, "validation": [0]})
    samples = [({k: torch.as_tensor(x[i]) for k, x in INPUTS.items()}, int(Y[i])) for i in range(N)]
    loaders = {key: DataLoader([samples[i] for i in rows]) for key, rows in index.items()}
    assert len(MultimodalData.from_loaders(loaders, in_memory=False).splits["validation"]) == len(index[name])


@pytest.mark.parametrize("split", [{"train": [1, 2]}, {"test": [1, 2]}, {}, np.repeat("train", N)])
def test_train_and_test_are_needed(split):
    with pytest.raises(InputError, match="train"):
        build(split=split)


def test_rare_classes_are_listed_all_at_once_by_their_names():
    y = np.array(["wheat"] * 190 + ["oats"] * 3 + ["rye"] * 5 + ["corn"] * 2)
    with pytest.raises(
        InputError, match=r"3 classes have too few.*class corn \(2\), oats \(3\), rye \(5\)\. .*need about \d+"
    ):
        MultimodalData.from_arrays(INPUTS, y)
    samples = [({k: torch.as_tensor(x[i]) for k, x in INPUTS.items()}, 0) for i in range(N)]
    with pytest.raises(InputError, match=r"class corn \(2\), oats \(3\), rye \(5\)"):
        MultimodalData.from_loaders(DataLoader(samples), target=y, in_memory=False)
    with pytest.raises(InputError, match=r"1 class has too few.* class corn \(1\)\."):
        MultimodalData.from_arrays(INPUTS, np.array(["corn", *y[1:]]), split=NAMES)


def test_a_class_that_a_held_out_split_lacks_is_said():
    index = {"train": np.arange(100), "probe": np.flatnonzero(Y[100:140] < 3) + 100, "validation": np.arange(140, 160),
             "test": np.arange(160, 200)}  # fmt: skip
    assert "the probe split has no sample of 1 of 4 classes: 3" in build(split=index).notes


# --- groups ----------------------------------------------------------------------------------------------------------

SHARES = {"train": 0.6, "probe": 0.15, "validation": 0.1, "test": 0.15}


@pytest.mark.parametrize("seed", range(5))
def test_groups_of_one_class_each_put_every_class_into_train_probe_and_test(seed):
    rng = np.random.default_rng(seed)
    groups_of = rng.integers(5, 9, size=32)
    label = np.repeat(np.arange(32), groups_of)  # of each group
    sizes = rng.integers(7, 11, size=len(label))
    y, groups = np.repeat(label, sizes), np.repeat(np.arange(len(label)), sizes)
    cut = cut_groups(groups, torch.as_tensor(y), SHARES, np.random.default_rng(seed))
    for name in ("train", "probe", "test"):
        assert len(np.unique(y[cut[name]])) == 32
    assert len(np.unique(y[cut["validation"]])) >= 20
    shares = {name: len(index) / len(y) for name, index in cut.items()}
    assert shares["train"] == pytest.approx(0.6, abs=0.09) and sum(shares.values()) == pytest.approx(1)


@pytest.mark.parametrize("seed", range(3))
def test_groups_with_every_class_keep_the_shares_of_each(seed):
    rng = np.random.default_rng(seed)
    groups = rng.integers(60, size=3000)
    y = rng.integers(6, size=3000)
    cut = cut_groups(groups, torch.as_tensor(y), SHARES, np.random.default_rng(seed))
    for name, index in cut.items():
        counts = np.bincount(y[index], minlength=6) / np.bincount(y)
        assert np.abs(counts - SHARES[name]).max() < 0.06


@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 5)), min_size=20, max_size=150),
    st.integers(0, 5),
)
@settings(max_examples=80, deadline=None)
def test_every_group_goes_to_one_split_and_no_split_is_empty(pairs, seed):
    groups, y = np.array(pairs).T
    if len(np.unique(groups)) < 4:
        with pytest.raises(InputError, match="at least 4 groups"):
            cut_groups(groups, torch.as_tensor(y), SHARES, np.random.default_rng(seed))
        return
    cut, again = (cut_groups(groups, torch.as_tensor(y), SHARES, np.random.default_rng(seed)) for _ in range(2))
    assert sorted(np.concatenate(list(cut.values())).tolist()) == list(range(len(y)))
    owners = [set(groups[index].tolist()) for index in cut.values()]
    assert all(owners) and sum(map(len, owners)) == len(set(groups.tolist()))
    assert all(np.array_equal(cut[name], again[name]) for name in cut)


def test_many_groups_put_every_class_into_every_split():
    groups = np.arange(12_000)
    y = groups % 100
    cut = cut_groups(groups, torch.as_tensor(y), SHARES, np.random.default_rng(0))
    assert all(len(np.unique(y[index])) == 100 for index in cut.values())

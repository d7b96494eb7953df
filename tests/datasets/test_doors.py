"""What the doors of a data set refuse by name; good data come in as before."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from mmpid import MultimodalData, datasets
from mmpid.datasets.splits import SPLITS
from mmpid.errors import ConfigError, InputError, MissingDataWarning, ShapeError

Y = np.arange(200) % 4
CLIPS = np.repeat(np.arange(40), 5)


def arrays(seed=0):
    rng = np.random.default_rng(seed)
    return {"a": rng.normal(size=(200, 3)).astype(np.float32), "b": rng.normal(size=(200, 4)).astype(np.float32)}


def from_arrays(**options):
    return MultimodalData.from_arrays(arrays(), Y, **options)


def from_datasets(**options):
    parts = {name: TensorDataset(torch.as_tensor(x), torch.as_tensor(Y)) for name, x in arrays().items()}
    return MultimodalData.from_datasets(parts, **options)


def from_loader(**options):
    parts = zip(*(map(torch.as_tensor, x) for x in arrays().values()), Y.tolist(), strict=True)
    loader = DataLoader([({"a": a, "b": b}, y) for a, b, y in parts])
    return MultimodalData.from_loaders(loader, in_memory=False, **options)


DOORS = [from_arrays, from_datasets, from_loader]


def without(i, lost, entries=CLIPS):
    return [lost if k == i else entry for k, entry in enumerate(entries.tolist())]


WORDS = np.array([f"clip {clip}" for clip in CLIPS])


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"seed": -1}, "`seed` must be an integer of at least 0; it was -1"),
        ({"seed": 0.5}, "`seed` must be an integer of at least 0; it was 0.5"),
        ({"seed": None}, "`seed` must be an integer"),
        ({"options": [1]}, "`options` must be a mapping or None; it was list"),
        ({"name": 3}, "`name` must be text; it was int"),
        ({"origin": None}, "`origin` must be text; it was NoneType"),
        ({"license": b"MIT"}, "`license` must be text; it was bytes"),
        ({"class_names": "abcd"}, "`class_names` must be a list of names in the order of the classes; it was 'abcd'"),
        ({"class_names": {"a", "b", "c", "d"}}, "`class_names` must be a list"),
        ({"class_names": 4}, "`class_names` must be a list"),
        ({"class_names": ["a", "b", "c", None]}, "`class_names` must name every class; it held None or NaN"),
        ({"class_names": ["a", "b", "a", "c"]}, "`class_names` must differ.*it held 'a' more than once"),
        ({"groups": without(7, None)}, "`groups` must name a group for every sample; 1 of 200.*first at index 7"),
        ({"groups": without(7, float("nan"))}, "`groups` must name a group for every sample; 1 of 200"),
        ({"groups": without(7, float("nan"), WORDS)}, "`groups` must name a group for every sample; 1 of 200"),
        ({"groups": pd.Series(without(7, pd.NA, WORDS))}, "`groups` must name a group for every sample; 1 of 200"),
        ({"groups": np.array(without(7, "x"), dtype=object)}, "`groups` must be numbers throughout, or text"),
        ({"groups": without(7, "x")}, "`groups` must be numbers throughout, or text"),
        ({"split": {name: [0, 1, 1] for name in SPLITS}}, r"`split\['train'\]` must hold each sample once; 1 of 3"),
        ({"split": {name: [[1], [1, 2]] for name in SPLITS}}, r"`split\['train'\]` must hold whole numbers"),
        ({"split": dict.fromkeys(SPLITS, "a")}, r"`split\['train'\]` must be a number; it was .*'a'"),
        ({"split": dict.fromkeys(SPLITS, float("nan"))}, r"`split\['train'\]` must be a number; it was .*nan"),
        ({"split": without(3, None, np.array(SPLITS)[CLIPS % 4])}, "`split` must be one of .*; it was 'None'"),
    ],
)
def test_every_door_names_what_it_cannot_use(door, options, words):
    with pytest.raises(InputError, match=words):
        door(**options)


@pytest.mark.parametrize("door", DOORS)
def test_what_describes_the_data_comes_in_as_before(door):
    data = door(
        seed=np.int64(3), name="mine", origin="here", license="MIT", options={"noise": 1}, class_names=np.arange(4),
        groups=pd.Series(WORDS),
    )  # fmt: skip
    assert data.class_names == ("0", "1", "2", "3") and data.name == "mine" and data.origin == "here"
    assert data.options["noise"] == 1 and data.options["seed"] == 3 and type(data.options["seed"]) is int
    same = door(seed=3, groups=WORDS.tolist())
    assert data.fingerprint == same.fingerprint and torch.equal(data.groups, same.groups)
    assert door(class_names=(name for name in "abcd")).class_names == ("a", "b", "c", "d")


def test_groups_may_be_a_tensor_or_ordered_objects():
    one = from_arrays(groups=CLIPS)
    for groups in (torch.as_tensor(CLIPS), CLIPS.astype(float), CLIPS.astype(object), pd.Categorical(CLIPS)):
        assert from_arrays(groups=groups).fingerprint == one.fingerprint


def test_a_sample_that_is_dropped_needs_no_group():
    inputs = arrays()
    inputs["a"][7] = np.nan
    for lost, entries in ((None, CLIPS), (float("nan"), WORDS)):
        with pytest.warns(MissingDataWarning):
            data = MultimodalData.from_arrays(inputs, Y, groups=without(7, lost, entries), missing="drop")
        assert len(data.groups.unique()) == 40
        with pytest.warns(MissingDataWarning), pytest.raises(InputError, match="1 of 199 entries are None or NaN"):
            MultimodalData.from_arrays(inputs, Y, groups=without(8, lost, entries), missing="drop")


def test_groups_of_a_loader_a_split_are_refused_before_anything_is_carved():
    parts = {"train": range(150), "test": range(150, 200)}
    x = {name: torch.as_tensor(value) for name, value in arrays().items()}
    loaders = {key: DataLoader([({n: x[n][i] for n in x}, int(Y[i])) for i in rows]) for key, rows in parts.items()}
    groups = {"train": without(7, None)[:150], "test": CLIPS[150:]}
    with pytest.raises(InputError, match=r"`groups\['train'\]` must name a group for every sample; 1 of 150"):
        MultimodalData.from_loaders(loaders, groups=groups)
    with pytest.raises(ConfigError, match="`seed`"):
        MultimodalData.from_loaders(loaders, seed=-1)


@pytest.mark.parametrize(
    ("shape", "was"), [((200,), r"\(200,\)"), ((200, 0), r"\(200, 0\)"), ((200, 3, 0), r"\(200, 3, 0\)")]
)
@pytest.mark.parametrize("missing", ["refuse", "drop"])
def test_a_modality_needs_two_axes(shape, was, missing):
    words = rf"`inputs\['a'\]` must have shape \(N, ...\), two axes or more.*it was {was}.*try `a\[:, None\]`"
    with pytest.raises(ShapeError, match=words):
        MultimodalData.from_arrays({**arrays(), "a": np.ones(shape)}, Y, missing=missing)


@pytest.mark.parametrize(("keep", "was"), [(True, r"\(200,\)"), (False, r"\(N,\)")])
def test_samples_of_a_dataset_need_an_axis(keep, was):
    parts = {"a": TensorDataset(torch.randn(200), torch.as_tensor(Y)), "b": torch.randn(200, 4)}
    with pytest.raises(ShapeError, match=rf"`inputs\['a'\]` must have shape.*it was {was}"):
        MultimodalData.from_datasets(parts, in_memory=keep)


def test_one_number_a_sample_comes_in_with_an_axis():
    a = np.random.default_rng(1).normal(size=200)
    assert MultimodalData.from_arrays({"a": a[:, None], "b": arrays()["b"]}, Y).shapes == {"a": (1,), "b": (4,)}


def test_samples_may_be_left_out_and_modalities_may_be_many():
    index = {name: np.arange(40 * i, 40 * i + 40) for i, name in enumerate(SPLITS)}
    assert sum(map(len, from_arrays(split=index).splits.values())) == 160
    assert sum(map(len, from_arrays(split=dict.fromkeys(SPLITS, 0.2)).splits.values())) == 160
    shares = {name: torch.tensor(0.25) for name in SPLITS}
    assert from_arrays(split=shares).fingerprint == from_arrays(split=dict.fromkeys(SPLITS, 0.25)).fingerprint
    seven = {f"m{i}": arrays(i)["a"] for i in range(7)}
    assert len(MultimodalData.from_arrays(seven, Y).modalities) == 7


@pytest.mark.parametrize("lost", [float("nan"), None, 3])
def test_what_stands_among_text_labels_is_no_class(lost):
    labels = without(7, lost, np.array(["walk", "run"])[Y % 2])
    with pytest.raises(InputError, match="`target`"):
        MultimodalData.from_arrays(arrays(), labels)


def test_ragged_labels_are_refused():
    with pytest.raises(InputError, match="`target`"):
        MultimodalData.from_arrays(arrays(), [[1], [1, 2]] * 100)


@pytest.mark.parametrize("door", [from_arrays, from_loader])
@pytest.mark.parametrize(
    ("indices", "words"),
    [
        ([999], r"`indices` must be positions 0\.\.119 in this split; they ran from 999 to 999"),
        ([-121, 3], "`indices` must be positions"),
        ([0.5], "`indices` must be whole numbers"),
        (3, "`indices` must be whole numbers"),
        ([True, False], "`indices` must be whole numbers .*, or True and False for each of the 120 samples"),
        ("ab", "`indices` must be an array or tensor of numbers"),
    ],
)
def test_a_subset_is_of_positions_in_the_split(door, indices, words):
    with pytest.raises(InputError, match=words):
        door().split("train").subset(indices)


@pytest.mark.parametrize("door", [from_arrays, from_loader])
def test_a_mask_is_a_subset_of_its_true_samples(door):
    split = door(groups=CLIPS).split("train")
    mask = torch.arange(len(split)) % 3 == 0
    one, two = (split.subset(which).in_memory() for which in (mask, mask.nonzero()[:, 0]))
    assert 0 < len(one) < len(split) and torch.equal(one.inputs["a"], two.inputs["a"])
    assert torch.equal(one.groups, two.groups) and len(split.subset([])) == 0
    assert torch.equal(split.subset([-1]).target, split.target[-1:])


def test_complex_samples_are_refused_instead_of_halved():
    with pytest.raises(InputError, match=r"`inputs\['a'\]` must hold real numbers; its dtype was torch.complex64"):
        MultimodalData.from_arrays({**arrays(), "a": torch.ones(200, 3, dtype=torch.complex64)}, Y)


def test_a_home_that_is_not_there_is_no_folder():
    with pytest.raises(InputError, match="`path`"):
        datasets.inspect_folder("~nobody-of-this-name/data")


@pytest.mark.parametrize("path", [None, 3, ["."]])
def test_a_folder_is_given_as_a_path(path):
    with pytest.raises(InputError, match="`path`"):
        datasets.inspect_folder(path)

import numpy as np
import pandas as pd
import pytest
import torch

from mmpid import MultimodalData
from mmpid.datasets.splits import SPLITS, make_splits
from mmpid.errors import ConfigError, InputError, LabelWarning, LeakageWarning, MissingDataWarning, ShapeError


def arrays(n=200, k=4, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % k
    return {"a": rng.normal(size=(n, 6)), "b": rng.normal(size=(n, 3, 5))}, y


@pytest.mark.parametrize("groups", [None, np.arange(200) // 10])
def test_splits_share_no_sample_and_repeat_with_the_seed(groups):
    y = torch.arange(200) % 4
    one, two, other = (make_splits(None, y, groups=groups, seed=s) for s in (0, 0, 1))
    everything = torch.cat([one[name] for name in SPLITS])
    assert len(everything) == len(everything.unique()) == 200
    assert all(torch.equal(one[name], two[name]) for name in SPLITS)
    assert any(not torch.equal(one[name], other[name]) for name in SPLITS)


def test_fractions_are_cut_class_by_class():
    y = torch.tensor([0] * 150 + [1] * 50)
    cut = make_splits(None, y, seed=0)
    assert {name: torch.bincount(y[i]).tolist() for name, i in cut.items()} == {
        "train": [90, 30],
        "probe": [22, 7],
        "validation": [15, 5],
        "test": [23, 8],
    }


def test_a_group_stays_in_one_split():
    groups = np.repeat(np.arange(20), 10)
    cut = make_splits(None, torch.arange(200) % 4, groups=groups, seed=3)
    owners = [set(groups[i.numpy()]) for i in cut.values()]
    assert sum(map(len, owners)) == len(set().union(*owners)) == 20


def test_names_and_indices_say_the_same():
    inputs, y = arrays()
    names = np.array(SPLITS)[np.random.default_rng(0).integers(4, size=200)]
    by_name = MultimodalData.from_arrays(inputs, y, split=names)
    by_index = MultimodalData.from_arrays(inputs, y, split={s: np.flatnonzero(names == s) for s in SPLITS})
    assert by_name.fingerprint == by_index.fingerprint


def test_the_fingerprint_notices_a_single_value():
    inputs, y = arrays()
    before = MultimodalData.from_arrays(inputs, y).fingerprint
    inputs["b"][7, 1, 1] += 1e-3
    assert MultimodalData.from_arrays(inputs, y).fingerprint != before


def bad_length(inputs, y):
    return {"a": inputs["a"], "b": inputs["b"][:-1]}, y


def bad_nan(inputs, y):
    inputs["a"][3, 2] = np.nan
    return inputs, y


def bad_inf(inputs, y):
    inputs["b"][0, 0, 0] = np.inf
    return inputs, y


def bad_one_class(inputs, y):
    return inputs, np.zeros_like(y)


def bad_constant(inputs, y):
    return {"a": inputs["a"], "b": np.ones_like(inputs["b"])}, y


def bad_one_modality(inputs, y):
    return {"a": inputs["a"]}, y


def bad_text(inputs, y):
    return {"a": inputs["a"], "b": np.array(["x"] * len(y))}, y


def bad_fractional_labels(inputs, y):
    return inputs, y + 0.5


@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (bad_length, ShapeError, "same number of samples.*'a': 200.*'b': 199"),
        (
            bad_nan,
            InputError,
            r"`inputs\['a'\]` must be finite; 1 of 200 samples hold NaN, the first is sample 3.*missing='drop'",
        ),
        (bad_inf, InputError, r"`inputs\['b'\]` must be finite"),
        (bad_one_class, InputError, "`target` must have at least two classes"),
        (bad_constant, InputError, r"`inputs\['b'\]` must vary between samples"),
        (bad_one_modality, InputError, "two or more modality names.*1 entries"),
        (bad_text, InputError, r"`inputs\['b'\]` must be an array or tensor of numbers"),
        (bad_fractional_labels, InputError, "`target` must hold class indices"),
    ],
)
def test_bad_arrays_are_refused_by_name(spoil, error, words):
    with pytest.raises(error, match=words):
        MultimodalData.from_arrays(*spoil(*arrays()))


@pytest.mark.parametrize(
    ("split", "error", "words"),
    [
        ({"train": 0.9, "probe": 0.1}, ConfigError, "fractions must be positive for each of train, probe"),
        ({"train": 0.5, "probe": 0.5, "validation": 0.5, "test": 0.5}, ConfigError, "sum 2"),
        ({"trian": 0.5}, ConfigError, "Did you mean 'train'"),
        ({s: [1, 2] for s in SPLITS}, InputError, "2 samples are in more than one"),
        ({s: [i] if s != "test" else [] for i, s in enumerate(SPLITS)}, InputError, r"split\['test'\].*empty"),
        ({s: [i if s != "test" else 999] for i, s in enumerate(SPLITS)}, InputError, r"hold indices 0\.\.199"),
        (np.array(["train"] * 199), ShapeError, "each of the 200 samples"),
    ],
)
def test_bad_splits_are_refused(split, error, words):
    inputs, y = arrays()
    with pytest.raises(error, match=words):
        MultimodalData.from_arrays(inputs, y, split=split)


def test_a_class_without_training_samples_is_refused():
    inputs, y = arrays()
    index = {s: np.arange(200)[i::4] for i, s in enumerate(SPLITS)}  # split by class
    with pytest.raises(InputError, match="training split must hold every class; class 1, 2, 3"):
        MultimodalData.from_arrays(inputs, y, split=index)


def test_odd_labels_are_mapped_and_said_so():
    inputs, y = arrays()
    with pytest.warns(LabelWarning, match="3->0, 5->1, 7->2, 9->3"):
        data = MultimodalData.from_arrays(inputs, 2 * y + 3)
    assert data.class_names == ("3", "5", "7", "9")
    assert data.target.tolist() == y.tolist()


def test_copies_across_splits_are_counted():
    inputs, y = arrays()
    for x in inputs.values():
        x[180:190] = x[0:10]
    index = {"train": range(100), "probe": range(100, 140), "validation": range(140, 160), "test": range(160, 200)}
    with pytest.warns(LeakageWarning, match="10 samples outside the training split"):
        MultimodalData.from_arrays(inputs, y, split={k: list(v) for k, v in index.items()})


def test_a_group_in_two_splits_is_noticed():
    inputs, y = arrays()
    index = {s: np.arange(200)[50 * i : 50 * i + 50] for i, s in enumerate(SPLITS)}
    with pytest.warns(LeakageWarning, match="groups have samples in more than one split"):
        MultimodalData.from_arrays(inputs, y, split=index, groups=np.arange(200) // 40)


def test_masks_are_a_way_to_give_indices():
    inputs, y = arrays()
    parts = {name: np.arange(200) % 40 // 10 == i for i, name in enumerate(SPLITS)}
    masked = MultimodalData.from_arrays(inputs, y, split=parts)
    indexed = MultimodalData.from_arrays(inputs, y, split={name: np.flatnonzero(mask) for name, mask in parts.items()})
    assert masked.fingerprint == indexed.fingerprint
    inputs["a"][3] = np.nan
    with pytest.warns(MissingDataWarning):
        dropped = MultimodalData.from_arrays(inputs, y, split=parts, missing="drop")
    assert [len(dropped.splits[name]) for name in SPLITS] == [49, 50, 50, 50]


@pytest.mark.parametrize("index", [np.linspace(0, 1, 50), np.zeros(7, bool)])
def test_what_is_no_index_is_refused_instead_of_rounded(index):
    inputs, y = arrays()
    with pytest.raises(InputError, match=r"`split\['train'\]` must hold whole numbers, or True and False for each of"):
        MultimodalData.from_arrays(inputs, y, split={name: index for name in SPLITS})


@pytest.mark.parametrize("groups", [np.arange(250) // 10, np.arange(150) // 10, np.zeros((200, 1))])
def test_groups_of_other_samples_are_refused(groups):
    inputs, y = arrays()
    with pytest.raises(ShapeError, match="`groups`"):
        MultimodalData.from_arrays(inputs, y, groups=groups)
    inputs["a"][3] = np.nan
    with pytest.warns(MissingDataWarning), pytest.raises(ShapeError, match="`groups`"):
        MultimodalData.from_arrays(inputs, y, groups=groups, missing="drop")


def test_names_of_a_record_are_no_modalities():
    inputs, y = arrays()
    for name in ("joint", "ens"):
        with pytest.raises(InputError, match=f"must not be named '{name}'.*Rename it"):
            MultimodalData.from_arrays({name: inputs["a"], "b": inputs["b"]}, y)


def test_data_are_compared_as_objects_and_can_be_kept_in_a_set():
    one, two = (MultimodalData.from_arrays(*arrays()) for _ in range(2))
    assert one != two and len({one, two, one}) == 2 and one.split("train") != two.split("train")


# --- labels as users have them ---------------------------------------------------------------------------------------


def worded(n=200):
    rng = np.random.default_rng(0)
    words = np.array(["walk", "run", "stand"])[np.arange(n) % 3]
    return {"a": rng.normal(size=(n, 4)), "b": rng.normal(size=(n, 3))}, words


def test_text_labels_are_counted_alphabetically_and_keep_their_names():
    inputs, words = worded()
    data = MultimodalData.from_arrays(inputs, words)
    assert data.class_names == ("run", "stand", "walk")
    assert [data.class_names[code] for code in data.target] == words.tolist()
    assert data.n_classes == 3


def test_text_labels_follow_the_order_of_class_names():
    inputs, words = worded()
    data = MultimodalData.from_arrays(inputs, words, class_names=["stand", "walk", "run"])
    assert [data.class_names[code] for code in data.target] == words.tolist()


def test_text_labels_of_a_data_frame():
    inputs, words = worded()
    frame = pd.DataFrame({"activity": pd.Categorical(words)})
    assert MultimodalData.from_arrays(inputs, frame["activity"]).class_names == ("run", "stand", "walk")


def test_text_labels_that_cannot_be_read_are_refused():
    inputs, words = worded()
    with pytest.raises(ConfigError, match=r"lacked \['walk'\]"):
        MultimodalData.from_arrays(inputs, words, class_names=["run", "stand"])
    with pytest.raises(InputError, match="1 of 200 labels are neither, the first at index 7: None"):
        MultimodalData.from_arrays(inputs, [None if i == 7 else word for i, word in enumerate(words)])
    with pytest.raises(ShapeError, match=r"one label per sample, \(200,\); its shape was \(199,\)"):
        MultimodalData.from_arrays(inputs, words[:-1])

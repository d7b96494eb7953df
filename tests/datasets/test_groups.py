import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from mmpid import MultimodalData, datasets
from mmpid.datasets.splits import SPLITS
from mmpid.errors import InputError, MissingDataWarning, ShapeError

CLIPS = np.repeat(np.arange(40), 5)


def arrays(n=200):
    rng = np.random.default_rng(0)
    return {"a": rng.normal(size=(n, 3)).astype(np.float32), "b": rng.normal(size=(n, 4)).astype(np.float32)}


def labels(n=200):
    return np.arange(n) % 4


def streamed(groups):
    x = arrays()
    samples = [
        ({"a": torch.as_tensor(a), "b": torch.as_tensor(b)}, i % 4)
        for i, (a, b) in enumerate(zip(*x.values(), strict=True))
    ]
    return MultimodalData.from_loaders(DataLoader(samples), groups=groups, in_memory=False, seed=0)


def in_memory(groups):
    return MultimodalData.from_arrays(arrays(), labels(), groups=groups, seed=0)


@pytest.mark.parametrize("make", [in_memory, streamed])
def test_groups_follow_the_samples_into_splits_subsets_and_memory(make):
    data = make(CLIPS)
    for name in SPLITS:
        index, split = data.splits[name], data.split(name)
        some = torch.tensor([4, 0, 2])
        assert torch.equal(split.groups, torch.as_tensor(CLIPS)[index])
        assert torch.equal(split.subset(some).groups, split.groups[some])
        assert torch.equal(split.subset(some).in_memory().groups, split.groups[some])
        assert data.n_groups[name] == len(set(CLIPS[index.numpy()]))
    assert sum(data.n_groups.values()) == 40 and "groups)" in repr(data)
    assert torch.equal(data.to("cpu").groups, data.groups)


@pytest.mark.parametrize("make", [in_memory, streamed])
def test_without_groups_nothing_is_said_of_them(make):
    data = make(None)
    assert data.groups is None and data.n_groups == {} and "groups" not in repr(data)
    assert data.split("train").groups is None is data.split("train").subset([1, 2]).in_memory().groups


def test_the_fingerprint_notices_groups_and_does_not_see_their_names():
    split = {name: np.arange(50 * i, 50 * i + 50) for i, name in enumerate(SPLITS)}

    def fingerprint(groups):
        return MultimodalData.from_arrays(arrays(), labels(), split=split, groups=groups).fingerprint

    text = np.array([f"clip {clip:02d}" for clip in CLIPS])
    assert fingerprint(CLIPS) == fingerprint(text) == fingerprint(100 + 2 * CLIPS)
    assert len({fingerprint(None), fingerprint(CLIPS), fingerprint(np.arange(200))}) == 3


def test_the_fingerprint_of_data_without_groups_is_that_of_their_samples():
    data = in_memory(None)
    assert data.fingerprint == data.inputs.fingerprint(data.target, data.splits)


def test_groups_of_samples_that_are_dropped_go_with_them():
    inputs = arrays()
    inputs["a"][::7] = np.nan
    with pytest.warns(MissingDataWarning):
        data = MultimodalData.from_arrays(inputs, labels(), groups=CLIPS, missing="drop", seed=0)
    kept = np.delete(np.arange(200), np.arange(0, 200, 7))
    assert torch.equal(data.groups, torch.as_tensor(CLIPS[kept]))


def loader_parts():
    """Groups of 150 samples to train and 50 to test on, and a loader of each."""
    x = {name: torch.as_tensor(value) for name, value in arrays().items()}
    samples = [({name: x[name][i] for name in x}, i % 4) for i in range(200)]
    parts = {"train": samples[:150], "test": samples[150:]}
    groups = {"train": [f"clip {clip}" for clip in CLIPS[:150]], "test": [f"clip {clip}" for clip in CLIPS[150:]]}
    return {name: DataLoader(part) for name, part in parts.items()}, groups


@pytest.mark.parametrize("keep", [True, False])
def test_loaders_that_are_splits_take_groups_and_none_is_carved_apart(keep):
    loaders, groups = loader_parts()
    data = MultimodalData.from_loaders(loaders, groups=groups, in_memory=keep, seed=0)
    owners = [set(data.split(name).groups.tolist()) for name in SPLITS]
    assert sum(map(len, owners)) == len(set.union(*owners)) == 40 and data.n_groups["test"] == 10
    assert data.split("train").in_memory().groups.shape == data.split("train").target.shape
    assert MultimodalData.from_loaders(loaders, in_memory=keep, seed=0).groups is None


@pytest.mark.parametrize(
    ("groups", "error", "words"),
    [
        (list(CLIPS), InputError, "`groups` must map each of train, test"),
        ({"train": CLIPS[:150]}, InputError, "`groups` must map each of train, test"),
        ({"train": CLIPS, "test": CLIPS[150:]}, ShapeError, "each of the 150 samples"),
    ],
)
def test_groups_that_do_not_fit_the_loaders_are_refused(groups, error, words):
    with pytest.raises(error, match=words):
        MultimodalData.from_loaders(loader_parts()[0], groups=groups)


def test_recordings_of_watch_are_groups_and_lie_within_subjects():
    data = datasets.load("watch", seed=1)
    assert data.n_groups == {"train": 70, "probe": 14, "validation": 14, "test": 42}
    owners = [set(data.split(name).groups.tolist()) for name in SPLITS]
    assert sum(map(len, owners)) == len(set.union(*owners)) == 140
    first = torch.zeros(140, dtype=torch.int64)
    first[data.groups] = data.target
    assert torch.equal(first[data.groups], data.target)  # one exercise a recording


def test_voices_of_avdigits_are_no_groups():
    assert datasets.load("av-digits", seed=0).groups is None

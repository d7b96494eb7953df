import pytest
import torch

from mmpid import datasets


@pytest.fixture(scope="module")
def data():
    return datasets.load("av-digits", seed=0)


def test_batches_follow_the_order_that_is_given(data):
    split = data.split("train")
    order = torch.randperm(len(split), generator=torch.Generator().manual_seed(0)).split(64)
    for index, (inputs, target) in zip(order, split.batches(order), strict=True):
        assert torch.equal(target, split.target[index])
        assert all(torch.equal(inputs[name], split.inputs[name][index]) for name in data.modalities)


def test_batches_of_no_order_are_none(data):
    assert list(data.split("probe").batches([])) == []


def test_a_batch_is_a_copy_that_may_be_changed(data):
    split = data.split("probe")
    before = split.inputs["audio"].clone()
    for inputs, _ in split.batches(torch.arange(len(split)).split(64)):
        inputs["audio"].zero_()
    assert torch.equal(split.inputs["audio"], before)


@pytest.mark.parametrize("indices", [[3, 1, 2], torch.tensor([3, 1, 2])])
def test_a_subset_holds_those_samples_in_that_order(data, indices):
    split = data.split("test")
    part = split.subset(indices)
    assert (part.name, len(part)) == ("test", 3)
    assert torch.equal(part.target, split.target[[3, 1, 2]])
    assert torch.equal(part.inputs["image"], split.inputs["image"][[3, 1, 2]])
    assert part.in_memory() is part


def test_shapes_and_sample_describe_the_data_without_reading_them_all(data):
    assert data.shapes == {"audio": (12, 16), "image": (8, 8)}
    sample = data.sample(3)
    assert {name: tuple(x.shape) for name, x in sample.items()} == {"audio": (3, 12, 16), "image": (3, 8, 8)}
    assert torch.equal(sample["audio"], data.split("train").inputs["audio"][:3])

"""av-match: the label says whether two digits are the same, and neither digit alone says anything about it."""

import pytest
import torch
from torch.nn import functional

import mmpid
from mmpid.datasets import load
from mmpid.datasets.splits import SPLITS


def indices(data, digits, name: str) -> torch.Tensor:
    """Which sample of av-digits each sample of a modality is, (N,)."""
    known, samples = (x.inputs[name].flatten(1) for x in (digits, data))
    where = {row.numpy().tobytes(): i for i, row in enumerate(known)}
    assert len(where) == len(known)
    return torch.tensor([where[row.numpy().tobytes()] for row in samples])


@pytest.fixture(scope="module")
def pairs():
    """The data, and for each pair the sample of av-digits that its clip and its image are."""
    data, digits = load("av-match", seed=3), load("av-digits", seed=3, image_noise=0, audio_noise=0)
    return data, digits, {name: indices(data, digits, name) for name in data.modalities}


def test_sizes_and_classes_are_what_the_page_says(pairs):
    data = pairs[0]
    assert data.to_frame().to_numpy().tolist() == [[3000, 3000], [240, 240], [100, 100], [400, 400]]
    assert list(data.n_groups.values()) == [1500, 120, 50, 200] and data.class_names == ("different", "same")
    assert len(load("av-match", seed=3, pairings=1).split("train")) == 2000


def test_the_label_says_whether_both_digits_are_the_same(pairs):
    data, digits, which = pairs
    assert torch.equal(data.target == 1, digits.target[which["audio"]] == digits.target[which["image"]])


@pytest.mark.parametrize("name", SPLITS)
def test_in_every_split_the_label_is_all_synergy(pairs, name):
    data, digits, which = pairs
    at = data.splits[name]
    joint = torch.zeros(10, 10, 2, dtype=torch.float64)
    places = tuple(digits.target[which[m][at]] for m in data.modalities)
    joint.index_put_((*places, data.target[at]), torch.ones(len(at), dtype=torch.float64), accumulate=True)
    for axis in (0, 1):  # exactly: every digit stands in as many pairs of one class as of the other
        counts = joint.sum(axis)
        assert torch.equal(counts[:, 0], counts[:, 1]) and len(counts.unique()) == 1
    r = mmpid.decompose(joint / joint.sum())
    assert max(map(float, (r.redundancy, r.unique1, r.unique2))) < 1e-6 and float(r.synergy) == pytest.approx(1)


@pytest.mark.parametrize("name", SPLITS)
def test_every_single_clip_and_image_is_as_often_in_one_class_as_in_the_other(pairs, name):
    data, digits, which = pairs
    at = data.splits[name]
    for m in data.modalities:
        times = torch.stack([torch.bincount(which[m][at][data.target[at] == y], minlength=1740) for y in (0, 1)])
        assert torch.equal(times[0], times[1])
        assert torch.equal(times[0].nonzero().squeeze(1), digits.splits[name].sort().values)  # and of no other split


def test_pairs_of_a_block_share_their_samples_and_blocks_of_a_split_share_none(pairs):
    data, _, which = pairs
    for name in SPLITS[1:]:  # training pairs its samples anew several times
        for m in data.modalities:
            owner = {}
            for i in data.splits[name].tolist():
                assert owner.setdefault(int(which[m][i]), int(data.groups[i])) == int(data.groups[i])
            assert len(owner) == 2 * data.n_groups[name]


def test_nothing_pulls_at_what_adds_up_the_modalities(pairs):
    """The constant is the best cross-entropy of any sum of functions of one modality each, and it is on a plateau."""
    data = pairs[0]
    model = mmpid.LateFusion.from_data(data, fusion="sum", seed=0)
    for share in model.fusion.values():
        torch.nn.init.zeros_(share.weight), torch.nn.init.zeros_(share.bias)
    train = data.split("train")
    functional.cross_entropy(model(train.inputs).logits, train.target).backward()
    assert all(p.grad is None or p.grad.abs().max() < 1e-6 for p in model.parameters())


def test_noise_belongs_to_a_sample_whatever_it_is_paired_with():
    noise = {"image_noise": 0.4, "audio_noise": 0.3}
    data, digits = load("av-match", seed=1, pairings=1, **noise), load("av-digits", seed=1, **noise)
    for name in data.modalities:
        assert len(indices(data, digits, name).unique()) == 1740
    assert data.options == {"pairings": 1, "seed": 1, **noise}

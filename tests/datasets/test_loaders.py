import random

import numpy as np
import pytest
import torch
from torch.utils.data import (
    DataLoader,
    IterableDataset,
    RandomSampler,
    Subset,
    TensorDataset,
    WeightedRandomSampler,
)

from mmpid import LateFusion, MultimodalData
from mmpid.datasets.stream import StreamedSplit
from mmpid.errors import ConfigError, InputError, LeakageWarning, ShapeError

SPLITS = ("train", "probe", "validation", "test")
# torch warns of two workers on a machine with one core, where they are as right and only slower
on_one_core = pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")


class Samples(torch.utils.data.Dataset):
    """Pairs of a sound and an image, in memory, that can be spoiled at one sample."""

    def __init__(self, n=200, seed=0, spoil=None, noise=0.0):
        generator = torch.Generator().manual_seed(seed)
        self.y = torch.arange(n) % 4
        self.sound = torch.randn(n, 8, generator=generator) + self.y[:, None]
        self.image = torch.randn(n, 5, 5, generator=generator)
        self.spoil, self.noise = spoil or {}, noise

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        sound = self.sound[i] + self.noise * torch.randn(8) + self.noise * (random.random() + np.random.rand())  # noqa: NPY002
        item = {"sound": sound, "image": self.image[i]}, int(self.y[i])
        return self.spoil[i](item) if i in self.spoil else item


def loaders(**sizes):
    sizes = sizes or {"train": 120, "probe": 40, "validation": 24, "test": 40}
    return {name: DataLoader(Samples(n, seed), batch_size=16) for seed, (name, n) in enumerate(sizes.items())}


def everything(split, size=7):
    parts = list(split.batches(torch.arange(len(split)).split(size)))
    return {name: torch.cat([x[name] for x, _ in parts]) for name in parts[0][0]}, torch.cat([y for _, y in parts])


@on_one_core
@pytest.mark.parametrize("workers", [0, 2])
def test_streamed_and_in_memory_give_the_same_samples(workers):
    loader = DataLoader(Samples(), batch_size=16, num_workers=workers)
    kept, streamed = (MultimodalData.from_loaders(loader, seed=3, in_memory=m) for m in (True, False))
    assert (kept.modalities, kept.shapes, kept.class_names) == (
        streamed.modalities,
        streamed.shapes,
        streamed.class_names,
    )
    for name in SPLITS:
        inputs, target = everything(streamed.split(name))
        assert torch.equal(target, kept.split(name).target)
        assert all(torch.equal(x, kept.split(name).inputs[key]) for key, x in inputs.items())
        assert streamed.split(name).in_memory().inputs["image"].dtype == torch.float32


def test_small_data_are_read_into_memory_and_large_ones_are_not(monkeypatch):
    loader = DataLoader(Samples())
    assert not isinstance(MultimodalData.from_loaders(loader).split("train"), StreamedSplit)
    monkeypatch.setattr("mmpid.datasets.loaders.MEMORY", 1000)
    data = MultimodalData.from_loaders(loader)
    assert isinstance(data.split("train"), StreamedSplit) and data.to("cpu") is data
    with pytest.raises(InputError, match="streamed, not in memory"):
        data.inputs["sound"]
    with pytest.raises(InputError, match=r"split\.in_memory\(\)"):
        data.split("train").inputs
    assert "train" in repr(data) and "120 samples of sound, image" in repr(data.split("train"))


def test_order_and_subset_of_a_streamed_split_are_ours():
    split = MultimodalData.from_loaders(DataLoader(Samples(), shuffle=True), in_memory=False).split("train")
    whole, target = everything(split)
    order = torch.randperm(len(split), generator=torch.Generator().manual_seed(0)).split(32)
    for index, (inputs, labels) in zip(order, split.batches(order), strict=True):
        assert torch.equal(inputs["sound"], whole["sound"][index]) and torch.equal(labels, target[index])
    part = split.subset([5, 2]).subset(torch.tensor([1]))
    assert torch.equal(part.in_memory().inputs["image"], whole["image"][[2]]) and part.target == target[2]


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_loader_a_split_and_splits_that_are_carved(in_memory):
    full = MultimodalData.from_loaders(loaders(), in_memory=in_memory)
    assert [len(full.splits[name]) for name in SPLITS] == [120, 40, 24, 40]
    assert torch.equal(everything(full.split("test"))[0]["sound"], Samples(40, 3).sound)
    carved = MultimodalData.from_loaders(loaders(train=200, test=40), in_memory=in_memory)
    assert [len(carved.splits[name]) for name in SPLITS] == [148, 32, 20, 40]
    train = torch.cat([carved.splits[name] for name in ("train", "probe", "validation")])
    assert sorted(train.tolist()) == list(range(200))


def test_given_labels_are_not_read():
    class Unlabeled(Samples):
        def __getitem__(self, i):
            return super().__getitem__(i)[0], 0

    given = {name: torch.arange(n) % 4 for name, n in (("train", 200), ("test", 40))}
    ds = {"train": DataLoader(Unlabeled(200)), "test": DataLoader(Unlabeled(40, 1))}
    data = MultimodalData.from_loaders(ds, target=given, in_memory=False)
    assert torch.equal(data.split("test").target, given["test"])
    with pytest.raises(InputError, match="`target`"):
        MultimodalData.from_loaders(ds, target={"train": given["train"]})


@on_one_core
def test_random_transforms_repeat_with_the_batch_and_leave_the_global_generators_alone():
    split = MultimodalData.from_loaders(DataLoader(Samples(noise=1.0)), in_memory=False).split("train")
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    one, two = (everything(split)[0]["sound"] for _ in range(2))
    other = everything(split, size=9)[0]["sound"]
    assert torch.equal(one, two) and not torch.equal(one, other)
    assert torch.equal(states[0], torch.get_rng_state()) and states[2] == random.getstate()
    assert (states[1] == np.random.get_state()[1]).all()  # noqa: NPY002
    workers = DataLoader(Samples(noise=1.0), num_workers=2)
    assert torch.equal(
        everything(MultimodalData.from_loaders(workers, in_memory=False).split("train"))[0]["sound"], one
    )


def test_the_fingerprint_of_streamed_data_notices_labels_splits_and_sampled_items():
    def fingerprint(samples, seed=0):
        return MultimodalData.from_loaders(DataLoader(samples), seed=seed, in_memory=False).fingerprint

    base = Samples()
    before = fingerprint(base)
    assert before == fingerprint(Samples()) != fingerprint(base, seed=1)
    base.image += 1
    assert fingerprint(base) != before


def test_a_model_can_be_built_from_streamed_data():
    data = MultimodalData.from_loaders(DataLoader(Samples()), in_memory=False)
    inputs, _ = next(data.split("probe").batches(torch.arange(8).split(4)))
    assert LateFusion.from_data(data)(inputs).logits.shape == (4, 4)
    assert {name: x.shape for name, x in data.sample(3).items()} == {"sound": (3, 8), "image": (3, 5, 5)}


def without(name):
    return lambda item: ({key: x for key, x in item[0].items() if key != name}, item[1])


def with_sound(x):
    return lambda item: ({**item[0], "sound": x}, item[1])


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(
    ("spoiler", "words"),
    [
        (without("sound"), "'sound' is missing in sample 70"),
        (with_sound(torch.zeros(9)), r"'sound' must have one shape, \(8,\).*\(9,\) in sample 70"),
        (with_sound("a word"), "'sound' must be a tensor.*samples 70 it was str"),
        (with_sound(torch.full((8,), torch.nan)), "'sound' must be finite; sample 70"),
        (lambda item: item[0], r"sample 70 must be a pair .* it was a dict"),
        (lambda item: (item[0], 0.5), "labels must be class indices.*float"),
        (lambda item: 1 / 0, "sample 70 could not be read: ZeroDivisionError.*dataset.70."),
    ],
)
def test_a_bad_sample_is_named_once_and_clearly(spoiler, words, workers):
    bad = DataLoader(Samples(spoil={70: spoiler}), num_workers=workers)
    with pytest.raises(InputError, match=words) as caught:
        MultimodalData.from_loaders(bad)
    assert "Traceback" not in str(caught.value)


def test_a_new_modality_is_named():
    new = {64: lambda item: ({**item[0], "text": torch.ones(2)}, item[1])}
    samples = [new[i](item) if i in new else item for i, item in enumerate(Samples())]
    with pytest.raises(InputError, match="'text' is new in sample 64"):
        MultimodalData.from_loaders(DataLoader(samples))


def padded(items):
    """Pad sounds of any length to 8; fail where a label is 3."""
    if any(label == 3 for _, label in items):
        raise RuntimeError("no threes")
    sound = torch.stack([torch.nn.functional.pad(x["sound"], (0, 8 - len(x["sound"]))) for x, _ in items])
    return {"sound": sound, "image": torch.stack([x["image"] for x, _ in items])}, [label for _, label in items]


def test_a_collate_function_of_ones_own_may_pad_and_is_named_when_it_fails():
    shorter = {i: with_sound(torch.ones(1 + i % 8)) for i in range(200)}
    few = Subset(Samples(spoil=shorter), [i for i in range(200) if i % 4 != 3])
    data = MultimodalData.from_loaders(DataLoader(few, collate_fn=padded, worker_init_fn=len), in_memory=False)
    assert data.shapes["sound"] == (8,) and data.n_classes == 3
    with pytest.raises(InputError, match="`collate_fn`"):
        MultimodalData.from_loaders(DataLoader(Samples(spoil=shorter), collate_fn=padded))


def test_large_but_finite_values_pass():
    samples = Samples()
    samples.sound[:] = 3e38 + samples.sound
    data = MultimodalData.from_loaders(DataLoader(samples), in_memory=False)
    assert torch.isfinite(everything(data.split("test"))[0]["sound"]).all()


def test_items_that_change_after_opening_are_noticed():
    samples = Samples()
    split = MultimodalData.from_loaders(DataLoader(samples), in_memory=False).split("train")
    samples.y = (samples.y + 1) % 4
    with pytest.raises(InputError, match=r"had the label \d when the data were opened, and has \d now"):
        everything(split)


def ragged(batch):
    width = 3 + len(batch) % 2
    return {"a": torch.zeros(len(batch), width), "b": torch.zeros(len(batch), 2)}, torch.zeros(len(batch)).long()


class Stream(IterableDataset):
    def __iter__(self):
        return iter([])


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: DataLoader(Stream()), "map-style Dataset.*IterableDataset.*from_arrays"),
        (lambda: DataLoader(Samples(), batch_size=None), "batch_size=None"),
        (
            lambda: DataLoader(Samples(), sampler=WeightedRandomSampler([1.0] * 200, 10)),
            "WeightedRandomSampler.*Subset",
        ),
        (lambda: DataLoader([(torch.zeros(2), torch.zeros(2), 0)] * 9), r"sample 0 must be a pair|samples 0 must be a"),
        (lambda: DataLoader(Samples(), collate_fn=lambda items: items[0]), "sound.*one entry for each of|must be"),
        (lambda: DataLoader(list(range(84)), collate_fn=ragged), r"must have one shape"),
        (
            lambda: DataLoader([({"a": torch.zeros(2)}, i % 2) for i in range(90)]),
            "two or more modality names.*1 entries",
        ),
        (lambda: [1, 2], "`loaders` must be a torch DataLoader; it was list"),
        (lambda: {"train": DataLoader(Samples())}, "must hold 'train' and 'test'"),
        (lambda: {"train": DataLoader(Samples()), "holdout": DataLoader(Samples())}, "must be one of 'train'"),
    ],
)
@pytest.mark.parametrize("in_memory", [True, False])
def test_loaders_that_cannot_be_repeated_are_refused(build, words, in_memory):
    with pytest.raises(InputError, match=words):
        MultimodalData.from_loaders(build(), in_memory=in_memory)


def test_one_dataset_in_two_splits_is_refused_and_shared_samples_are_counted():
    base = Samples()
    with pytest.raises(InputError, match="'test'.*'train'.*same dataset"):
        MultimodalData.from_loaders({"train": DataLoader(base), "test": DataLoader(base)})
    parts = {"train": Subset(base, range(160)), "test": Subset(base, range(150, 200))}
    with pytest.warns(LeakageWarning, match="10 samples are in both 'train' and 'test'"):
        MultimodalData.from_loaders({k: DataLoader(d) for k, d in parts.items()}, in_memory=False)


def test_loaders_must_agree_in_shape_and_splits_are_said_once():
    one, two = Samples(), Samples(seed=1)
    two.image = torch.zeros(200, 6, 6)
    with pytest.raises(ShapeError, match="'train' gave .* 'test' gave"):
        MultimodalData.from_loaders({"train": DataLoader(one), "test": DataLoader(two)})
    with pytest.raises(ConfigError, match="cuts a single loader"):
        MultimodalData.from_loaders({"train": DataLoader(one), "test": DataLoader(two)}, split={"train": 1.0})


@pytest.mark.parametrize("in_memory", [True, False])
def test_datasets_are_paired_sample_by_sample(in_memory):
    samples = Samples()
    sound = TensorDataset(samples.sound, samples.y)
    data = MultimodalData.from_datasets({"sound": sound, "image": list(samples.image)}, in_memory=in_memory, seed=1)
    inputs, target = everything(data.split("probe"))
    index = data.splits["probe"]
    assert torch.equal(inputs["image"], samples.image[index]) and torch.equal(target, samples.y[index])
    given = MultimodalData.from_datasets(
        {"sound": list(samples.sound), "image": list(samples.image)}, target=samples.y, in_memory=in_memory, seed=1
    )
    assert torch.equal(given.split("test").target, data.split("test").target)


@pytest.mark.parametrize(
    ("image", "error", "words"),
    [
        (lambda s: list(s.image)[:-1], ShapeError, "same number of samples.*'sound': 200, 'image': 199"),
        (
            lambda s: TensorDataset(s.image, (s.y + (torch.arange(200) == 9)) % 4),
            InputError,
            "sample 9 disagree.*sound 1, image 2",
        ),
        (lambda s: Stream(), InputError, r"`datasets\['image'\]` must be a map-style"),
        (lambda s: [], InputError, r"`datasets\['image'\]` must hold samples"),
    ],
)
def test_datasets_that_do_not_fit_are_refused(image, error, words):
    samples = Samples()
    with pytest.raises(error, match=words):
        MultimodalData.from_datasets({"sound": TensorDataset(samples.sound, samples.y), "image": image(samples)})


def test_datasets_without_labels_ask_for_a_target():
    samples = Samples()
    with pytest.raises(InputError, match="no dataset gives labels.*`target`"):
        MultimodalData.from_datasets({"sound": list(samples.sound), "image": list(samples.image)})


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("build", [lambda: DataLoader(Samples()), lambda: loaders(train=200, test=40)])
def test_what_is_said_about_the_data_is_kept(build, in_memory):
    data = MultimodalData.from_loaders(
        build(), in_memory=in_memory, name="mine", class_names=list("abcd"), license="mine", options={"cut": 3}, seed=2
    )
    assert (data.name, data.class_names, data.license) == ("mine", tuple("abcd"), "mine")
    assert data.options["cut"] == 3 and data.options["seed"] == 2


# --- a modality that is missing for some samples, and samplers that take not every sample once --------------------


def without_sound(item):
    return {"sound": None, "image": item[0]["image"]}, item[1]


def as_lists(items):
    return {name: [x[name] for x, _ in items] for name in items[0][0]}, [y for _, y in items]


def stacked(items):
    inputs, labels = as_lists(items)
    whole = {name: None if any(x is None for x in parts) else torch.stack(parts) for name, parts in inputs.items()}
    return whole, labels


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("collate", [None, as_lists, stacked])
def test_a_modality_that_is_none_in_a_batch_is_called_missing(collate, in_memory):
    if collate is as_lists:

        def padded(items):
            inputs, labels = as_lists(items)
            full = all(x is not None for x in inputs["sound"])
            return ({name: torch.stack(x) for name, x in inputs.items()} if full else inputs), labels

        collate = padded
    loader = DataLoader(Samples(spoil={70: without_sound}), batch_size=16, collate_fn=collate)
    with pytest.raises(
        InputError, match=r"must hold modality 'sound'; it is missing \(None\).*Subset.*cannot be masked"
    ):
        data = MultimodalData.from_loaders(loader, in_memory=in_memory)
        everything(data.split("train"))


def test_a_missing_entry_of_a_dataset_is_named_when_it_is_streamed():
    sound, image = list(Samples().sound), list(Samples().image)
    sound[5] = None
    with pytest.raises(InputError, match=r"'sound'; it is missing \(None\) in sample 5"):
        MultimodalData.from_datasets({"sound": sound, "image": image}, target=Samples().y, in_memory=True)
    data = MultimodalData.from_datasets({"sound": sound, "image": image}, target=Samples().y, in_memory=False)
    with pytest.raises(InputError, match=r"'sound'; it is missing \(None\) in sample 5"):
        for name in SPLITS:
            everything(data.split(name))


def test_a_batch_filled_with_nan_is_refused_and_says_that_it_cannot_be_masked():
    nothing = lambda item: ({**item[0], "sound": torch.full((8,), torch.nan)}, item[1])  # noqa: E731
    loader = DataLoader(Samples(spoil={70: nothing}), batch_size=16)
    with pytest.raises(InputError, match=r"sample 70 holds NaN.*cannot be masked.*missing='drop'` is for arrays"):
        MultimodalData.from_loaders(loader)


class Pairs:
    """A batch sampler of one's own that leaves most samples out."""

    def __iter__(self):
        yield from ([0, 1], [2, 3])

    def __len__(self):
        return 2


@pytest.mark.parametrize(
    "more",
    [
        {"batch_sampler": Pairs()},
        {"sampler": RandomSampler(range(200), replacement=True)},
        {"sampler": RandomSampler(range(200), num_samples=20)},
    ],
)
def test_samplers_that_take_not_every_sample_once_are_refused(more):
    with pytest.raises(InputError, match="must give every sample once.*Subset"):
        MultimodalData.from_loaders(DataLoader(Samples(), **more))


def test_subsets_of_subsets_are_seen_to_share_samples():
    whole = Samples()
    outer = Subset(whole, range(50, 200))
    parts = {"train": Subset(whole, range(120)), "test": Subset(outer, range(60, 110))}  # 110 to 159 of the whole
    with pytest.warns(LeakageWarning, match="10 samples are in both 'train' and 'test'"):
        MultimodalData.from_loaders({name: DataLoader(part) for name, part in parts.items()}, in_memory=False)

"""The decode cache: same samples, decoded once, bounded, sound after a crash, safe with several processes."""

import pickle

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from mmpid import datasets
from mmpid.datasets.stream_cache import DecodeCache
from mmpid.errors import InputError, MMPIDWarning


class Slow(Dataset):
    """Counts what it decodes."""

    def __init__(self, n=12, key="one", random=False):
        self.n, self.key, self.random, self.decoded = n, key, random, []

    def __len__(self):
        return self.n

    def cache_key(self):
        return self.key

    def __getitem__(self, i):
        self.decoded.append(i)
        sound = torch.arange(6, dtype=torch.float64).reshape(2, 3) + i + (torch.rand(1) if self.random else 0)
        return {"sound": sound, "image": np.full((2, 2), i, dtype=np.uint8), "word": torch.tensor(i)}, i % 3


def same(one, other):
    assert one[1] == other[1] and list(one[0]) == list(other[0])
    for name, x in one[0].items():
        given = torch.as_tensor(other[0][name])
        assert torch.equal(x, given) and x.dtype == given.dtype and x.shape == given.shape


def test_samples_are_those_of_the_dataset_and_are_decoded_once(tmp_path):
    source = Slow()
    first = DecodeCache(source, tmp_path)
    for _ in range(2):
        source.decoded.clear()
        items = [first[i] for i in range(12)]
    assert source.decoded == []
    again = pickle.loads(pickle.dumps(DecodeCache(Slow(), tmp_path)))  # another process, another run
    again.dataset.decoded.clear()
    for i in (*range(12), -1):
        same(again[i], Slow()[range(12)[i]])
        same(items[i], Slow()[range(12)[i]])
    assert again.dataset.decoded == [] and all(map(again.is_kept, range(12)))
    with pytest.raises(IndexError):
        again[12]


def test_what_is_half_written_or_spoiled_is_decoded_again(tmp_path):
    kept = DecodeCache(Slow(), tmp_path)
    [kept[i] for i in range(12)]
    content = bytearray(kept._samples.read_bytes())
    content[5 * kept.item_bytes + 20] ^= 1
    kept._samples.write_bytes(content[: 11 * kept.item_bytes + 3])
    later = DecodeCache(Slow(), tmp_path)
    assert [i for i in range(12) if not later.is_kept(i)] == [5, 11]
    for i in range(12):
        same(later[i], Slow()[i])
    assert all(map(DecodeCache(Slow(), tmp_path).is_kept, range(12)))


def test_the_folder_stays_within_its_bound_and_the_rest_is_still_read(tmp_path):
    size = DecodeCache(Slow(), tmp_path / "probe").item_bytes + 8
    small = DecodeCache(Slow(), tmp_path / "own", max_bytes=5 * size + 1)
    for i in reversed(range(12)):
        same(small[i], Slow()[i])
    files = [p for p in (tmp_path / "own").rglob("*") if p.is_file()]
    assert small.capacity == 5 and sum(p.stat().st_size for p in files) <= 5 * size + 1
    changed = DecodeCache(Slow(key="two"), tmp_path / "own", max_bytes=7 * size + 1)
    assert changed.capacity == 2 and not changed.is_kept(0)  # other samples, and the old ones count


def test_several_processes_fill_one_cache(tmp_path):
    loaders = [DataLoader(DecodeCache(Slow(40), tmp_path), batch_size=4, num_workers=2) for _ in range(2)]
    for (one, _), (other, _) in zip(*loaders, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)
    filled = DecodeCache(Slow(40), tmp_path)
    assert all(map(filled.is_kept, range(40)))
    for i in range(40):
        same(filled[i], Slow()[i])


def test_what_cannot_be_kept_is_refused_or_said(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="drawn at random"):
        DecodeCache(Slow(random=True), tmp_path)
    with pytest.raises(InputError, match="modality: tensor"):
        DecodeCache([torch.zeros(2)], tmp_path)
    with pytest.raises(InputError, match="must hold numbers"):
        DecodeCache([({"a": np.array(["x"])}, 0)], tmp_path)
    with pytest.raises(InputError, match="empty"):
        DecodeCache([], tmp_path)
    kept = DecodeCache(Slow(), tmp_path)
    kept._samples.unlink()
    kept._samples.mkdir()  # stands for a disk that cannot be written
    with pytest.warns(MMPIDWarning, match="no longer kept"):
        same(kept[1], Slow()[1])


def test_a_folder_of_clips_streams_the_same_from_its_cache(tmp_path):
    folder = datasets.make_folder("cremad", tmp_path / "clips", n=40)
    plain, kept, again = (
        datasets.read(folder, size=16, in_memory=False, **options)
        for options in ({}, {"cache": tmp_path / "cache"}, {"cache": tmp_path / "cache"})
    )
    order = [torch.arange(8), torch.arange(8, 16)]
    for data in (kept, again):
        for (x, y), (z, w) in zip(plain.split("train").batches(order), data.split("train").batches(order), strict=True):
            assert torch.equal(y, w) and all(torch.equal(x[name], z[name]) for name in x)
    assert plain.fingerprint == kept.fingerprint == again.fingerprint
    (samples,) = (tmp_path / "cache").glob("*/samples.bin")
    assert samples.stat().st_size > 0


def test_a_cache_that_was_read_goes_on_after_a_fork_and_where_its_folder_is_deleted(tmp_path):
    kept = DecodeCache(Slow(40), tmp_path / "cache")
    [kept[i] for i in range(40)]
    assert kept.is_kept(3)
    for (one, _), (other, _) in zip(DataLoader(kept, batch_size=4, num_workers=2), DataLoader(kept, 4), strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)
    kept.dataset.decoded.clear()
    for path in sorted((tmp_path / "cache").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    for i in range(40):
        same(kept[i], Slow(40)[i])
    assert kept.dataset.decoded == []  # what is open stays readable


def test_two_processes_together_stay_within_the_bound(tmp_path):
    size = DecodeCache(Slow(40), tmp_path / "probe").item_bytes + 8
    bound = 15 * size + 1
    loaders = [
        DataLoader(DecodeCache(Slow(40), tmp_path / "own", max_bytes=bound), batch_size=4, num_workers=2)
        for _ in range(2)
    ]
    for (one, _), (other, _) in zip(*loaders, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)
    assert sum(p.stat().st_size for p in (tmp_path / "own").rglob("*") if p.is_file()) <= bound
    kept = DecodeCache(Slow(40), tmp_path / "own", max_bytes=bound)
    assert sum(map(kept.is_kept, range(40))) == 15


def test_seeding_is_left_out_only_where_nothing_can_be_drawn(tmp_path):
    from mmpid import MultimodalData

    class Pairs(Slow):
        def __getitem__(self, i):
            item, label = super().__getitem__(i)
            return {"sound": item["sound"] / 20, "image": torch.rand(3) if self.random else torch.ones(3)}, label

    for source, draws in ((DecodeCache(Pairs(48), tmp_path), False), (Pairs(48, random=True), True)):
        data = MultimodalData.from_loaders(DataLoader(source), in_memory=False)
        order = [torch.arange(4), torch.arange(4, 8)]
        runs = [[x for x, _ in data.split("train").batches(order)] for _ in range(2)]
        state = torch.random.get_rng_state()
        assert all(torch.equal(a[name], b[name]) for a, b in zip(*runs, strict=True) for name in a)
        assert torch.equal(state, torch.random.get_rng_state()) and bool(runs[0][0]["image"].std() > 0) == draws

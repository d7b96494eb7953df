"""Streamed data train as data in memory do, and an epoch is taken up in its middle without reading what is past."""

import pytest
import torch

from mmpid import LateFusion, MultimodalData, Trainer
from mmpid.train.evaluation import evaluate
from tests.small_runs import QUICK, weights


class Items(torch.utils.data.Dataset):
    """The samples of data in memory, one by one; counts which were read."""

    def __init__(self, data):
        self.data, self.read = data, []

    def __len__(self):
        return len(self.data.target)

    def __getitem__(self, i):
        self.read.append(i)
        return {name: x[i] for name, x in self.data.inputs.items()}, int(self.data.target[i])


@pytest.fixture
def streamed(small_data):
    items = Items(small_data)
    data = MultimodalData.from_loaders(
        torch.utils.data.DataLoader(items), split=small_data.splits, in_memory=False, class_names=list("abcd")
    )
    items.read.clear()
    return data, items


def run(data, **settings):
    settings = {"epochs": 5, "unimodal_epochs": 3, "batch_size": 40, **QUICK, **settings}
    return Trainer(LateFusion.from_data(data, seed=0), data, **settings)


def test_streamed_data_train_as_the_same_data_in_memory(small_data, streamed):
    one, two = run(small_data), run(streamed[0])
    for trainer in (one, two):
        trainer.fit(progress=False)
    assert torch.equal(weights(one), weights(two))
    assert two.record.content()[1:] == one.record.content()[1:]


@pytest.mark.parametrize("batches", [2, 9, 22])
def test_a_streamed_run_goes_on_bit_for_bit_and_does_not_read_past_batches_again(streamed, tmp_path, batches):
    data, items = streamed
    whole, first = run(data), run(data)
    first.step(batches=batches)
    resumed = Trainer.load(first.save(tmp_path / "run"), data, device="cpu")
    items.read.clear()
    resumed.step(batches=1)
    assert len(items.read) == 40, "one batch, and none of those before it"
    whole.fit(progress=False)
    resumed.fit(progress=False)
    assert resumed.record == whole.record and torch.equal(weights(resumed), weights(whole))


def test_the_probe_is_read_once_and_kept(streamed):
    data, items = streamed
    trainer = run(data)
    items.read.clear()
    trainer.probe()
    trainer.probe()
    assert not items.read


def test_evaluation_is_the_same_for_any_chunk(streamed, small_data, monkeypatch):
    import mmpid.train.evaluation as evaluation

    model = LateFusion.from_data(small_data, seed=0)
    whole = evaluate(model, small_data.split("train"))
    monkeypatch.setattr(evaluation, "STREAMED_CHUNK", 7)
    parts = evaluate(model, streamed[0].split("train"))
    assert torch.equal(parts.target, whole.target)
    assert all(torch.allclose(parts.logits[k], whole.logits[k], atol=1e-6) for k in whole.logits)
    assert all(torch.allclose(parts.embeddings[k], whole.embeddings[k], atol=1e-6) for k in whole.embeddings)

"""Which learning rates are in force, read from the record of a real run."""

import pytest

import mmpid
from mmpid.widgets.board.rates import rates_in_force


@pytest.fixture(scope="module")
def trainer():
    data = mmpid.datasets.load("av-digits", seed=0)
    small = {"epochs": 6, "unimodal_epochs": 3, "n_boot": 0, "n_null": 0, "device": "cpu"}
    return mmpid.Trainer(mmpid.LateFusion.from_data(data), data, seed=0, lr=0.02, **small)


def test_the_fields_show_what_the_optimizer_uses(trainer):
    def shown():
        return rates_in_force(trainer.record.lineage(), trainer.stage, trainer.record.metadata)

    first, second = trainer.modalities
    assert shown() == {first: 0.02, second: 0.02}
    trainer.step(epochs=1)
    trainer.set_learning_rate(0.01, first)
    assert shown() == {first: 0.01, second: 0.02}
    trainer.set_learning_rate(0.03)
    trainer.set_learning_rate(0.005, second)
    assert shown() == {first: 0.03, second: 0.005}
    trainer.step(epochs=1)
    assert shown() == {first: 0.03, second: 0.005}
    trainer.switch_to_joint(rewind=False)
    assert shown() == {}
    trainer.set_learning_rate(0.5, "joint")
    assert shown() == {"joint": 0.5}
    trainer.step(epochs=1)
    assert shown() == {key[3:]: v for key, v in trainer.record.lineage("epoch")[-1].items() if key.startswith("lr.")}
    assert shown()["joint"] == 0.5
    trainer.rewind(1)
    assert shown() == {first: 0.02, second: 0.02}

"""Every method with three modalities, an interaction, a unimodal stage before it, and a kill in either stage."""

import numpy as np
import pytest
import torch

from mmpid import LateFusion, MultimodalData, Trainer
from mmpid.errors import ConfigError, TrainingError
from mmpid.train.callbacks import Callback
from tests.methods.oracles import runs
from tests.small_runs import QUICK, weights


@pytest.fixture(scope="module")
def three():
    """Three modalities about three classes."""
    rng = np.random.default_rng(1)
    y = np.arange(150) % 3
    inputs = {name: np.eye(3)[y] @ rng.normal(size=(3, 4)) + rng.normal(size=(150, 4)) for name in "abc"}
    return MultimodalData.from_arrays(inputs, y, seed=0, name="three")


@pytest.mark.parametrize("make", runs())
def test_a_method_trains_after_a_unimodal_stage_or_says_why_not(three, tmp_path, make):
    def start():
        model = LateFusion.from_data(three, fusion="film", seed=0)
        settings = {"epochs": 3, "unimodal_epochs": 1, "stage2": "off", "batch_size": 40, "ecs": (), "rewind": False}
        return Trainer(model, three, callbacks=[make()], **settings, **QUICK)

    try:
        whole = start()
        whole.fit(progress=False)
    except TrainingError as refused:
        assert isinstance(refused.__cause__, ConfigError)
        return
    killed = start()
    for batches in (1, 2, 2):  # within stage 1, at its end, within stage 2
        killed.step(batches=batches)
        killed = Trainer.load(killed.save(tmp_path / str(killed.updates)), three, device="cpu")
    killed.fit(progress=False)
    assert killed.record == whole.record and torch.equal(weights(killed), weights(whole))
    assert all(torch.isfinite(p).all() for p in whole.model.parameters())


@pytest.mark.parametrize("make", runs())
def test_the_result_is_that_of_the_selected_weights(three, make):
    """A rule of prediction must read the modules of the model that is judged, not of the one that was trained last."""
    callback = make()
    if type(callback).predict is Callback.predict:
        return
    settings = {"epochs": 4, "unimodal_epochs": 0, "stage2": "off", "batch_size": 40, "ecs": (), "lr": 0.1}
    trainer = Trainer(LateFusion.from_data(three, seed=0), three, callbacks=[callback], **settings, **QUICK)
    trainer.fit(progress=False)
    selected, latest = trainer.selected_model(), trainer._run.evaluate(trainer.model, "test").logits["joint"]
    with torch.no_grad():
        for parameter in trainer.model.parameters():  # what was trained last has no say
            parameter.zero_()
    (result,) = trainer.record.lineage("result")
    again = trainer._run.evaluate(selected, "test")
    assert again.accuracy("joint") == result["test_accuracy.joint"]
    assert not torch.equal(again.logits["joint"], latest) or result["selected_epoch.joint"] == 4

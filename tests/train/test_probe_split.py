"""A probe split on which nothing can be measured is found when the trainer is built, and named."""

import numpy as np
import pytest

from mmpid import LateFusion, MultimodalData, Trainer
from mmpid.errors import InputError
from tests.small_runs import QUICK

N = 120
Y = np.arange(N) % 3
X = {name: np.random.default_rng(i).normal(size=(N, 4)) for i, name in enumerate("ab")}


def build(probe, **settings):
    rest = np.setdiff1d(np.arange(N), probe)
    split = {"probe": probe, "train": rest[:60], "validation": rest[60:75], "test": rest[75:]}
    data = MultimodalData.from_arrays(X, Y, split=split)
    return Trainer(LateFusion.from_data(data), data, epochs=2, unimodal_epochs=1, **QUICK, **settings)


@pytest.mark.parametrize("observable", ["prediction", "kmeans", "soft"])
@pytest.mark.parametrize("estimator", ["counted", "held-out"])
def test_a_probe_split_of_one_class_is_named_and_what_is_advised_works(observable, estimator):
    one_class = np.arange(0, 60, 3)
    settings = {"observable": observable, "estimator": estimator}
    with pytest.raises(InputError, match=r"the probe split must .* two classes.*20 samples are all of class '0'"):
        build(one_class, **settings)
    build(one_class, **settings, probe_split="validation").step(epochs=1)


@pytest.mark.parametrize(
    ("n", "settings", "words"),
    [
        (6, {}, "at least 8 samples; it has 6"),
        (30, {"probe_samples": 5}, "it has 30, of which probe_samples=5 leaves 5"),
        (12, {"observable": "kmeans", "n_clusters": 13}, "at least 13 samples, one for each cluster"),
    ],
)
def test_a_probe_split_with_fewer_samples_than_codes_is_named(n, settings, words):
    with pytest.raises(InputError, match=f"the probe split must have .*{words}"):
        build(np.arange(n), **settings)


@pytest.mark.parametrize("settings", [{}, {"observable": "kmeans", "n_clusters": 8}, {"estimator": "held-out"}])
def test_the_smallest_probe_split_that_is_let_in_can_be_probed(settings):
    trainer = build(np.arange(8), **settings)
    trainer.step(epochs=1)
    assert len(trainer.record.probes()) >= 2

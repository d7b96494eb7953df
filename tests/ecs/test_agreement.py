"""Proxies against exact ECS in the solvable model."""

import pytest
import torch

from mmpid.ecs.agreement import agreement
from mmpid.errors import ConfigError
from mmpid.theory import simulate
from mmpid.theory.evaluate import MODALITIES, SparseCodingNet, logits, sample

SMALL = {"n_classes": 8, "n_seeds": 4, "n_per_class": 12}


@pytest.fixture(scope="module")
def found():
    names = ["class_logit", "mi", "look_ahead", "linear_probe"]
    return {(a.proxy, a.regime): a for a in agreement(names, **SMALL)}


def test_class_logit_and_look_ahead_follow_ecs_in_every_regime(found):
    for regime in ("cold", "warming", "mixed"):
        assert found["class_logit", regime].level.estimate > 0.6
        assert found["look_ahead", regime].level.estimate > 0.7


def test_mi_follows_only_once_training_has_begun(found):
    assert found["mi", "cold"].level.estimate < 0.5
    assert found["mi", "mixed"].level.estimate > found["mi", "cold"].level.estimate + 0.2


def test_linear_probe_does_not_follow_at_a_cold_start(found):
    assert found["linear_probe", "cold"].level.estimate < found["class_logit", "cold"].level.estimate - 0.3


def test_rows_are_flat_and_intervals_bracket(found):
    row = found["mi", "mixed"].row()
    assert {"proxy", "regime", "level", "level_low", "gap_high", "winner"} <= set(row)
    assert row["level_low"] <= row["level"] <= row["level_high"]


def test_unknown_regime_is_refused():
    with pytest.raises(ConfigError, match="regimes.*warming"):
        agreement(["mi"], ["warm"])


def test_class_logit_of_the_solvable_net_is_the_formula_of_the_theory():
    """One neuron and no noise: the class-mean logit is d Lambda^q / (q beta^(q-1)) before discovery."""
    quiet = {"noise": 0.0, "noise_dims": 0, "n_neurons": 1, "clutter_rate": 0.0, "mu": 0.0}
    sim = simulate(4, seed=3, n_steps=0, n_test=4, **quiet)
    batch = sample(sim.start, 400)
    own = logits(sim.start, batch.inputs)[0].gather(2, batch.target.expand(2, -1).unsqueeze(2)).squeeze(2)
    mean = own.unflatten(1, (4, 400)).mean(2).T
    settings, d = sim.settings, batch.own[0].unflatten(1, (4, 400)).pow(3).mean(2).T
    expected = d * sim.strength_path[0] ** 3 / (settings.q * settings.beta**2)
    torch.testing.assert_close(mean, expected, rtol=1e-3, atol=1e-9)


def test_solvable_net_is_a_late_fusion_model():
    sim = simulate(4, n_steps=0, n_test=4)
    net = SparseCodingNet(sim.start)
    batch = sample(sim.start, 2)
    output = net(dict(zip(MODALITIES, batch.inputs[0], strict=True)))
    assert set(net.encoders) == set(output.unimodal) == set(output.embeddings) == set(MODALITIES)

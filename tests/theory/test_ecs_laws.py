"""ECS matches theory on simple bimodal cases."""

import pytest
import torch

from mmpid.errors import ConfigError
from mmpid.theory import ModelSettings, ecs, predicted_discovery_time, schedules, simulate, study
from mmpid.theory.strength import crossing_time, ecs_from

SIMPLE = {"noise": 0.0, "clutter_rate": 0.0, "mu": 0.0, "amplitude_spread": 0.0, "n_neurons": 1, "noise_dims": 0}


@pytest.mark.parametrize("q", [2.0, 3.0, 4.0])
def test_discovery_time_solves_the_growth_equation(q):
    settings = ModelSettings(q=q)
    lam, d = torch.tensor([0.004, 0.01], dtype=torch.float64), torch.tensor([1.5, 2.5], dtype=torch.float64)
    share = torch.linspace(0, 1, 20_001, dtype=torch.float64)
    u = lam.unsqueeze(1) * (settings.beta / lam.unsqueeze(1)) ** share
    waiting = torch.trapezoid(1 / (settings.kappa * d.unsqueeze(1) * u ** (q - 1)), u)
    torch.testing.assert_close(predicted_discovery_time(settings, lam, d), waiting, rtol=1e-5, atol=0.0)


@pytest.mark.parametrize("q", [3.0, 4.0, 5.0])
def test_ecs_is_the_inverse_discovery_time(q):
    settings = ModelSettings(q=q, beta=1e6)
    lam, d = torch.tensor([0.004, 0.01]).double(), torch.tensor([1.5, 2.5]).double()
    kappa, p = settings.kappa, q - 2
    time = predicted_discovery_time(settings, lam, d)
    torch.testing.assert_close(ecs_from(settings, lam, d), (p * kappa * time) ** (-1 / p), rtol=1e-6, atol=0.0)


def test_ecs_for_q_2_is_the_inverse_of_the_exponential_time():
    settings = ModelSettings(q=2)
    lam, d = torch.tensor([0.01]), torch.tensor([2.0])
    expected = settings.kappa * d / (settings.beta / lam).log()
    torch.testing.assert_close(ecs_from(settings, lam, d), expected)


@pytest.mark.parametrize("d", [2.0, 0.5])
def test_q_so_little_above_2_that_ecs_is_no_number_is_refused(d):
    settings = ModelSettings(q=2.005)
    strengths = torch.tensor([[0.01, 0.02]]), torch.tensor([[d, 1.1 * d]])
    with pytest.raises(ConfigError, match="`q`"):
        ecs_from(settings, *strengths)
    assert ecs_from(settings, *(x.double() for x in strengths)).argmax() == 1  # double precision still holds it
    near = ecs_from(ModelSettings(q=2.1), *strengths)
    torch.testing.assert_close(near, (strengths[0].log() + strengths[1].log() / 0.1).exp(), rtol=1e-5, atol=0.0)
    assert ecs_from(settings, torch.zeros(1, 2), torch.zeros(1, 2)).eq(0).all()  # nothing to learn from is no overflow


def test_a_simulation_is_refused_before_it_trains(monkeypatch):
    monkeypatch.setattr(schedules._Run, "train", lambda run: pytest.fail("it trained"))
    with pytest.raises(ConfigError, match="`q`"):
        simulate(4, n_steps=5, q=2.0005)


def test_simple_case_is_discovered_when_predicted():
    """One neuron, no noise, no clutter: only the growth equation is left."""
    sim = simulate(
        8, "two-stage", n_seeds=8, shaping_steps=400, n_steps=400, n_test=8, eta=0.05, init_scale=0.02, **SIMPLE
    )
    known = sim.predicted_time < 300
    ratio = (sim.discovery_time / sim.predicted_time)[known]
    assert int(known.sum()) > 20
    assert ratio.median() == pytest.approx(1, abs=0.05)
    assert ratio.min() > 0.9
    assert ratio.max() < 1.2


def test_relative_growth_is_kappa_times_ecs_to_the_q_minus_2():
    for q in (3.0, 4.0):
        sim = simulate(8, "two-stage", n_seeds=6, q=q, shaping_steps=12, n_steps=12, n_test=8)
        path, strengths = sim.strength_path, sim.ecs_path
        growth = (path[1:] / path[:-1] - 1)[:, path[0] > 0.003]
        predicted = (sim.settings.kappa * strengths ** (q - 2))[:-1, path[0] > 0.003]
        assert (growth / predicted).median() == pytest.approx(1, abs=0.05)
        assert study.rank_correlation(growth.T, predicted.T, n_boot=10).estimate > 0.97


def test_larger_ecs_wins_when_clearly_larger():
    sim = simulate(16, n_seeds=12, seed=100, n_test=16)
    found = study.winner_prediction(sim)
    assert found.n_with_loser > 100
    assert found.with_loser.estimate >= 0.99
    assert found.with_loser.low > 0.96
    assert found.all_classes.estimate >= 0.95
    assert found.clear.estimate >= 0.98
    assert 0.1 < found.both_learned < 0.5


def test_neither_factor_alone_predicts_as_well():
    sim = simulate(16, n_seeds=12, seed=100, n_test=16)
    right = (sim.first == sim.predicted_winner).float().mean()
    for factor in (sim.strength_path[0], sim.start.data_strength):
        assert (sim.first == factor.argmax(-1)).float().mean() < right - 0.05


def test_loser_is_frozen_near_its_start_and_winner_grows():
    sim = simulate(16, n_seeds=4, n_test=16)
    lost = sim.winner >= 0
    final = sim.strength_path[-1]
    loser = final.amin(-1)[lost]
    assert loser.max() < 0.3 * final.amax(-1)[lost].min() + 1
    assert loser.median() < 20 * sim.settings.init_scale
    assert final.amax(-1)[lost].min() > sim.settings.beta


def test_larger_data_strength_wins_at_equal_start():
    sim = simulate(8, n_seeds=6, amplitude_ratio=0.5, n_test=8)
    assert (sim.first == 0).float().mean() > 0.9
    assert (sim.predicted_winner == 0).float().mean() > 0.9


def test_ecs_of_a_state_is_ecs_of_the_simulation():
    sim = simulate(4, n_seeds=2, n_steps=30, n_test=4, checkpoints=(0, 10))
    torch.testing.assert_close(ecs(sim.start), sim.ecs)
    torch.testing.assert_close(ecs(sim.snapshots[1]), sim.ecs_path[10])
    torch.testing.assert_close(ecs(sim.final), sim.ecs_path[30])


def test_crossing_time_interpolates_and_is_infinite_when_never():
    path = torch.tensor([[0.0, 2.0, 0.0], [1.0, 2.0, 0.1], [3.0, 2.0, 0.2]])
    assert crossing_time(path, 2.0).tolist() == [1.5, 0.0, float("inf")]

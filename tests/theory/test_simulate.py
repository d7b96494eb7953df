"""Schedules, reproducibility, results and bad input of the door."""

import numpy as np
import pytest
import torch

from mmpid.errors import ConfigError, InputError, ShapeError
from mmpid.theory import ModelSettings, ecs, predicted_discovery_time, simulate, strength, study

QUICK = {"n_test": 40}


def test_shapes_without_and_with_seeds():
    one = simulate(5, n_steps=3, **QUICK)
    assert one.ecs.shape == (5, 2)
    assert one.predicted_winner.shape == one.winner.shape == one.first.shape == (5,)
    assert one.error.shape == ()
    assert one.strata.shape == (2, 2)
    assert one.strength_path.shape == (4, 5, 2)
    many = simulate(5, n_seeds=3, n_steps=3, **QUICK)
    assert many.ecs.shape == (3, 5, 2)
    assert many.error.shape == (3,)
    assert many.strength_path.shape == (4, 3, 5, 2)


def test_batched_equals_looped():
    together = simulate(4, "two-stage", n_seeds=3, seed=4, **QUICK)
    for index, seed in enumerate((4, 5, 6)):
        alone = simulate(4, "two-stage", seed=seed, **QUICK)
        assert torch.equal(alone.ecs, together.ecs[index])
        assert alone.hand_over == together.hand_over[index]
        torch.testing.assert_close(alone.final.weights, together.final.weights[index], rtol=1e-2, atol=1e-2)
        assert torch.equal(alone.winner, together.winner[index])


def test_workers_change_nothing():
    one, two = (simulate(4, n_seeds=4, n_steps=50, workers=workers, **QUICK) for workers in (1, 2))
    torch.testing.assert_close(one.final.weights, two.final.weights, rtol=1e-4, atol=1e-5)
    assert torch.equal(one.ecs, two.ecs)


def test_same_seed_same_numbers_and_global_random_state_untouched():
    before = torch.get_rng_state()
    first, again = (simulate(4, n_steps=40, **QUICK) for _ in range(2))
    assert torch.equal(first.final.weights, again.final.weights)
    assert torch.equal(first.error, again.error)
    assert torch.equal(before, torch.get_rng_state())
    assert not torch.equal(first.ecs, simulate(4, n_steps=1, seed=1, **QUICK).ecs)


def test_schedules_share_the_same_start():
    starts = [simulate(4, name, n_steps=1, **QUICK).ecs for name in ("joint", "two-stage", "one-shaped")]
    assert torch.equal(starts[0], starts[1])
    assert torch.equal(starts[0], starts[2])


def test_two_stage_learns_both_modalities_and_joint_does_not():
    two = simulate(8, "two-stage", n_seeds=3, **QUICK)
    joint = simulate(8, "joint", n_seeds=3, n_steps=two.n_steps.tolist(), **QUICK)
    assert two.both_learned.all()
    assert (two.winner == -1).all()
    assert joint.both_learned.float().mean() < 0.6
    assert two.error.mean() < 0.3 * joint.error.mean()
    assert torch.equal(joint.n_steps, two.n_steps)


def test_shaping_one_modality_hands_it_every_class():
    sim = simulate(8, "one-shaped", n_seeds=3, **QUICK)
    assert (sim.winner == 0).float().mean() > 0.95
    assert sim.strength_path[: int(sim.hand_over.min()), ..., 1].std(0).max() < 1e-6


def test_margin_shapes_120_steps_longer():
    plain, margin = (simulate(4, name, n_seeds=2, **QUICK) for name in ("two-stage", "two-stage-margin"))
    assert torch.equal(margin.hand_over, plain.hand_over + 120)
    assert torch.equal(plain.n_steps, plain.hand_over + 100)


def test_balance_only_delays_the_hand_over():
    balanced, bare = (simulate(8, "two-stage", n_seeds=6, balanced=b, **QUICK) for b in (True, False))
    assert (balanced.hand_over >= bare.hand_over).all()
    assert (balanced.hand_over > bare.hand_over).any()


def test_fixed_shaping_and_snapshots():
    sim = simulate(4, "two-stage", shaping_steps=20, joint_steps=5, checkpoints=(0, 10, 99), **QUICK)
    assert int(sim.hand_over) == 20
    assert int(sim.n_steps) == 25
    assert [state.step for state in sim.snapshots] == [0, 10, 99]
    assert torch.equal(sim.snapshots[0].weights, sim.start.weights)
    assert torch.equal(sim.snapshots[2].weights, sim.final.weights)


def test_imbalance_scales_modality_2_at_the_hand_over():
    plain, scaled = (
        simulate(4, "two-stage", shaping_steps=200, joint_steps=0, imbalance=alpha, **QUICK) for alpha in (1.0, 3.0)
    )
    ratio = scaled.final.weights / plain.final.weights
    torch.testing.assert_close(ratio[0], torch.ones_like(ratio[0]))
    torch.testing.assert_close(ratio[1], torch.full_like(ratio[1], 3.0))


def test_fresh_data_differ_from_a_fixed_set():
    fixed, fresh = (simulate(4, n_steps=60, fresh_data=flag, **QUICK) for flag in (False, True))
    assert torch.equal(fixed.ecs, fresh.ecs)
    assert not torch.equal(fixed.final.weights, fresh.final.weights)


def test_frame_and_repr():
    sim = simulate(4, n_seeds=2, n_steps=30, **QUICK)
    frame = sim.to_frame()
    assert len(frame) == 8
    assert {"seed", "class", "ecs_1", "ecs_2", "predicted_winner", "winner", "first"} <= set(frame.columns)
    assert repr(sim).startswith("Simulation(n_classes=4, schedule='joint', seeds=2, error=")
    assert "State(step=0" in repr(sim.start)
    assert len(simulate(4, n_steps=1, **QUICK).to_frame()) == 4


def test_q_2_runs_and_predicts():
    sim = simulate(8, n_seeds=4, q=2, n_steps=120, **QUICK)
    assert sim.ecs.isfinite().all()
    assert (sim.first == sim.predicted_winner).float().mean() > 0.7


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"q": 1.5}, "`q` must be a number of at least 2; it was 1.5.*try 3"),
        ({"n_classes": 1}, "`n_classes` must be an integer of at least 2; it was 1.*two classes"),
        ({"n_classes": 4.5}, "n_classes"),
        ({"mu": 1.2}, "`mu` must be a number from 0 to 1; it was 1.2.*probability"),
        ({"mu": -0.1}, "mu"),
        ({"mu": (0.1, 2.0)}, "mu"),
        ({"mu": (0.1, 0.1, 0.1)}, "mu.*3 entries"),
        ({"rho": 2.0}, "rho"),
        ({"gamma": -1.0}, "gamma"),
        ({"beta": 0.0}, "beta"),
        ({"init_scale": float("nan")}, "init_scale"),
        ({"noise": -1.0}, "noise"),
        ({"n_neurons": 0}, "n_neurons"),
        ({"n_confusers": -1}, "n_confusers"),
        ({"n_neurones": 3}, "n_neurons"),
        ({"schedule": "two_stage"}, "two-stage"),
        ({"n_seeds": 0}, "n_seeds"),
        ({"seed": -1}, "seed"),
        ({"n_steps": (3, 4)}, "n_steps.*2 entries"),
        ({"n_steps": -1}, "n_steps"),
        ({"imbalance": 0.0}, "imbalance"),
        ({"checkpoints": (-1,)}, "checkpoints"),
        ({"n_test": 0}, "n_test"),
        ({"workers": 0}, "workers"),
        ({"imbalance": 3.0}, 'imbalance.*schedule="joint".*it was 3.0.*two-stage'),
        ({"shaping_steps": 10}, 'shaping_steps.*schedule="joint".*it was 10'),
        ({"schedule": "two-stage", "imbalance": float("inf")}, "imbalance.*finite"),
        ({"balanced": "no"}, "`balanced` must be True or False; it was 'no'"),
        ({"fresh_data": 1}, "`fresh_data` must be True or False"),
        ({"checkpoints": 3}, "`checkpoints` must be a list or range of integers; it was 3"),
        ({"device": "gpu"}, "`device` must be a device of this machine.*it was 'gpu'.*cpu"),
        ({"device": None}, "`device` must be"),
    ],
)
def test_bad_input_is_refused(settings, match):
    with pytest.raises(ConfigError, match=match):
        simulate(**settings)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match="`device` must be .*no CUDA device; it was 'cuda'"):
        simulate(device="cuda")


def test_a_sweep_keeps_what_belongs_to_a_first_stage_from_joint_training():
    runs = study.sweep({3: 1}, shaping_steps=4, imbalance=2.0, joint_steps=3, n_test=6).runs
    assert int(runs["two-stage"][3].hand_over) == 4 and int(runs["joint"][3].n_steps) == 7


@pytest.mark.parametrize("wrong", [None, torch.ones(3, 2)])
def test_strength_is_asked_of_a_state(wrong):
    sim = simulate(3, n_steps=1, **QUICK)
    for ask in (ecs, strength):
        for thing in (wrong, sim):
            with pytest.raises(InputError, match="`state`"):
                ask(thing)


def test_a_predicted_time_needs_settings_and_two_tables_of_one_shape():
    lam, d = torch.full((3, 2), 0.01), torch.ones(3, 2)
    assert torch.equal(
        predicted_discovery_time(ModelSettings(), lam.numpy(), d.numpy()),
        predicted_discovery_time(ModelSettings(), lam, d),
    )
    with pytest.raises(ShapeError, match="`lam`"):
        predicted_discovery_time(ModelSettings(), lam, torch.ones(4, 2))
    with pytest.raises(InputError, match="`settings`"):
        predicted_discovery_time({}, lam, d)


def test_settings_say_their_rates():
    assert ModelSettings(n_classes=10).rates == (0.025, 0.025)
    assert ModelSettings(mu=(0.1, 0.2)).rates == (0.1, 0.2)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_sees_the_same_worlds():
    cpu, gpu = (simulate(8, "two-stage", n_seeds=4, device=device, **QUICK) for device in ("cpu", "cuda"))
    torch.testing.assert_close(gpu.ecs.cpu(), cpu.ecs)
    assert (gpu.predicted_winner.cpu() == cpu.predicted_winner).all()
    torch.testing.assert_close(gpu.error.cpu(), cpu.error, atol=2e-3, rtol=0.2)


def test_steps_may_come_from_numpy_and_from_another_simulation():
    one = simulate(4, n_seeds=2, n_steps=np.int64(3), **QUICK)
    again = simulate(4, n_seeds=2, n_steps=one.n_steps, **QUICK)
    assert again.n_steps.tolist() == [3, 3]


@pytest.mark.parametrize("n_steps", [3.0, [3, 2.5], "3", [3, -1]])
def test_steps_that_are_no_counts_are_refused(n_steps):
    with pytest.raises(ConfigError, match="`n_steps`"):
        simulate(4, n_seeds=2, n_steps=n_steps, **QUICK)


@pytest.mark.parametrize("name", ["q", "beta", "noise"])
def test_infinite_settings_are_refused(name):
    with pytest.raises(ConfigError, match=f"`{name}` must be finite"):
        ModelSettings(**{name: float("inf")})

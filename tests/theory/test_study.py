"""The statistics behind the claims."""

import pytest
import torch
from scipy.stats import spearmanr

from mmpid.errors import InputError
from mmpid.theory import simulate, study


def test_slope_of_a_power_law_is_its_exponent():
    generator = torch.Generator().manual_seed(0)
    errors = {k: k**-2.0 * torch.empty(40).uniform_(0.8, 1.2, generator=generator) for k in (4, 8, 16, 32)}
    found = study.slope(errors)
    assert found.low < -2 < found.high
    assert found.high - found.low < 0.1


def test_rank_correlation_is_spearman_with_ties():
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(5, (20, 3), generator=generator).double()
    y = x + torch.randn(20, 3, generator=generator)
    assert study.rank_correlation(x, y).estimate == pytest.approx(spearmanr(x.flatten(), y.flatten()).statistic)


def test_proportion_brackets_the_share():
    found = study.proportion(95, 100)
    assert found.low < 0.95 < found.high
    assert study.proportion(0, 10).low == 0
    assert study.proportion(0, 0).low == 0
    assert study.proportion(0, 0).high == 1


def test_bootstrap_mean_covers_the_mean():
    found = study.bootstrap_mean(torch.arange(10.0))
    assert found.estimate == 4.5
    assert found.low < 4.5 < found.high


def test_sweep_gives_joint_the_budget_of_two_stage():
    found = study.sweep({4: 2, 5: 2}, ("joint",), n_test=20)
    for k in (4, 5):
        assert torch.equal(found.runs["joint"][k].n_steps, found.runs["two-stage"][k].n_steps)
    frame = found.to_frame()
    assert len(frame) == 8
    assert set(frame["schedule"]) == {"joint", "two-stage"}


def test_prediction_counts_only_classes_with_a_loser():
    sim = simulate(8, n_seeds=4, n_test=16)
    found = study.winner_prediction(sim)
    assert found.n_with_loser == int((sim.winner >= 0).sum())
    assert "[" in repr(found.with_loser)


@pytest.mark.slow
def test_error_laws_over_few_classes():
    found = study.sweep({4: 48, 8: 24, 16: 12}, ("joint",), n_test=2000)
    joint, two = (study.slope(found.errors(name)) for name in ("joint", "two-stage"))
    assert -1.15 < joint.estimate < -0.8
    assert -2.4 < two.estimate < -1.6
    assert two.high < joint.low


@pytest.mark.parametrize(
    ("errors", "says"), [({8: [0.1, 0.2]}, "two values of K"), ({4: [0.1], 8: [0.0]}, r"at K = \[8\]")]
)
def test_a_slope_needs_two_sizes_and_errors(errors, says):
    with pytest.raises(InputError, match=says):
        study.slope({k: torch.tensor(values) for k, values in errors.items()})

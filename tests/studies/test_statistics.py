"""Known answers of the statistics: coverage by simulation, textbook values, and laws."""

import numpy as np
import pytest
from scipy.stats import chi2, ttest_1samp

from mmpid.studies.statistics import (
    bootstrap,
    holm,
    interval,
    mcnemar,
    paired_interval,
    rank_methods,
    resampled_component,
    seed_component,
    unit_component,
)


def units_of(count, pool="pool"):
    return [(pool, i) for i in range(count)]


def covered(rng, n_seeds, n_samples, seed_noise, sample_noise, group=1, n_studies=400):
    """Share of intervals that contain the true difference, when seeds and groups of test samples are drawn anew."""
    hits, naive = 0, 0
    units = [[("pool", i // group) for i in range(n_samples)]] * n_seeds
    for _ in range(n_studies):
        samples = np.repeat(sample_noise * rng.normal(size=n_samples // group), group)
        deltas = [0.1 + seed_noise * rng.normal() + samples + 0.3 * rng.normal(size=n_samples) for _ in range(n_seeds)]
        means = np.array([d.mean() for d in deltas])
        found = interval(means.mean(), [seed_component(means), unit_component(deltas, units)], n_seeds)
        hits += found.low <= 0.1 <= found.high
        naive += seed_component(means).variance >= 0 and abs(means.mean() - 0.1) <= _half(means)
    return hits / n_studies, naive / n_studies


def _half(means):
    _, low, high = paired_interval(means)
    return (high - low) / 2


@pytest.mark.parametrize(
    ("n_seeds", "seed_noise", "sample_noise", "group"), [(5, 0.03, 0.5, 1), (10, 0.0, 0.5, 1), (10, 0.02, 0.5, 5)]
)
def test_intervals_that_hold_the_noise_of_test_samples_cover(n_seeds, seed_noise, sample_noise, group):
    rng = np.random.default_rng(0)
    both, seeds_alone = covered(rng, n_seeds, 200, seed_noise, sample_noise, group)
    assert 0.92 <= both <= 0.99
    assert seeds_alone < both, "the noise of seeds alone is too little on one test split"


def test_test_splits_of_their_own_add_nothing_to_the_noise_of_seeds():
    rng = np.random.default_rng(1)
    deltas = [rng.integers(-1, 2, 50).astype(float) for _ in range(6)]
    apart = [units_of(50, f"pool {s}") for s in range(6)]
    assert unit_component(deltas, apart).variance == pytest.approx(0)
    shared = unit_component([deltas[0]] * 6, [units_of(50)] * 6)
    assert shared.variance == pytest.approx(deltas[0].var() / 50 * (1 - 1 / 6) * 50 / 49)


def test_the_interval_without_test_samples_is_the_t_interval():
    x = np.random.default_rng(0).normal(0.3, 1, size=9)
    found = interval(x.mean(), [seed_component(x)], 9)
    other = ttest_1samp(x, 0)
    assert found.p == pytest.approx(other.pvalue)
    assert [found.low, found.high] == pytest.approx(list(other.confidence_interval(0.95)))
    assert interval(0.2, [seed_component(x[:1])], 1).p == 1.0


def test_resampled_and_analytic_noise_of_samples_agree():
    rng = np.random.default_rng(2)
    samples = rng.normal(size=120)
    deltas = [samples + 0.3 * rng.normal(size=120) for _ in range(4)]
    analytic = unit_component(deltas, [units_of(120)] * 4).variance
    resampled = resampled_component(lambda s, i: float(deltas[s][i].mean()), [units_of(120)] * 4, n_boot=800).variance
    assert resampled == pytest.approx(analytic, rel=0.2)


def test_bootstrap_agrees_with_the_t_interval_where_both_hold():
    rng = np.random.default_rng(3)
    deltas = [0.1 + 0.05 * rng.normal() + rng.normal(size=100) for _ in range(40)]
    apart = [units_of(100, str(s)) for s in range(40)]
    found = bootstrap(deltas, apart, 1000, seed=0)
    _, low, high = paired_interval(np.array([d.mean() for d in deltas]))
    assert found.low == pytest.approx(low, abs=0.02) and found.high == pytest.approx(high, abs=0.02)
    zero = bootstrap([np.zeros(10)] * 3, [units_of(10)] * 3, 100, seed=0)
    assert (zero.low, zero.high, zero.p) == (0, 0, 1.0)


def test_mcnemar_is_the_exact_test_of_the_discordant_pairs():
    one = np.r_[np.ones(60), np.ones(12), np.zeros(3), np.zeros(25)]
    two = np.r_[np.ones(60), np.zeros(12), np.ones(3), np.zeros(25)]
    only_one, only_two, p = mcnemar(one, two)
    tail = sum(455 if k == 3 else [1, 15, 105][k] for k in range(4)) / 2**15  # binomials of 15
    assert (only_one, only_two) == (12, 3) and p == pytest.approx(2 * tail)
    many = np.r_[np.ones(600), np.zeros(500)], np.r_[np.zeros(600), np.ones(500)]
    corrected = chi2.sf((abs(600 - 500) - 1) ** 2 / 1100, 1)
    assert mcnemar(*many)[2] == pytest.approx(corrected, rel=0.05)
    assert mcnemar(one, one)[2] == 1.0


def test_holm_follows_the_textbook_and_keeps_the_family_wise_error():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == [] and holm([0.9, 0.8]) == [1.0, 1.0]
    rng = np.random.default_rng(4)
    errors = np.mean([min(holm(rng.uniform(size=12).tolist())) < 0.05 for _ in range(2000)])
    assert 0.035 <= errors <= 0.065


def test_critical_difference_is_demsars():
    """Table 5 of Demsar (2006): q = 2.569 for four methods; on 14 data sets the critical difference is 1.25."""
    rng = np.random.default_rng(5)
    found = rank_methods(rng.uniform(size=(14, 4)))
    assert found.critical_difference == pytest.approx(1.25, abs=0.005) and found.mean.sum() == pytest.approx(10)
    ordered = rank_methods(np.tile([0.9, 0.8, 0.7, 0.6], (14, 1)))
    assert ordered.mean.tolist() == [1, 2, 3, 4] and ordered.p < 1e-6
    assert rank_methods(np.ones((5, 3))).p == 1.0

"""Clusters of predicted probabilities, and discretizers side by side on mixtures whose truth is known."""

import numpy as np
import pytest
import torch

from mmpid.bench import mixtures
from mmpid.errors import ConfigError, InputError
from mmpid.estimate import PosteriorDiscretizer, compare_discretizers, estimate_pid
from mmpid.estimate.posterior import auto_codes
from mmpid.estimate.terms import ATOMS


def test_the_number_of_codes_grows_with_the_sample():
    assert [auto_codes(n, 6) for n in (100, 1280, 2400, 10_000)] == [8, 13, 25, 64]


def test_it_survives_its_state_dict_and_says_what_is_missing(rng):
    source, target = torch.tensor(rng.normal(size=(200, 5))), torch.tensor(rng.integers(3, size=200))
    source = source + torch.eye(3, 5)[target]
    first, second = PosteriorDiscretizer(n_codes=9), PosteriorDiscretizer()
    codes = first.fit(source, target).transform(source)
    second.load_state_dict(first.state_dict())
    assert second.n_codes == first.n_codes == 9 and torch.equal(second.transform(source), codes)
    with pytest.raises(InputError, match="fitted first"):
        PosteriorDiscretizer().transform(source)
    with pytest.raises(InputError, match="target"):
        PosteriorDiscretizer().fit(source)


def test_bits_in_noise_have_the_information_that_a_finer_integral_gives():
    grid = np.linspace(-12, 12, 200_001)
    for noise in (0.5, 1.0):
        p = [np.exp(-((grid - b) ** 2) / (2 * noise**2)) / (noise * np.sqrt(2 * np.pi)) for b in (-1, 1)]
        mean = (p[0] + p[1]) / 2
        step = grid[1] - grid[0]
        entropy = -(mean * np.log2(mean + 1e-300)).sum() * step
        expected = entropy - 0.5 * np.log2(2 * np.pi * np.e * noise**2)
        assert mixtures.bit_information(noise) == pytest.approx(expected, abs=1e-5)
    assert mixtures.xor_information(0.05, 0.05) == pytest.approx(1, abs=1e-6)
    assert mixtures.xor_information(9.0, 0.1) == pytest.approx(mixtures.bit_information(9.0), abs=1e-6)


def test_posterior_codes_lose_little_and_others_more():
    mixture = mixtures.mixtures()["shared bit, noise 0.6 and 1.0"]
    frame = compare_discretizers(*mixture.draw(1500, np.random.default_rng(1)), warn=False)
    assert list(frame.index) == ["kmeans", "prediction", "soft", "posterior"]
    true = mixture.truth["redundancy"] + mixture.truth["unique1"]
    known = (frame.redundancy + frame.unique1).astype(float)
    assert known.idxmax() == "posterior" and known["posterior"] == pytest.approx(true, abs=0.06)
    assert known["soft"] < known["prediction"] < known["posterior"] < true + 0.06
    assert {f"{atom}{end}" for atom in ATOMS for end in ("", "_low", "_high", "_proven")} <= set(frame.columns)


def test_posterior_codes_of_noise_prove_nothing():
    proven = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        noise, target = rng.normal(size=(2, 200, 30)), rng.integers(3, size=200)
        proven += list(estimate_pid(*noise, target, discretizer="posterior", warn=False).proven.values())
    assert sum(proven) <= 1


def test_clusters_of_embeddings_carry_an_exclusive_or(rng):
    one, two = rng.integers(2, size=(2, 600))
    views = [np.stack([2.0 * b - 1, 0.1 * rng.normal(size=600)], 1) for b in (one, two)]
    estimate = estimate_pid(*views, one ^ two, n_clusters=4, warn=False)
    assert estimate.proven["synergy"] and float(estimate.pid.synergy) == pytest.approx(1, abs=0.05)


def test_scores_of_a_head_need_no_readout(rng):
    target = rng.integers(4, size=400)
    scores = 2 * np.eye(4)[target] + rng.normal(size=(2, 400, 4))
    estimate = estimate_pid(*scores, target, discretizer="posterior", warn=False)
    assert estimate.proven["redundancy"] and any("class scores" in note for note in estimate.notes)


def test_no_discretizer_at_all_is_refused(rng):
    with pytest.raises(ConfigError, match="`discretizers`"):
        compare_discretizers(rng.normal(size=(20, 2)), rng.normal(size=(20, 2)), np.arange(20) % 2, [])


def test_the_table_of_mixtures_has_a_line_a_discretizer():
    shown = []
    rows = mixtures.discretizer_errors(200, 1, show=shown.append)
    assert len(rows) == 16 and "posterior" in shown[1]

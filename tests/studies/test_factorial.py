"""Two crossed factors: what the effects are when they are known, and that a contrast of two is their difference."""

import itertools

import numpy as np
import pytest

from mmpid.errors import ConfigError, InputError
from mmpid.studies.comparison import Comparison
from mmpid.studies.factorial import contrast, factorial

FIRST, SECOND = {"a0": 0.0, "a1": 0.05, "a2": 0.02}, {"b0": 0.0, "b1": 0.03}
CELLS = {(i, j): f"{i} {j}" for i, j in itertools.product(FIRST, SECOND)}


def table(interaction=0.0, noise=0.0, seeds=5):
    rng = np.random.default_rng(0)
    rows = []
    for (i, j), method in CELLS.items():
        both = interaction if i != "a0" and j != "b0" else 0.0
        for seed in range(seeds):
            score = 0.5 + FIRST[i] + SECOND[j] + both + noise * rng.normal()
            rows.append({"method": method, "seed": seed, "test_accuracy": score})
    return Comparison(tuple(rows))


@pytest.mark.parametrize("interaction", [0.0, -0.03])
def test_known_effects_come_out(interaction):
    found = factorial(table(interaction), CELLS, ("a0", "b0")).set_index(["effect", "first", "second"])["mean"]
    assert found["first", "a1", "b0"] == pytest.approx(0.05)
    assert found["second", "a0", "b1"] == pytest.approx(0.03)
    assert found["both", "a2", "b1"] == pytest.approx(0.05 + interaction)
    assert found["interaction", "a1", "b1"] == pytest.approx(interaction)
    assert found["first on average", "a1", ""] == pytest.approx(0.05 + interaction / 2)
    assert found["second on average", "", "b1"] == pytest.approx(0.03 + 2 * interaction / 3)


def test_a_contrast_of_two_methods_is_their_difference():
    noisy = table(noise=0.02)
    one = contrast(noisy, {"a1 b0": 1, "a0 b0": -1})
    assert (one.mean, one.low, one.high) == pytest.approx(noisy.difference("a1 b0", "a0 b0"))


def test_gaps_and_other_sums_are_refused_by_name():
    with pytest.raises(ConfigError, match="`cells` must hold every pair"):
        factorial(table(), {k: v for k, v in CELLS.items() if k != ("a1", "b1")}, ("a0", "b0"))
    with pytest.raises(ConfigError, match="`weights` must add up to zero"):
        contrast(table(), {"a1 b0": 1})
    rows = [row for row in table().rows if (row["method"], row["seed"]) != ("a1 b0", 3)]
    with pytest.raises(InputError, match=r"'a1 b0' lacks \[3\]"):
        contrast(Comparison(tuple(rows)), {"a1 b0": 1, "a0 b0": -1})

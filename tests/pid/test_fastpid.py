"""The paper's method: close, but off, and its error bounded by its certificate."""

import warnings

import pytest
import torch

from mmpid.errors import ConvergenceWarning
from mmpid.pid import decompose, joints
from tests.pid.oracles import NASTY


def by_paper(joint, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return decompose(joint, method="fastpid", **settings)


@pytest.mark.parametrize("gate", ["xor", "and_", "rdn", "unq"])
def test_gate_is_close(gate):
    joint = getattr(joints, gate)()
    result, exact = by_paper(joint), decompose(joint)
    assert abs(result.redundancy - exact.redundancy) < 0.02


def test_gap_bounds_the_error_and_the_optimum_is_moved_to_the_marginals():
    batch = torch.stack([joints.random(4, 4, 3, seed=seed) for seed in range(3)])
    result, exact = by_paper(batch, max_iter=60), decompose(batch, tol=1e-9)
    assert bool(((result.synergy - exact.synergy).abs() <= result.gap + 1e-9).all())
    assert bool((result.gap > 1e-6).any())
    assert torch.allclose(result.optimum.sum(1), batch.sum(1), atol=1e-12)
    assert result.method == "fastpid"


def test_batch_equals_loop():
    batch = torch.stack([joints.and_(), joints.noisy(joints.xor(), 0.3), joints.noisy(joints.rdn(), 0.2)])
    together = by_paper(batch, max_iter=50)
    alone = torch.stack([by_paper(p, max_iter=50).synergy for p in batch])
    assert torch.allclose(together.synergy, alone, atol=1e-5)


def test_a_problem_that_overflows_in_single_precision_stops_at_its_last_finite_point():
    batch = torch.stack([joints.random(4, 4, 3, seed=seed) for seed in range(3)])
    result, exact = by_paper(batch, lr=100.0), decompose(batch, tol=1e-9)
    assert bool(((result.synergy - exact.synergy).abs() <= result.gap + 1e-9).all())


def test_missed_tolerance_is_said():
    with pytest.warns(ConvergenceWarning, match="1 of 1 problems missed"):
        decompose(joints.random(4, 4, 3), method="fastpid", max_iter=5)


@pytest.mark.slow
def test_more_sweeps_repair_it():
    joint = joints.random(5, 5, 3, seed=0)
    assert by_paper(joint, sinkhorn_sweeps=100, stop=0.0, max_iter=600).gap < 0.2 * by_paper(joint, max_iter=600).gap


@pytest.mark.parametrize("case", NASTY)
def test_nasty_joint_has_numbers_within_their_gap(case):
    joint = NASTY[case]()
    result, exact = by_paper(joint, max_iter=10), decompose(joint, tol=1e-9)
    for name in ("redundancy", "unique1", "unique2", "synergy"):
        assert abs(getattr(result, name) - getattr(exact, name)) <= result.gap + exact.gap

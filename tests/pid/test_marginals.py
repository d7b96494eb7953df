"""decompose_marginals and the multipliers, against decompose on joints with those marginals."""

import pytest
import torch
from torch.testing import assert_close

import mmpid
from mmpid.errors import ConvergenceWarning, InputError, ShapeError
from mmpid.pid import decompose, decompose_marginals, dual_multipliers, information, joints
from tests.pid.oracles import CLOSED_FORMS, NASTY, varied

BATCH = torch.stack([joints.random(5, 4, 3, concentration=0.5, seed=seed) for seed in range(6)])


def both(joint):
    return joint.sum(-2), joint.sum(-3)


@pytest.mark.parametrize("case", [*CLOSED_FORMS, *NASTY])
def test_atoms_are_those_of_the_joint(case):
    joint = NASTY[case]() if case in NASTY else getattr(joints, case)()
    found, expected = decompose_marginals(*both(joint)), decompose(joint)
    for atom in ("redundancy", "unique1", "unique2"):
        assert (getattr(found, atom) - getattr(expected, atom)).abs() <= found.gap + expected.gap
    low, high = found.synergy_range
    assert low == 0 and expected.synergy - expected.gap <= high
    assert bool(found.converged)


def test_range_holds_every_joint_of_the_marginals():
    # joints with the marginals of the uniform one: any function of both that is balanced in each
    joint = joints.gate(lambda a, b: (a + b) % 4, 4, 4)
    low, high = decompose_marginals(*both(joint)).synergy_range
    assert_close(high.item(), 2.0, atol=2e-6, rtol=0)  # attained: H(Y)
    for joint in varied(30):
        low, high = decompose_marginals(*both(joint)).synergy_range
        assert low == 0 and decompose(joint).synergy <= high
        most = information.entropy(joint.sum((0, 1))) + 1e-6
        assert high <= most


def test_range_is_zero_where_a_source_says_everything_or_nothing():
    joint = joints.random(1, 5, 3, seed=0)
    high = decompose_marginals(*both(joint)).synergy_range[1]
    assert_close(high.item(), 0.0, atol=2e-6, rtol=0)  # a constant source: I(Y; X1, X2) = I(Y; X2)
    assert_close(decompose_marginals(*both(joints.rdn())).synergy_range[1].item(), 0.0, atol=2e-6, rtol=0)


def test_batch_axes_and_public_door():
    found = mmpid.decompose_marginals(*both(BATCH.view(2, 3, 5, 4, 3)))
    assert found.redundancy.shape == (2, 3) and found.synergy_range[1].shape == (2, 3)
    assert_close(found.unique1.flatten(), decompose(BATCH).unique1, atol=2e-6, rtol=0)


def test_gradient_is_that_through_the_joint():
    joint = joints.random(4, 3, 3, concentration=3.0, seed=1)
    p1, p2 = (p.clone().requires_grad_() for p in both(joint))
    of_marginals = torch.autograd.grad(decompose_marginals(p1, p2).unique1, (p1, p2))
    through = joint.clone().requires_grad_()
    (expected,) = torch.autograd.grad(decompose(through).unique1, through)
    found = of_marginals[0].unsqueeze(1) + of_marginals[1].unsqueeze(0)
    direction = torch.randn(joint.shape, generator=torch.Generator().manual_seed(0), dtype=joint.dtype)
    assert_close((found * direction).sum(), (expected * direction).sum(), atol=1e-7, rtol=1e-6)


@pytest.mark.parametrize("tol", [1e-6, 1e-4, 1e-2])
def test_multipliers_are_feasible_and_their_value_is_a_bound(tol):
    for batch in (BATCH, torch.stack([NASTY["two blocks"](), joints.copy(6)[..., :4] / joints.copy(6)[..., :4].sum()])):
        p1, p2 = both(batch)
        found = dual_multipliers(p1, p2, tol=tol)
        mass = torch.exp2(found.lam.unsqueeze(2) + found.mu.unsqueeze(1)).sum(-1)
        assert mass.max() <= 1 + 1e-12
        value = torch.where(p1 > 0, p1 * found.lam, 0).sum((1, 2)) + torch.where(p2 > 0, p2 * found.mu, 0).sum((1, 2))
        assert_close(value, found.value, atol=1e-12, rtol=0)
        union = information.entropy(batch.sum((1, 2))) + value
        exact = decompose(batch, tol=1e-9)
        below = exact.redundancy + exact.unique1 + exact.unique2 - union
        assert bool((below >= -1e-8).all()) and bool((below <= found.gap + 1e-8).all())
        assert bool((found.gap <= tol).all())


def test_multipliers_in_chunks_are_the_same():
    p1, p2 = both(BATCH)
    whole, parts = dual_multipliers(p1, p2, 1e-9), dual_multipliers(p1, p2, 1e-9, memory_budget=1)
    assert_close(whole.value, parts.value, atol=2e-9, rtol=0)
    assert parts[2].lam.shape == (5, 3)


def test_missed_tolerance_warns():
    with pytest.warns(ConvergenceWarning, match="1 of 1 problems"):
        decompose_marginals(*both(joints.random(6, 6, 4)), max_iter=1)


P = joints.random(3, 4, 2, seed=0)
REFUSED = {
    "one axis": (torch.ones(2), P.sum(0), ShapeError, "`p1` must have at least two axes"),
    "classes": (P.sum(1), torch.full((4, 3), 1 / 12), ShapeError, "as many classes"),
    "batch": (P.sum(1), torch.stack([P.sum(0)] * 2), ShapeError, "batch axes"),
    "counts": (P.sum(1), (P.sum(0) * 100).long(), InputError, "`p2` must hold probabilities"),
    "sum": (P.sum(1) * 2, P.sum(0), InputError, "`p1` must sum to 1"),
    "negative": (P.sum(1) - 0.2, P.sum(0), InputError, "`p1` must hold probabilities of at least 0"),
    "prior": (P.sum(1), torch.full((4, 2), 1 / 8), InputError, "same p\\(y\\)"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_wrong_marginals_are_refused(case):
    p1, p2, error, words = REFUSED[case]
    with pytest.raises(error, match=words):
        decompose_marginals(p1, p2)


def test_advice_on_other_priors_works():
    p1, p2 = P.sum(1), torch.full((4, 2), 1 / 8, dtype=torch.float64)
    p2 = p2 / p2.sum(-2, keepdims=True) * p1.sum(-2, keepdims=True)
    assert bool(decompose_marginals(p1, p2).converged)
    p1, p2 = p1.numpy(), p2.numpy()
    assert bool(decompose_marginals(p1, p2 / p2.sum(-2, keepdims=True) * p1.sum(-2, keepdims=True)).converged)

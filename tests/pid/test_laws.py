"""Closed forms, and laws that hold for every joint."""

import pytest
import torch
from torch.testing import assert_close

import mmpid
from mmpid.errors import ConvergenceWarning
from mmpid.pid import decompose, information, joints
from tests.pid.oracles import CLOSED_FORMS, NASTY, varied

BATCH = torch.stack([joints.random(5, 4, 3, concentration=0.5, seed=seed) for seed in range(6)])


def atoms(result):
    return torch.stack([result.redundancy, result.unique1, result.unique2, result.synergy], -1)


@pytest.mark.parametrize("gate", CLOSED_FORMS)
def test_gate_has_its_closed_form(gate):
    result = decompose(getattr(joints, gate)())
    expected = torch.tensor(CLOSED_FORMS[gate], dtype=torch.float64)
    assert bool(result.converged)
    assert_close(atoms(result), expected, atol=1e-6, rtol=0)


def test_sum_rules_hold_to_rounding():
    result = decompose(BATCH)
    assert_close(result.total, information.mutual_information(BATCH.flatten(1, 2)), atol=1e-12, rtol=0)
    own1, own2 = (information.mutual_information(BATCH.sum(axis)) for axis in (2, 1))
    assert_close(result.redundancy + result.unique1, own1, atol=1e-12, rtol=0)
    assert_close(result.redundancy + result.unique2, own2, atol=1e-12, rtol=0)


def test_atoms_are_those_of_the_optimum():
    result = decompose(BATCH)
    q = result.optimum
    assert_close(q.sum(2), BATCH.sum(2), atol=1e-15, rtol=1e-12)
    assert_close(q.sum(1), BATCH.sum(1), atol=1e-15, rtol=1e-12)
    assert q.min() >= 0
    achieved = information.mutual_information(q.flatten(1, 2))
    assert_close(result.synergy, result.total - achieved, atol=1e-12, rtol=0)


def test_unique_is_conditional_information_at_the_optimum():
    result = decompose(BATCH)
    first_given_second = information.conditional_mutual_information(result.optimum.permute(0, 1, 3, 2))
    assert_close(result.unique1, first_given_second, atol=1e-12, rtol=0)


def test_swapping_sources_swaps_unique():
    result, swapped = decompose(BATCH, tol=1e-8), decompose(BATCH.transpose(1, 2), tol=1e-8)
    assert_close(swapped.unique1, result.unique2, atol=2e-8, rtol=0)
    assert_close(swapped.redundancy, result.redundancy, atol=2e-8, rtol=0)


def test_relabeling_states_changes_nothing():
    order1, order2, order_y = torch.randperm(5), torch.randperm(4), torch.randperm(3)
    relabeled = BATCH[:, order1][:, :, order2][..., order_y]
    assert_close(atoms(decompose(relabeled, tol=1e-8)), atoms(decompose(BATCH, tol=1e-8)), atol=2e-8, rtol=0)


def test_splitting_a_state_changes_nothing():
    split = torch.cat([BATCH[:, :1] * 0.3, BATCH[:, :1] * 0.7, BATCH[:, 1:]], 1)
    result = decompose(split, tol=1e-8)
    assert_close(atoms(result), atoms(decompose(BATCH, tol=1e-8)), atol=2e-8, rtol=0)
    assert_close(result.optimum.sum(2), split.sum(2), atol=1e-15, rtol=1e-12)


def test_duplicated_source_is_all_redundancy():
    joint = torch.diag_embed(joints.random(1, 6, 3, seed=1)[0].T).permute(1, 2, 0)
    result = decompose(joint)
    assert_close(atoms(result)[1:], torch.zeros(3, dtype=torch.float64), atol=1e-6, rtol=0)
    assert_close(result.redundancy, information.mutual_information(joint.sum(1)), atol=1e-6, rtol=0)


def test_constant_source_has_only_the_other_unique():
    joint = joints.random(1, 6, 3, seed=2)
    result = decompose(joint)
    expected = torch.stack([torch.zeros(()), torch.zeros(()), result.total, torch.zeros(())]).double()
    assert_close(atoms(result), expected, atol=1e-9, rtol=0)


def test_target_of_the_first_source_alone_has_no_synergy_and_no_second_unique():
    joint = torch.zeros(4, 5, 4, dtype=torch.float64)
    joint[torch.arange(4), :, torch.arange(4)] = joints.random(4, 5, 1, seed=3)[..., 0]
    result = decompose(joint)
    assert_close(result.synergy, torch.zeros((), dtype=torch.float64), atol=1e-6, rtol=0)
    assert_close(result.unique2, torch.zeros((), dtype=torch.float64), atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", ["same shape", "sparse", "nasty"])
def test_batch_equals_loop(kind):
    if kind == "nasty":
        batch = torch.zeros(3, 6, 6, 4, dtype=torch.float64)
        batch[0, :6, :5, :4] = NASTY["zero rows and an empty class"]()
        batch[1] = NASTY["two blocks"]()
        batch[2, 1, 1, 1] = 1.0
    else:
        batch = torch.stack(varied(60)[0::3][3:4] * 2) if kind == "sparse" else BATCH
    looped = torch.stack([atoms(decompose(p, tol=1e-9)) for p in batch])
    assert_close(atoms(decompose(batch, tol=1e-9)), looped, atol=2e-9, rtol=0)


def test_chunks_and_batch_axes_change_nothing():
    whole = decompose(BATCH, tol=1e-9)
    parts = decompose(BATCH.view(2, 3, 5, 4, 3), tol=1e-9, memory_budget=1)
    assert parts.shape == (2, 3) and parts.optimum.shape == (2, 3, 5, 4, 3)
    assert_close(atoms(parts).view(6, 4), atoms(whole), atol=2e-9, rtol=0)


@pytest.mark.parametrize("case", NASTY)
def test_nasty_joint_is_certified(case):
    joint = NASTY[case]()
    result = decompose(joint)
    assert bool(result.converged), f"gap {result.gap.item():.2e}"
    assert bool((atoms(result) >= -result.gap - 1e-12).all())
    assert_close(result.optimum.sum(1), joint.sum(1), atol=1e-15, rtol=1e-9)


def test_public_door_is_the_same_function():
    assert mmpid.decompose is decompose


@pytest.mark.parametrize("seed", range(10))
def test_uneven_batches_are_certified_at_a_tight_tolerance(seed):
    generator = torch.Generator().manual_seed(seed)
    n1, n2, k = (int(torch.randint(2, high, (), generator=generator)) for high in (15, 15, 13))
    kept = torch.rand(4, n1, n2, k, generator=generator) < 0.05 + 0.08 * seed
    counts = torch.randint(1, 6, (4, n1, n2, k), generator=generator).double() * kept
    # masses of one source that span up to 60 powers of ten
    counts *= ([1.0, 1e-2, 1e-5][seed % 3] ** torch.arange(n2).double()).view(1, 1, -1, 1)
    counts[:, 0, 0, 0] += 1.0
    result = decompose(counts / counts.sum((1, 2, 3), keepdim=True), tol=1e-9)
    assert bool(result.converged.all()), result.gap
    assert bool((atoms(result) >= -result.gap.unsqueeze(-1) - 1e-12).all())


@pytest.mark.parametrize("seed", range(6))
def test_joints_that_span_many_powers_of_ten_are_certified(seed):
    generator = torch.Generator().manual_seed(seed)
    joint = torch.exp(10 * torch.randn(4, 12, 9, 7, generator=generator, dtype=torch.float64))
    result = decompose(joint / joint.sum((1, 2, 3), keepdim=True), tol=1e-9)
    assert bool(result.converged.all()), result.gap


@pytest.mark.parametrize("seed", range(4))
def test_joints_that_underflow_are_certified(seed):
    generator = torch.Generator().manual_seed(seed)
    logs = 300 * torch.randn(24, 7, 7, 7, generator=generator, dtype=torch.float64)
    joint = torch.exp(logs - logs.amax((1, 2, 3), keepdim=True))
    result = decompose(joint / joint.sum((1, 2, 3), keepdim=True))
    assert bool(result.converged.all()), result.gap
    assert bool((result.n_iter >= 0).all())


def test_states_that_hold_next_to_nothing_are_no_leaders_of_others():
    joint = torch.zeros(1, 4, 2, dtype=torch.float64)
    joint[0, 1, 0], joint[0, 2, 1], joint[0, 3, 0] = 1e-318, 1e-313, 1.0
    result = decompose(joint)
    assert bool(result.converged) and result.total.abs() < 1e-12


def test_dust_has_the_gradient_of_an_empty_cell():
    joint = joints.random(3, 3, 2, seed=4)
    joint[0, 0, 0] = 0.0
    gradients = []
    for dust in (0.0, 1e-200):
        cells = joint.index_put((torch.tensor([0]),) * 3, torch.tensor([dust], dtype=torch.float64)).requires_grad_()
        gradients += torch.autograd.grad(decompose(cells / cells.sum().detach()).synergy, cells)
    assert torch.equal(*gradients) and gradients[0][0, 0, 0] != 0


def test_gap_covers_rounding_and_no_tolerance_below_it_is_met():
    with pytest.warns(ConvergenceWarning):
        result = decompose(torch.stack([joints.xor(), joints.and_(), joints.noisy(joints.xor(), 0.3)]), tol=1e-16)
    expected = torch.tensor(CLOSED_FORMS["and_"], dtype=torch.float64)
    assert not result.converged.any() and bool((result.gap < 1e-11).all())
    assert bool(((atoms(result)[1] - expected).abs() <= result.gap[1]).all())

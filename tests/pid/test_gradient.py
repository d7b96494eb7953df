"""The gradient by the envelope theorem against finite differences."""

import pytest
import torch
from torch.testing import assert_close

from mmpid.pid import decompose, information, joints

ATOMS = ("redundancy", "unique1", "unique2", "synergy")


@pytest.mark.parametrize("atom", ATOMS)
@pytest.mark.parametrize("shape", [(3, 2, 2), (2, 3, 3)])
def test_gradcheck_at_an_interior_point(atom, shape):
    joint = torch.stack([joints.random(*shape, concentration=5.0, seed=seed) for seed in (0, 1)]).requires_grad_()

    def value(p):
        return getattr(decompose(p, tol=1e-10), atom)

    assert torch.autograd.gradcheck(value, joint, eps=1e-6, atol=2e-4, rtol=1e-3)


def test_gradient_at_default_tolerance_is_accurate():
    joint = joints.random(4, 4, 3, concentration=3.0, seed=3).requires_grad_()
    (gradient,) = torch.autograd.grad(decompose(joint).synergy, joint)
    direction = torch.randn(joint.shape, dtype=joint.dtype, generator=torch.Generator().manual_seed(0))
    direction = 1e-5 * (direction - direction.mean()) / direction.norm()
    with torch.no_grad():
        change = decompose(joint + direction, tol=1e-11).synergy - decompose(joint - direction, tol=1e-11).synergy
    assert_close((gradient * direction).sum(), change / 2, atol=1e-10, rtol=1e-3)


def test_gradient_of_the_total_is_that_of_the_information():
    joint = joints.random(3, 3, 3, seed=1).requires_grad_()
    (of_atoms,) = torch.autograd.grad(decompose(joint).total, joint)
    (direct,) = torch.autograd.grad(information.mutual_information((joint / joint.sum()).flatten(0, 1)), joint)
    assert_close(of_atoms, direct, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("gate", ["xor", "and_", "copy", "sum_", "constant"])
def test_gradient_at_the_boundary_is_finite(gate):
    joint = getattr(joints, gate)().requires_grad_()
    result = decompose(joint)
    sum(getattr(result, atom) for atom in ATOMS[:3]).backward()
    assert bool(torch.isfinite(joint.grad).all())


@pytest.mark.parametrize("method", ["exact", "fastpid"])
@pytest.mark.parametrize("shape", [(4, 3, 2), (3, 1, 2), (3, 2, 1)])
def test_a_result_without_a_graph_can_take_part_in_one(method, shape):
    result = decompose(joints.random(*shape, seed=0), method=method)
    weight = torch.ones((), dtype=torch.float64, requires_grad=True)
    for name in (*ATOMS, "gap", "optimum"):
        (weight * getattr(result, name)).sum().backward()
    result.n_iter.add_(1)
    result.optimum.mul_(2.0)


def test_gradient_keeps_the_input_dtype_and_scale_does_not_matter():
    joint = joints.random(3, 3, 2, seed=2).float().requires_grad_()
    decompose(joint).redundancy.backward()
    assert joint.grad.dtype == torch.float32
    # the joint is normalized inside: there is no slope along itself
    assert abs(float((joint.grad * joint.detach()).sum())) < 1e-5

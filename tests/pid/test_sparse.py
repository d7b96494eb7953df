"""Problems with few live cells: lists of cells against the batch's way, blocks, many classes, memory, storage."""

import subprocess
import sys
import time

import pytest
import torch
from torch.testing import assert_close

from mmpid.bench import peers, problems
from mmpid.errors import ConfigError, InputError
from mmpid.pid import compact_newton, costs, decompose, decompose_marginals, joints
from mmpid.pid.pattern import Pattern
from tests.pid.oracles import CLOSED_FORMS, NASTY, varied

ATOMS = ("redundancy", "unique1", "unique2", "synergy")


def atoms(result):
    return torch.stack([getattr(result, atom) for atom in ATOMS], -1)


def sparse(n1, n2, k, density, seed):
    """A joint whose pairwise marginals are positive at a share of their entries."""
    generator = torch.Generator().manual_seed(seed)
    alive1, alive2 = torch.rand(n1, k, generator=generator) < density, torch.rand(n2, k, generator=generator) < density
    alive1[torch.arange(k) % n1, torch.arange(k)] = alive2[torch.arange(k) % n2, torch.arange(k)] = True
    joint = joints.random(n1, n2, k, seed=seed) * (alive1[:, None] & alive2[None])
    return joint / joint.sum()


def blocks(count, seed=0):
    """Blocks of three states and two classes that share no state."""
    joint = torch.zeros(3 * count, 3 * count, 2 * count, dtype=torch.float64)
    for i in range(count):
        part = joints.random(3, 3, 2, seed=seed + i)
        joint[3 * i : 3 * i + 3, 3 * i : 3 * i + 3, 2 * i : 2 * i + 2] = part
    return joint / joint.sum()


@pytest.fixture
def alone(monkeypatch):
    monkeypatch.setattr(costs.Size, "leaves_batch", lambda size, batch: True)
    monkeypatch.setattr("mmpid.pid.small.decompose", lambda joint, effort: None)


@pytest.fixture
def together(monkeypatch):
    monkeypatch.setattr(costs.Size, "leaves_batch", lambda size, batch: False)
    monkeypatch.setattr("mmpid.pid.small.decompose", lambda joint, effort: None)


@pytest.mark.parametrize("eliminate", ["DenseSystem", "EliminatedSystem"])
@pytest.mark.parametrize("case", [*NASTY, "sparse", "predicted", "blocks", "clustered", "wide"])
def test_lists_of_cells_give_the_answer_of_the_batch(monkeypatch, together, eliminate, case):
    extra = {
        "sparse": sparse(12, 10, 9, 0.3, 0),
        "predicted": problems.predicted(12, 12, 12, seed=1, n_samples=300),
        "blocks": blocks(5),
        "clustered": problems.clustered(20, 20, 6, seed=1),
        "wide": sparse(4, 30, 3, 0.5, 1),
    }
    joint = extra[case] if case in extra else NASTY[case]()
    expected = decompose(joint)
    monkeypatch.setattr(costs.Size, "leaves_batch", lambda size, batch: True)
    chosen = getattr(compact_newton, eliminate)
    monkeypatch.setattr(compact_newton.NewtonSystem, "of", lambda pattern, p2: chosen(pattern, pattern.most_likely(p2)))
    found = decompose(joint)
    assert bool(found.converged)
    assert_close(atoms(found), atoms(expected), atol=float(found.gap + expected.gap), rtol=0)
    for axis in (0, 1):
        assert_close(found.optimum.sum(axis), joint.sum(axis), atol=1e-15, rtol=1e-9)


@pytest.mark.parametrize("gate", CLOSED_FORMS)
def test_gates_on_lists_have_their_closed_form(alone, gate):
    found = decompose(getattr(joints, gate)())
    assert_close(atoms(found), torch.tensor(CLOSED_FORMS[gate], dtype=torch.float64), atol=1e-6, rtol=0)


def test_small_joints_are_the_same_by_numpy_alone_and_with_a_gradient():
    for joint in [*varied(30), *(NASTY[case]() for case in NASTY)]:
        found = decompose(joint)
        other = decompose(joint.clone().requires_grad_())
        assert found.redundancy.dtype == torch.float64 and found.optimum.shape == joint.shape
        assert_close(atoms(found), atoms(other).detach(), atol=float(found.gap + other.gap.detach()), rtol=0)
    batch = decompose(joints.and_().view(1, 1, 2, 2, 2))
    assert batch.shape == (1, 1) and batch.n_iter.shape == (1, 1) and batch.optimum.shape == (1, 1, 2, 2, 2)


def test_mixed_batch_is_solved_by_both_ways():
    few = sparse(30, 30, 20, 0.1, 0)
    batch = torch.stack([few, problems.dense(30, 30, 20), few.transpose(0, 1)])
    sizes = costs.Size.of(batch.sum(2), batch.sum(1))
    assert [size.leaves_batch(3) for size in sizes] == [True, False, True]
    looped = torch.stack([atoms(decompose(p)) for p in batch])
    whole = decompose(batch)
    assert_close(atoms(whole), looped, atol=2e-6, rtol=0)
    assert bool(whole.converged.all())
    assert_close(whole.optimum.sum(1), batch.sum(1), atol=1e-15, rtol=1e-9)


def test_sets_of_classes_are_found():
    joint = blocks(4)
    pattern = Pattern.of(joint.sum(1).numpy(), joint.sum(0).numpy())
    count, label = pattern.sets
    assert count == 4 and label[::2].tolist() == label[1::2].tolist()


def test_blocks_add_up():
    parts = [joints.random(3, 3, 2, seed=i) for i in range(6)]
    mass = torch.tensor([float(p.sum()) for p in parts], dtype=torch.float64)
    expected = sum(decompose(p, tol=1e-9).synergy for p in parts) / len(parts)
    assert torch.allclose(mass, torch.ones(6, dtype=torch.float64))
    assert_close(decompose(blocks(6), tol=1e-8).synergy, expected, atol=2e-8, rtol=0)


def test_gradient_on_lists_is_that_of_the_batch(monkeypatch, together):
    joint = sparse(9, 8, 7, 0.4, 3)
    gradients = []
    for way in (False, True):
        monkeypatch.setattr(costs.Size, "leaves_batch", lambda size, batch, way=way: way)
        p = joint.clone().requires_grad_()
        gradients.append(torch.autograd.grad(decompose(p, tol=1e-10).unique1, p)[0][joint > 0])
    assert_close(*gradients, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("k", [20, 50])
def test_predicted_classes_agree_with_an_independent_solver(k):
    pytest.importorskip("ecos", reason="the oracle is an exponential-cone program in ecos")
    joint = problems.predicted(k, k, k, seed=2, n_samples=600)
    result = decompose(joint)
    p_y = joint.sum((0, 1))
    entropy = -torch.xlogy(p_y, p_y).sum()
    union = (entropy + peers.ecos_program(joint.numpy())) / torch.log(torch.tensor(2.0, dtype=torch.float64))
    assert bool(result.converged)
    assert abs(result.redundancy + result.unique1 + result.unique2 - union) < 1e-6


def test_hundreds_of_classes_take_seconds():
    joint = problems.predicted(140, 140, 140, seed=0, n_samples=3_000)
    start = time.process_time()
    result = decompose(joint, optimum="sparse")
    assert bool(result.converged) and time.process_time() - start < 20
    assert result.optimum.is_sparse and len(result.optimum.values()) < 20_000


ALONE = """
import resource, time
from mmpid.bench import problems
from mmpid.pid import decompose
joint = problems.predicted(309, 309, 309, seed=0, n_samples=3_000)
start = time.process_time()
converged = bool(decompose(joint).converged)
print(int(converged), time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_309_classes_take_seconds_and_two_gigabytes():
    # a process of its own: the peak of this one is that of every test before
    done = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, check=True)
    converged, seconds, kilobytes = map(float, done.stdout.split())
    assert converged == 1
    assert seconds < 10
    assert kilobytes < 2_500_000


@pytest.mark.parametrize("shape", [(2, 2), (3,), ()])
def test_sparse_optimum_is_the_dense_one(shape):
    kinds = [sparse(30, 30, 20, 0.1, 0), problems.dense(30, 30, 20), sparse(30, 30, 20, 0.1, 1)]
    count = max(1, torch.Size(shape).numel())
    batch = torch.stack([kinds[i % 3] for i in range(count)]).view(*shape, 30, 30, 20)
    dense, found = decompose(batch), decompose(batch, optimum="sparse")
    assert found.optimum.is_sparse and found.optimum.shape == batch.shape
    assert_close(found.optimum.to_dense(), dense.optimum, atol=1e-12, rtol=0)
    assert_close(atoms(found), atoms(dense), atol=1e-12, rtol=0)
    if shape:
        assert_close(found[0].optimum.to_dense(), dense[0].optimum, atol=1e-12, rtol=0)
        assert_close(found[1:].optimum.to_dense(), dense[1:].optimum, atol=1e-12, rtol=0)


def test_sparse_optimum_of_the_input_itself_and_of_the_published_method():
    batch = torch.stack([NASTY["copy of itself"](), joints.random(4, 4, 3, seed=0)])
    dense, found = decompose(batch), decompose(batch, optimum="sparse")
    assert_close(found.optimum.to_dense(), dense.optimum, atol=1e-12, rtol=0)
    published = decompose(batch, method="fastpid", tol=1.0, max_iter=5, optimum="sparse")
    assert published.optimum.is_sparse and "PIDResult" in repr(published)


def test_what_needs_too_much_memory_is_refused_before_it_is_allocated():
    joint = joints.random(60, 60, 60, seed=0)
    with pytest.raises(InputError, match="60 x 60 states and 60 classes .* memory_limit=") as refusal:
        decompose(joint, memory_limit=10_000_000)
    needed = int(str(refusal.value).split("memory_limit=")[1].rstrip(".").replace("_", ""))
    assert 1e8 < needed < 4e9
    with pytest.raises(InputError, match="memory_limit"):
        decompose_marginals(joint.sum(1), joint.sum(0), memory_limit=10_000_000)
    with pytest.raises(InputError, match="memory_limit"):
        decompose(joints.random(150, 150, 150, seed=0))
    with pytest.raises(ConfigError, match="memory_limit"):
        decompose(joint, memory_limit=0)
    with pytest.raises(ConfigError, match="optimum"):
        decompose(joint, optimum="compact")

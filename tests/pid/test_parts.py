"""The parts of the solver, each against its definition."""

import json

import pytest
import torch
from torch.testing import assert_close

from mmpid.bench import peers, pid
from mmpid.pid import costs, decompose, elimination, enclosure, interior_point, joints, presolve, scaling
from mmpid.pid.certificate import lower_bound, objective, round_to_marginals
from mmpid.pid.information import LN2
from tests.pid.oracles import NASTY


def newton_system(mask=None):
    generator = torch.Generator().manual_seed(0)
    q = torch.rand(5, 4, 3, 6, generator=generator, dtype=torch.float64) + 0.1
    if mask is not None:
        q = q * mask
    r = q.sum(2)
    w = q / r.clamp_min(1e-300).unsqueeze(2)
    c = torch.rand(5, 4, 6, generator=generator, dtype=torch.float64) + 0.5
    return q, w, (r * c).unsqueeze(2)


def multiply(q, w, rc, x1, x2):
    x = q * (x1 + x2) + w * rc * (w * (x1 + x2)).sum(2, keepdim=True)
    return x.sum(3, keepdim=True), x.sum(1, keepdim=True)


@pytest.mark.parametrize("eliminate", [elimination.EliminateRows, elimination.EliminateMarginals])
@pytest.mark.parametrize("sparse", [False, True])
def test_elimination_solves_the_newton_system(eliminate, sparse):
    mask = None
    if sparse:
        alive1 = torch.ones(5, 4, 3, 1, dtype=torch.float64)
        alive2 = torch.ones(5, 1, 3, 6, dtype=torch.float64)
        alive1[:, 1, 2], alive2[:, :, 0, 3], alive2[:, :, 1, :4] = 0.0, 0.0, 0.0  # so few that the dead are left out
        mask = alive1 * alive2
    q, w, rc = newton_system(mask)
    support = elimination.support_of(q.sum(-1), q.sum(1))
    system = eliminate(q, w, rc, support, elimination.Workspace())
    generator = torch.Generator().manual_seed(1)
    truth = [torch.randn(p.shape, generator=generator, dtype=p.dtype) * (p > 0) for p in multiply(q, w, 0, 1, 1)]
    rhs = multiply(q, w, rc, *truth)
    solution = system.solve(*rhs)
    for found, expected in zip(multiply(q, w, rc, *solution), rhs, strict=True):
        assert_close(found, expected, atol=1e-9, rtol=1e-9)


def test_cholesky_in_blocks_is_cholesky():
    half = torch.randn(6, 130, 130, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    matrix = half @ half.mT + torch.eye(130, dtype=torch.float64)
    factor = elimination.robust_cholesky(matrix.clone, torch.ones(6, 130, dtype=torch.float64))
    assert_close(factor.tril(), torch.linalg.cholesky(matrix))


def test_cholesky_never_raises():
    bad = torch.stack([-torch.eye(3), torch.eye(3), torch.full((3, 3), torch.nan)]).double()
    factor = elimination.robust_cholesky(bad.clone, torch.ones(3, 3, dtype=torch.float64))
    assert_close(factor[1], torch.eye(3, dtype=torch.float64))


def test_alternations_scale_to_the_second_marginal():
    p = joints.random(4, 5, 3, seed=0).permute(2, 0, 1).unsqueeze(0)
    cells, left, right, s = scaling.alternate(p.sum(3), p.sum(2), 30)
    q = cells.unsqueeze(1) * left.unsqueeze(3) * right.unsqueeze(2)
    assert_close(q.sum(2), p.sum(2))
    assert_close(q.sum(3), p.sum(3), atol=1e-3, rtol=0)
    assert_close(q.sum(1), cells * s)
    assert s.max() < 1.01


def test_rounding_reaches_the_marginals_from_anywhere():
    p = joints.random(4, 5, 3, seed=0).transpose(1, 2).unsqueeze(0)
    q = round_to_marginals(torch.rand(1, 4, 3, 5, dtype=torch.float64) ** 4, p.sum(-1), p.sum(1))
    assert_close(q.sum(-1), p.sum(-1))
    assert_close(q.sum(1), p.sum(1))
    assert q.min() >= 0


def test_any_multipliers_bound_from_below():
    p = torch.stack([joints.random(4, 5, 3, seed=seed) for seed in range(8)]).transpose(2, 3)
    lam = 20 * torch.randn(8, 4, 3, dtype=torch.float64)
    lower, *feasible = lower_bound(lam, torch.randn(8, 3, 5, dtype=torch.float64), p.sum(-1), p.sum(1))
    sums = torch.exp(feasible[0].unsqueeze(-1) + feasible[1].unsqueeze(1)).sum(2)
    assert sums.max() <= 1 + 1e-12
    assert bool((lower <= objective(decompose(p.mT, tol=1e-9).optimum.mT) + 1e-9).all())


def test_presolve_merges_equal_states_and_drops_empty_ones():
    joint = joints.random(3, 2, 4, seed=0)
    joint = torch.cat([joint, torch.zeros(1, 2, 4), 0.5 * joint[1:2]], 0)
    joint /= joint.sum()
    reduction = presolve.merge_states(joint.sum(1).unsqueeze(0))
    assert reduction.count.tolist() == [3]
    assert reduction.slot.tolist() == [[0, 1, 2, 0, 1]] and reduction.share[0, 3] == 0
    assert_close(reduction.share[0, 1] + reduction.share[0, 4], torch.tensor(1.0, dtype=torch.float64))


def test_memory_budget_sets_the_chunk(monkeypatch):
    sizes = []
    solve = enclosure.interior_point.solve

    def spy(p1, *rest):
        sizes.append(len(p1))
        return solve(p1, *rest)

    monkeypatch.setattr(enclosure.interior_point, "solve", spy)
    batch = torch.stack([joints.random(5, 5, 3, seed=seed) for seed in range(10)])
    budget = 4 * costs.bytes_per_problem(5, 3, 5)
    decompose(batch, memory_budget=budget)
    assert sizes == [4, 4, 2]


def test_cheaper_elimination_follows_the_number_of_classes():
    assert costs.rows_are_cheaper(20, 6, 20)
    assert not costs.rows_are_cheaper(20, 101, 20)
    assert costs.rows_are_cheaper(20, 101, 20, kept=200)


def test_bench_writes_one_record_a_method(monkeypatch, tmp_path):
    pytest.importorskip("clarabel", reason="the reference peer")
    monkeypatch.setattr(pid, "QUICK", [pid.Row((3, 3, 2), "dense", 1, (pid.REFERENCE_PEER,))])
    monkeypatch.setattr(pid, "_batch", lambda *arguments: _batch(*arguments))
    shown = []
    pid.run(quick=True, json_path=tmp_path / "bench.json", show=shown.append)
    report = json.loads((tmp_path / "bench.json").read_text())
    assert {r["method"] for r in report["single"]} == {"mmpid exact", "mmpid fastpid", "clarabel sparse program"}
    assert all(r["error"] < 1e-6 for r in report["single"] if r["method"] != "mmpid fastpid")
    assert "times exact" in "\n".join(shown) and "geometric mean" in "\n".join(shown)
    assert {r["problem"] for r in report["small"]} >= set(pid.GATES)


_full_batch = pid._batch


def _batch(shape, family, count, device):
    return _full_batch((3, 3, 2), family, 4, device)


def test_missing_peer_is_named(monkeypatch):
    monkeypatch.setitem(peers.PEERS, "imaginary", (None, ("no_such_package",)))
    assert peers.missing("imaginary") == ["no_such_package"]


def test_paper_value_of_and():
    # 0.3113 bit of redundancy, Bertschinger et al. 2014, example 30
    upper = objective(decompose(joints.and_(), tol=1e-10).optimum.mT.unsqueeze(0)) / LN2
    assert_close(upper.item(), -0.5, atol=1e-9, rtol=0)


@pytest.mark.parametrize("case", ["target a function of both", "near copy 1e-4", "class prior 1e-8"])
def test_second_elimination_falls_back_on_the_first(monkeypatch, case):
    # at this tolerance Woodbury's formula breaks down on the first two
    monkeypatch.setattr(interior_point, "choose_elimination", lambda *marginals: elimination.EliminateMarginals)
    assert bool(decompose(NASTY[case](), tol=1e-9).converged)

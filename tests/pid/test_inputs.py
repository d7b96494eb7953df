"""What decompose accepts and refuses."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from mmpid.errors import ConfigError, ConvergenceWarning, InputError, ShapeError
from mmpid.pid import PIDResult, decompose, joints

REFUSED = {
    "two axes": (torch.full((2, 2), 0.25), ShapeError, "three axes"),
    "empty axis": (torch.zeros(2, 0, 2), ShapeError, "at least one state"),
    "negative": (joints.xor() - 0.1, InputError, "4 entries are negative"),
    "not a number": (joints.xor() * float("nan"), InputError, "finite"),
    "infinite": (joints.xor() / 0.0, InputError, "finite"),
    "integer dtype": (torch.ones(2, 2, 2, dtype=torch.int64), InputError, "floating dtype"),
    "counts": (torch.full((2, 2, 2), 3.0), InputError, "look like counts"),
    "wrong sum": (joints.xor() * 0.9, InputError, "do not look like counts"),
    "zero": (torch.zeros(2, 2, 2), InputError, "sums to 0"),
    "text": ("joint", InputError, "array or tensor"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_wrong_joint_is_refused_with_its_reason(case):
    joint, error, words = REFUSED[case]
    with pytest.raises(error, match=words):
        decompose(joint)


def test_a_joint_of_three_sources_is_told_from_a_batch_and_the_advice_works():
    joint = joints.random(2, 3, 4, seed=0).unsqueeze(2) * torch.tensor([0.3, 0.7], dtype=torch.float64).view(1, 1, 2, 1)
    with pytest.raises(InputError, match="Leading axes are a batch") as refusal:
        decompose(joint)
    message = str(refusal.value)
    assert "sum to 1 together" in message and "estimate_pid_multi" in message
    advice = message.split("`joint.reshape")[1].split("`")[0]
    first_against_rest = eval(f"joint.reshape{advice}", {"joint": joint})
    assert first_against_rest.shape == (2, 6, 4) and bool(decompose(first_against_rest).converged)
    counts = torch.ones(2, 3, 2, 4)
    with pytest.raises(InputError, match="Leading axes are a batch.*look like counts"):
        decompose(counts)
    decompose(counts / counts.sum((-3, -2, -1), keepdims=True))
    decompose(counts.numpy() / counts.numpy().sum((-3, -2, -1), keepdims=True))


def test_distributions_of_dit_are_accepted():
    dit = pytest.importorskip("dit", reason="the package whose objects are read")
    names = dit.Distribution([("no", 0, "x"), ("no", 1, "x"), ("yes", 0, "x"), ("yes", 1, "z")], [0.25] * 4)
    expected = decompose(joints.and_())
    for base in ("linear", 2):
        given = names.copy(base=base)
        assert_close(decompose(given).synergy, expected.synergy, atol=2e-6, rtol=0)
    four = dit.Distribution([(a, b, c, a ^ b ^ c) for a in (0, 1) for b in (0, 1) for c in (0, 1)], [0.125] * 8)
    with pytest.raises(InputError, match="three variables") as refusal:
        decompose(four)
    advice = str(refusal.value).split("for example joint")[1].rstrip(".")
    merged = eval(f"joint{advice}", {"joint": four})
    assert_close(decompose(merged).synergy.item(), 1.0, atol=2e-6, rtol=0)
    assert_close(decompose(names.marginal([0, 1, 2])).redundancy, expected.redundancy, atol=2e-6, rtol=0)


@pytest.mark.parametrize(
    "setting",
    [{"method": "fast"}, {"tol": 0.0}, {"tol": "small"}, {"max_iter": 1.5}, {"max_iter": 0}, {"memory_budget": 0}],
)
def test_wrong_setting_is_refused(setting):
    with pytest.raises(ConfigError):
        decompose(joints.xor(), **setting)


@pytest.mark.parametrize("method", ["exact", "fastpid"])
def test_empty_batch_gives_an_empty_result(method):
    result = decompose(torch.zeros(0, 3, 2, 2), method=method)
    assert result.shape == (0,) and result.optimum.shape == (0, 3, 2, 2)
    assert len(result.to_frame()) == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.float64])
def test_any_floating_dtype_is_solved_in_double(dtype):
    result = decompose(joints.sum_().to(dtype))
    assert result.redundancy.dtype == torch.float64
    assert_close(result.redundancy.item(), 0.5, atol=1e-6, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_may_sum_to_what_it_rounds(dtype):
    joint = joints.from_outcomes((i, i, i) for i in range(3)).to(dtype)
    assert abs(float(joint.double().sum()) - 1) > 1e-4
    assert_close(decompose(joint).redundancy.item(), np.log2(3), atol=1e-6, rtol=0)
    with pytest.raises(InputError, match="sums to 0.9"):
        decompose(0.97 * joint)


def test_numpy_is_accepted_even_read_only_and_of_other_byte_strides():
    joint = np.ascontiguousarray(joints.and_().numpy())[::-1]
    joint.flags.writeable = False
    assert_close(decompose(joint).synergy.item(), 0.5, atol=1e-6, rtol=0)


def test_missed_tolerance_warns_how_many_and_by_how_much():
    batch = torch.stack([joints.random(8, 8, 4), joints.random(8, 8, 4, seed=1)])
    with pytest.warns(ConvergenceWarning, match=r"2 of 2 problems missed tol = 1e-06 bit; the worst gap is"):
        result = decompose(batch, max_iter=2)
    assert not result.converged.any() and bool((result.gap > 1e-6).all())


def test_result_shows_itself_as_text_html_and_frame():
    result = decompose(torch.stack([joints.xor(), joints.and_()]))
    assert "0.3113" in repr(result) and "<table>" in result._repr_html_()
    assert result.to_frame().shape == (2, 7)
    one = result[1]
    assert isinstance(one, PIDResult) and one.shape == () and len(one.to_frame()) == 1
    assert "1 problem" in repr(one)


def test_torch_default_dtype_does_not_matter():
    torch.set_default_dtype(torch.float64)
    try:
        double = decompose(joints.and_()).redundancy
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(double, decompose(joints.and_()).redundancy)


@pytest.mark.parametrize("method", ["exact", "fastpid"])
def test_inference_mode_does_not_matter(method):
    with torch.inference_mode():
        inside = joints.random(3, 3, 2)
        there = decompose(inside, method, max_iter=20, tol=0.1)
    here = decompose(joints.random(3, 3, 2), method, max_iter=20, tol=0.1)
    later = decompose(inside, method, max_iter=20, tol=0.1)
    assert torch.equal(there.synergy, here.synergy) and torch.equal(later.synergy, here.synergy)
    assert not later.synergy.is_inference()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_agrees_with_cpu():
    batch = torch.stack([joints.random(10, 10, 4, seed=seed) for seed in range(32)])
    here, there = decompose(batch), decompose(batch.cuda())
    assert there.redundancy.is_cuda and bool(there.converged.all())
    assert_close(there.redundancy.cpu(), here.redundancy, atol=2e-6, rtol=0)

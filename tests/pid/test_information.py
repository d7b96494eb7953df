"""Entropies against definitions."""

import pytest
import torch
from torch.testing import assert_close

from mmpid._tables import format_number, html_table, text_table
from mmpid.errors import ConfigError, InputError, ShapeError
from mmpid.pid import information, joints


def test_entropy_of_a_uniform_table_is_its_log_size():
    assert_close(information.entropy(torch.full((7, 8), 1 / 8)), torch.full((7,), 3.0))
    assert_close(information.entropy(torch.full((2, 4), 1 / 8), axes=2), torch.tensor(3.0))


def test_chain_rule():
    p = joints.random(4, 3, 5, seed=1)
    total = information.mutual_information(p.flatten(0, 1))
    parts = information.mutual_information(p.sum(0)) + information.conditional_mutual_information(p.permute(0, 2, 1))
    assert_close(total, parts)


def test_gradient_is_finite_at_zero():
    p = joints.and_().requires_grad_()
    information.mutual_information(p.flatten(0, 1)).backward()
    assert bool(torch.isfinite(p.grad).all())


def test_too_few_axes_are_refused():
    with pytest.raises(ShapeError, match="at least 3 axes"):
        information.conditional_mutual_information(torch.ones(2, 2))


UNIFORM = [[0.25, 0.25], [0.25, 0.25]]


@pytest.mark.parametrize(
    ("p", "words"),
    [
        ([[float("nan"), 0.5], [0.5, 0.0]], r"`p` must be finite; 1 of 4"),
        ([[float("inf"), 0.5], [0.5, 0.0]], r"`p` must be finite; 1 of 4"),
        ([[0.75, -0.25], [0.25, 0.25]], r"`p` must hold probabilities of at least 0; 1 entries.*\(0, 1\)"),
        ([[0.0, 0.0], [0.0, 0.0]], r"`p` must sum to 1.*the first sums to 0\. Divide by `p.sum"),
        ([[3, 1], [1, 3]], r"`p` must sum to 1 over its last axes.*the first sums to 8"),
        (torch.empty(0, 0), r"`p` must have at least .* axes of one state or more; its shape was \(0, 0\)"),
        (torch.full((2, 2), 0.25 + 0j), r"`p` must hold real numbers; its dtype was torch.complex"),
        ("abc", r"`p` must be an array or tensor of numbers"),
    ],
)
def test_tables_that_are_no_distributions_are_refused(p, words):
    for measure in (lambda p: information.entropy(p, axes=2), information.mutual_information):
        with pytest.raises(InputError, match=words):
            measure(p)
    if isinstance(p, list):
        with pytest.raises(InputError, match=words.replace("(0, 1", "(0, 0, 1")):
            information.conditional_mutual_information([p])


def test_one_wrong_table_of_a_batch_is_refused_and_whole_batches_pass():
    good = torch.stack([joints.random(2, 3, 4, seed=seed) for seed in range(3)])
    bad = good.clone()
    bad[1] *= 2
    with pytest.raises(InputError, match="1 of its tables do not, the first sums to 2"):
        information.conditional_mutual_information(bad)
    assert information.entropy(good[:0], axes=3).shape == (0,)
    assert information.entropy([[1, 0], [0, 0]], axes=2).item() == 0.0
    assert abs(information.entropy(torch.full((10,), 0.1, dtype=torch.float16)).item() - 3.32) < 0.01
    assert_close(
        information.mutual_information(good.flatten(1, 2)), information.mutual_bits(good.flatten(1, 2)), rtol=0, atol=0
    )


@pytest.mark.parametrize("axes", [0, -1, 1.0, "2", None])
def test_the_number_of_axes_is_checked(axes):
    with pytest.raises(ConfigError, match="`axes`"):
        information.entropy(UNIFORM, axes=axes)


def test_joints_are_distributions():
    for joint in (joints.random(3, 4, 5), joints.noisy(joints.copy(3), 0.4), joints.rdn_unq_xor()):
        assert_close(joint.sum().item(), 1.0)


def test_tables_align_and_escape():
    text = text_table(["name", "bits"], [["a", "1.0"], ["long name", "0.25"]])
    assert [len(line) for line in text.splitlines()] == [15, 15, 15, 15]
    assert "&lt;b&gt;" in html_table(["name"], [["<b>"]], "caption")
    assert [format_number(v) for v in (0.5, 1e-9, 0.0, float("nan"))] == ["0.5000", "1.0e-09", "0.0000", "nan"]

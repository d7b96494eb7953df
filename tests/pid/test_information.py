"""Entropies against definitions."""

import pytest
import torch
from torch.testing import assert_close

from mmpid._tables import format_number, html_table, text_table
from mmpid.errors import ShapeError
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


def test_joints_are_distributions():
    for joint in (joints.random(3, 4, 5), joints.noisy(joints.copy(3), 0.4), joints.rdn_unq_xor()):
        assert_close(joint.sum().item(), 1.0)


def test_tables_align_and_escape():
    text = text_table(["name", "bits"], [["a", "1.0"], ["long name", "0.25"]])
    assert [len(line) for line in text.splitlines()] == [15, 15, 15, 15]
    assert "&lt;b&gt;" in html_table(["name"], [["<b>"]], "caption")
    assert [format_number(v) for v in (0.5, 1e-9, 0.0, float("nan"))] == ["0.5000", "1.0e-09", "0.0000", "nan"]

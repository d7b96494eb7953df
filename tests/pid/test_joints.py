"""What the makers of joints refuse, and that what they take gives the joints it gave."""

import numpy as np
import pytest
import torch

from mmpid.errors import ConfigError, InputError
from mmpid.pid import joints


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("n1", {"n1": -1}),
        ("n1", {"n1": 0}),
        ("n2", {"n2": "3"}),
        ("k", {"k": 2.0}),
        ("concentration", {"concentration": -1}),
        ("concentration", {"concentration": 0}),
        ("concentration", {"concentration": float("nan")}),
        ("concentration", {"concentration": float("inf")}),
        ("concentration", {"concentration": None}),
        ("seed", {"seed": None}),
        ("seed", {"seed": -1}),
        ("seed", {"seed": 2**64}),
        ("seed", {"seed": 0.5}),
    ],
)
def test_random_names_what_it_cannot_use(name, options):
    with pytest.raises(ConfigError, match=f"`{name}` must be .*; it was"):
        joints.random(**options)


def test_random_gives_the_same_joint_for_all_integers():
    one, two = joints.random(2, 3, 4, seed=5), joints.random(np.int64(2), 3, 4, seed=np.int64(5), concentration=1)
    assert torch.equal(one, two) and one.shape == (2, 3, 4)


@pytest.mark.parametrize("noise", [2, -0.1, float("nan"), "0.1", None])
def test_noise_is_a_share(noise):
    with pytest.raises(ConfigError, match="`noise`"):
        joints.noisy(joints.xor(), noise)


@pytest.mark.parametrize("joint", [torch.ones(2, 2, 2), torch.ones(2, 2) / 4, None, 8 * joints.xor().int()])
def test_noise_is_for_joints(joint):
    with pytest.raises(InputError, match="`joint`"):
        joints.noisy(joint, 0.1)


def test_noise_keeps_dtype_and_batch():
    batch = torch.stack([joints.xor(), joints.and_()]).float()
    torch.testing.assert_close(joints.noisy(batch, 0.2), 0.8 * batch + 0.2 / 8)
    assert torch.equal(joints.noisy(joints.xor(), 0), joints.xor())


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: joints.copy(0), "`n` must be an integer of at least 1; it was 0"),
        (lambda: joints.copy(2.0), "`n` must be an integer"),
        (lambda: joints.gate(3), r"`target` must be a function of \(x1, x2\); it was int"),
        (lambda: joints.gate(max, 0), "`n1` must be an integer of at least 1"),
        (lambda: joints.gate(max, 2, "3"), "`n2` must be an integer of at least 1"),
        (lambda: joints.gate(lambda a, b: a + b - 1), r"`target\(0, 0\)` must be .*; it was -1"),
        (lambda: joints.gate(lambda a, b: (a + b) / 2), r"`target\(0, 1\)` must be .*; it was 0.5"),
        (lambda: joints.gate(lambda a, b: None), r"`target\(0, 0\)` must be .*; it was None"),
        (lambda: joints.gate(lambda a, b: "1"), r"`target\(0, 0\)` must be .*; it was '1'"),
        (lambda: joints.gate(lambda a, b: float("nan")), r"`target\(0, 0\)` must be .*; it was nan"),
        (lambda: joints.from_outcomes([]), "`outcomes` must hold at least one outcome"),
        (lambda: joints.from_outcomes(3), "`outcomes` must be a list of outcomes"),
        (lambda: joints.from_outcomes([(0, 0, 0), (0, 1)]), r"`outcomes\[1\]` must be three states"),
        (lambda: joints.from_outcomes(torch.tensor(3)), "`outcomes` must be a list of outcomes"),
        (lambda: joints.from_outcomes([1, 2, 3]), r"`outcomes\[0\]` must be three states"),
        (lambda: joints.from_outcomes(torch.tensor([1, 2])), r"`outcomes\[0\]` must be three states"),
        (lambda: joints.from_outcomes([(0, 0, -1)]), r"`outcomes\[0\]` must be an integer of at least 0.*it was -1"),
        (lambda: joints.from_outcomes(["abc"]), r"`outcomes\[0\]` must be an integer of at least 0"),
    ],
)
def test_what_is_no_gate_is_refused_by_name(make, words):
    with pytest.raises(InputError, match=words):
        make()


def test_all_whole_numbers_are_states():
    rows = [(0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0)]
    same = [rows, np.array(rows), torch.tensor(rows), (row for row in rows), np.array(rows, dtype=float)]
    assert all(torch.equal(joints.from_outcomes(outcomes), joints.xor()) for outcomes in same)
    assert torch.equal(joints.gate(lambda a, b: a != b), joints.xor())
    assert torch.equal(joints.gate(lambda a, b: np.bool_(a != b)), joints.xor())

import numpy as np
import pytest
import torch

from mmpid.errors import InputError, ShapeError
from mmpid.estimate import estimate_pid, soft_pid
from mmpid.estimate.terms import ATOMS


def two_heads(n, seed):
    """Two views of 4 classes: view 1 tells the first bit clearly, view 2 the second; both hint at the other's."""
    generator = torch.Generator().manual_seed(seed)
    target = torch.randint(4, (n,), generator=generator)
    bits = torch.stack([target // 2, target % 2], dim=1).float() * 2 - 1
    noise = torch.randn(n, 2, 6, generator=generator)
    views = noise.clone()
    views[:, 0, 0] += 2 * bits[:, 0]
    views[:, 0, 1] += bits[:, 1]
    views[:, 1, 0] += 2 * bits[:, 1]
    views[:, 1, 1] += bits[:, 0]
    return views[:, 0], views[:, 1], target


def xor_views(n, seed):
    """One bit in each view; the target is their exclusive or, so that only synergy can be found."""
    generator = torch.Generator().manual_seed(seed)
    bits = torch.randint(2, (n, 2), generator=generator)
    views = torch.randn(n, 2, 4, generator=generator) * 0.7
    views[:, :, 0] += bits * 2.0 - 1
    return views[:, 0], views[:, 1], bits[:, 0] ^ bits[:, 1]


def held_out_change(views, atom, sign, n_classes, steps=15):
    """Change of a held-out atom after a few gradient steps on `sign` times that atom."""
    torch.manual_seed(0)
    heads = torch.nn.ModuleList([torch.nn.Linear(views(1, 0)[0].shape[1], n_classes) for _ in range(2)])
    optimizer = torch.optim.Adam(heads.parameters(), lr=0.1)
    train, held_out = views(512, 1), views(2000, 2)

    def value(data):
        return getattr(soft_pid(heads[0](data[0]), heads[1](data[1]), data[2]), atom)

    with torch.no_grad():
        before = float(value(held_out))
    for _ in range(steps):
        optimizer.zero_grad()
        (-sign * value(train)).backward()
        optimizer.step()
    with torch.no_grad():
        return float(value(held_out)) - before


@pytest.fixture(autouse=True)
def keep_generator():
    state = torch.random.get_rng_state()
    yield
    torch.random.set_rng_state(state)


def test_gradient_steps_raise_synergy_on_held_out_data():
    assert held_out_change(xor_views, "synergy", +1, 2) > 0.05


@pytest.mark.parametrize(("atom", "sign"), [("redundancy", +1), ("unique1", +1)])
def test_gradient_steps_raise_other_atoms_on_held_out_data(atom, sign):
    assert held_out_change(two_heads, atom, sign, 4) > 0.05


def test_gradient_steps_lower_redundancy_on_held_out_data():
    first, second, target = two_heads(600, 0)

    def views(n, seed):
        return two_heads(n, seed)

    assert held_out_change(views, "redundancy", +1, 4, steps=20) > 0
    assert held_out_change(views, "redundancy", -1, 4, steps=20) < 0


def test_gradient_agrees_with_finite_differences():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 40, 3, generator=generator, dtype=torch.float64)
    direction = torch.randn(2, 40, 3, generator=generator, dtype=torch.float64)
    target = torch.arange(40) % 3

    def atoms(shift):
        moved = logits + shift * direction
        return soft_pid(moved[0], moved[1], target, tol=1e-9)

    step = torch.zeros((), dtype=torch.float64, requires_grad=True)
    result = atoms(step)
    up, down = atoms(torch.tensor(1e-4)), atoms(torch.tensor(-1e-4))
    for atom in ATOMS:
        (slope,) = torch.autograd.grad(getattr(result, atom), step, retain_graph=True)
        numeric = (getattr(up, atom) - getattr(down, atom)) / 2e-4
        assert float(slope) == pytest.approx(float(numeric), abs=2e-5)


def test_sure_heads_agree_with_counted_predictions(rng):
    target = rng.integers(3, size=500)
    predictions = np.where(rng.random((2, 500)) < 0.7, target, rng.integers(3, size=(2, 500)))
    logits = 200.0 * torch.eye(3)[torch.tensor(predictions)]
    soft = soft_pid(logits[0], logits[1], torch.tensor(target))
    hard = estimate_pid(
        *logits, target, discretizer="prediction", n_boot=0, n_null=0, correction="none", estimator="counted"
    )
    for atom in ATOMS:
        assert float(getattr(soft, atom)) == pytest.approx(float(getattr(hard.pid, atom)), abs=1e-5)


def test_heads_may_have_other_numbers_of_classes_than_the_target():
    result = soft_pid(torch.randn(30, 2), torch.randn(30, 5), torch.arange(30) % 4)
    assert result.optimum.shape == (2, 5, 5)


def test_wrong_shapes_and_labels():
    with pytest.raises(ShapeError, match="logits2"):
        soft_pid(torch.zeros(4, 2), torch.zeros(3, 2), torch.tensor([0, 1, 0, 1]))
    with pytest.raises(InputError, match="from 0"):
        soft_pid(torch.zeros(4, 2), torch.zeros(4, 2), torch.tensor([-1, 1, 0, 1]))


def test_arrays_are_taken_and_what_is_wrong_is_named():
    one, two, target = (x.numpy() for x in two_heads(30, 0))
    assert float(soft_pid(one, two, target).synergy) == float(soft_pid(*map(torch.tensor, (one, two, target))).synergy)
    with pytest.raises(InputError, match="`logits2`"):
        soft_pid(one, np.full_like(two, np.nan), target)
    with pytest.raises(ShapeError, match="`target`"):
        soft_pid(one, two, np.eye(4)[target])


def test_confident_heads_whose_probabilities_underflow_have_gradients():
    generator = torch.Generator().manual_seed(0)
    logits = [(720 * torch.randn(40, k, generator=generator, dtype=torch.float64)).requires_grad_() for k in (4, 3)]
    result = soft_pid(*logits, torch.arange(40) % 4)
    (result.synergy - result.redundancy).backward()
    assert bool(result.converged) and all(bool(x.grad.isfinite().all()) for x in logits)

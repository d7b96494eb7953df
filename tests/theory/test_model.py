"""The hand-written network against autograd, and the data against their description."""

import pytest
import torch

from mmpid.errors import ConfigError
from mmpid.theory import ModelSettings, simulate
from mmpid.theory.data import amplitudes, draw
from mmpid.theory.evaluate import (
    MODALITIES,
    SparseCodingNet,
    batched,
    logits,
    pick,
    prediction_joint,
    sample,
    stratified_test_error,
)
from mmpid.theory.network import Descent, leading, pattern_weights
from mmpid.theory.strength import strength


def world(n_seeds=2, **settings):
    model = ModelSettings(**({"n_classes": 4, "n_neurons": 3, "noise_dims": 2, "init_scale": 0.3} | settings))
    generators = [torch.Generator().manual_seed(s) for s in range(n_seeds)]
    amplitude = torch.stack([amplitudes(model, g) for g in generators])
    samples = draw(model, amplitude, model.n_train, generators)
    shape = (n_seeds, 2, model.n_classes * model.n_neurons, model.n_dims)
    weights = torch.randn(shape, generator=generators[0]) * model.init_scale / model.beta
    return model, samples, weights


def reference_step(model, samples, weights, joint, trained):
    """One step with sigma as written on paper and the gradient by autograd, in true weights."""
    true = (weights * model.beta).double().requires_grad_()
    u = true @ samples.inputs.double().mT
    curve = u.clamp_min(1e-30) ** model.q / (model.q * model.beta ** (model.q - 1))
    sigma = torch.where(u <= 0, 0.0, torch.where(u < model.beta, curve, u - (1 - 1 / model.q) * model.beta))
    f = sigma.unflatten(2, (model.n_classes, model.n_neurons)).sum(3)
    loss = 0.0
    for s in range(len(weights)):
        parts = [f[s].sum(0)] if joint[s] else list(f[s])
        loss = loss + sum(torch.nn.functional.cross_entropy(part.T, samples.target) for part in parts)
    (gradient,) = torch.autograd.grad(loss, true)
    moved = true - model.eta * model.n_classes * gradient * trained.view(-1, 2, 1, 1)
    return (moved / model.beta).float().detach()


@pytest.mark.parametrize("q", [2.0, 2.5, 3.0, 4.0, 5.0])
def test_step_equals_autograd(q):
    model, samples, weights = world(q=q)
    joint, trained = torch.tensor([True, False]), torch.tensor([[1.0, 1.0], [1.0, 0.0]])
    expected = reference_step(model, samples, weights, joint, trained)
    descent = Descent(model, samples, weights.clone())
    descent.step(joint, trained)
    torch.testing.assert_close(descent.weights, expected, rtol=1e-4, atol=1e-5)
    assert not torch.equal(expected, weights)


def test_leading_neuron_is_the_largest_own_product():
    model, _, weights = world()
    expected = torch.zeros(2, 4, 2)
    for s in range(2):
        for j in range(4):
            for r in range(2):
                neurons = weights[s, r, j * 3 : (j + 1) * 3, j] * model.beta
                expected[s, j, r] = neurons.max().clamp_min(0)
    torch.testing.assert_close(leading(model, weights), expected)


def test_module_gives_the_same_logits():
    sim = simulate(4, seed=1, n_steps=60, n_test=8)
    batch = sample(sim.final, 3)
    output = SparseCodingNet(sim.final)(dict(zip(MODALITIES, batch.inputs[0], strict=True)))
    own = logits(sim.final, batch.inputs)[0]
    for index, name in enumerate(MODALITIES):
        torch.testing.assert_close(output.unimodal[name], own[index], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(output.logits, own.sum(0), rtol=1e-4, atol=1e-5)


def test_samples_follow_their_description():
    model = ModelSettings(n_classes=6, noise=0.0, amplitude_spread=0.0, mu=0.5)
    samples = draw(model, torch.ones(1, 2, 6), 400, [torch.Generator().manual_seed(0)])
    latent = samples.inputs[0, :, :, :6]
    own = latent.gather(2, samples.target.expand(2, -1).unsqueeze(2)).squeeze(2)
    torch.testing.assert_close(own, samples.own[0])
    weak = own == model.gamma
    assert weak.float().mean() == pytest.approx(0.5, abs=0.03)
    assert own[~weak].min() >= 1
    assert own[~weak].max() <= 1.5
    confusers = (latent == model.rho).sum(2)
    assert (confusers[weak] == 3).all()
    assert (confusers[~weak] == 0).all()
    both = weak.all(0).float().mean()
    assert both == pytest.approx(0.25, abs=0.03), "insufficiency is independent between modalities"
    assert samples.inputs[..., 6:].abs().max() == 0


def test_second_modality_can_be_weaker():
    generator = torch.Generator().manual_seed(0)
    weak = amplitudes(ModelSettings(n_classes=400, amplitude_ratio=0.5), generator)
    assert (weak[1].log().mean() - weak[0].log().mean()).exp() == pytest.approx(0.5, abs=0.03)


def test_strata_weights_are_the_pattern_probabilities():
    weights = pattern_weights(ModelSettings(mu=(0.1, 0.3)))
    assert weights.sum() == pytest.approx(1)
    assert weights[1, 0] == pytest.approx(0.1 * 0.7)


def test_stratified_error_agrees_with_natural_samples():
    sim = simulate(4, n_seeds=3, mu=0.3, n_steps=150, n_test=4000)
    batch = sample(sim.final, 3000, seed=5)
    plain = (logits(sim.final, batch.inputs).sum(1).argmax(-1) != batch.target).double().mean(-1)
    torch.testing.assert_close(sim.error, plain, atol=0.02, rtol=0)
    torch.testing.assert_close(stratified_test_error(sim.final, seed=9), sim.error, atol=0.02, rtol=0)


def test_one_world_of_a_batch_is_that_world():
    sim = simulate(4, n_seeds=3, n_steps=5, n_test=8)
    single = pick(sim.final, 1)
    assert torch.equal(strength(single), strength(sim.final)[1])
    assert torch.equal(batched(single).weights[0], sim.final.weights[1])


def test_prediction_joint_counts_predictions_with_the_target_last():
    sim = simulate(4, n_seeds=2, n_steps=80, n_test=8)
    joint = prediction_joint(sim.final, 50, seed=3)
    assert joint.shape == (2, 4, 4, 4)
    torch.testing.assert_close(joint.sum((1, 2, 3)), torch.ones(2, dtype=torch.float64))
    torch.testing.assert_close(joint.sum((1, 2)), torch.full((2, 4), 0.25, dtype=torch.float64))
    batch = sample(sim.final, 50, seed=3)
    one, two = logits(sim.final, batch.inputs)[1].argmax(-1)
    expected = ((one == 1) & (two == 2) & (batch.target == 2)).double().mean()
    assert joint[1, 1, 2, 2] == pytest.approx(float(expected))


@pytest.mark.parametrize("n_per_class", [0, -1, 2.5])
def test_number_of_samples_is_checked(n_per_class):
    with pytest.raises(ConfigError, match="n_per_class"):
        sample(simulate(4, n_steps=0, n_test=4).start, n_per_class)

"""Proxies with gradients against plain loops on the model itself."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from mmpid import ecs
from mmpid.ecs.tangent import LayerHooks, _gram_one_by_one, class_gradient_norms, tangent_gram
from mmpid.errors import ShapeError
from mmpid.models.encoders import make_encoder
from mmpid.models.late_fusion import LateFusion


@pytest.fixture
def plain(model, batch):
    """Model in evaluation mode, inputs, target."""
    return model.eval(), *batch


def measured(name, plain, **settings):
    evidence = ecs.ProxyEvidence.from_model(*plain)
    return ecs.measure(name, evidence, settings=ecs.ProxySettings(**settings))[0]


def class_means(model, inputs, target):
    unimodal = model(inputs).unimodal
    own = {m: v.gather(1, target[:, None]).squeeze(1) for m, v in unimodal.items()}
    return {m: torch.stack([v[target == j].mean() for j in range(3)]) for m, v in own.items()}


def test_gradient_share_is_share_of_the_encoder_gradient_norm(plain):
    model, inputs, target = plain
    result = measured("gradient_share", plain)
    for rows in (slice(None), target == 1):
        model.zero_grad()
        cross_entropy(model({m: x[rows] for m, x in inputs.items()}).logits, target[rows]).backward()
        norms = {
            m: torch.cat([p.grad.flatten() for p in model.encoders[m].parameters()]).norm() for m in model.modalities
        }
        expected = float(norms["image"] / sum(norms.values()))
        got = result.by_modality["image"] if isinstance(rows, slice) else float(result.by_class["image"][1])
        assert got == pytest.approx(expected, rel=1e-4)


def test_gradient_shares_add_up_to_one(plain):
    result = measured("gradient_share", plain)
    assert sum(result.by_modality.values()) == pytest.approx(1, abs=1e-6)
    torch.testing.assert_close(sum(result.by_class.values()), torch.ones(3))


def test_look_ahead_equals_descent_with_an_optimizer(plain):
    model, inputs, target = plain
    result = measured("look_ahead", plain, look_ahead_steps=3, learning_rate=0.2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
    for _ in range(3):
        optimizer.zero_grad()
        sum(cross_entropy(v, target) for v in model(inputs).unimodal.values()).backward()
        optimizer.step()
    expected = class_means(model, inputs, target)
    for m in model.modalities:
        torch.testing.assert_close(result.by_class[m], expected[m].detach(), rtol=1e-4, atol=1e-5)


def test_logit_velocity_is_the_inner_product_of_gradients(plain):
    model, inputs, target = plain
    result = measured("logit_velocity", plain)
    parameters = list(model.parameters())
    loss = torch.autograd.grad(cross_entropy(model(inputs).logits, target), parameters, allow_unused=True)
    own = torch.autograd.grad(class_means(model, inputs, target)["audio"][0], parameters, allow_unused=True)
    expected = -sum((a * b).sum() for a, b in zip(loss, own, strict=True) if a is not None and b is not None)
    assert float(result.by_class["audio"][0]) == pytest.approx(float(expected), rel=0.05, abs=2e-4)


def test_ntk_alignment_is_the_gram_matrix_formula(plain):
    model, inputs, target = plain
    result = measured("ntk_alignment", plain)
    rows = []
    for i in range(len(target)):
        logit = model({m: x[i : i + 1] for m, x in inputs.items()}).unimodal["image"][0, 2]
        gradients = torch.autograd.grad(logit, list(model.parameters()), allow_unused=True)
        rows.append(torch.cat([g.flatten() for g in gradients if g is not None]))
    gram = torch.stack(rows) @ torch.stack(rows).T
    y = (target == 2).float()
    assert float(result.by_class["image"][2]) == pytest.approx(float(y @ gram @ y / (gram.norm() * y.sum())), rel=1e-4)


def test_thinned_batch_keeps_to_the_limit(plain):
    result = measured("look_ahead", plain, max_samples=5)
    assert all(torch.tensor(v).isfinite() for v in result.by_modality.values())


def test_another_batch_for_gradients_needs_its_labels(plain):
    model, inputs, target = plain
    small = {m: x[:4] for m, x in inputs.items()}
    logits = {m: v.detach() for m, v in model(inputs).unimodal.items()}
    common = {"target": target, "unimodal_logits": logits, "model": model, "inputs": small}
    evidence = ecs.ProxyEvidence(**common, inputs_target=target[:4])
    assert ecs.measure("gradient_share", evidence)
    with pytest.raises(ShapeError, match="inputs_target.*4 inputs against 12 labels"):
        ecs.ProxyEvidence(**common)


def test_dense_layers_and_the_long_way_agree(plain):
    model, inputs, target = plain
    with LayerHooks(model, model.modalities, heads=False) as hooks:
        losses = cross_entropy(model(inputs).logits, target, reduction="none")
    weights = torch.eye(len(target))[:, :4]
    long_way = LayerHooks(model, model.modalities, heads=False)
    long_way.layers = dict.fromkeys(model.modalities)
    for name in model.modalities:
        torch.testing.assert_close(
            class_gradient_norms(hooks, name, losses, weights), class_gradient_norms(long_way, name, losses, weights)
        )
        torch.testing.assert_close(
            tangent_gram(model, inputs, name), _gram_one_by_one(model, inputs, name), rtol=1e-4, atol=1e-5
        )
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize("kind", ["mlp", "cnn"])
def test_built_in_encoders_can_be_measured(kind):
    generator = torch.Generator().manual_seed(0)
    inputs = {name: torch.randn(20, 8, 8, generator=generator) for name in ("left", "right")}
    with torch.random.fork_rng(devices=[]):
        encoders = {name: make_encoder((8, 8), kind) for name in inputs}
    model = LateFusion(encoders, 4, dims=dict.fromkeys(inputs, 32))
    evidence = ecs.ProxyEvidence.from_model(model, inputs, torch.arange(20) % 4)
    for result in ecs.measure("all", evidence):
        assert torch.stack(list(result.by_class.values())).isfinite().all(), result.name


def test_frozen_encoder_is_measured_all_the_same(plain):
    model, inputs, target = plain
    free = measured("gradient_share", plain).by_modality
    for parameter in model.encoders["image"].parameters():
        parameter.requires_grad_(False)
    assert measured("gradient_share", plain).by_modality == pytest.approx(free)
    assert not any(p.requires_grad for p in model.encoders["image"].parameters())


def test_layer_that_runs_twice_takes_the_long_way():
    twice = nn.Linear(4, 4)
    generator = torch.Generator().manual_seed(0)
    model = LateFusion({"a": nn.Sequential(twice, nn.Tanh(), twice), "b": nn.Linear(4, 4)}, 2, dims={"a": 4, "b": 4})
    inputs = {name: torch.randn(6, 4, generator=generator) for name in "ab"}
    target = torch.arange(6) % 2
    result = ecs.measure("gradient_share", ecs.ProxyEvidence.from_model(model, inputs, target))[0]
    cross_entropy(model(inputs).logits, target).backward()
    norms = {m: torch.cat([p.grad.flatten() for p in model.encoders[m].parameters()]).norm() for m in "ab"}
    assert result.by_modality["a"] == pytest.approx(float(norms["a"] / sum(norms.values())), rel=1e-4)

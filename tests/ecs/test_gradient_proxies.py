"""Proxies with gradients against plain loops on the model itself."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from mmpid import ecs
from mmpid.errors import ShapeError


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

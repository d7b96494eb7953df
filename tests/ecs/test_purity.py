"""Measuring leaves no trace on the model, its inputs or the global random state."""

import copy

import pytest
import torch
from torch.nn.functional import cross_entropy

from mmpid import ecs


@pytest.mark.parametrize("training", [True, False])
def test_model_is_untouched(model, batch, training):
    inputs, target = batch
    model.train(training)
    cross_entropy(model(inputs).logits, target).backward()
    before = copy.deepcopy(model.state_dict())
    gradients = {name: None if p.grad is None else p.grad.clone() for name, p in model.named_parameters()}
    flags = [module.training for module in model.modules()]
    random_state = torch.get_rng_state()
    evidence = ecs.ProxyEvidence.from_model(model, inputs, target)
    results = ecs.measure("all", evidence)
    assert [r.name for r in results] == list(ecs.available())
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    for name, parameter in model.named_parameters():
        same = parameter.grad is None if gradients[name] is None else torch.equal(parameter.grad, gradients[name])
        assert same, name
        assert parameter.requires_grad
    assert [module.training for module in model.modules()] == flags
    assert torch.equal(torch.get_rng_state(), random_state)


def test_same_evidence_gives_the_same_numbers(evidence):
    once, again = (ecs.measure("all", evidence) for _ in range(2))
    for a, b in zip(once, again, strict=True):
        assert a.by_modality == b.by_modality


def test_works_under_no_grad(evidence):
    with torch.no_grad():
        inside = ecs.measure("gradient_share", evidence)
    assert inside[0].by_modality == ecs.measure("gradient_share", evidence)[0].by_modality

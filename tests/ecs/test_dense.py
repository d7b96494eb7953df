"""Gradients written out against autograd on the same model: the two benches must agree."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from mmpid import ecs
from mmpid.ecs.batch import GradientBatch
from mmpid.ecs.dense import DenseBench, dense_layers
from mmpid.ecs.gradients import ModelBench, find_layers, make_bench
from mmpid.models.late_fusion import LateFusion

K, N = 4, 22
SHAPES = {"audio": (3, 4), "image": (9,), "touch": (5,), "text": (2,), "radar": (7,), "depth": (6,)}
WIDTHS = {"audio": (6, 5), "image": (8, 3), "touch": (4, 4), "text": (5, 6), "radar": (3, 2), "depth": (7, 4)}


def mlp(name, activation, bias, depth):
    hidden, d = WIDTHS[name]
    width = torch.Size(SHAPES[name]).numel()
    later = [nn.Linear(hidden, d, bias=bias), activation(), nn.Dropout(0.3)] if depth == 2 else []
    first = nn.Sequential(nn.Flatten(), nn.Linear(width, hidden, bias=bias), activation())
    return nn.Sequential(first, *later), (d if depth == 2 else hidden)


def build(n_modalities=2, activation=nn.ReLU, bias=True, depth=2, fusion="concat", dtype=torch.float64):
    names = list(SHAPES)[:n_modalities]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        made = {name: mlp(name, activation, bias, depth) for name in names}
        encoders = {name: encoder for name, (encoder, _) in made.items()}
        model = LateFusion(encoders, K, fusion=fusion, dims={name: d for name, (_, d) in made.items()})
    generator = torch.Generator().manual_seed(0)
    inputs = {name: torch.randn(N, *SHAPES[name], generator=generator, dtype=dtype) for name in names}
    return model.to(dtype), inputs, torch.randint(K - 1, (N,), generator=generator)  # the last class is absent


def bench_of(evidence, settings):
    layers = find_layers(evidence)
    with torch.inference_mode(layers is not None):
        return make_bench(evidence, settings, layers)


def benches(model, inputs, target):
    evidence = ecs.ProxyEvidence.from_model(model, inputs, target)
    dense = bench_of(evidence, ecs.ProxySettings(max_samples=N))
    assert isinstance(dense, DenseBench)
    return dense, ModelBench(model, dense.batch)


CASES = [
    {},
    {"fusion": "sum"},
    {"activation": nn.Tanh},
    {"bias": False},
    {"depth": 1},
    {"activation": nn.Identity},
    {"activation": nn.Identity, "depth": 1},
    {"n_modalities": 3},
    {"n_modalities": 4, "fusion": "sum"},
    {"n_modalities": 6},
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_closed_form_agrees_with_autograd(case):
    dense, general = benches(*build(**case))
    weights = torch.eye(N, dtype=torch.float64)[:5] + 0.1
    close = {"rtol": 1e-8, "atol": 1e-10, "equal_nan": True}
    torch.testing.assert_close(dense.gradient_norms(weights), general.gradient_norms(weights), **close)
    torch.testing.assert_close(dense.look_ahead(4, 0.3), general.look_ahead(4, 0.3), **close)
    torch.testing.assert_close(dense.kernels(9), general.kernels(9), **close)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_velocity_is_exactly_the_inner_product_of_gradients(case):
    model, inputs, target = build(**case)
    dense, _ = benches(model, inputs, target)
    got = dense.velocity()
    model.eval()
    parameters = list(model.parameters())
    output = model(inputs)
    loss = torch.autograd.grad(cross_entropy(output.logits, target), parameters, retain_graph=True, allow_unused=True)
    for r, name in enumerate(model.modalities):
        for j in range(K - 1):
            mean = output.unimodal[name][target == j, j].mean()
            own = torch.autograd.grad(mean, parameters, retain_graph=True, allow_unused=True)
            pairs = zip(loss, own, strict=True)
            expected = -sum((a * b).sum() for a, b in pairs if a is not None and b is not None)
            torch.testing.assert_close(got[r, j], expected.detach(), rtol=1e-9, atol=1e-12)
    assert got[:, K - 1].isnan().all()


def test_single_precision_keeps_five_digits():
    dense, general = benches(*build(dtype=torch.float32))
    torch.testing.assert_close(
        dense.look_ahead(3, 0.2), general.look_ahead(3, 0.2), rtol=1e-5, atol=1e-5, equal_nan=True
    )


def test_order_of_modalities_does_not_matter():
    model, inputs, target = build(3)
    turned = {name: inputs[name] for name in ("touch", "audio", "image")}
    evidence = ecs.ProxyEvidence.from_model(model, inputs, target)
    other = replace(evidence, inputs=turned, unimodal_logits={n: evidence.unimodal_logits[n] for n in turned})
    for name in ("look_ahead", "gradient_share", "logit_velocity"):
        one, two = ecs.measure(name, evidence)[0], ecs.measure(name, other)[0]
        assert tuple(two.by_modality) == tuple(turned)
        assert two.by_modality == pytest.approx(one.by_modality, rel=1e-9, nan_ok=True)


class Doubled(LateFusion):
    """Does something of its own between inputs and embeddings."""

    def embed(self, inputs):
        return super().embed({name: 2 * x for name, x in inputs.items()})


def test_what_is_not_known_layer_by_layer_goes_the_long_way():
    model, inputs, target = build()
    names = model.modalities
    assert dense_layers(model, names)
    assert dense_layers(model, names[:1]) is None  # the joint head needs all of them
    own = Doubled(dict(model.encoders.items()), K, dims=model.dims).double()
    assert dense_layers(own, names) is None
    evidence = ecs.ProxyEvidence.from_model(own, inputs, target)
    assert isinstance(bench_of(evidence, ecs.ProxySettings()), ModelBench)
    handle = model.encoders["audio"].register_forward_hook(lambda module, args, out: 2 * out)
    assert dense_layers(model, names) is None
    handle.remove()
    model.encoders["image"].float()  # of another precision than the rest
    assert dense_layers(model, names) is None
    model.encoders["image"].double()
    assert dense_layers(model, names)
    model.encoders["audio"].append(nn.GELU())
    assert dense_layers(model, names) is None


def test_the_long_way_on_samples_that_were_seen_the_short_way():
    model, inputs, target = build()
    samples = ecs.ProxyEvidence(target=target, inputs=inputs, n_classes=K)
    seen = {"unimodal_logits": ecs.ProxyEvidence.from_model(model, inputs, target).unimodal_logits, "model": model}
    names = ["gradient_share", "look_ahead"]
    short = ecs.measure(names, samples.seen(**seen))
    model.encoders["audio"].append(nn.Threshold(-1e9, 0.0))  # changes nothing, and is not known
    for one, two in zip(short, ecs.measure(names, samples.seen(**seen)), strict=True):
        assert one.by_modality == pytest.approx(two.by_modality, rel=1e-6)


def test_activations_without_a_dense_layer_before_them_go_the_long_way():
    encoders = {name: nn.Sequential(nn.ReLU(), nn.Linear(3, 2)) for name in "ab"}
    assert dense_layers(LateFusion(encoders, K, dims={"a": 2, "b": 2}), ("a", "b")) is None
    encoders = {name: nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Tanh()) for name in "ab"}
    assert dense_layers(LateFusion(encoders, K, dims={"a": 2, "b": 2}), ("a", "b")) is None


def test_weights_that_modalities_share_move_with_both():
    shared = nn.Sequential(nn.Linear(3, 4), nn.ReLU()).double()
    model = LateFusion({"a": shared, "b": shared}, K, dims={"a": 4, "b": 4}).double()
    generator = torch.Generator().manual_seed(1)
    inputs = {name: torch.randn(N, 3, generator=generator, dtype=torch.float64) for name in "ab"}
    target = torch.randint(K, (N,), generator=generator)
    settings = ecs.ProxySettings(max_samples=N, look_ahead_steps=2, learning_rate=0.5)
    [found] = ecs.measure("look_ahead", ecs.ProxyEvidence.from_model(model, inputs, target), settings=settings)
    for _ in range(2):
        loss = sum(cross_entropy(logits, target) for logits in model(inputs).unimodal.values())
        wanted = list(model.parameters())
        gradients = torch.autograd.grad(loss, wanted, allow_unused=True)
        with torch.no_grad():
            for weight, gradient in zip(wanted, gradients, strict=True):
                if gradient is not None:
                    weight -= 0.5 * gradient
    ahead = model(inputs).unimodal
    for name in "ab":
        own = ahead[name].detach().gather(1, target.unsqueeze(1)).squeeze(1)
        expected = torch.stack([own[target == k].mean() for k in range(K)])
        torch.testing.assert_close(found.by_class[name], expected, rtol=1e-9, atol=1e-11)


def test_thinned_batch_is_even_and_keeps_its_labels():
    model, inputs, target = build()
    evidence = ecs.ProxyEvidence.from_model(model, inputs, target)
    batch = GradientBatch.of(evidence, 5, torch.float64)
    found = [int((inputs["audio"] == x).flatten(1).all(1).nonzero()) for x in batch.inputs["audio"]]
    assert sorted(found) == [0, 4, 8, 13, 17]
    assert torch.equal(batch.target, target[found])


def test_classes_take_turns_in_the_batch():
    model, inputs, _ = build()
    target = torch.tensor([0] * 10 + [1] * 8 + [2] * 4)
    batch = GradientBatch.of(ecs.ProxyEvidence.from_model(model, inputs, target), N, torch.float64)
    assert batch.target[:12].tolist() == [0, 1, 2] * 4
    assert batch.target[12:].tolist() == [0, 1] * 4 + [0, 0]


def test_results_are_ordinary_tensors():
    result = ecs.measure("look_ahead", ecs.ProxyEvidence.from_model(*build()))[0]
    value = result.by_class["audio"].clone().requires_grad_()
    value.nan_to_num().sum().backward()
    assert value.grad is not None

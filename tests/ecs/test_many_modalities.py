"""Every proxy with three to six modalities, against the same numbers computed one modality or one set at a time."""

from itertools import permutations
from math import log

import pytest
import torch

from mmpid import ecs
from mmpid.models.encoders import make_encoder
from mmpid.models.late_fusion import LateFusion

K, N = 4, 61  # an odd number, so that the folds of the linear probe differ
NAMES = ("a", "b", "c", "d", "e", "f")


def make(n_modalities, kind="mlp"):
    names = NAMES[:n_modalities]
    generator = torch.Generator().manual_seed(n_modalities)
    inputs = {name: torch.randn(N, 6, 6, generator=generator) for name in names}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoders = {name: make_encoder((6, 6), kind) for name in names}
        model = LateFusion(encoders, K, dims=dict.fromkeys(names, 32))
    target = torch.randint(K, (N,), generator=generator)
    return ecs.ProxyEvidence.from_model(model, inputs, target)


def by_name(results):
    return {result.name: result for result in results}


@pytest.mark.parametrize("kind", ["mlp", "cnn"])
@pytest.mark.parametrize("n_modalities", [3, 4, 5, 6])
def test_all_proxies_give_a_number_for_every_modality(n_modalities, kind):
    evidence = make(n_modalities, kind)
    results = ecs.measure("all", evidence)
    assert [result.name for result in results] == list(ecs.available())
    for result in results:
        assert tuple(result.by_modality) == tuple(result.by_class) == NAMES[:n_modalities]
        assert torch.stack(list(result.by_class.values())).isfinite().all(), result.name
    share = by_name(results)["gradient_share"]
    assert sum(share.by_modality.values()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("n_modalities", [3, 6])
def test_proxies_of_one_modality_do_not_see_the_others(n_modalities):
    full = make(n_modalities)
    pair = NAMES[1:3]
    part = ecs.ProxyEvidence(
        target=full.target,
        unimodal_logits={name: full.unimodal_logits[name] for name in pair},
        embeddings={name: full.embeddings[name] for name in pair},
    )
    own = ("class_logit", "mi", "margin", "prediction_mi", "linear_probe")
    everything, alone = by_name(ecs.measure(own, full)), by_name(ecs.measure(own, part))
    for name in own:
        for modality in pair:
            torch.testing.assert_close(
                alone[name].by_class[modality], everything[name].by_class[modality], rtol=1e-5, atol=1e-5
            )


@pytest.mark.parametrize("n_modalities", [3, 4])
def test_shapley_is_the_mean_gain_over_orders(n_modalities):
    evidence = make(n_modalities)
    logits = list(evidence.unimodal_logits.values())

    def worth(members):
        fused = sum((logits[m] for m in members), torch.zeros(N, K)).log_softmax(1)
        own = fused[torch.arange(N), evidence.target]
        return torch.stack([own[evidence.target == j].mean() for j in range(K)]) / log(2)

    gains = torch.zeros(n_modalities, K)
    orders = list(permutations(range(n_modalities)))
    for order in orders:
        for place, m in enumerate(order):
            gains[m] += (worth(order[: place + 1]) - worth(order[:place])) / len(orders)
    [result] = ecs.measure("shapley", evidence)
    torch.testing.assert_close(torch.stack(list(result.by_class.values())), gains, rtol=1e-5, atol=1e-5)


def test_ogm_compares_with_the_mean_of_the_others():
    evidence = make(4)
    p = [z.softmax(1)[torch.arange(N), evidence.target].sum() for z in evidence.unimodal_logits.values()]
    [result] = ecs.measure("ogm", evidence)
    for r, name in enumerate(NAMES[:4]):
        others = [value for s, value in enumerate(p) if s != r]
        assert result.by_modality[name] == pytest.approx(float(p[r] / (sum(others) / 3)), rel=1e-5)


def test_linear_probe_of_dead_embeddings_names_one_class():
    target = torch.arange(40) % K
    evidence = ecs.ProxyEvidence(target=target, embeddings={name: torch.zeros(40, 3) for name in "ab"})
    [result] = ecs.measure("linear_probe", evidence)
    assert float(result.by_class["a"].sum()) == pytest.approx(1, abs=0.35)


@pytest.mark.parametrize("n", [40, 61])
def test_linear_probe_is_ridge_regression_half_by_half(n):
    """Embeddings of different widths, folds of different lengths."""
    generator = torch.Generator().manual_seed(5)
    target = torch.randint(K, (n,), generator=generator)
    embeddings = {name: torch.randn(n, d, generator=generator) + target[:, None] for name, d in (("a", 3), ("b", 7))}
    order = torch.randperm(n, generator=torch.Generator().manual_seed(0))
    folds = order.chunk(2)
    [result] = ecs.measure("linear_probe", ecs.ProxyEvidence(target=target, embeddings=embeddings))
    for name, z in embeddings.items():
        right = torch.zeros(n)
        for fit, judge in (folds, folds[::-1]):
            center, y = z[fit].mean(0), torch.nn.functional.one_hot(target[fit], K).float()
            x = z[fit] - center
            cov = x.T @ x / len(fit)
            cov += 1e-2 * cov.diagonal().mean() * torch.eye(len(cov))
            weights = torch.linalg.solve(cov, x.T @ (y - y.mean(0)) / len(fit))
            right[judge] = (((z[judge] - center) @ weights + y.mean(0)).argmax(1) == target[judge]).float()
        expected = torch.stack([right[target == j].mean() for j in range(K)])
        torch.testing.assert_close(result.by_class[name], expected)

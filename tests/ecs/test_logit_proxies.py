"""Each proxy on a batch small enough to work out by hand, written as loops over samples."""

from math import log2

import pytest
import torch

from mmpid import ecs
from mmpid.ecs.batch import indicator
from mmpid.ecs.kmeans import kmeans

TARGET = torch.tensor([0, 0, 1, 2, 1])
LOGITS = {
    "image": torch.tensor([[2.0, 0, 1], [1, 3, 0], [0, 1, 0.5], [1, 1, 4], [0.2, 0.1, 0]]),
    "audio": torch.tensor([[0.5, 0, 0], [1, 0, 0], [0, 0, 2], [0, 0.3, 0.1], [-1, 1, 0]]),
}
K = 3


def result_of(name, **settings):
    evidence = ecs.ProxyEvidence(target=TARGET, unimodal_logits=LOGITS)
    return ecs.measure(name, evidence, settings=ecs.ProxySettings(**settings))[0]


def by_hand(score):
    """Mean of score(modality, sample) over the samples of each class."""
    values = {m: torch.tensor([float(score(m, i)) for i in range(len(TARGET))]) for m in LOGITS}
    return {m: torch.stack([v[j == TARGET].mean() for j in range(K)]) for m, v in values.items()}


def assert_matches(result, expected):
    for m in LOGITS:
        torch.testing.assert_close(result.by_class[m], expected[m])
        assert result.by_modality[m] == pytest.approx(float(expected[m].mean()), abs=1e-6)


def probability(m, i):
    return LOGITS[m][i].softmax(0)[TARGET[i]]


def test_class_logit_is_mean_of_own_logit():
    assert_matches(result_of("class_logit"), by_hand(lambda m, i: LOGITS[m][i, TARGET[i]]))


def test_mi_is_log_k_minus_cross_entropy_in_bits():
    assert_matches(result_of("mi"), by_hand(lambda m, i: log2(K) + probability(m, i).log2()))


def test_mi_of_balanced_batch_is_log_k_minus_mean_loss():
    keep = torch.tensor([0, 2, 3])
    evidence = ecs.ProxyEvidence(target=TARGET[keep], unimodal_logits={m: v[keep] for m, v in LOGITS.items()})
    loss = torch.nn.functional.cross_entropy(LOGITS["image"][keep], TARGET[keep]) / torch.log(torch.tensor(2.0))
    assert ecs.measure("mi", evidence)[0].by_modality["image"] == pytest.approx(log2(K) - float(loss), abs=1e-6)


def test_mi_of_uninformative_scorer_is_never_positive_on_unbalanced_labels():
    target = torch.tensor([0] * 9 + [1])
    prior = torch.tensor([0.9, 0.1]).log().expand(10, 2)
    evidence = ecs.ProxyEvidence(target=target, unimodal_logits={"a": prior, "b": torch.zeros(10, 2)})
    values = ecs.measure("mi", evidence)[0].by_modality
    assert values["a"] < 0
    assert values["b"] == pytest.approx(0, abs=1e-6)


def test_margin_is_own_minus_largest_other_logit():
    def margin(m, i):
        row = LOGITS[m][i].tolist()
        own = row.pop(int(TARGET[i]))
        return own - max(row)

    assert_matches(result_of("margin"), by_hand(margin))


def test_ogm_is_ratio_of_summed_probabilities():
    result = result_of("ogm")
    sums = {m: sum(probability(m, i) for i in range(len(TARGET))) for m in LOGITS}
    assert result.by_modality["image"] == pytest.approx(float(sums["image"] / sums["audio"]), rel=1e-6)
    assert result.by_modality["audio"] == pytest.approx(float(sums["audio"] / sums["image"]), rel=1e-6)
    means = by_hand(probability)
    torch.testing.assert_close(result.by_class["image"], means["image"] / means["audio"])


def test_shapley_of_two_modalities_is_the_two_term_formula():
    def value(logits):
        return by_hand(lambda m, i: logits[i].softmax(0)[TARGET[i]].log2())["image"]

    empty = torch.full((K,), -log2(K))
    both = value(LOGITS["image"] + LOGITS["audio"])
    result = result_of("shapley")
    for m, other in (("image", "audio"), ("audio", "image")):
        expected = 0.5 * (value(LOGITS[m]) - empty) + 0.5 * (both - value(LOGITS[other]))
        torch.testing.assert_close(result.by_class[m], expected)


def test_shapley_values_of_three_modalities_add_up():
    logits = {**LOGITS, "touch": torch.eye(5)[:, :3]}
    evidence = ecs.ProxyEvidence(target=TARGET, unimodal_logits=logits)
    total = sum(ecs.measure("shapley", evidence)[0].by_class.values())
    own = sum(logits.values()).log_softmax(1).gather(1, TARGET[:, None]).squeeze(1) / torch.tensor(2.0).log()
    expected = torch.stack([own[j == TARGET].mean() for j in range(K)]) + log2(K)
    torch.testing.assert_close(total, expected)


def information(target, codes):
    n = len(target)
    total = 0.0
    for y in set(target):
        for c in set(codes):
            joint = sum(a == y and b == c for a, b in zip(target, codes, strict=True)) / n
            if joint:
                total += joint * log2(joint / (target.count(y) / n) / (codes.count(c) / n))
    return total


def test_prediction_mi_is_plug_in_information_of_argmax():
    result = result_of("prediction_mi")
    for m in LOGITS:
        expected = information(TARGET.tolist(), LOGITS[m].argmax(1).tolist())
        assert result.by_modality[m] == pytest.approx(expected, abs=1e-6)


def test_information_of_double_precision_logits_is_as_precise():
    evidence = ecs.ProxyEvidence(target=TARGET, unimodal_logits={name: x.double() for name, x in LOGITS.items()})
    [result] = ecs.measure("prediction_mi", evidence)
    for m in LOGITS:
        expected = information(TARGET.tolist(), LOGITS[m].argmax(1).tolist())
        assert result.by_modality[m] == pytest.approx(expected, abs=1e-13)


def test_specific_information_averages_to_prediction_mi():
    result = result_of("prediction_mi")
    prior = torch.tensor([2, 2, 1]) / 5
    assert float((result.by_class["image"] * prior).sum()) == pytest.approx(result.by_modality["image"], abs=1e-6)


def test_cluster_mi_of_separated_logits_is_label_entropy():
    target = torch.arange(30) % 3
    evidence = ecs.ProxyEvidence(
        target=target, unimodal_logits={"a": 100.0 * torch.eye(3)[target], "b": torch.ones(30, 3)}
    )
    values = ecs.measure("cluster_mi", evidence)[0].by_modality
    assert values["a"] == pytest.approx(log2(3), abs=1e-5)
    assert values["b"] == pytest.approx(0, abs=1e-5)


def test_linear_probe_separates_what_is_linear_and_nothing_else():
    target = torch.arange(200) % 2
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(200, 3, generator=generator)
    shifted = noise + 6 * torch.nn.functional.one_hot(target, 3)
    evidence = ecs.ProxyEvidence(target=target, embeddings={"shifted": shifted, "noise": noise})
    values = ecs.measure("linear_probe", evidence)[0].by_modality
    assert values["shifted"] > 0.97
    assert 0.3 < values["noise"] < 0.7


def test_linear_probe_without_a_ridge_to_speak_of_is_still_a_probe():
    target = torch.arange(40) % 2
    z = torch.nn.functional.one_hot(target, 2).float().repeat(1, 8)  # of rank one: no Cholesky factor
    [result] = ecs.measure(
        "linear_probe",
        ecs.ProxyEvidence(target=target, embeddings={"a": z}),
        settings=ecs.ProxySettings(ridge=1e-12),
    )
    assert 0 <= result.by_modality["a"] <= 1


def test_absent_class_is_nan_and_left_out_of_the_mean():
    target = torch.tensor([0, 0, 1])
    logits = {m: v[:3] for m, v in LOGITS.items()}
    evidence = ecs.ProxyEvidence(target=target, unimodal_logits=logits)
    for result in ecs.measure([n for n in ecs.available() if ecs.available()[n].needs == "logits"], evidence):
        assert result.by_class["image"][2].isnan(), result.name
        assert torch.tensor(result.by_modality["image"]).isfinite(), result.name


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_other_dtypes_agree(dtype):
    evidence = ecs.ProxyEvidence(target=TARGET, unimodal_logits={m: v.to(dtype) for m, v in LOGITS.items()})
    got = ecs.measure("mi", evidence)[0].by_modality["image"]
    assert got == pytest.approx(result_of("mi").by_modality["image"], abs=0.02)


def test_one_modality_has_all_of_the_shapley_value():
    evidence = ecs.ProxyEvidence(target=TARGET, unimodal_logits={"image": LOGITS["image"]})
    value, information = ecs.measure(["shapley", "mi"], evidence)
    torch.testing.assert_close(value.by_class["image"], information.by_class["image"])


def test_shapley_in_parts_is_the_same(monkeypatch):
    logits = {**LOGITS, "touch": torch.eye(5)[:, :3]}
    evidence = ecs.ProxyEvidence(target=TARGET, unimodal_logits=logits)
    whole = ecs.measure("shapley", evidence)[0].by_class
    monkeypatch.setattr("mmpid.ecs.means._CHUNK", 1)
    parts = ecs.measure("shapley", evidence)[0].by_class
    for name in logits:
        torch.testing.assert_close(parts[name], whole[name])


def test_one_sample_is_enough_to_measure():
    evidence = ecs.ProxyEvidence(
        target=TARGET[:1],
        unimodal_logits={m: v[:1] for m, v in LOGITS.items()},
        embeddings={m: v[:1] for m, v in LOGITS.items()},
    )
    for result in ecs.measure("all", evidence):
        assert torch.tensor(result.by_modality["image"]).isfinite(), result.name
        assert result.by_class["image"][1:].isnan().all(), result.name


def test_of_equal_scores_the_first_is_the_largest():
    scores = torch.tensor([[[1.0, 0.0, 2.0], [1.0, 3.0, 2.0], [0.0, 3.0, 2.0]]])
    assert indicator(scores)[0].tolist() == [[1, 0, 1], [0, 1, 0], [0, 0, 0]]


def test_no_point_is_the_center_of_two_clusters():
    points = torch.randn(2, 3, 60, generator=torch.Generator().manual_seed(0)) ** 5  # some far from all others
    for seed in range(10):
        assert kmeans(points, 12, seed).sum(2).gt(0).all()


def test_each_point_is_in_one_cluster_where_clusters_outnumber_points():
    points = torch.randn(2, 3, 30, generator=torch.Generator().manual_seed(0))
    points[:, :, 5:] = points[:, :, 4:5]  # five distinct points, eight clusters
    member = kmeans(points, 8, seed=0)
    assert member.sum(1).eq(1).all()
    assert all(3 <= used <= 5 for used in member.sum(2).gt(0).sum(1).tolist())

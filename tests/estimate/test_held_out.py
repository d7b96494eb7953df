"""The held-out estimator: laws of its predictors, what it proves and does not, and odd input."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from mmpid.errors import ConfigError, InputError, SmallSampleWarning
from mmpid.estimate import KMeansDiscretizer, PredictionDiscretizer, estimate_pid, estimate_pid_multi, estimate_row
from mmpid.estimate.families import head_joints, known_joints, like_heads, other_joints
from mmpid.estimate.held_out import multipliers
from mmpid.estimate.held_out.codebooks import code_folds
from mmpid.estimate.held_out.folds import make_folds
from mmpid.estimate.held_out.intervals import standard_error
from mmpid.estimate.held_out.multipliers import roughly
from mmpid.estimate.held_out.predictors import choose_elsewhere
from mmpid.estimate.histogram import Assignment
from mmpid.estimate.notes import Notes
from mmpid.estimate.study import draw, truth
from mmpid.estimate.terms import ATOMS, stack_atoms
from mmpid.pid import dual_multipliers
from mmpid.pid.constants import LN2

QUIET = {"discretizer": "codes", "warn": False}


def values(estimate):
    return stack_atoms(estimate.pid).tolist()


def sampled(joint, n, seed=0):
    return draw(joint, n, np.random.default_rng(seed))


@pytest.fixture(scope="module")
def heads():
    return sampled(head_joints()["10 classes, 85 and 80 %, 30 % together"], 300)


@pytest.fixture(scope="module")
def of_heads(heads):
    return estimate_pid(*heads, **QUIET)


# --- laws -------------------------------------------------------------------------------------------------------


def test_rough_and_exact_multipliers_are_sub_normalized_predictors_for_every_pair(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    q1, q2 = (torch.rand(2, 3, n, 4, generator=generator, dtype=torch.float64) + 0.01 for n in (6, 3))
    q1 = q1 / q1.sum((-2, -1), keepdim=True)
    q2 = q2 / q2.sum(-2, keepdim=True) * q1.sum(-2, keepdim=True)
    exact, (lam, mu) = dual_multipliers(q1, q2, 1e-4), roughly(q1, q2)
    monkeypatch.setattr(multipliers, "MOST_OPERATIONS", 0)  # as for many classes: alternations, in parts
    monkeypatch.setattr(multipliers, "_CELLS", 200)
    nearly = multipliers.nearly_best(q1, q2)
    for one, two in ((exact.lam * LN2, exact.mu * LN2), (lam, mu), nearly):
        assert float((one.unsqueeze(-2) + two.unsqueeze(-3)).exp().sum(-1).max()) <= 1 + 1e-12
    value = (q1 * lam).sum((-2, -1)) + (q2 * mu).sum((-2, -1))
    assert (value <= exact.value * LN2 + 1e-4).all() and (value >= exact.value * LN2 - 0.05).all()
    value = (q1 * nearly[0]).sum((-2, -1)) + (q2 * nearly[1]).sum((-2, -1))
    assert ((value - exact.value * LN2).abs() < 3e-4).all()


@pytest.mark.parametrize("states", [3, 6])
def test_a_source_that_is_a_function_of_the_other_adds_nothing(states):
    rng = np.random.default_rng(0)
    y = rng.integers(6, size=300)
    x1 = np.where(rng.random(300) < 0.6, y, rng.integers(6, size=300))
    estimate = estimate_pid(x1, x1 % states, y, **QUIET)
    swapped = estimate_pid(x1 % states, x1, y, **QUIET)
    assert float(estimate.pid.unique2) == pytest.approx(0) == float(swapped.pid.unique1)
    assert float(estimate.pid.synergy) == 0 == float(swapped.pid.synergy)
    for name in ("unique2", "synergy") if states < 6 else ("unique1", "unique2", "synergy"):
        low, high = estimate.interval[name]
        assert low <= 0 <= high < 0.1 and not estimate.proven[name]
    assert estimate.proven["redundancy"] and "no synergy" in " ".join(estimate.notes)


def test_codes_that_hardly_repeat_do_not_pass_for_functions_of_each_other():
    y = np.arange(60) % 2
    estimate = estimate_pid(np.arange(60), (np.arange(60) // 2 + y) % 2, y, **QUIET)
    assert "no synergy" not in " ".join(estimate.notes)


@pytest.mark.parametrize("name", ["strong and redundant", "high synergy"])
def test_what_is_held_out_reads_low_on_average(name):
    joint = known_joints()[name]
    r, u1, u2, _ = truth(joint).values()
    found = [estimate_pid(*sampled(joint, 1280, seed), **QUIET).scores for seed in range(2)]
    assert np.mean([scores["without_synergy"] - scores["prior"] for scores in found]) < r + u1 + u2


def test_scores_are_the_means_of_the_samples(of_heads):
    frame = of_heads.pointwise()
    scores = of_heads.scores
    assert list(scores) == ["prior", "source1", "source2", "without_synergy", "full"]
    assert frame.unique1.mean() == pytest.approx(scores["without_synergy"] - scores["source2"])
    assert frame.synergy.mean() == pytest.approx(scores["full"] - scores["without_synergy"])
    total = frame[["redundancy", "unique1", "unique2", "synergy"]].to_numpy().mean(0).sum()
    assert total == pytest.approx(scores["full"] - scores["prior"])


def test_pointwise_finds_the_samples_that_need_both_sources(rng):
    """Half of the samples, marked by the high bit of both codes, hold an exclusive-or; the rest is told by source 1."""
    one, two, kind = rng.integers(2, size=(3, 1200))
    target = np.where(kind == 1, one ^ two, one)
    frame = estimate_pid(one + 2 * kind, two + 2 * kind, target, **QUIET).pointwise()
    assert frame.synergy[kind == 1].mean() > 0.9 > 0.1 > abs(frame.synergy[kind == 0].mean())


def test_pointwise_keeps_the_index_of_the_input(rng):
    index = [f"clip {i}" for i in range(60)]
    one = pd.Series(rng.integers(2, size=60), index=index)
    assert list(estimate_pid(one, one.to_numpy(), one.to_numpy(), **QUIET).pointwise().index) == index
    counted = estimate_pid(one, one, one, estimator="counted", **QUIET)
    with pytest.raises(InputError, match="held-out"):
        counted.pointwise()


def test_proven_is_a_lower_end_above_zero(of_heads):
    assert of_heads.proven == {atom: low > 0 for atom, (low, _) in of_heads.interval.items()}
    assert all(
        low <= value <= high for value, (low, high) in zip(values(of_heads), of_heads.interval.values(), strict=True)
    )


def test_swapping_sources_swaps_unique(heads, of_heads):
    one, two, target = heads
    r, u1, u2, s = values(of_heads)
    assert values(estimate_pid(two, one, target, **QUIET)) == pytest.approx([r, u2, u1, s], abs=2e-3)


def test_same_seed_gives_the_same_numbers_and_another_other_folds(heads, of_heads):
    assert estimate_pid(*heads, **QUIET).to_row() == of_heads.to_row()
    assert estimate_pid(*heads, seed=1, **QUIET).scores != of_heads.scores


def test_order_of_samples_changes_folds_only(heads, of_heads):
    order = np.random.default_rng(1).permutation(len(heads[2]))
    shuffled = estimate_pid(*(x[order] for x in heads), **QUIET)
    assert values(shuffled) == pytest.approx(values(of_heads), abs=0.08)


def test_soft_codes_that_are_sure_are_hard_codes(rng):
    target = rng.integers(3, size=300)
    predicted = np.where(rng.random((2, 300)) < 0.7, target, rng.integers(3, size=(2, 300)))
    sure = np.eye(3)[predicted]
    soft, hard = (estimate_pid(*sure, target, discretizer=d, warn=False) for d in ("soft", "prediction"))
    assert values(soft) == pytest.approx(values(hard), abs=1e-9)
    assert soft.scores == pytest.approx(hard.scores, abs=1e-9)


def test_a_choice_is_made_without_the_samples_that_it_is_scored_on():
    target = torch.arange(40) % 2
    folds = make_folds(target, None, 0, Notes())
    scores = torch.zeros(2, 40, dtype=torch.float64)
    scores[1, folds.index == 3] = 100.0  # the second is better in fold 3 only
    chosen, held = choose_elsewhere(scores, folds)
    assert chosen.tolist() == [1, 1, 1, 0, *[1] * 6, 1]
    assert float(held[folds.index == 3].max()) == 0.0


def test_standard_errors_go_by_group():
    values = torch.randn(2, 400, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    by_sample = standard_error(values, None)
    torch.testing.assert_close(by_sample, values.std(1) / 20)
    copied = values.repeat_interleave(5, 1)
    groups = torch.arange(400).repeat_interleave(5)
    torch.testing.assert_close(standard_error(copied, groups), by_sample)


# --- codes in folds ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [lambda: KMeansDiscretizer(4), lambda: PredictionDiscretizer("embeddings")])
def test_codes_of_a_fold_know_nothing_of_the_labels_or_values_that_it_holds_out(rng, make):
    source, target = torch.tensor(rng.normal(size=(200, 5))), torch.tensor(rng.integers(3, size=200))
    folds = make_folds(target, None, 0, Notes())
    fitted = make().fit(source, target)
    whole = Assignment(n_codes=fitted.n_codes, codes=fitted.transform(source))
    held = folds.index == 2

    def row(labels, values):
        return code_folds(fitted, values, labels, whole, folds, 3, False).codes[2]

    plain = row(target, source)
    other_labels = target.clone()
    other_labels[held] = (target[held] + 1) % 3
    assert torch.equal(row(other_labels, source), plain)
    other_values = source.clone()
    other_values[held] = 9.0
    assert torch.equal(row(target, other_values)[~held], plain[~held])


def test_a_readout_of_noise_proves_nothing(rng):
    """Many columns and few samples: codes that had seen labels, also through other folds, would prove much."""
    proven = []
    for seed in range(4):
        noise = np.random.default_rng(seed).normal(size=(2, 150, 60))
        estimate = estimate_pid(*noise, rng.integers(3, size=150), discretizer="prediction", warn=False)
        proven += list(estimate.proven.values())
    assert sum(proven) <= 1


# --- what it proves ---------------------------------------------------------------------------------------------


def test_exclusive_or_is_proven_and_its_size_read(rng):
    one, two = rng.integers(2, size=(2, 400))
    estimate = estimate_pid(one, two, one ^ two, **QUIET)
    assert estimate.proven == {"redundancy": False, "unique1": False, "unique2": False, "synergy": True}
    assert values(estimate) == pytest.approx([0, 0, 0, 1], abs=0.03)


@pytest.mark.parametrize("name", ["high synergy", "strong and redundant"])
def test_synergy_is_proven_at_the_size_of_a_probe(name):
    estimate = estimate_pid(*sampled(known_joints()[name], 1280), **QUIET)
    assert estimate.proven["synergy"] and not estimate.identified["synergy"]
    low, high = estimate.interval["synergy"]
    assert 0.1 < low < truth(known_joints()[name])["synergy"] < high


@pytest.mark.slow
def test_an_identified_synergy_lies_in_its_interval_where_the_codes_nearly_settle_the_class():
    """Shuffles alone correct too much here: up to half of the intervals ended below the truth."""
    joint, n = other_joints()["Gaussian, additive, 20x20x6"]
    true, held = truth(joint)["synergy"], 0
    for seed in range(20):
        estimate = estimate_pid(*sampled(joint, n, seed), **QUIET)
        assert estimate.identified["synergy"] and estimate.proven["synergy"]
        held += estimate.interval["synergy"][0] <= true <= estimate.interval["synergy"][1]
    assert held >= 18


def test_no_synergy_is_proven_where_a_source_copies_the_other_and_classes_are_rare():
    generator = np.random.default_rng(3)
    prior = 0.4 ** np.arange(5)
    given = generator.dirichlet(np.full(30, 0.3), size=5)
    joint = np.zeros((30, 10, 5))
    joint[np.arange(30), np.arange(30) // 3] = (prior[:, None] * given).T
    joint = torch.tensor(joint / joint.sum())
    assert truth(joint)["synergy"] < 1e-4
    assert not any(estimate_pid(*sampled(joint, 400, s), **QUIET).proven["synergy"] for s in range(6))


def test_no_unique_part_is_invented_for_equal_heads():
    joint = like_heads()["10 classes, 90% and 90%, 0% together"]
    found = [estimate_pid(*sampled(joint, 240, s), **QUIET) for s in range(4)]
    assert sum(e.proven["unique1"] + e.proven["unique2"] for e in found) == 0
    assert np.sqrt(np.mean([float(e.pid.unique1) ** 2 for e in found])) < 0.25


@pytest.mark.slow
@pytest.mark.parametrize("name", ["10 classes, 70% and 70%, 0% together", "6 classes, 90% and 90%, 0% together"])
def test_intervals_cover_where_heads_are_equal(name):
    joint = like_heads()[name]
    true, held = truth(joint), []
    for seed in range(40):
        interval = estimate_pid(*sampled(joint, 240, seed), **QUIET).interval
        held.append([interval[a][0] - 2e-3 <= true[a] <= interval[a][1] + 2e-3 for a in ATOMS[:3]])
    assert np.mean(held, 0).min() >= 0.85


def test_one_row_serves_two_and_many(rng):
    a, b, c = rng.integers(3, size=(3, 500))
    target = torch.tensor((a + b) % 3)
    codes = {name: torch.tensor(x) for name, x in (("a", a), ("b", b), ("c", c))}
    pair = estimate_row({"a": codes["a"], "b": codes["b"]}, target, discretizer="codes")
    assert pair == estimate_pid(a, b, target, **QUIET).to_row()
    many = estimate_row(codes, target, discretizer="codes")
    multi = estimate_pid_multi(codes, target, **QUIET)
    assert many["unique3"] == float(multi.one_vs_rest["c"].pid.unique1) and not many["unique3_proven"]
    assert many["synergy.a|b"] == float(multi.pairwise["a", "b"].pid.synergy)
    assert many["estimator"] == "held-out"
    assert all(isinstance(value, bool | int | float | str) for value in many.values())


def test_merging_codes_of_the_rest_makes_no_information(rng):
    one, two = rng.integers(6, size=(2, 4000))
    target = (one + two) % 6
    copy = np.where(rng.random(4000) < 0.8, target, rng.integers(6, size=4000))
    result = estimate_pid_multi({"a": one, "b": two, "copy": copy}, target, **QUIET)
    against = result.one_vs_rest["copy"]
    assert against.n_codes == (6, 36)
    assert abs(float(against.pid.unique1)) < 0.02 and not against.proven["unique1"] and not against.proven["synergy"]


def test_merged_codes_give_bounds_only(rng):
    one, two = rng.integers(18, size=(2, 6000))
    target = (one + two) % 6
    copy = np.where(rng.random(6000) < 0.8, target, rng.integers(6, size=6000))
    result = estimate_pid_multi({"a": one, "b": two, "copy": copy}, target, **QUIET)
    against = result.one_vs_rest["copy"]
    assert any("merged" in note for note in against.notes)
    for atom in ("unique1", "synergy"):
        low, high = against.interval[atom]
        assert low <= 0 <= high and not against.identified[atom] and not against.proven[atom]
    low, high = against.interval["unique2"]
    assert low <= truth_of_rest(0.8 + 0.2 / 6) <= high


def truth_of_rest(right):
    """H(Y | copy) in bits: what only the two codes know that settle the target together."""
    p = np.array([right, *[(1 - right) / 5] * 5])
    return float(-(p * np.log2(p)).sum())


# --- odd input --------------------------------------------------------------------------------------------------


def finite(estimate):
    row = estimate.to_row()
    return all(np.isfinite(x) for x in row.values() if isinstance(x, float))


def test_a_class_with_fewer_samples_than_folds_is_said(rng):
    target = np.concatenate([np.zeros(60), np.ones(60), [2, 2, 3]]).astype(int)
    codes = rng.integers(3, size=(2, len(target)))
    with pytest.warns(SmallSampleWarning, match="class 3 lies in one fold"):
        estimate = estimate_pid(*codes, target, discretizer="codes")
    assert finite(estimate) and any("class 2 has fewer samples" in note for note in estimate.notes)


@pytest.mark.parametrize("n_groups", [2, 3, 12])
def test_few_groups_are_folds(rng, n_groups):
    target = rng.integers(3, size=240)
    codes = np.where(rng.random((2, 240)) < 0.7, target, rng.integers(3, size=(2, 240)))
    estimate = estimate_pid(*codes, target, groups=np.arange(240) % n_groups, **QUIET)
    assert finite(estimate) and estimate.n_groups == n_groups
    plain = estimate_pid(*codes, target, **QUIET)
    widths = [high - low for low, high in (e.interval["redundancy"] for e in (estimate, plain))]
    assert n_groups > 2 or widths[0] > widths[1]


def test_groups_that_are_classes_are_refused_and_one_alone_is_said(rng):
    target = np.repeat(np.arange(4), 30)
    codes = rng.integers(4, size=(2, 120))
    with pytest.raises(InputError, match="`groups`"):
        estimate_pid(*codes, target, groups=target, **QUIET)
    groups = np.where(target == 0, 0, 1 + np.arange(120) % 7)
    estimate = estimate_pid(*codes, target, groups=groups, **QUIET)
    assert finite(estimate) and any("class 0 lies in one fold" in note for note in estimate.notes)


@pytest.mark.parametrize("discretizer", ["codes", "kmeans", "quantile", "prediction"])
def test_a_constant_source_knows_nothing(rng, discretizer):
    target = rng.integers(2, size=200)
    one = (target + 0.3 * rng.normal(size=200)).round() if discretizer == "codes" else target + rng.normal(size=200)
    shape = (200, 1) if discretizer == "prediction" else (200,)
    estimate = estimate_pid(one.reshape(shape), np.ones(shape), target, discretizer=discretizer, warn=False)
    assert finite(estimate) and not (estimate.proven["unique2"] or estimate.proven["redundancy"])
    assert abs(float(estimate.pid.unique2)) < 0.01 and abs(float(estimate.pid.redundancy)) < 0.01


def test_the_least_sample_and_imbalance_are_taken(rng):
    assert finite(estimate_pid(*rng.integers(2, size=(2, 8)), np.arange(8) % 2, **QUIET))
    target = (rng.random(300) < 0.03).astype(int)
    assert finite(estimate_pid(target, rng.integers(3, size=300), target, **QUIET))
    assert finite(estimate_pid(target, target, 2 * target, n_classes=4, **QUIET))


def test_a_null_band_is_there_if_asked_for(rng):
    codes = rng.integers(3, size=(2, 200))
    estimate = estimate_pid(*codes, rng.integers(2, size=200), n_null=5, **QUIET)
    assert all(low <= high for low, high in estimate.null.values()) and set(estimate.null) == set(ATOMS)
    assert estimate_pid(*codes, rng.integers(2, size=200), **QUIET).null == {}


def test_unknown_estimator():
    with pytest.raises(ConfigError, match="estimator"):
        estimate_pid([0] * 9, [0] * 9, [0, 1, 1] * 3, estimator="heldout", **QUIET)


def test_notes_say_for_each_atom_what_can_be_read(of_heads):
    for atom in ATOMS:
        assert any(note.startswith(atom) for note in of_heads.notes)
    assert "of the codes (codes, 10 x 10)" in repr(of_heads) and "proven" in of_heads._repr_html_()


def test_predicted_classes_that_show_no_synergy_say_why(rng):
    one, two = rng.integers(2, size=(2, 300))
    estimate = estimate_pid(*rng.normal(size=(2, 300, 2)), one ^ two, discretizer="prediction", warn=False)
    assert any("exclusive-or" in note for note in estimate.notes)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_gpu_agrees_with_cpu(heads, of_heads):
    other = estimate_pid(*(torch.tensor(x, device="cuda") for x in heads), **QUIET)
    assert values(other) == pytest.approx(values(of_heads), abs=2e-3)


# --- the counted estimator stays as it was -----------------------------------------------------------------------

GOLDEN = Path(__file__).with_name("counted.json")


def golden_sources(kind):
    rng = np.random.default_rng(12)
    y = rng.integers(4, size=320)
    centers = rng.normal(size=(3, 4, 6))
    embeddings = [1.5 * centers[i][y] + rng.normal(size=(320, 6)) for i in range(3)]
    scores = [2.0 * np.eye(4)[y] + rng.normal(size=(320, 4)) for _ in range(3)]
    codes = [np.where(rng.random(320) < p, y, rng.integers(4, size=320)) for p in (0.7, 0.6, 0.5)]
    return y, {"embeddings": embeddings, "scores": scores, "codes": codes}[kind]


@pytest.mark.parametrize("case", json.loads(GOLDEN.read_text()), ids=lambda case: case["name"])
def test_the_counted_estimator_gives_what_it_always_gave(case):
    y, sources = golden_sources(case["sources"])
    options = dict(case["options"])
    if options.pop("by_group", False):
        options["groups"] = np.arange(320) // 8
    if case["many"]:
        named = {name: torch.as_tensor(x) for name, x in zip("abc", sources, strict=True)}
        row = estimate_row(named, torch.as_tensor(y), estimator="counted", n_classes=4, **options)
    else:
        row = estimate_pid(*sources[:2], y, estimator="counted", warn=False, **options).to_row()
    assert list(row) == list(case["row"])
    for key, value in case["row"].items():  # the solver is certified to 1e-6 bit, and to 1e-3 in replicates
        assert row[key] == (pytest.approx(value, abs=1e-4) if isinstance(value, float) else value), key


def test_readouts_of_all_pairs_of_folds_are_those_fitted_one_by_one(rng):
    source, target = torch.tensor(3.0 + rng.normal(size=(120, 4))), torch.tensor(rng.integers(3, size=120))
    fold = torch.arange(120) % 4
    nested = PredictionDiscretizer("embeddings").nested_probabilities(source, target, fold, 4)
    for i, j in ((0, 0), (1, 3), (2, 1)):
        kept = (fold != i) & (fold != j)
        alone = PredictionDiscretizer("embeddings").fit(source[kept], target[kept]).probabilities(source)
        torch.testing.assert_close(nested[j, fold == i], alone[fold == i])

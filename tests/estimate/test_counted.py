"""The counted estimator: recovery of known joints, null bands, coverage, what it says of itself."""

import numpy as np
import pytest
import torch

from mmpid.errors import ConfigError
from mmpid.estimate import KMeansDiscretizer, PredictionDiscretizer, estimate_pid
from mmpid.estimate.correction import choose_corrections, make_correction
from mmpid.estimate.study import draw, known_joints, simulate, summarize, truth
from mmpid.estimate.terms import ATOMS

QUIET = {"n_boot": 0, "n_null": 20, "warn": False, "estimator": "counted"}


@pytest.mark.parametrize("discretizer", ["kmeans", "prediction", "soft"])
def test_independent_labels_give_intervals_around_zero(rng, discretizer):
    sources = rng.normal(size=(2, 500, 8))
    target = rng.integers(3, size=500)
    estimate = estimate_pid(*sources, target, discretizer=discretizer, n_boot=100, n_null=50, estimator="counted")
    for atom in ATOMS:
        low, high = estimate.interval[atom]
        assert low <= 0.005 and high >= -0.005, atom
        null_low, null_high = estimate.null[atom]
        assert null_low <= 0.0 <= null_high
        assert abs(float(getattr(estimate.pid, atom))) < 0.06


def test_synergy_outside_the_null_band_where_there_is_some(rng):
    one, two = rng.integers(4, size=(2, 1000))
    target = np.where(rng.random(1000) < 0.5, (one + two) % 4, rng.integers(4, size=1000))
    estimate = estimate_pid(one, two, target, discretizer="codes", n_boot=100, estimator="counted")
    assert estimate.identified["synergy"]
    assert estimate.interval["synergy"][0] > estimate.null["synergy"][1]
    assert estimate.interval["redundancy"][0] <= estimate.null["redundancy"][1] + 0.01


def test_known_joints_span_synergy_from_none_to_four_fifths_of_a_bit():
    synergies = [truth(joint)["synergy"] for joint in known_joints().values()]
    assert min(synergies) == pytest.approx(0.0, abs=1e-4)
    assert max(synergies) > 0.75
    assert len(synergies) >= 4


@pytest.mark.parametrize("name", list(known_joints()))
def test_corrected_atoms_are_near_the_truth_at_5000_samples(name):
    joint = known_joints()[name]
    sample = draw(joint, 5000, np.random.default_rng(3))
    estimate = estimate_pid(*sample, discretizer="codes", **QUIET)
    for atom, true in truth(joint).items():
        limit = 0.1 if atom == "synergy" else 0.05
        assert abs(float(getattr(estimate.pid, atom)) - true) < limit
    assert abs(float(estimate.plugin.synergy) - truth(joint)["synergy"]) > 0.1


@pytest.mark.slow
@pytest.mark.parametrize("name", list(known_joints()))
def test_error_and_coverage_at_5000_samples(name):
    rows = simulate({name: known_joints()[name]}, [5000], 25, seed=1, estimator="counted")
    for figures in summarize(rows):
        if figures["atom"] == "synergy":
            assert figures["rmse"] < 0.06
        else:
            assert figures["rmse"] < 0.025
            assert figures["coverage"] >= 0.8


def test_small_samples_say_that_synergy_is_not_identified():
    sample = draw(known_joints()["weak, some synergy"], 1280, np.random.default_rng(0))
    estimate = estimate_pid(*sample, discretizer="codes", **QUIET)
    assert estimate.identified == {"redundancy": True, "unique1": True, "unique2": True, "synergy": False}
    assert estimate.needed["synergy"] == 4800
    assert estimate.correction == "ami"
    assert any("4,800 needed" in note for note in estimate.notes)


def test_correction_follows_the_density_of_each_table():
    assert choose_corrections(1280, 120, 2400) == ("permutation", "ami")
    assert choose_corrections(5000, 120, 2400) == ("permutation", "mean")
    assert choose_corrections(20_000, 120, 2400) == ("permutation", "permutation")
    assert choose_corrections(300, 120, 2400) == ("mean", "ami")


def test_chance_adjustment_keeps_zero_and_perfect():
    null = torch.full((5, 4), 0.5, dtype=torch.float64)
    correction = make_correction("ami", null, torch.tensor(2.0, dtype=torch.float64))
    assert correction.apply(torch.full((4,), 0.5, dtype=torch.float64)).tolist() == [0.0] * 4
    assert correction.apply(torch.full((4,), 2.0, dtype=torch.float64)).tolist() == [2.0] * 4


def test_chance_adjustment_is_capped_where_chance_reaches_everything():
    null = torch.full((5, 4), 1.9999, dtype=torch.float64)
    correction = make_correction("ami", null, torch.tensor(2.0, dtype=torch.float64))
    assert float(correction.scale.max()) <= 10.0


def test_bracket_runs_from_permutation_to_chance_adjusted():
    sample = draw(known_joints()["high synergy"], 1280, np.random.default_rng(0))
    low, high = (
        float(estimate_pid(*sample, discretizer="codes", correction=c, **QUIET).pid.synergy)
        for c in ("permutation", "ami")
    )
    bracket = estimate_pid(*sample, discretizer="codes", **QUIET).bracket["synergy"]
    assert bracket == pytest.approx((low, high))


def test_supervised_codes_are_cross_fitted(rng):
    noise = rng.normal(size=(2, 300, 60))
    target = rng.integers(3, size=300)
    fair = estimate_pid(*noise, target, discretizer="prediction", **QUIET)
    leaky = estimate_pid(
        *(PredictionDiscretizer("embeddings").fit(torch.tensor(x), torch.tensor(target)).transform(torch.tensor(x))
          for x in noise),
        target,
        discretizer="codes",
        **QUIET,
    )  # fmt: skip
    assert float(leaky.pid.redundancy) > 0.05
    assert abs(float(fair.pid.redundancy)) < 0.03
    assert any("cross-fitted" in note for note in fair.notes)


def test_pair_is_fitted_in_place_and_one_is_copied(blobs):
    strong, weak, _, target = blobs
    one, two = KMeansDiscretizer(5), KMeansDiscretizer(4)
    assert estimate_pid(strong, weak, target, discretizer=(one, two), **QUIET).n_codes == (5, 4)
    assert (one.n_codes, two.n_codes) == (5, 4)
    copied = KMeansDiscretizer(5)
    estimate_pid(strong, weak, target, discretizer=copied, **QUIET)
    assert copied.state_dict() == {}


def test_second_probe_continues_from_a_checkpoint_as_from_memory(blobs):
    strong, weak, _, target = blobs
    pair = (KMeansDiscretizer(5), KMeansDiscretizer(5))
    estimate_pid(strong[:200], weak[:200], target[:200], discretizer=pair, **QUIET)
    restored = (KMeansDiscretizer(5), KMeansDiscretizer(5))
    for new, old in zip(restored, pair, strict=True):
        new.load_state_dict({name: tensor.clone() for name, tensor in old.state_dict().items()})
    rows = [
        estimate_pid(strong[200:], weak[200:], target[200:], discretizer=both, **QUIET).to_row()
        for both in (pair, restored)
    ]
    assert rows[0] == rows[1]


def test_names_may_differ_between_sources(blobs):
    strong, _, _, target = blobs
    estimate = estimate_pid(strong, strong[:, 0], target, discretizer=("kmeans", "quantile"), **QUIET)
    assert estimate.observable == "kmeans+quantile"


def test_row_frame_and_texts_say_what_was_chosen(blobs):
    strong, weak, _, target = blobs
    estimate = estimate_pid(strong, weak, target, n_boot=20, n_null=10, warn=False, estimator="counted")
    row = estimate.to_row()
    for atom in ATOMS:
        for suffix in ("", "_low", "_high", "_plugin", "_null_low", "_null_high", "_identified"):
            assert isinstance(row[atom + suffix], (bool if suffix == "_identified" else float))
    assert row["total"] == pytest.approx(float(estimate.pid.total))
    assert row["observable"] == "kmeans"
    frame = estimate.to_frame()
    assert list(frame.index) == list(ATOMS)
    assert frame.loc["synergy", "estimate"] == row["synergy"]
    for text in (repr(estimate), estimate._repr_html_()):
        assert "8 clusters per source" in text
        assert "correction of S: mean" in text
        assert "synergy" in text


def test_without_replicates_there_is_no_interval_and_no_band(blobs):
    strong, weak, _, target = blobs
    estimate = estimate_pid(strong, weak, target, n_boot=0, n_null=0, estimator="counted")
    assert estimate.interval == {} and estimate.null == {}
    assert estimate.n_null == 10  # the correction still shuffles
    assert "synergy_low" not in estimate.to_row()
    assert "not asked for" in repr(estimate)


def test_unknown_name_in_a_pair(blobs):
    strong, weak, _, target = blobs
    with pytest.raises(ConfigError, match="Did you mean 'codes'"):
        estimate_pid(strong, weak, target, discretizer=("code", "kmeans"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_gpu_agrees_with_cpu(blobs):
    strong, weak, _, target = blobs
    options = {"estimator": "counted", "n_boot": 20, "n_null": 10, "discretizer": KMeansDiscretizer(5, backend="torch")}
    cpu = estimate_pid(strong, weak, target, **options)
    gpu = estimate_pid(*(torch.tensor(x, device="cuda") for x in (strong, weak, target)), **options)
    assert cpu.to_frame()["estimate"].tolist() == pytest.approx(gpu.to_frame()["estimate"].tolist(), abs=5e-3)


def test_the_study_counts_how_often_an_estimate_lies_above_its_null_band():
    joint = {"one source copies": known_joints()["one source copies"]}
    rows = simulate(joint, [640], 4, seed=21, n_boot=0, n_null=20, estimator="counted")
    for figures in summarize(rows):
        mine = [row for row in rows if row["atom"] == figures["atom"]]
        assert figures["above_null"] == np.mean([row["estimate"] > row["null_high"] for row in mine])
    without = summarize(simulate(joint, [640], 1, n_boot=0, n_null=0, correction="none", estimator="counted"))
    assert all(np.isnan(figures["above_null"]) for figures in without)

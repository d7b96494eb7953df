"""Bad and odd input: one clear message, or a documented answer."""

import warnings

import numpy as np
import pytest
import torch

from mmpid.errors import (
    ConfigError,
    InputError,
    LabelWarning,
    LeakageWarning,
    MMPIDWarning,
    ShapeError,
    SmallSampleWarning,
)
from mmpid.estimate import KMeansDiscretizer, estimate_pid

NONE = {"n_boot": 0, "n_null": 0}
QUIET = {**NONE, "warn": False}


def test_mismatched_lengths(blobs):
    strong, weak, _, target = blobs
    with pytest.raises(ShapeError, match="`source2` must have as many samples as `source1`, 400; it had 399"):
        estimate_pid(strong, weak[1:], target)
    with pytest.raises(ShapeError, match="target"):
        estimate_pid(strong, weak, target[1:])
    with pytest.raises(ShapeError, match="groups"):
        estimate_pid(strong, weak, target, groups=target[1:])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite(blobs, bad):
    strong, weak, _, target = blobs
    broken = strong.copy()
    broken[3, 2] = bad
    with pytest.raises(InputError, match=r"`source1` must be finite; 1 of .* index \(3, 2\)"):
        estimate_pid(broken, weak, target)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"discretizer": "kmean"}, "Did you mean 'kmeans'"),
        ({"correction": "permutations"}, "Did you mean 'permutation'"),
        ({"n_boot": -1}, "n_boot"),
        ({"n_null": 2.5}, "n_null"),
        ({"n_clusters": 0}, "n_clusters"),
        ({"n_components": 0}, "n_components"),
        ({"replicate_tol": 0}, "replicate_tol"),
        ({"discretizer": object()}, "which lacks some of"),
        ({"discretizer": (KMeansDiscretizer(3),)}, "one per source"),
    ],
)
def test_wrong_settings(blobs, options, message):
    strong, weak, _, target = blobs
    with pytest.raises(ConfigError, match=message):
        estimate_pid(strong, weak, target, **options)


def test_one_class_only(blobs):
    strong, weak, _, target = blobs
    with pytest.raises(InputError, match="at least two classes"):
        estimate_pid(strong, weak, np.zeros_like(target))


def test_too_few_samples(blobs):
    strong, weak, _, target = blobs
    with pytest.raises(InputError, match="at least 8 samples"):
        estimate_pid(strong[:5], weak[:5], target[:5])
    with pytest.raises(InputError, match=r"`n_clusters` must be at most the number of samples, 50; it was 60"):
        estimate_pid(strong[:50], weak[:50], target[:50], n_clusters=60)


def test_images_are_told_to_flatten(blobs):
    strong, weak, _, target = blobs
    with pytest.raises(ShapeError, match="Flatten"):
        estimate_pid(strong.reshape(400, 2, 4), weak, target)


def test_labels_that_are_not_contiguous_are_mapped_and_said_so(blobs):
    strong, weak, _, target = blobs
    plain = estimate_pid(strong, weak, target, **QUIET)
    with pytest.warns(LabelWarning, match=r"3, 10, 11; mapped to 0..2"):
        mapped = estimate_pid(strong, weak, np.array([3, 10, 11])[target], **NONE)
    assert float(mapped.pid.redundancy) == float(plain.pid.redundancy)
    assert any("mapped" in note for note in mapped.notes)


def test_declared_classes_may_be_absent(blobs):
    strong, weak, _, target = blobs
    with warnings.catch_warnings():
        warnings.simplefilter("error", LabelWarning)
        estimate = estimate_pid(strong, weak, 2 * target, n_classes=6, **NONE)
    assert estimate.n_classes == 6
    assert any("3 of 6 classes have no sample" in note for note in estimate.notes)
    with pytest.raises(InputError, match="labels from 0 to 1"):
        estimate_pid(strong, weak, target, n_classes=2, **NONE)


def test_scores_with_an_absent_class_stay_scores(rng):
    target = np.array([0, 1, 3])[rng.integers(3, size=300)]
    scores = np.eye(4)[target] + rng.normal(size=(300, 4))
    estimate = estimate_pid(scores, scores[:, ::-1], target, discretizer="prediction", **QUIET)
    assert estimate.n_codes == (4, 4)
    assert any("class scores" in note for note in estimate.notes)


def test_constant_embeddings_have_no_information(blobs):
    strong, _, _, target = blobs
    with pytest.warns(MMPIDWarning, match="source2 has the same code for every sample"):
        estimate = estimate_pid(strong, np.ones((400, 5)), target, **NONE)
    assert float(estimate.plugin.redundancy) == pytest.approx(0, abs=1e-6)
    assert float(estimate.plugin.unique2) == pytest.approx(0, abs=1e-6)
    assert float(estimate.plugin.synergy) == pytest.approx(0, abs=1e-6)


def test_fewer_distinct_points_than_clusters(blobs):
    strong, _, _, target = blobs
    with pytest.warns(SmallSampleWarning, match="source2 has 3 distinct points"):
        estimate = estimate_pid(strong, np.eye(3)[target], target, n_clusters=5, **NONE)
    assert estimate.n_codes == (5, 3)


def test_shared_samples_are_counted(blobs):
    strong, weak, _, target = blobs
    with pytest.warns(LeakageWarning, match="100 of 200 samples"):
        estimate_pid(strong[:200], weak[:200], target[:200], reference=(strong[100:], weak[100:]), **NONE)


def test_disjoint_reference_is_silent_and_needs_no_cross_fitting(blobs):
    strong, weak, _, target = blobs
    estimate = estimate_pid(
        strong[:200],
        weak[:200],
        target[:200],
        discretizer="prediction",
        reference=(strong[200:], weak[200:], target[200:]),
        **NONE,
    )
    assert not any("cross-fitted" in note for note in estimate.notes)
    with pytest.raises(InputError, match="reference"):
        estimate_pid(strong, weak, target, reference=(strong,), **NONE)


def test_a_class_in_one_fold_only_is_said(blobs):
    strong, weak, _, target = blobs
    target = np.where(np.arange(400) == 7, 3, target)
    estimate = estimate_pid(strong, weak, target, discretizer="prediction", **QUIET)
    assert any("class 3 is absent from the fit of a fold" in note for note in estimate.notes)


def test_small_samples_warn_once_and_only_if_asked(blobs):
    strong, weak, _, target = blobs
    with pytest.warns(SmallSampleWarning, match="synergy not identified: 400 samples, 1,176 needed"):
        estimate = estimate_pid(strong, weak, target, n_clusters=14, **NONE)
    assert estimate.identified == {"redundancy": True, "unique1": True, "unique2": True, "synergy": False}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimate_pid(strong, weak, target, n_clusters=14, **QUIET)


def test_lists_float_labels_and_tensors_that_need_gradients_are_taken(blobs):
    strong, weak, _, target = blobs
    plain = estimate_pid(strong, weak, target, **QUIET)
    other = estimate_pid(torch.tensor(strong, requires_grad=True), weak.tolist(), target.astype(float), **QUIET)
    assert plain.to_row() == other.to_row()

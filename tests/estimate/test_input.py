"""Bad and odd input: one clear message, or a documented answer."""

import warnings

import numpy as np
import pandas as pd
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
from mmpid.estimate import (
    CodesDiscretizer,
    KMeansDiscretizer,
    PredictionDiscretizer,
    QuantileDiscretizer,
    estimate_pid,
    estimate_pid_multi,
)
from mmpid.estimate.labels import mapped_like

NONE = {"n_boot": 0, "n_null": 0}
QUIET = {**NONE, "warn": False}


def test_mismatched_lengths(blobs):
    strong, weak, _, target = blobs
    with pytest.raises(ShapeError, match="`source2`"):
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
    with pytest.raises(InputError, match="`source1`"):
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
    with pytest.raises(InputError, match="`n_clusters`"):
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


# --- data as researchers have them: text labels, pandas, other splits ------------------------------------------


@pytest.mark.parametrize("kind", ["array", "series", "categorical", "list"])
def test_text_labels_are_numbered_in_alphabetical_order_and_noted(blobs, kind):
    strong, weak, _, target = blobs
    names = np.array(["cat", "dog", "eel"])[target]
    text = {
        "array": names,
        "series": pd.Series(names, index=range(399, -1, -1)),
        "categorical": pd.Series(names).astype("category"),
        "list": names.tolist(),
    }[kind]
    with warnings.catch_warnings():
        warnings.simplefilter("error", LabelWarning)
        estimate = estimate_pid(pd.DataFrame(strong), weak, text, **NONE)
    assert estimate.to_row() == estimate_pid(strong, weak, target, **QUIET).to_row()
    assert any("cat, dog, eel were mapped to 0..2" in note for note in estimate.notes)


def test_text_labels_with_a_hole_are_refused_with_its_place(blobs):
    strong, weak, _, target = blobs
    names = np.array(["cat", "dog", "eel"], dtype=object)[target]
    names[7] = None
    with pytest.raises(InputError, match="1 of 400 labels are neither, the first at index 7: None"):
        estimate_pid(strong, weak, names, **NONE)
    with pytest.raises(ShapeError, match=r"one label per sample, \(400,\); its shape was \(399,\)"):
        estimate_pid(strong, weak, names[1:], **NONE)


def test_text_in_a_source_is_told_how_to_become_codes(blobs):
    strong, weak, _, target = blobs
    with pytest.raises(InputError, match="`source2`"):
        estimate_pid(strong, np.array(["a", "b"])[target % 2], target, discretizer="codes")


def test_groups_may_be_text(blobs):
    strong, weak, _, target = blobs
    numbers = np.repeat(np.arange(40), 10)
    text = np.array([f"subject {i:02d}" for i in range(40)])[numbers]
    options = {"warn": False}
    one, other = (estimate_pid(strong, weak, target, groups=g, **options) for g in (numbers, text))
    assert one.to_row() == other.to_row()
    assert other.n_groups == 40


@pytest.mark.parametrize("labels", [[-1, 5, 1000], ["cat", "dog", "eel"]])
def test_labels_of_the_reference_are_mapped_as_those_of_the_sample(blobs, labels):
    strong, weak, _, target = blobs
    own, other = slice(0, 200), slice(200, 400)

    def row(target):
        reference = (strong[other], weak[other], target[other])
        data = strong[own], weak[own], target[own]
        return estimate_pid(*data, discretizer="prediction", reference=reference, **QUIET).to_row()

    assert row(np.array(labels)[target]) == row(target)


def test_a_class_that_only_the_reference_has_gets_a_code_of_its_own():
    words = mapped_like(np.array(["eel", "ant", "cat"]), "reference[2]", 3, ("cat", "eel"), None)
    assert words.tolist() == [1, 2, 0]
    numbers = mapped_like(np.array([7, -3, 5, 7]), "reference[2]", 4, (), torch.tensor([5, 7]))
    assert numbers.tolist() == [1, 2, 0, 1]
    with pytest.raises(InputError, match="both text, or both integers"):
        mapped_like(np.array([0, 1]), "reference[2]", 2, ("cat", "eel"), None)
    with pytest.raises(InputError, match="class indices from 0.* -2"):
        mapped_like(np.array([0, -2]), "reference[2]", 2, (), None)


@pytest.mark.parametrize("reference", [5, np.ones((400, 8)), (np.ones((400, 8)),)])
def test_a_reference_that_is_no_tuple_of_sources_is_refused(blobs, reference):
    strong, weak, _, target = blobs
    with pytest.raises(InputError, match="`reference`"):
        estimate_pid(strong, weak, target, reference=reference)


@pytest.mark.parametrize("discretizer", ["kmeans", "prediction"])
def test_a_reference_of_other_columns_is_refused(blobs, discretizer):
    strong, weak, _, target = blobs
    with pytest.raises(ShapeError, match=r"`reference\[1\]` must have the columns of source 2"):
        estimate_pid(strong, weak, target, discretizer=discretizer, reference=(strong, weak[:, :3], target))


def test_an_error_of_a_discretizer_names_the_argument_of_the_door(blobs):
    strong, weak, _, target = blobs
    with pytest.raises(ShapeError, match="`source2`"):
        estimate_pid(strong[:, 0], weak, target, discretizer="quantile")


@pytest.mark.parametrize("seed", [None, "a", -5, 2.0])
def test_a_seed_must_be_an_integer(blobs, seed):
    strong, weak, _, target = blobs
    with pytest.raises(ConfigError, match="`seed`"):
        estimate_pid(strong, weak, target, seed=seed)


def test_large_and_numpy_seeds_are_taken(blobs):
    strong, weak, _, target = blobs
    assert estimate_pid(strong, weak, target, seed=2**40, **QUIET).n_samples == 400
    one, other = (estimate_pid(strong, weak, target, seed=s, **QUIET) for s in (3, np.int64(3)))
    assert one.to_row() == other.to_row()


def test_a_table_that_cannot_be_held_is_refused():
    codes = np.arange(6000)
    with pytest.raises(InputError, match="6000 x 6000 x 6 = 216,000,000. Merge"):
        estimate_pid(codes, codes, codes % 6, discretizer="codes", **QUIET)


@pytest.mark.parametrize(("replicates", "n_notes"), [((39, 40), 1), ((1, 10), 2), ((40, 40), 0), ((0, 0), 0)])
def test_few_replicates_are_said_to_be_few(blobs, replicates, n_notes):
    strong, weak, _, target = blobs
    estimate = estimate_pid(
        strong, weak, target, n_boot=replicates[0], n_null=replicates[1], estimator="counted", warn=False
    )
    assert sum("its ends are too close" in note for note in estimate.notes) == n_notes


def test_a_readout_takes_only_the_columns_that_it_was_fitted_on(blobs):
    strong, _, _, target = (torch.as_tensor(x) for x in blobs)
    readout = PredictionDiscretizer("embeddings")
    with pytest.raises(InputError, match="no fit yet"):
        readout.transform(strong)
    with pytest.raises(InputError, match="8 columns, as at the fit; it had 3 columns"):
        readout.fit(strong, target).transform(strong[:, :3])


@pytest.mark.parametrize(("groups", "said"), [(np.arange(400) % 5, "5 groups are few"), (np.arange(400) % 40, "")])
def test_few_groups_and_groups_of_several_labels_are_said(blobs, groups, said):
    strong, weak, _, target = blobs
    notes = " ".join(estimate_pid(strong, weak, target, groups=groups, **QUIET).notes)
    assert said in notes and ("are few:" in notes) == bool(said)
    assert "labels differ within groups" in notes
    constant = " ".join(estimate_pid(strong, weak, groups % 3, groups=groups, **QUIET).notes)
    assert "labels differ within groups" not in constant


def test_a_class_of_discretizers_is_not_a_discretizer():
    x, y = torch.arange(40.0), torch.arange(40) % 2
    with pytest.raises(ConfigError, match=r"it was the class KMeansDiscretizer. Try KMeansDiscretizer\(\)"):
        estimate_pid(x, x, y, discretizer=KMeansDiscretizer)


def test_modalities_are_named_by_text():
    x, y = torch.arange(40.0), torch.arange(40) % 2
    with pytest.raises(InputError, match="`sources`"):
        estimate_pid_multi({1: x, 2: x, 3: x}, y)


def test_a_tensor_without_numbers_of_its_own_is_refused():
    x, y = torch.arange(40.0), torch.arange(40) % 2
    for wrong in (torch.eye(40).to_sparse(), x.to("meta")):
        with pytest.raises(InputError, match="`source1`"):
            estimate_pid(wrong, x, y)


@pytest.mark.parametrize("kind", [KMeansDiscretizer, QuantileDiscretizer, CodesDiscretizer])
def test_a_discretizer_says_what_is_wrong_with_a_source(kind):
    column = torch.arange(40)
    with pytest.raises(InputError, match=f"this `{kind.__name__}` must be fitted first"):
        kind().transform(column)
    for wrong in ("audio", torch.zeros(4, 2, 2)):
        with pytest.raises(InputError, match="`source`"):
            kind().fit(wrong)
    assert torch.equal(kind().fit(column).transform(column), kind().fit(column.numpy()).transform(column.numpy()))


def test_a_readout_of_scores_keeps_its_classes():
    scores = torch.eye(3)
    with pytest.raises(InputError, match="`source`"):
        PredictionDiscretizer().fit(scores).transform(scores[:, :2])
    with pytest.raises(InputError, match="`source`"):
        PredictionDiscretizer().fit("audio")


def test_kmeans_takes_no_broken_numbers():
    with pytest.raises(InputError, match="`source`"):
        KMeansDiscretizer().fit(torch.tensor([[float("nan"), 1.0]] + [[0.0, 1.0]] * 5))

import numpy as np
import pytest

from mmpid.errors import ConfigError, InputError
from mmpid.estimate import KMeansDiscretizer, estimate_pid, estimate_pid_multi

QUIET = {"warn": False}


@pytest.fixture
def three(blobs):
    strong, weak, noise, target = blobs
    return {"audio": strong, "image": weak, "noise": noise}, target


@pytest.mark.parametrize("discretizer", ["kmeans", "prediction", "soft"])
def test_results_are_named_and_noise_has_nothing_unique(three, discretizer):
    sources, target = three
    result = estimate_pid_multi(sources, target, discretizer=discretizer, **QUIET)
    assert result.modalities == ("audio", "image", "noise")
    assert set(result.one_vs_rest) == {"audio", "image", "noise"}
    assert set(result.pairwise) == {("audio", "image"), ("audio", "noise"), ("image", "noise")}
    assert result.unique("audio") > 0.1
    assert abs(result.unique("noise")) < 0.05
    assert result.unique("audio") > result.unique("image")


def test_pairs_equal_the_estimate_of_two(three):
    sources, target = three
    result = estimate_pid_multi(sources, target, n_clusters=5, **QUIET)
    pair = estimate_pid(sources["audio"], sources["image"], target, n_clusters=5, **QUIET)
    assert result.pairwise["audio", "image"].to_row() == pair.to_row()


def test_the_table_of_the_rest_does_not_grow_with_modalities(rng):
    codes = {name: rng.integers(6, size=800) for name in "abcdef"}
    target = (codes["a"] + codes["b"]) % 3
    result = estimate_pid_multi(codes, target, discretizer="codes", n_clusters=8, **QUIET)
    assert all(max(estimate.n_codes) <= 8 for estimate in result.one_vs_rest.values())
    assert len(result.pairwise) == 15
    assert not any(estimate.proven["synergy"] or estimate.proven["unique1"] for estimate in result.one_vs_rest.values())


def test_few_combinations_are_kept_exactly(rng):
    a, b, c = rng.integers(2, size=(3, 2000))
    result = estimate_pid_multi({"a": a, "b": b, "c": c}, a ^ b ^ c, discretizer="codes", n_clusters=4, **QUIET)
    assert float(result.one_vs_rest["a"].pid.synergy) == pytest.approx(1.0, abs=0.02)
    assert abs(float(result.pairwise["a", "b"].pid.synergy)) < 0.02


def test_own_codebooks_are_used_in_place(three):
    sources, target = three
    own = {name: KMeansDiscretizer(5) for name in (*sources, "not audio")}
    estimate_pid_multi(sources, target, discretizer=own, **QUIET)
    assert all(discretizer.n_codes == 5 for discretizer in own.values())


def test_to_frame_and_texts(three):
    sources, target = three
    result = estimate_pid_multi(sources, target, **QUIET)
    frame = result.to_frame()
    assert frame.index.names == ["source1", "source2", "atom"]
    assert len(frame) == 24
    assert "audio | rest" in repr(result)
    assert "audio | rest" in result._repr_html_()


def test_two_modalities_have_each_other_as_the_rest(three):
    sources, target = three
    both = {name: sources[name] for name in ("audio", "image")}
    result = estimate_pid_multi(both, target, **QUIET)
    assert result.one_vs_rest["audio"].to_row() == result.pairwise["audio", "image"].to_row()


def test_wrong_use(three):
    sources, target = three
    with pytest.raises(InputError, match="mapping of 2 to 6"):
        estimate_pid_multi([1, 2, 3], target)
    with pytest.raises(InputError, match="`image`"):
        estimate_pid_multi({**sources, "image": np.ones((3, 2))}, target)
    with pytest.raises(ConfigError, match="'noise' had none"):
        estimate_pid_multi(sources, target, discretizer={"audio": "kmeans", "image": "kmeans"})
    with pytest.raises(ConfigError, match="discretizer"):
        estimate_pid_multi(sources, target, discretizer={"audi": "kmeans"})
    with pytest.raises(ConfigError, match="modality"):
        estimate_pid_multi(sources, target, **QUIET).unique("video")


@pytest.mark.parametrize("rest", ["kmeans", KMeansDiscretizer, 5], ids=repr)
def test_the_rest_of_a_modality_takes_an_object_only(three, rest):
    sources, target = three
    given = dict.fromkeys(sources, "kmeans") | {"not audio": rest}
    with pytest.raises(ConfigError, match="'not audio'"):
        estimate_pid_multi(sources, target, discretizer=given)


def test_an_atom_that_is_not_identified_has_a_question_mark_and_the_key_stands_below(three):
    sources, target = three
    small = estimate_pid_multi({name: x[:60] for name, x in sources.items()}, target[:60], n_clusters=6, **QUIET)
    large = estimate_pid_multi(sources, target, n_clusters=3, **QUIET)
    row = next(line for line in repr(small).splitlines() if line.startswith("audio | image"))
    assert row.endswith(" ?") and "? is not identified" in repr(small) and " ?<" in small._repr_html_()
    assert "?" not in repr(large)

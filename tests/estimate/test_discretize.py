import copy

import numpy as np
import pytest
import torch

from mmpid.errors import ConfigError, InputError, ShapeError
from mmpid.estimate import (
    CodesDiscretizer,
    KMeansDiscretizer,
    PredictionDiscretizer,
    QuantileDiscretizer,
)
from mmpid.estimate.crossfit import match_codes
from mmpid.estimate.discretize import is_discretizer
from mmpid.estimate.histogram import Assignment
from mmpid.estimate.kmeans import auto_clusters


@pytest.fixture
def points(rng):
    """500 points in 16 dimensions around 6 directions, with their cluster."""
    which = rng.integers(6, size=500)
    return torch.tensor(4 * rng.normal(size=(6, 16))[which] + rng.normal(size=(500, 16))), torch.tensor(which)


ALL = [
    lambda: KMeansDiscretizer(5),
    lambda: PredictionDiscretizer(),
    lambda: PredictionDiscretizer("embeddings"),
    lambda: PredictionDiscretizer("embeddings", soft=True),
]


@pytest.mark.parametrize("make", ALL)
def test_each_meets_the_protocol_and_survives_its_state_dict(make, points):
    source, target = points
    first, second = make(), make()
    assert is_discretizer(first)
    codes = first.fit(source, target).transform(source)
    assert codes.dtype == torch.int64
    assert codes.shape == (500,)
    assert int(codes.min()) >= 0 and int(codes.max()) < first.n_codes
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    assert second.n_codes == first.n_codes
    assert torch.equal(second.transform(source), codes)
    assert all(isinstance(value, torch.Tensor) for value in first.state_dict().values())


@pytest.mark.parametrize("make", [QuantileDiscretizer, CodesDiscretizer])
def test_one_dimensional_ones_survive_their_state_dict(make):
    source = torch.arange(40) % 7
    first, second = make(), make()
    codes = first.fit(source).transform(source)
    second.load_state_dict(first.state_dict())
    assert torch.equal(second.transform(source), codes)


@pytest.mark.parametrize("backend", ["sklearn", "torch"])
def test_kmeans_finds_separated_clusters(points, backend):
    source, which = points
    codes = KMeansDiscretizer(6, backend=backend).fit(source).transform(source)
    pairs = torch.unique(torch.stack([codes, which]), dim=1)
    assert pairs.shape[1] == 6


@pytest.mark.parametrize("backend", ["sklearn", "torch"])
def test_warm_start_keeps_codes_on_other_samples_of_the_same_encoder(points, backend):
    source, _ = points
    discretizer = KMeansDiscretizer(12, backend=backend).fit(source[:250])
    before = discretizer.transform(source)
    after = discretizer.fit(source[250:]).transform(source)
    cold = KMeansDiscretizer(12, backend=backend).fit(source[250:]).transform(source)
    assert (before == after).double().mean() > 0.8
    assert (before == after).double().mean() > (before == cold).double().mean()


def test_warm_start_keeps_codes_while_the_encoder_drifts(points):
    source, _ = points
    discretizer = KMeansDiscretizer(6).fit(source)
    before = discretizer.transform(source)
    drifted = source + 0.5 * torch.randn(source.shape, generator=torch.Generator().manual_seed(0), dtype=source.dtype)
    assert (discretizer.fit(drifted).transform(drifted) == before).double().mean() > 0.95


def test_memory_one_freezes_the_codebook(points):
    source, _ = points
    discretizer = KMeansDiscretizer(6, memory=1.0).fit(source)
    centers = discretizer.centers
    discretizer.fit(source + 0.01)
    torch.testing.assert_close(discretizer.centers, centers, atol=1e-2, rtol=0)


def test_refit_on_other_dimensions_starts_anew(points):
    source, _ = points
    discretizer = KMeansDiscretizer(6).fit(source)
    assert discretizer.fit(source[:, :4]).transform(source[:, :4]).max() < 6


def test_fewer_distinct_points_than_clusters_gives_fewer_codes():
    source = torch.eye(3, dtype=torch.float64)[torch.arange(30) % 3]
    assert KMeansDiscretizer(10).fit(source).n_codes == 3


def test_constant_embeddings_have_one_code():
    assert KMeansDiscretizer(10).fit(torch.ones(30, 4)).n_codes == 1
    assert KMeansDiscretizer(10).fit(torch.zeros(30, 4)).n_codes == 1


def test_more_dimensions_than_samples(rng):
    source = torch.tensor(rng.normal(size=(30, 200)))
    assert KMeansDiscretizer(4, n_components=60).fit(source).transform(source).max() == 3


def test_one_dimension_keeps_its_size(rng):
    source = torch.tensor(np.repeat([1.0, 5.0, 9.0], 20))
    codes = KMeansDiscretizer(3).fit(source).transform(source)
    assert len(torch.unique(codes)) == 3  # the sign alone would leave one


@pytest.mark.parametrize(
    ("n_samples", "n_classes", "expected"), [(1280, 6, 10), (240, 6, 4), (50_000, 6, 20), (40, 10, 4), (4800, 6, 20)]
)
def test_auto_clusters_follows_its_rule(n_samples, n_classes, expected):
    assert auto_clusters(n_samples, n_classes) == expected


def test_auto_clusters_inside_a_discretizer(points):
    source, target = points
    assert KMeansDiscretizer("auto").fit(source, target).n_codes == auto_clusters(500, 6)
    with pytest.raises(InputError, match="target"):
        KMeansDiscretizer("auto").fit(source)


def test_prediction_is_the_argmax_of_logits_or_probabilities(rng):
    logits = torch.tensor(rng.normal(size=(50, 4)))
    for scores in (logits, logits.softmax(-1)):
        discretizer = PredictionDiscretizer().fit(scores)
        assert torch.equal(discretizer.transform(scores), logits.argmax(-1))
        torch.testing.assert_close(discretizer.probabilities(scores), logits.softmax(-1))


def test_readout_never_predicts_a_class_it_has_not_seen(points):
    source, target = points
    discretizer = PredictionDiscretizer("embeddings").fit(source, target)
    discretizer.fit(source[target != 5], target[target != 5])
    assert discretizer.n_codes == 6
    assert float(discretizer.probabilities(source)[:, 5].max()) == 0.0


def test_quantile_bins_have_equal_counts():
    source = torch.arange(100.0)
    codes = QuantileDiscretizer(4).fit(source).transform(source)
    assert torch.bincount(codes).tolist() == [25, 25, 25, 25]
    assert QuantileDiscretizer(4).fit(torch.ones(10)).n_codes == 1


def test_matching_undoes_a_renumbering():
    codes = torch.tensor([0, 1, 2, 3, 2, 1])
    shuffled = torch.tensor([3, 0, 2, 1])[codes]
    matched = match_codes(Assignment(n_codes=4, codes=shuffled), Assignment(n_codes=4, codes=codes))
    assert torch.equal(matched, codes)


def test_unfitted_and_wrong_use_say_what_to_do(points):
    source, _ = points
    for discretizer in (KMeansDiscretizer(3), PredictionDiscretizer(), QuantileDiscretizer(), CodesDiscretizer()):
        with pytest.raises(InputError, match="fit"):
            _ = discretizer.n_codes
    with pytest.raises(InputError, match="16 columns"):
        KMeansDiscretizer(3).fit(source).transform(source[:, :2])
    with pytest.raises(ShapeError, match="KMeansDiscretizer"):
        QuantileDiscretizer().fit(source)
    with pytest.raises(InputError, match="kmeans"):
        CodesDiscretizer().fit(source)
    with pytest.raises(InputError, match="such as 9"):
        CodesDiscretizer().fit(torch.arange(5)).transform(torch.tensor([1, 9]))
    with pytest.raises(ConfigError, match="n_clusters"):
        KMeansDiscretizer(0)
    with pytest.raises(ConfigError, match="embeddings"):
        PredictionDiscretizer("logits")


@pytest.mark.parametrize("factor", [2.0**-1000, 2.0**-30, 2.0**-20, 2.0**900])
@pytest.mark.parametrize("make", [lambda: KMeansDiscretizer(6, 3), lambda: PredictionDiscretizer("embeddings")])
def test_embeddings_of_any_size_have_the_same_codes(make, factor):
    generator = torch.Generator().manual_seed(0)
    target = torch.randint(3, (200,), generator=generator)
    source = torch.randn(200, 5, generator=generator, dtype=torch.float64) + torch.eye(3, 5)[target]
    codes = make().fit(source, target).transform(source)
    assert torch.equal(make().fit(source * factor, target).transform(source * factor), codes)
    assert len(codes.unique()) > 1


def test_readout_is_not_moved_by_an_offset_and_makes_nothing_of_a_constant():
    generator = torch.Generator().manual_seed(0)
    target = torch.randint(3, (200,), generator=generator)
    source = torch.randn(200, 5, generator=generator, dtype=torch.float64) + torch.eye(3, 5)[target]
    plain, moved = (PredictionDiscretizer("embeddings").fit(s, target).transform(s) for s in (source, source + 1e5))
    assert (plain != moved).sum() <= 1
    constant = torch.full((200, 5), 0.1, dtype=torch.float64)
    assert len(PredictionDiscretizer("embeddings").fit(constant, target).transform(constant).unique()) == 1


def test_a_column_of_small_numbers_is_no_constant():
    column = 1e-14 * torch.arange(40.0, dtype=torch.float64).unsqueeze(1)
    assert KMeansDiscretizer(4).fit(column).n_codes == 4

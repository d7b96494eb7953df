"""Values that networks cannot learn from are said at the door, and transformers are fitted on training rows only."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.feature_selection import SelectKBest
from sklearn.impute import KNNImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, QuantileTransformer, RobustScaler, StandardScaler
from torch.utils.data import DataLoader

from mmpid import LateFusion, MultimodalData, Trainer
from mmpid.datasets.cuts import SPLITS
from mmpid.errors import ConfigError, InputError, ScaleWarning

N = 200
Y = np.arange(N) % 4
RNG = np.random.default_rng(0)
SOUND = RNG.normal(size=(N, 6))
IMAGE = RNG.integers(0, 256, size=(N, 3, 5, 5), dtype=np.uint8)


def build(image=IMAGE, **options):
    return MultimodalData.from_arrays({"sound": SOUND, "image": image}, Y, **options)


def streamed(image=IMAGE, **options):
    samples = [
        ({"sound": torch.as_tensor(s), "image": torch.as_tensor(v)}, int(y))
        for s, v, y in zip(SOUND, image, Y, strict=True)
    ]
    return MultimodalData.from_loaders(DataLoader(samples), in_memory=False, **options)


@pytest.mark.parametrize("door", [build, streamed])
@pytest.mark.parametrize("scale", [IMAGE, IMAGE.astype(float) / 1e5, IMAGE / 255 + 1000.0])
def test_one_warning_names_the_modality_and_the_remedy_that_works(door, scale):
    with pytest.warns(ScaleWarning) as said:
        door(scale)
    assert len(said) == 1
    text = str(said[0].message)
    assert "'image'" in text and "standardize={'image': True}" in text and "'sound'" not in text
    door(scale, standardize={"image": True})  # warnings are errors here


@pytest.mark.parametrize("door", [build, streamed])
def test_usual_scales_pass_without_a_word(door):
    for image in (IMAGE / 255, IMAGE / 255 - 0.5, (IMAGE - 128.0) / 74, IMAGE / 64):
        door(image)


@pytest.mark.parametrize("door", [build, streamed])
def test_standardized_channels_have_the_mean_and_spread_of_the_training_rows(door):
    data = door(standardize=True, seed=3)
    train = data.split("train").in_memory().inputs
    assert train["image"].mean((0, 2, 3)).abs().max() < 1e-5
    assert (train["image"].std((0, 2, 3), correction=0) - 1).abs().max() < 1e-5
    assert train["sound"].mean(0).abs().max() < 1e-6
    rows = data.splits["train"].numpy()
    image = (IMAGE - IMAGE[rows].mean((0, 2, 3), keepdims=True)) / IMAGE[rows].std((0, 2, 3), keepdims=True)
    test = data.split("test").in_memory().inputs["image"]
    assert torch.allclose(test, torch.as_tensor(image[data.splits["test"].numpy()], dtype=torch.float32), atol=1e-5)


@pytest.mark.parametrize("door", [build, streamed])
def test_what_is_fitted_does_not_depend_on_held_out_rows(door):
    with pytest.warns(ScaleWarning):
        rows = build(seed=3).splits["test"].numpy()
    spoiled = IMAGE.copy()
    spoiled[rows] = 255 - spoiled[rows] // 2
    one, two = door(standardize=True, seed=3), door(spoiled, standardize=True, seed=3)
    assert all(np.array_equal(one.preprocessing.numbers[key], two.preprocessing.numbers[key])
               for key in one.preprocessing.numbers)  # fmt: skip
    assert one.options["preprocessing"] == two.options["preprocessing"] and one.fingerprint != two.fingerprint


def test_what_was_learned_is_kept_as_numbers_and_described_in_the_options():
    data = build(standardize={"image": True}, impute={"sound": "median"})
    numbers = data.preprocessing.numbers
    assert numbers["image.StandardScaler.mean_"].shape == (3,)
    assert numbers["sound.SimpleImputer.statistics_"].shape == (6,)
    assert all(value.dtype.kind in "fiub" for value in numbers.values())
    assert data.options["preprocessing"]["image"].startswith("StandardScaler() #")
    new = data.preprocessing.apply({"sound": SOUND[:2], "image": IMAGE[:2]})
    assert torch.equal(new["image"], data.inputs["image"][:2]) and new["sound"].dtype == torch.float32


@pytest.mark.parametrize(
    ("transformer", "shape"),
    [
        (StandardScaler(with_std=False), (6,)), (RobustScaler(), (6,)), (MinMaxScaler(), (6,)), (PCA(2), (2,)),
        (make_pipeline(StandardScaler(), PCA(3)), (3,)), (SelectKBest(k=4), (4,)),
        (QuantileTransformer(n_quantiles=20, output_distribution="normal"), (6,)),
    ],
)  # fmt: skip
def test_any_transformer_is_fitted_on_a_copy_and_repeats_with_the_seed(transformer, shape):
    one, two = (build(IMAGE / 255, standardize={"sound": transformer}, seed=1) for _ in range(2))
    assert one.shapes["sound"] == shape and one.fingerprint == two.fingerprint
    assert not hasattr(transformer, "n_features_in_") or hasattr(transformer, "steps")
    assert one.preprocessing.numbers


def test_channels_are_the_columns_of_a_transformer():
    data = build(standardize={"image": make_pipeline(StandardScaler(), PCA(2))})
    assert data.shapes["image"] == (2, 5, 5)


def test_large_numbers_are_standardized_before_they_are_rounded():
    far = SOUND + 1e9
    with pytest.warns(ScaleWarning, match="lose digits"):
        MultimodalData.from_arrays({"sound": far, "image": IMAGE / 255}, Y)
    data = MultimodalData.from_arrays({"sound": far, "image": IMAGE / 255}, Y, standardize={"sound": True})
    plain = build(IMAGE / 255, standardize={"sound": True})
    assert torch.allclose(data.inputs["sound"], plain.inputs["sound"], atol=1e-5)


def test_identifiers_beyond_float32_are_said():
    with pytest.warns(ScaleWarning) as said:
        build(IMAGE[:, 0, :, 0].astype(np.int64) + 2**24 + 1)
    assert any("numpy.unique" in str(warning.message) for warning in said)


def test_imputation_comes_before_standardization_and_sees_training_rows_only():
    sound = SOUND.copy()
    sound[::7, 2] = np.nan
    data = MultimodalData.from_arrays({"sound": sound, "image": IMAGE}, Y, impute="mean", standardize=True, seed=2)
    rows = data.splits["train"].numpy()
    filled = np.where(np.isnan(sound[:, 2]), np.nanmean(sound[rows, 2]), sound[:, 2])
    scaled = (filled - filled[rows].mean()) / filled[rows].std()
    assert torch.allclose(data.inputs["sound"][:, 2], torch.as_tensor(scaled, dtype=torch.float32), atol=1e-5)
    near = MultimodalData.from_arrays({"sound": sound, "image": IMAGE / 255}, Y, impute={"sound": KNNImputer()})
    assert len(near.target) == N and "dropped" not in near.options


def test_a_column_without_values_is_not_invented():
    sound = SOUND.copy()
    sound[:, 2] = np.nan
    with pytest.raises(InputError, match="1 columns have none, the first is 2. Leave those columns out"):
        MultimodalData.from_arrays({"sound": sound, "image": IMAGE / 255}, Y, impute="mean")


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"standardize": {"sond": True}}, ConfigError, "Did you mean 'sound'"),
        ({"standardize": "yes"}, ConfigError, r"`standardize\['sound'\]` must be True, or a scikit-learn transformer"),
        ({"standardize": StandardScaler}, ConfigError, "`standardize"),
        ({"standardize": 1}, ConfigError, "`standardize"),
        ({"impute": "mode"}, ConfigError, r"`impute\['sound'\]` must be one of 'mean', 'median'"),
        ({"standardize": {"sound": PCA(99)}}, InputError, "transformer PCA of modality 'sound' failed"),
    ],
)
def test_transformers_that_cannot_be_used_are_refused(options, error, words):
    with pytest.raises(error, match=words):
        build(IMAGE / 255, **options)


@pytest.mark.parametrize("transformer", [RobustScaler(), PCA(2), make_pipeline(StandardScaler())])
def test_streamed_data_ask_for_partial_fit(transformer):
    with pytest.raises(ConfigError, match="partial_fit.*in_memory=True"):
        streamed(standardize={"sound": transformer})


def test_streamed_and_in_memory_standardize_alike():
    one, two = build(standardize=True, seed=1), streamed(standardize=True, seed=1)
    for name in SPLITS:
        a, b = one.split(name).inputs, two.split(name).in_memory().inputs
        assert all(torch.allclose(a[key], b[key], atol=1e-5) for key in a)


@pytest.mark.parametrize("door", [build, streamed])
def test_an_unusual_scale_stays_in_the_metadata_of_a_run(door):
    with pytest.warns(ScaleWarning):
        data = door()
    for standardized in (False, True):
        data = door(standardize=True) if standardized else data
        trainer = Trainer(LateFusion.from_data(data, seed=0), data, device="cpu")
        found = trainer.record.metadata["data"].get("scale", {})
        assert ("from 0 to 255" in found["image"] and "sound" not in found) if not standardized else not found

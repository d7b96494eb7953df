"""Folders of arrays are opened as they are named, and what is wrong with them is said by file."""

import pickle

import numpy as np
import pytest

from mmpid import datasets
from mmpid.errors import InputError

N = 120
Y = np.arange(N) % 3
RNG = np.random.default_rng(0)
ARRAYS = {"audio": RNG.normal(size=(N, 4)), "image": RNG.normal(size=(N, 2, 3))}


def save(folder, **arrays):
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)


def test_a_folder_and_an_archive_are_the_same_data(tmp_path):
    save(tmp_path / "npy", **ARRAYS, labels=Y, groups=np.arange(N) // 4, class_names=np.array(["x", "y", "z"]))
    (tmp_path / "npz").mkdir()
    np.savez(
        tmp_path / "npz" / "all.npz", **ARRAYS, y=Y, group=np.arange(N) // 4, class_names=np.array(["x", "y", "z"])
    )
    one, two = (datasets.read(tmp_path / kind) for kind in ("npy", "npz"))
    assert one.fingerprint == two.fingerprint and one.class_names == ("x", "y", "z") and one.n_groups["train"] > 3
    assert datasets.read(tmp_path / "npy", seed=1).fingerprint != one.fingerprint


@pytest.mark.parametrize("archives", [True, False])
def test_a_set_a_split_keeps_the_split(tmp_path, archives):
    for name, rows in (("train", slice(0, 90)), ("val", slice(90, 100)), ("test", slice(100, N))):
        part = {key: x[rows] for key, x in ARRAYS.items()} | {"labels": np.array(["c", "a", "b"])[Y[rows]]}
        np.savez(tmp_path / f"{name}.npz", **part) if archives else save(tmp_path / name, **part)
    data = datasets.read(tmp_path)
    assert [len(data.splits[name]) for name in ("validation", "test")] == [10, 20]
    assert data.class_names == ("a", "b", "c") and len(data.splits["probe"]) > 5


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda p: np.savez(p / "b.npz", **ARRAYS, y=Y), "names must be those of splits"),
        (lambda p: (p / "a.npz").write_bytes((p / "a.npz").read_bytes()[:900]), "a.npz|no layout"),
        (lambda p: np.savez(p / "a.npz", **ARRAYS, y=Y, labels=Y), "two arrays of target"),
        (lambda p: np.savez(p / "a.npz", audio=ARRAYS["audio"], y=Y), "two or more modality|no arrays"),
        (lambda p: np.savez(p / "a.npz", **ARRAYS, y=np.array([{}] * N)), "a.npz is not a readable archive"),
    ],
)
def test_archives_that_cannot_be_used_are_refused(tmp_path, spoil, words):
    np.savez(tmp_path / "a.npz", **ARRAYS, y=Y)
    spoil(tmp_path)
    with pytest.raises(InputError, match=words):
        datasets.read(tmp_path)


class Bomb:
    def __reduce__(self):
        return (exec, ("raise SystemExit('unpickled')",))


def test_nothing_is_unpickled(tmp_path):
    save(tmp_path, **ARRAYS, labels=Y)
    (tmp_path / "image.npy").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(InputError):
        datasets.read(tmp_path)
    np.save(tmp_path / "image.npy", np.array([Bomb()] * N, dtype=object), allow_pickle=True)
    with pytest.raises(InputError):
        datasets.read(tmp_path)


def test_a_folder_without_a_reader_says_so(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(InputError, match="no layout was recognized"):
        datasets.read(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        datasets.read(tmp_path / "nowhere")

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from mmpid import datasets, protocols
from mmpid.datasets import inspect_folder
from mmpid.datasets.inspection import OWN
from mmpid.datasets.layouts import LAYOUTS
from mmpid.datasets.readers.read import READERS
from mmpid.errors import InputError

ONE, TWO = "1001_IEO_NEU_XX", "1002_DFA_ANG_XX"


def put(root: Path, *names: str, content: bytes = b"x") -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def frames(folder: str, n=3, pattern="frame_{:05d}.jpg"):
    return [f"{folder}/{pattern.format(i + 1)}" for i in range(n)]


FOLDERS = {
    "CREMA-D, as published": ["AudioWAV/{a}.wav", "VideoFlash/{a}.flv", "processedResults/summaryTable.csv"],
    "CREMA-D, frames and wav": ["AudioWAV/{a}.wav", *frames("Image-01-FPS/{a}", pattern="{:05d}.jpg")],
    "CREMA-D, frames and filter banks": ["audio/{a}.pt", *frames("visual/{a}")],
    "frames and filter banks by split": [
        "audio/train_fbank/k_1.npy", *frames("visual/train_imgs/Image-01-FPS/k_1"),
        "audio/test_fbank/k_2.npy", *frames("visual/test_imgs/Image-01-FPS/k_2"),
    ],
    "AVE, cut": ["Audio-1004-SE/-0Id8xB3VkM.pkl", *frames("Image-01-FPS-SE/-0Id8xB3VkM")],
    "AVE, as published": ["AVE/-0Id8xB3VkM.mp4"],
    "Kinetics-Sounds, spectrograms": [
        "train_spec/k_1.npy", "test_spec/k_2.npy", *frames("train-frames-1fps/train/k_1"),
        *frames("val-frames-1fps/test/k_2"),
    ],
    "Kinetics-Sounds, by split (": ["ks_audio/train/k_1.npy", *frames("ks_visual/train/k_1")],
    "Kinetics-Sounds, by split and class": [
        "audio/train/tapping guitar/k_1.wav", *frames("visual/train_img/Image-01-FPS/tapping guitar/k_1")
    ],
    "VGGSound": ["audio/-0Id8xB3VkM_30.wav", *frames("frames/-0Id8xB3VkM_30.mp4", pattern="{:05d}.jpg")],
    "UCF-101": [
        *frames("rgb/v_Archery_g01_c01"), *frames("u/v_Archery_g01_c01", pattern="frame{:06d}.jpg"),
        *frames("v/v_Archery_g01_c01", pattern="frame{:06d}.jpg"),
    ],
    "Food-101": ["images/train/pie/pie_1.jpg", "images/test/pie/pie_2.jpg"],
    "images and token arrays": ["visual/train_imgs/pie_1.jpg", "text_token/train_token/pie_1_token.npy"],
    "CG-MNIST": ["Mnist/colored_mnist/mnist_10color_jitter_var_0.030.npy", "Mnist/mnist/train-images-idx3-ubyte.gz"],
    "affect features": ["mosei_senti_data.pkl"],
}  # fmt: skip


@pytest.mark.parametrize("title", FOLDERS)
@pytest.mark.parametrize("prefix", ["", "deep/er/"])
def test_a_layout_is_recognized_from_names_wherever_it_lies(tmp_path, title, prefix):
    put(tmp_path, *(prefix + name.format(a=ONE) for name in FOLDERS[title]))
    if title == "Food-101":
        put(tmp_path, f"{prefix}texts/train_titles.csv", content=b"text,label\na pie,pie\n")
    found = inspect_folder(tmp_path)
    assert found.layout.startswith(title), found
    assert found.ok, found.problems
    assert {row["modality"] for row in found.rows} == set(next(x for x in LAYOUTS if x.title == found.layout).patterns)


def test_every_layout_has_a_made_up_folder():
    tested = {*FOLDERS, "AV-MNIST"}
    assert all(any(layout.title.startswith(title) for title in tested) for layout in LAYOUTS)


def test_audio_without_video_is_named(tmp_path):
    put(tmp_path, f"AudioWAV/{ONE}.wav", f"AudioWAV/{TWO}.wav", f"VideoFlash/{ONE}.flv")
    found = inspect_folder(tmp_path)
    assert not found.ok and found.problems == (f"1 sample ({TWO}) with audio and without video.",)
    assert "2 of 7,442 published clips are here." in found.notes


def test_orphans_are_counted_split_by_split(tmp_path):
    put(
        tmp_path,
        "ks_audio/train/a.npy",
        "ks_audio/test/b.npy",
        *frames("ks_visual/train/a"),
        *frames("ks_visual/train/b"),
    )
    assert inspect_folder(tmp_path).problems == (
        "1 sample (b) with image and without audio in train.",
        "1 sample (b) with audio and without image in test.",
    )


def test_a_modality_without_files_is_missing(tmp_path):
    put(tmp_path, f"AudioWAV/{ONE}.wav")
    assert "modality video has no files." in inspect_folder(tmp_path).problems


def test_lists_are_compared_with_the_files(tmp_path):
    put(tmp_path, f"AudioWAV/{ONE}.wav", f"VideoFlash/{ONE}.flv")
    put(tmp_path, "train.csv", content=f"\ufeffname,label\n{ONE},NEU\n{TWO},ANG\n".encode())
    put(tmp_path, "test.csv", content=f"{ONE},NEU\n".encode())
    found = inspect_folder(tmp_path)
    assert f"1 clip ({TWO}) of train.csv without audio." in found.problems
    assert f"1 clip ({ONE}) in both train.csv and test.csv." in found.problems
    assert "train.csv lists 2 clips." in found.notes


def test_lists_of_ave_are_cut_at_the_ampersand(tmp_path):
    put(tmp_path, "Audio-1004-SE/-0Id8xB3VkM.pkl", *frames("Image-01-FPS-SE/-0Id8xB3VkM"))
    line = "Category&VideoID&Quality&Start&End\nChurch bell&-0Id8xB3VkM&good&0&10\n"
    for name in ("trainSet.txt", "testSet.txt"):
        put(tmp_path, name, content=line.encode())
    assert inspect_folder(tmp_path).problems == ("1 clip (-0Id8xB3VkM) in both trainSet.txt and testSet.txt.",)


def test_empty_files_and_links_to_nowhere_are_named(tmp_path):
    put(tmp_path, f"AudioWAV/{ONE}.wav", f"VideoFlash/{ONE}.flv", f"VideoFlash/{TWO}.flv")
    put(tmp_path, f"AudioWAV/{TWO}.wav", content=b"")
    assert inspect_folder(tmp_path).problems == (f"1 file (AudioWAV/{TWO}.wav) without content.",)


def test_a_link_that_leads_back_up_ends(tmp_path):
    put(tmp_path, f"AudioWAV/{ONE}.wav", f"VideoFlash/{ONE}.flv")
    (tmp_path / "AudioWAV" / "again").symlink_to(tmp_path)
    assert inspect_folder(tmp_path).ok


def own(folder: Path, **arrays):
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)


def test_own_arrays_by_split_are_counted_from_their_headers(tmp_path):
    for split, n in (("train", 30), ("test", 10)):
        own(tmp_path / split, audio=np.zeros((n, 4)), image=np.zeros((n, 5, 5), np.uint8), labels=np.arange(n))
    found = inspect_folder(tmp_path)
    assert found.ok and found.layout == OWN
    assert {(r["modality"], r["split"], r["samples"]) for r in found.rows} == {
        ("audio", "train", 30), ("image", "train", 30), ("audio", "test", 10), ("image", "test", 10),
    }  # fmt: skip


def test_own_arrays_in_one_archive(tmp_path):
    np.savez(tmp_path / "all.npz", audio=np.zeros((9, 4)), image=np.zeros((9, 5)), y=np.arange(9), split=np.zeros(9))
    found = inspect_folder(tmp_path)
    assert found.ok and [row["modality"] for row in found.rows] == ["audio", "image"]


def test_what_is_wrong_with_own_arrays_is_said(tmp_path):
    own(tmp_path, audio=np.zeros((8, 4)), labels=np.arange(9))
    np.save(tmp_path / "image.npy", np.array([{}] * 9, dtype=object), allow_pickle=True)
    (tmp_path / "text.npy").write_bytes(b"\x93NUMPY\x01")
    problems = " ".join(inspect_folder(tmp_path).problems)
    assert "audio has 8 samples, the labels have 9" in problems
    assert "image holds pickled Python objects" in problems and "text is not a readable NumPy array" in problems


def test_avmnist_is_counted_from_headers(tmp_path):
    for kind in ("audio", "image"):
        for split, n in (("train", 12), ("test", 5)):
            own(tmp_path / kind, **{f"{split}_data": np.zeros((n, 7))})
    found = inspect_folder(tmp_path)
    assert found.layout.startswith("AV-MNIST") and {row["samples"] for row in found.rows} == {12, 5}


class Bomb:
    def __reduce__(self):
        return (exec, ("raise SystemExit('unpickled')",))


def test_nothing_is_unpickled(tmp_path):
    put(tmp_path, "mosi_raw.pkl", content=pickle.dumps(Bomb()))
    put(tmp_path, "image.npy", content=pickle.dumps(Bomb()))
    found = inspect_folder(tmp_path)
    assert "A pickle runs code when it is opened" in " ".join(found.notes)


def test_an_unknown_folder_says_what_was_found_and_what_is_known(tmp_path):
    put(tmp_path, "a.txt", "b.txt", "c.bin")
    found = inspect_folder(tmp_path)
    assert not found.ok and found.layout == "" and len(found.to_frame()) == 0
    assert "found: 2 .txt, 1 .bin" in found.problems[0] and "CREMA-D" in found.problems[0]


def test_text_and_html_show_the_same(tmp_path):
    put(tmp_path, f"AudioWAV/{ONE}.wav", f"VideoFlash/{TWO}.flv")
    found = inspect_folder(tmp_path)
    for shown in (repr(found), found._repr_html_()):
        assert "CREMA-D" in shown and "without video" in shown and "7,442" in shown
    assert list(found.to_frame().columns) == ["modality", "split", "samples", "files"]


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        inspect_folder(tmp_path / "nowhere")
    with pytest.raises(InputError, match="is a file"):
        inspect_folder(put(tmp_path, "file.bin") / "file.bin")


def test_a_notebook_shows_three_samples_protocols_and_what_to_type(tmp_path):
    pytest.importorskip("PIL")
    root = datasets.make_folder("cremad", tmp_path / "<my clips>", n=60)
    found = inspect_folder(root)
    html = found._repr_html_()
    assert len(found.samples) == 3 and html.count("<audio controls") == html.count("<img ") == 3
    assert "<my clips>" not in html and "&lt;my clips&gt;" in html
    told = {text.partition(":")[0]: text for text in found.protocols}
    names = {name for name in protocols.available() if protocols.get(name).data["name"] == "cremad"}
    assert set(told) == names and "60 of 7,442 clips" in told["ogm-ge/cremad"]
    assert "front_end='log-stft-3s'" in told["ogm-ge/cremad"] and "front_end='log-stft-3s'" in repr(found)
    (root / found.samples[0][1]["image"]).write_bytes(b"x" * 400_000)
    (root / found.samples[1][1]["audio"]).unlink()
    html = found._repr_html_()  # as it is now: too large, and gone
    assert html.count("<audio controls") == html.count("<img ") == 2
    assert "2 frames a clip" not in told["ogm-ge/cremad"]


def test_frames_and_front_ends_that_a_protocol_has_otherwise_are_said(tmp_path):
    put(tmp_path, f"audio/{ONE}.pt", f"visual/{ONE}/frame_00001.jpg")
    told = {text.partition(":")[0]: text for text in inspect_folder(tmp_path).protocols}
    assert (
        "1 frames per clip, it uses 3" in told["inforeg/cremad"] and "it computes log-stft-3s" in told["inforeg/cremad"]
    )
    assert "front_end=" not in told["inforeg/cremad"]


def test_what_to_type_next_works_as_typed(tmp_path):
    rng = np.random.default_rng(0)
    own(
        tmp_path / "it's mine", audio=rng.normal(size=(90, 4)), image=rng.normal(size=(90, 5)), labels=np.arange(90) % 2
    )
    lines = inspect_folder(tmp_path / "it's mine").next
    exec("\n".join(lines), names := {})
    assert names["trainer"].modalities == ("audio", "image")


def test_layouts_say_whether_they_have_a_reader():
    assert {layout.title for layout in LAYOUTS} == {title for title in READERS if title != OWN}


def test_names_that_are_not_utf_8_are_counted_and_can_be_shown(tmp_path):
    put(tmp_path, "train_spec/a.npy", *frames("train-frames-1fps/train/a"))
    for place in (b"train_spec/\xff\xfe.npy", b"train-frames-1fps/train/\xff\xfe/frame_00001.jpg"):
        path = os.path.join(os.fsencode(tmp_path), place)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as stream:
            stream.write(b"x")
    found = inspect_folder(tmp_path)
    assert found.rows[0]["samples"] == 2 and any("2 names" in note and "UTF-8" in note for note in found.notes)
    assert (found._repr_html_() + repr(found)).encode()


@pytest.mark.slow
def test_a_list_of_a_million_rows_is_read_and_counted(tmp_path):
    pytest.importorskip("PIL")
    root = datasets.make_folder("cremad", tmp_path / "clips", n=60)
    with open(root / "data" / "CREMAD" / "train.csv", "a") as stream:
        stream.writelines(f"{i:07d}_XXX_ANG_XX,ANG\n" for i in range(10**6))
    data = datasets.read(root, size=16, in_memory=False)
    assert "left out: 1,000,000 clips" in " ".join(data.notes) and len(data.target) == 60

"""Every layout that `make_folder` writes is read to the end, also with what is wrong with folders of real life."""

import os
import pickle
import re
import shutil
import subprocess
import sys
from contextlib import nullcontext

import numpy as np
import pytest
import torch

from mmpid import LateFusion, Trainer, datasets
from mmpid.cli import main
from mmpid.datasets.cuts import SPLITS
from mmpid.datasets.layout_writers import EVENTS, WRITERS
from mmpid.datasets.readers.sound import BANKS, FRONT_ENDS, LogSpectrogram, filter_banks, read_wav
from mmpid.datasets.readers.video import VideoFrames, read_sound
from mmpid.datasets.restricted import read_pickled_array
from mmpid.errors import ConfigError, InputError, LeakageWarning

pytest.importorskip("PIL", reason="images are decoded by Pillow")
N = 80
WHOLE = ("av-mnist", "mosi", "cg-mnist")  # arrays of all samples
LAYOUTS = [name for name in WRITERS if not name.endswith("-raw")]  # those are written and read by another program
SMALL = {name: {} if name in WHOLE else {"size": 16} for name in LAYOUTS}
TEST_SIZE = {name: 16 for name in LAYOUTS} | dict.fromkeys((n for n in LAYOUTS if n.startswith("cremad")), 12)
TEST_SIZE |= {"mvsa": 15, "av-mnist": 12, "cg-mnist": 12}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("layouts")
    return {name: datasets.make_folder(name, root / name, n=N, seed=1) for name in LAYOUTS}


@pytest.fixture
def copy(folders, tmp_path):
    return lambda name: shutil.copytree(folders[name], tmp_path / name)


def read(path, **options):
    return datasets.read(path, **({"size": 16, "in_memory": False} | options))


def notes(data):
    return " ".join(data.notes)


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_is_recognized_complete_and_read(folders, name):
    assert datasets.inspect_folder(folders[name]).ok
    data = datasets.read(folders[name], **SMALL[name])
    assert sum(len(index) for index in data.splits.values()) == N and len(data.modalities) >= 2
    assert len(data.splits["test"]) == TEST_SIZE[name] and "left out" not in notes(data)
    assert data.options["layout"] and data.origin.endswith("from a folder")
    again = datasets.read(folders[name], **SMALL[name])
    assert again.fingerprint == data.fingerprint
    if name not in WHOLE:
        assert data.options["class_map"] == {label: i for i, label in enumerate(data.class_names)}


@pytest.mark.parametrize("name", ["cremad", "ave", "ucf-101", "food-101", "mvsa"])
def test_streamed_and_in_memory_are_the_same(folders, name):
    kept, streamed = (read(folders[name], in_memory=keep) for keep in (True, False))
    for split in SPLITS:
        one, two = kept.split(split), streamed.split(split).in_memory()
        assert torch.equal(one.target, two.target)
        assert all(torch.equal(one.inputs[m], two.inputs[m]) for m in kept.modalities)


@pytest.mark.filterwarnings("ignore:in the 'probe' split most classes:mmpid.errors.SmallSampleWarning")  # few clips
@pytest.mark.parametrize("name", ["kinetics-sounds", "ucf-101"])
def test_a_folder_is_trained_to_a_result(folders, name):
    data = read(folders[name], seed=0, in_memory=True)
    trainer = Trainer(
        LateFusion.from_data(data, seed=0), data, epochs=6, unimodal_epochs=3, n_boot=0, n_null=0, device="cpu"
    )
    trainer.fit(progress=False)
    result = trainer.record.lineage("result")[-1]
    assert result["test_accuracy.joint"] > 1.5 / data.n_classes


def test_labels_do_not_depend_on_the_order_of_lists(folders, copy):
    one, root = read(folders["cremad"]), copy("cremad")
    path = root / "data" / "CREMAD" / "train.csv"
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    path.write_text("clip,label\n" + "\n".join(reversed(lines)) + "\n")
    two = read(root)
    names = [
        sorted(zip(*(np.asarray(x).tolist() for x in np.unique(d.target, return_counts=True)), strict=True))
        for d in (one, two)
    ]
    assert one.class_names == two.class_names and names[0] == names[1] and len(two.splits["test"]) == 12


def test_the_split_has_a_hash_that_only_other_clips_change(folders, copy):
    one, root = read(folders["cremad"]), copy("cremad")
    path = root / "data" / "CREMAD" / "train.csv"
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    path.write_text("\n".join(reversed(lines)) + "\n")
    assert read(root, seed=5).options["split_hash"] == one.options["split_hash"]
    path.write_text("\n".join(lines[1:]) + "\n")
    assert read(root).options["split_hash"] != one.options["split_hash"]
    assert "split_hash" not in read(root, split="random").options


def test_the_official_split_of_actors_is_kept_and_said_and_can_be_cut_by_actor(folders):
    official = read(folders["cremad"])
    assert "2 of 8 groups" in notes(official) and "split='group'" in notes(official)
    assert official.options["split"] == "official"
    data = read(folders["cremad"], split="group", seed=1)
    owners = [set(data.groups[data.splits[name]].tolist()) for name in SPLITS]
    assert sum(map(len, owners)) == len(set.union(*owners)) == 8 and "split='group'" not in notes(data)
    assert read(folders["cremad"], split="random").groups is None
    with pytest.raises(ConfigError, match="`split` must be one of 'official', 'group', 'random'"):
        read(folders["cremad"], split="actor")
    with pytest.raises(InputError, match="without groups"):
        read(folders["ave"], split="group")


def test_frames_are_chosen_in_natural_order(tmp_path):
    from PIL import Image

    root = datasets.make_folder("cremad-fbank", tmp_path / "x", n=40)
    clip = sorted((root / "visual").iterdir())[0]
    for path in clip.iterdir():
        path.unlink()
    for i in (1, 2, 3, 10, 11, 12):
        Image.new("RGB", (16, 16), (20 * i, 20 * i, 20 * i)).save(clip / f"frame_{i}.png")
    data = read(root, frames=3, in_memory=True)
    assert data.shapes["image"] == (3, 3, 16, 16)
    at = next(i for i, x in enumerate(data.inputs["image"]) if float(x[0].std((1, 2)).max()) < 1e-5)
    gray = data.inputs["image"][at, :, 0, 0, 0] * 0.229 + 0.485
    assert torch.allclose(gray, torch.tensor([40.0, 200.0, 240.0]) / 255, atol=1e-5)


@pytest.mark.parametrize("front_end", FRONT_ENDS)
def test_front_ends_have_the_published_shapes(folders, front_end):
    path = next((folders["cremad"] / "AudioWAV").iterdir())
    shape = {
        "log-stft-3s": (257, 188), "log-stft-20s": (257, 1250), "log-stft-5s": (129, 626), "log-psd-3s": (257, 299),
        "log-psd-10s": (257, 1004), "fbank-10s": (1024, 128), "fbank-10s-raw": (1024, 128),
    }[front_end]  # fmt: skip
    found = LogSpectrogram(front_end)([path])
    assert found.shape == shape and bool(torch.isfinite(found).all())
    with pytest.raises(ConfigError, match="`front_end`"):
        LogSpectrogram("mel")


@pytest.mark.parametrize("hertz", [312.5, 1000, 3000, 7000])
def test_a_tone_is_in_its_bank_and_half_of_it_is_ln_4_lower(hertz):
    tone = torch.sin(2 * np.pi * hertz * torch.arange(32_000) / 16_000)
    loud, soft = (filter_banks(gain * tone)[50] for gain in (1.0, 0.5))
    mel = [1127 * np.log(1 + f / 700) for f in (20, hertz, 8000)]
    assert abs(int(loud.argmax()) - ((mel[1] - mel[0]) / (mel[2] - mel[0]) * (BANKS + 1) - 1)) <= 1
    assert float((loud - soft).max()) == pytest.approx(np.log(4), abs=1e-3)
    assert filter_banks(tone[:100]).shape == filter_banks(tone.repeat(20)).shape == (1024, BANKS)
    assert not filter_banks(tone)[200:].any()  # padded by zeros after two seconds


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.uint8, np.float32])
def test_wav_files_of_any_depth_are_the_same_sound(tmp_path, dtype):
    from scipy.io import wavfile

    sound = 0.5 * np.sin(np.arange(8000) / 9)
    top = 1 if dtype == np.float32 else np.iinfo(dtype).max if dtype != np.uint8 else 127
    stored = (sound * top + (128 if dtype == np.uint8 else 0)).astype(dtype)
    wavfile.write(tmp_path / "a.wav", 16_000, np.stack([stored, stored], axis=1))
    assert np.abs(read_wav(tmp_path / "a.wav", 16_000).numpy() - sound).max() < 0.02
    assert len(read_wav(tmp_path / "a.wav", 8_000)) == 4000


# --- what is wrong with folders ------------------------------------------------------------------------------------


def files_of(root, ending, n=1):
    return sorted(path for path in root.rglob("*") if path.name.endswith(ending))[:n]


def remove(path):
    path.unlink()


def empty(path):
    path.write_bytes(b"")


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def other(path):
    path.write_bytes(b"<html>not found</html>" * 20)


DAMAGE = {"missing": remove, "empty": empty, "cut short": cut, "not a": other}
SOUND = {
    "cremad": ".wav", "cremad-pmr": ".pkl", "cremad-fbank": ".pt", "cremad-mla": ".npy", "ave": ".pkl",
    "kinetics-sounds": ".npy", "kinetics-sounds-valuation": ".npy", "kinetics-sounds-arl": ".wav", "mvsa": "_token.npy",
    "vggsound": ".wav",
}  # fmt: skip


@pytest.mark.parametrize("how", DAMAGE)
@pytest.mark.parametrize("name", SOUND)
def test_damaged_sound_is_counted_and_left_out(copy, name, how):
    root = copy(name)
    (path,) = files_of(root, SOUND[name])
    DAMAGE[how](path)
    data = read(root)
    assert sum(map(len, data.splits.values())) == N - 1
    stem = path.name.removesuffix(SOUND[name])
    assert "left out: 1 clip" in notes(data) and stem in notes(data) and (how in notes(data) or "not a" in notes(data))


@pytest.mark.parametrize("how", DAMAGE)
@pytest.mark.parametrize("name", ["cremad", "ave", "kinetics-sounds", "food-101", "mvsa", "ucf-101"])
def test_damaged_images_are_counted_and_left_out(copy, name, how):
    root = copy(name)
    rgb = [path for path in files_of(root, ".jpg", 10_000) if not {"u", "v"} & set(path.parts)]
    for path in rgb[:3] if name not in ("food-101", "mvsa") else rgb[:1]:  # all frames of a clip
        DAMAGE[how](path)
    data = read(root)
    assert sum(map(len, data.splits.values())) == N - 1 and "left out: 1 clip" in notes(data)


def test_a_damaged_frame_leaves_the_others_of_its_clip(copy):
    root = copy("cremad")
    cut(files_of(root, ".jpg")[0])
    data = read(root)
    assert sum(map(len, data.splits.values())) == N and "1 files of clips that have others, image cut short" in notes(
        data
    )


def test_what_only_decoding_tells_is_an_error_that_names_the_file(copy):
    root = copy("cremad-pmr")
    (path,) = files_of(root, ".pkl")
    path.write_bytes(pickle.dumps({"not": "an array"}))
    with pytest.raises(InputError, match=path.name):
        read(root, in_memory=True)


@pytest.mark.parametrize("name", ["cremad-pmr", "cremad-fbank", "ave"])
def test_hostile_files_execute_nothing(copy, name, tmp_path):
    root, witness = copy(name), tmp_path / "executed"

    class Bomb:
        def __reduce__(self):
            return (os.mkdir, (str(witness),))

    for path in files_of(root, SOUND[name], 3):
        if path.suffix == ".pkl":
            path.write_bytes(pickle.dumps(Bomb()))
        else:
            torch.save({"weights": Bomb()}, path)
    with pytest.raises(InputError, match="Leave the clip out|cannot be read safely"):
        read(root, in_memory=True)
    assert not witness.exists()


def test_pickled_arrays_of_any_protocol_are_read(tmp_path):
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        for array in (
            np.arange(6.0).reshape(2, 3),
            np.asfortranarray(np.ones((3, 2), np.float32)),
            np.arange(3, dtype=">i2"),
        ):
            (tmp_path / "x.pkl").write_bytes(pickle.dumps(array, protocol=protocol))
            assert np.array_equal(read_pickled_array(tmp_path / "x.pkl"), array)
    for bad in (b"", b"\x80\x04.", pickle.dumps([1, 2]), pickle.dumps(np.array([{}])), pickle.dumps(np.array(["a"]))):
        (tmp_path / "x.pkl").write_bytes(bad)
        with pytest.raises(InputError, match="x.pkl"):
            read_pickled_array(tmp_path / "x.pkl")


@pytest.mark.parametrize(
    "row", ["../../../etc/passwd,ANG", "/etc/passwd,ANG", "..\\..\\secret,SAD", "nowhere,HAP", "\udcff\udcfe,SAD"]
)
def test_a_list_cannot_lead_out_of_the_folder(copy, row):
    root = copy("cremad")
    path = root / "data" / "CREMAD" / "train.csv"
    path.write_bytes(path.read_bytes() + row.encode(errors="surrogateescape") + b"\n")
    data = read(root)
    assert sum(map(len, data.splits.values())) == N and "left out: 1 clip" in notes(data) and "missing" in notes(data)


def test_lists_that_contradict_themselves_are_said(copy):
    root = copy("cremad")
    test, train = (root / "data" / "CREMAD" / f"{name}.csv" for name in ("test", "train"))
    rows = test.read_text(encoding="utf-8-sig").splitlines()
    train.write_text(train.read_text(encoding="utf-8-sig") + rows[0] + "\n" + rows[0] + "\n")
    data = read(root)
    assert len(data.splits["test"]) == 11 and "already in another split" in notes(data)
    assert "more than once" in notes(data)
    rows[1] = rows[1].rpartition(",")[0] + "," + ("SAD" if not rows[1].endswith("SAD") else "ANG")
    test.write_text("\n".join(rows) + "\n")
    assert "another label in a list than in their name" in notes(read(root))


def test_a_clip_in_folders_of_two_splits_counts_once(copy):
    root = copy("kinetics-sounds-valuation")
    (path,) = files_of(root / "ks_audio" / "train", ".npy")
    shutil.copy(path, root / "ks_audio" / "test" / path.name)
    assert "folders of two splits" in notes(read(root))


def test_clips_in_no_list_and_without_lists(copy):
    root = copy("cremad")
    path = root / "data" / "CREMAD" / "train.csv"
    path.write_text("\n".join(path.read_text(encoding="utf-8-sig").splitlines()[:-5]) + "\n")
    assert "left out: 5 clips" in notes(read(root)) and "in no list" in notes(read(root))
    shutil.rmtree(root / "data")
    data = read(root)
    assert "no published split was found" in notes(data) and sum(map(len, data.splits.values())) == N


def test_half_an_archive_is_said_and_a_folder_without_pairs_is_refused(copy):
    root = copy("cremad")
    for path in files_of(root, ".wav", 10):
        path.unlink()
    assert "left out: 10 clips" in notes(read(root))
    shutil.rmtree(root / "AudioWAV")
    with pytest.raises(InputError, match="no clip with every modality|no layout|has no reader"):
        read(root)


def test_titles_may_lack_and_contain_commas(copy):
    root = copy("food-101")
    path = root / "texts" / "train_titles.csv"
    lines = path.read_text().splitlines()
    lines[1] = ",apple_pie," + lines[1].rpartition(",")[2]
    path.write_text("\ufeff" + "\n".join(lines) + "\n", encoding="utf-8")
    data = read(root)
    assert "1 rows without a title" in notes(data) and sum(map(len, data.splits.values())) == N - 1
    path.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="must have the columns text and Image_path"):
        read(root)


def test_whole_arrays_that_do_not_fit_are_refused(copy):
    root = copy("av-mnist")
    np.save(root / "train_labels.npy", np.arange(5))
    with pytest.raises(InputError, match="the labels have 5"):
        datasets.read(root)
    os.remove(root / "train_labels.npy")
    with pytest.raises(InputError, match="must hold train_labels.npy"):
        datasets.read(root)


def test_scores_are_made_classes_as_it_is_said(copy):
    root = copy("mosi")
    data = datasets.read(root)
    assert "scores from" in notes(data) and "infinite audio in 3 samples is set to 0" in notes(data)
    stored = pickle.loads((root / "mosi_raw.pkl").read_bytes())  # our own file
    stored["train"]["text"][:2] = 0
    stored["test"]["labels"][:3] = 0
    (root / "mosi_raw.pkl").write_bytes(pickle.dumps(stored))
    above, not_below = (datasets.read(root, positive=sign) for sign in (">0", ">=0"))
    zero = int(re.search(r"(\d+) are exactly 0", notes(above))[1])
    assert "2 samples whose text is all zero" in notes(above) and zero >= 3
    assert int(not_below.target.sum()) == int(above.target.sum()) + zero
    with pytest.raises(ConfigError, match="`positive`"):
        datasets.read(root, positive="yes")
    stored["test"]["audio"] = stored["test"]["audio"][1:]
    (root / "mosi_raw.pkl").write_bytes(pickle.dumps(stored))
    with pytest.raises(InputError, match="the same number of samples in every array"):
        datasets.read(root)


@pytest.mark.parametrize(
    "content", [b"", b"\x80\x04.", pickle.dumps([1]), pickle.dumps({"train": {"text": 3}}), "bomb"]
)
@pytest.mark.parametrize("name", ["mosi", "cg-mnist"])
def test_feature_files_of_something_else_execute_nothing(copy, name, content, tmp_path):
    witness = tmp_path / "executed"

    class Bomb:
        def __reduce__(self):
            return (os.mkdir, (str(witness),))

    root = copy(name)
    (path,) = files_of(root, ".pkl" if name == "mosi" else "0.030.npy")
    head = b"" if name == "mosi" else path.read_bytes()[:128]
    path.write_bytes(head + (pickle.dumps(Bomb()) if content == "bomb" else content))
    with pytest.raises(InputError, match=path.name):
        datasets.read(root)
    assert not witness.exists()


def test_colored_digits_must_be_those_of_mnist(copy):
    root = copy("cg-mnist")
    (path,) = files_of(root, "train-labels-idx1-ubyte")
    content = bytearray(path.read_bytes())
    content[-1] = (content[-1] + 1) % 10
    path.write_bytes(content)
    with pytest.raises(InputError, match="are not MNIST's"):
        datasets.read(root)
    path.write_bytes(content[:20])
    with pytest.raises(InputError, match="is not a file of MNIST"):
        datasets.read(root)


def test_starts_may_be_padded_and_videos_are_groups(copy):
    root = copy("vggsound")
    for path in [*(root / "audio").iterdir(), *(root / "frames").iterdir()]:
        path.rename(path.with_name(path.name.replace("_30", "_000030")))
    data = read(root)
    assert sum(map(len, data.splits.values())) == N and data.groups is not None


@pytest.mark.parametrize("name", ["kinetics-sounds", "cremad", "mosi"])
def test_a_converted_folder_is_the_same_data(folders, tmp_path, name, capsys):
    out = tmp_path / "out"
    size = [] if name == "mosi" else ["--size", "16"]
    assert main(["data", "convert", str(folders[name]), str(out), *size]) == 0
    assert "to open it" in capsys.readouterr().out
    one = datasets.read(folders[name], **SMALL[name])
    with pytest.warns(LeakageWarning) if name == "cremad" else nullcontext():  # actors in both published splits
        two = datasets.read(out)
    assert one.class_names == two.class_names and one.modalities == two.modalities
    for split in SPLITS:
        a, b = one.split(split).in_memory(), two.split(split).in_memory()
        assert torch.equal(a.target, b.target) and (a.groups is None) == (b.groups is None)
        assert all(torch.equal(a.inputs[m], b.inputs[m]) for m in one.modalities)
    assert main(["data", "convert", str(folders[name]), str(out), *size]) == 2
    assert "must be an empty folder" in capsys.readouterr().err
    if name == "mosi":
        assert main(["data", "convert", str(folders[name]), str(tmp_path / "x"), "--size", "16"]) == 2
        assert "does not apply to this layout" in capsys.readouterr().err


def test_flow_is_paired_by_name(copy):
    root = copy("ucf-101")
    (path,) = files_of(root / "flow" / "u", ".jpg")
    path.unlink()
    data = read(root)
    assert "only frames in both are used" in notes(data) and data.shapes["flow"] == (2, 16, 16)


def test_the_generator_repeats_and_refuses_a_folder_in_use(tmp_path):
    one, two = (datasets.make_folder("mvsa", tmp_path / str(i), n=40, seed=3) for i in range(2))
    listed = [sorted(str(path.relative_to(root)) for path in root.rglob("*")) for root in (one, two)]
    assert listed[0] == listed[1]
    assert read(one).fingerprint == read(two).fingerprint
    with pytest.raises(InputError, match="must be an empty folder"):
        datasets.make_folder("mvsa", one)
    with pytest.raises(ConfigError, match="Did you mean 'cremad'"):
        datasets.make_folder("crema", tmp_path / "x")
    with pytest.raises(ConfigError, match="`n`"):
        datasets.make_folder("mvsa", tmp_path / "x", n=3)


def test_an_option_that_does_not_apply_is_refused_with_those_that_do(folders):
    with pytest.raises(ConfigError, match="takes .*front_end.*num_workers.*; it was given 'fps'"):
        read(folders["cremad"], fps=3)
    with pytest.raises(ConfigError, match="takes .*positive.*; it was given 'size'"):
        datasets.read(folders["mosi"], size=3)


def test_inspect_opens_and_checks_what_it_recognizes(folders, capsys):
    main(["data", "inspect", str(folders["kinetics-sounds"])])
    shown = capsys.readouterr().out
    assert "Kinetics-Sounds" in shown and "audio, scale" in shown and "mmpid.datasets.read(" in shown


def test_without_pillow_the_extra_is_named(folders):
    code = (
        "import sys; sys.modules['PIL'] = None\n"
        "import mmpid\n"
        f"try: mmpid.datasets.read({str(folders['cremad'])!r})\n"
        "except mmpid.errors.MissingDependencyError as problem: print(problem)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "mmpid[data]" in done.stdout


@pytest.mark.slow
def test_two_thousand_clips_are_indexed_in_seconds(tmp_path):
    import time

    root = datasets.make_folder("cremad-mla", tmp_path / "x", n=2_000)
    start = time.process_time()
    data = read(root, split="random", in_memory=False)
    assert time.process_time() - start < 10 and sum(map(len, data.splits.values())) == 2_000


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="videos are written and read by ffmpeg")
def test_sound_and_frames_come_from_the_same_video(tmp_path):
    root = datasets.make_folder("ave-raw", tmp_path / "ave", n=40, seed=1)
    assert datasets.inspect_folder(root).ok
    data = read(root, frames=2, in_memory=True, front_end="fbank-10s-raw")
    assert data.shapes == {"audio": (1024, 128), "image": (2, 3, 16, 16)}
    assert [len(data.splits[name]) for name in ("validation", "test")] == [8, 8]
    for row in (root / "trainSet.txt").read_text().splitlines()[:4]:  # each class has a tone of its own
        label, clip = row.split("&")[:2]
        sound = read_sound(root / "AVE" / f"{clip}.mp4", 16_000)
        pitch = float(torch.fft.rfft(sound).abs().argmax()) * 16_000 / len(sound)
        assert pitch == pytest.approx(220 * 1.5 ** EVENTS.index(label), rel=0.02)
    one = sorted((root / "AVE").iterdir())[0]
    one.write_bytes(one.read_bytes()[:200])
    with pytest.raises(InputError, match=one.name):
        read(root, in_memory=True)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="videos are written and read by ffmpeg")
def test_videos_as_published_are_read_and_a_playlist_opens_nothing(tmp_path):
    root = datasets.make_folder("cremad-raw", tmp_path / "raw", n=40, seed=1)
    assert datasets.inspect_folder(root).ok
    data = read(root, frames=3, in_memory=True, front_end="fbank-10s")
    assert data.shapes == {"audio": (1024, 128), "image": (3, 3, 16, 16)} and data.options["front_end"] == "fbank-10s"
    assert float(data.inputs["image"].std()) > 0.3 and len(data.splits["test"]) == 6
    one, two = sorted((root / "VideoFlash").iterdir())[:2]
    one.write_bytes(b"FLV" + b"x" * 100)
    with pytest.raises(InputError, match=one.name):
        read(root, in_memory=True)
    one.write_text("ffconcat version 1.0\nfile " + str(two))
    assert "not a video" in notes(read(root))  # left out before any program sees it
    with pytest.raises(InputError, match=one.name):
        VideoFrames(16)([one])

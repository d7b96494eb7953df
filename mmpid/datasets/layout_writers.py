"""How each layout of the field is written with tones and drawn frames: names, lists and kinds of files as published."""

import pickle
from collections.abc import Callable

import numpy as np

from mmpid.datasets.folder_writer import FRAMES, Writer
from mmpid.datasets.readers.video import write_video

EMOTIONS = ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD")
DISHES = ("apple_pie", "baklava", "caesar_salad", "donuts")
EVENTS = ("Church bell", "Bark", "Ukulele", "Race car, auto racing")
ACTIONS = ("Archery", "Bowling", "CliffDiving", "Diving")


def _cremad_clips(n: int) -> list[tuple[str, int, bool]]:
    """Return (clip, class, whether it is a test clip): actors are in both splits, as in the published one."""
    sentences = ("IEO", "TIE", "IOM", "IWW", "TAI", "MTI", "IWL", "ITH", "DFA", "ITS", "TSI", "WSI")
    actors, every = (8, 5) if n <= 2000 else (91, 10)  # as many as were published, and a tenth in the test
    clips = []
    for i in range(n):
        label, turn = i % len(EMOTIONS), i // len(EMOTIONS)
        told = actors * len(sentences)
        strength = "XX" if turn < told else ("LO", "MD", "HI")[turn // told % 3]
        name = f"{1001 + turn % actors}_{sentences[turn // actors % 12]}_{EMOTIONS[label]}_{strength}"
        clips.append((name, label, turn % every == every - 1))
    return clips


def _write_cremad(w: Writer, n: int) -> None:
    lists = {"train": [], "test": []}
    for clip, label, test in _cremad_clips(n):
        w.tone(f"AudioWAV/{clip}.wav", label)
        w.frames(f"Image-01-FPS/{clip}", label)
        lists["test" if test else "train"].append(f"{clip},{EMOTIONS[label]}")
    for name, rows in lists.items():
        w.lines(f"data/CREMAD/{name}.csv", rows, encoding="utf-8-sig")  # some published copies begin with this mark


def _write_cremad_raw(w: Writer, n: int) -> None:
    lists = {"train": [], "test": []}
    for clip, label, test in _cremad_clips(n):
        w.tone(f"AudioWAV/{clip}.wav", label)
        pixels = np.stack([w.pixels(label) for _ in range(FRAMES)])
        write_video(w.path(f"VideoFlash/{clip}.flv"), pixels)
        lists["test" if test else "train"].append(f"{clip},{EMOTIONS[label]}")
    for name, rows in lists.items():
        w.lines(f"{name}.csv", rows)


def _write_cremad_pmr(w: Writer, n: int) -> None:
    lists = {"train": [], "test": []}
    for clip, label, test in _cremad_clips(n):
        w.pkl(f"Audio-299/{clip}.pkl", label)
        w.frames(f"Image-01-FPS/{clip}", label)
        lists["test" if test else "train"].append(f"{clip},{EMOTIONS[label]}")
    for name, rows in lists.items():
        w.lines(f"{name}.csv", rows)


def _write_cremad_fbank(w: Writer, n: int) -> None:
    lists = {"train": ["name,label"], "test": ["name,label"]}
    for clip, label, test in _cremad_clips(n):
        w.pt(f"audio/{clip}.pt", label)
        w.frames(f"visual/{clip}", label, "frame_{:05d}.jpg")
        lists["test" if test else "train"].append(f"{clip},{label}")
    for name, rows in lists.items():
        w.lines(f"{name}.csv", rows)


def _write_cremad_mla(w: Writer, n: int) -> None:
    words = {"ANG": "Angry", "DIS": "Disgust", "FEA": "Fear", "HAP": "Happy", "NEU": "Neutral", "SAD": "Sad"}
    lists = {"train": [], "test": []}
    for clip, label, test in _cremad_clips(n):
        split = "test" if test else "train"
        w.npy(f"audio/{split}_fbank/{clip}.npy", label)
        w.frames(f"visual/{split}_imgs/Image-01-FPS/{clip}", label)
        lists[split].append(f"{clip}.flv {words[EMOTIONS[label]]}")
    for name, rows in lists.items():
        w.lines(f"my_{name}_cre.txt", rows)


def _clips(n: int, names: tuple[str, ...], stem: str) -> list[tuple[str, int, str]]:
    """Return (clip, class, split) with 60 / 20 / 20 % of each class."""
    splits = ("train", "train", "train", "val", "test")
    return [(f"{stem}{i:07d}", i % len(names), splits[i // len(names) % 5]) for i in range(n)]


def _write_ave(w: Writer, n: int) -> None:
    lists = {"train": [], "val": [], "test": []}
    for clip, label, split in _clips(n, EVENTS, "-0Id"):
        w.pkl(f"Audio-1004-SE/{clip}.pkl", label)
        w.frames(f"Image-01-FPS-SE/{clip}", label)
        lists[split].append(f"{EVENTS[label]}&{clip}&good&0&10")
    for name, rows in lists.items():
        w.lines(f"{name}Set.txt", rows)


def _write_ave_raw(w: Writer, n: int) -> None:
    lists = {"train": [], "val": [], "test": []}
    for clip, label, split in _clips(n, EVENTS, "-0Id"):
        sound, pixels = w.path(f"AVE/{clip}.wav"), np.stack([w.pixels(label) for _ in range(FRAMES)])
        w.tone(f"AVE/{clip}.wav", label)
        write_video(w.path(f"AVE/{clip}.mp4"), pixels, sound=sound)
        sound.unlink()
        lists[split].append(f"{EVENTS[label]}&{clip}&good&0&10")
    for name, rows in lists.items():
        w.lines(f"{name}Set.txt", rows)


def _write_kinetics(w: Writer, n: int) -> None:
    lists = {"train": [], "test": []}
    for clip, label, split in _clips(n, EVENTS, "ks_"):
        part = "test" if split == "test" else "train"
        w.npy(f"{part}_spec/{clip}.npy", label)
        w.frames(f"{'val' if part == 'test' else 'train'}-frames-1fps/{part}/{clip}", label, "frame_{:05d}.jpg")
        lists[part].append(f"{clip} {label}")
    for name, rows in lists.items():
        w.lines(f"ks_{name}_overlap.txt", rows)


def _write_kinetics_valuation(w: Writer, n: int) -> None:
    lists = {"train": [], "val": [], "test": []}
    for clip, label, split in _clips(n, EVENTS, "ks_"):
        w.npy(f"ks_audio/{split}/{clip}.npy", label)
        w.frames(f"ks_visual/{split}/{clip}", label)
        lists[split].append(f"ks_visual/{split}/{clip} {label}")
    for name, rows in lists.items():
        w.lines(f"{name}_1fps_path.txt", rows)


def _write_kinetics_arl(w: Writer, n: int) -> None:
    for clip, label, split in _clips(n, EVENTS, "ks_"):
        part = "test" if split == "test" else "train"
        w.tone(f"audio/{part}/{EVENTS[label]}/{clip}.wav", label)
        images = "val_img" if part == "test" else "train_img"
        w.frames(f"visual/{images}/Image-01-FPS/{EVENTS[label]}/{clip}", label)


def _write_ucf(w: Writer, n: int) -> None:
    lists = {"train": [], "test": []}
    for i in range(n):
        label, turn = i % len(ACTIONS), i // len(ACTIONS)
        group = turn % 10 + 1
        clip = f"v_{ACTIONS[label]}_g{group:02d}_c{turn // 10 + 1:02d}"
        w.frames(f"rgb/{clip}", label, "frame_{:05d}.jpg")
        for axis in "uv":
            w.frames(f"flow/{axis}/{clip}", label, "frame{:06d}.jpg", gray=True)
        row = f"{ACTIONS[label]}/{clip}.avi"
        lists["test" if group > 8 else "train"].append(row if group > 8 else f"{row} {label + 1}")
    for name, rows in lists.items():
        w.lines(f"{name}list01.txt", rows)
    w.lines("classInd.txt", [f"{i + 1} {name}" for i, name in enumerate(ACTIONS)])


def _write_food(w: Writer, n: int) -> None:
    tables = {"train": ["text,label,Image_path"], "test": ["text,label,Image_path"]}
    for clip, label, split in _clips(n, DISHES, "pic_"):
        part = "test" if split == "test" else "train"
        w.image(f"images/{part}/{DISHES[label]}/{clip}.jpg", label)
        word = DISHES[label].replace("_", " ") if w.rng.random() < 0.8 else "a dish"
        tables[part].append(f'"How to make {word}, page {w.rng.integers(99)}",{DISHES[label]},{clip}.jpg')
    for name, rows in tables.items():
        w.lines(f"texts/{name}_titles.csv", rows)


def _write_mvsa(w: Writer, n: int) -> None:
    lists = {"train": [], "dev": [], "test": []}
    moods = ("negative", "neutral", "positive")
    for clip, label, split in _clips(n, moods, "post_"):
        part = "dev" if split == "val" else split
        w.image(f"visual/{part}_imgs/{clip}.jpg", label)
        tokens = w.rng.integers(1, 30, size=16)
        tokens[:4] += 30 * label
        path = w.path(f"text_token/{part}_token/{clip}_token.npy")
        np.save(path, tokens)
        lists[part].append(f"{clip}.jpg {moods[label]}")
    for name, rows in lists.items():
        w.lines(f"my_{name}_mvsa.txt", rows)


def _write_avmnist(w: Writer, n: int) -> None:
    for part, size in (("train", n * 6 // 7), ("test", n - n * 6 // 7)):
        label = np.arange(size) % 10
        for kind, side in (("image", 28), ("audio", 112)):
            data = w.rng.integers(0, 90, size=(size, side, side)).astype(np.uint8)
            for row, k in zip(data, label, strict=True):
                row[side * k // 10 : side * (k + 1) // 10] += 120
            np.save(w.path(f"{kind}/{part}_data.npy"), data.reshape(size, -1) if kind == "image" else data)
        np.save(w.path(f"{part}_labels.npy"), label)


def _write_vggsound(w: Writer, n: int) -> None:
    rows = []
    for clip, label, split in _clips(n, EVENTS, "vid_"):
        w.tone(f"audio/{clip}_30.wav", label)
        w.frames(f"frames/{clip}_30", label)
        rows.append(f'{clip},30,"{EVENTS[label]}",{"test" if split == "test" else "train"}')
    w.lines("vggsound.csv", rows)


def _write_mosi(w: Writer, n: int) -> None:
    stored = {}
    for split, size in (("train", n * 3 // 5), ("valid", n // 5), ("test", n - n * 3 // 5 - n // 5)):
        score = np.round(w.rng.uniform(-3, 3, size=size), 1)
        widths = {"vision": 35, "audio": 74, "text": 300}
        part = {
            m: w.rng.normal(score.reshape(-1, 1, 1) / 3, 1, size=(size, 10, d)).astype(np.float32)
            for m, d in widths.items()
        }
        part["audio"][0, 0, 0] = -np.inf  # as in the published file
        stored[split] = part | {"labels": score.reshape(-1, 1, 1), "id": np.array([f"clip {i}" for i in range(size)])}
    w.path("mosi_raw.pkl").write_bytes(pickle.dumps(stored))


def _write_cgmnist(w: Writer, n: int) -> None:
    colored = {}
    for part, stem, size in (("train", "train", n * 6 // 7), ("test", "t10k", n - n * 6 // 7)):
        digit = (np.arange(size) % 10).astype(np.uint8)
        image = w.rng.integers(0, 60, size=(size, 28, 28)).astype(np.uint8)
        for row, k in zip(image, digit, strict=True):
            row[2 * k + 4 : 2 * k + 7] = 220
        hue = digit if part == "train" else w.rng.integers(10, size=size)
        tint = np.stack([(hue * step) % 10 / 9 for step in (1, 3, 7)], axis=1)
        colored[f"{part}_image"] = (image[..., None] * tint[:, None, None]).astype(np.uint8)
        colored[f"{part}_label"] = digit
        for kind, array in (("images-idx3", image), ("labels-idx1", digit)):
            head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
            w.path(f"Mnist/mnist/{stem}-{kind}-ubyte").write_bytes(head + array.tobytes())
    path = w.path("Mnist/colored_mnist/mnist_10color_jitter_var_0.030.npy")
    np.save(path, np.array(colored, dtype=object), allow_pickle=True)


WRITERS: dict[str, Callable[[Writer, int], None]] = {
    "cremad": _write_cremad,
    "cremad-raw": _write_cremad_raw,
    "cremad-pmr": _write_cremad_pmr,
    "cremad-fbank": _write_cremad_fbank,
    "cremad-mla": _write_cremad_mla,
    "ave": _write_ave,
    "ave-raw": _write_ave_raw,
    "kinetics-sounds": _write_kinetics,
    "kinetics-sounds-valuation": _write_kinetics_valuation,
    "kinetics-sounds-arl": _write_kinetics_arl,
    "ucf-101": _write_ucf,
    "food-101": _write_food,
    "mvsa": _write_mvsa,
    "av-mnist": _write_avmnist,
    "vggsound": _write_vggsound,
    "mosi": _write_mosi,
    "cg-mnist": _write_cgmnist,
}

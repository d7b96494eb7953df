"""How each layout of the field is written with tones and drawn frames: names, lists and kinds of files as published."""

import pickle
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

EMOTIONS = ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD")
DISHES = ("apple_pie", "baklava", "caesar_salad", "donuts")
EVENTS = ("Church bell", "Bark", "Ukulele", "Race car, auto racing")
ACTIONS = ("Archery", "Bowling", "CliffDiving", "Diving")
SIDE, RATE, SECONDS, FRAMES = 32, 16_000, 0.5, 3
BANKS, SPECTRUM = (64, 16), (33, 40)  # smaller than the published 1024 x 128 and 257 x 299


class Writer:
    """Draws samples of a class and writes them; each draw comes from one generator."""

    def __init__(self, root: Path, seed: int):
        self.root, self.rng = root, np.random.default_rng([seed, 50])

    def path(self, name: str) -> Path:
        """Return a path in the folder, whose own folder exists."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def lines(self, name: str, rows: list[str], encoding: str = "utf-8") -> None:
        """Write a text list."""
        self.path(name).write_text("\n".join(rows) + "\n", encoding=encoding)

    def image(self, name: str, label: int, *, gray: bool = False) -> None:
        """Draw stripes whose width and direction tell the class, on noise."""
        from PIL import Image

        row, column = np.mgrid[:SIDE, :SIDE]
        along = row if label % 2 else column
        stripes = 70 * np.sign(np.sin(along * (label // 2 + 1) * 0.35 + self.rng.uniform(0, 6)))
        channels = 1 if gray else 3
        tint = self.rng.uniform(0.6, 1.0, size=channels)
        pixels = 128 + stripes[..., None] * tint + self.rng.normal(0, 25, size=(SIDE, SIDE, channels))
        pixels = pixels.clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels[..., 0] if gray else pixels).save(self.path(name), quality=90)

    def frames(self, folder: str, label: int, pattern: str = "{:05d}.jpg", *, gray: bool = False) -> None:
        """Draw the frames of a clip."""
        for i in range(FRAMES):
            self.image(f"{folder}/{pattern.format(i + 1)}", label, gray=gray)

    def tone(self, name: str, label: int) -> None:
        """Write a tone whose pitch tells the class, in noise."""
        time = np.arange(int(RATE * SECONDS)) / RATE
        sound = 0.4 * np.sin(2 * np.pi * 220 * 1.5**label * time + self.rng.uniform(0, 6))
        sound += self.rng.normal(0, 0.1, size=len(time))
        with wave.open(str(self.path(name)), "wb") as stream:
            stream.setnchannels(1)
            stream.setsampwidth(2)
            stream.setframerate(RATE)
            stream.writeframes((sound.clip(-1, 1) * 32_767).astype("<i2").tobytes())

    def array(self, label: int, shape: tuple[int, int]) -> np.ndarray:
        """Return a spectrogram with a band that tells the class."""
        out = self.rng.normal(-4.5, 2.0, size=shape).astype(np.float32)
        band = shape[0] * (label + 1) // 8
        out[band : band + 3] += 6.0
        return out

    def npy(self, name: str, label: int, shape=BANKS) -> None:
        """Write a spectrogram as .npy."""
        np.save(self.path(name), self.array(label, shape))

    def pkl(self, name: str, label: int) -> None:
        """Write a spectrogram as others do, with pickle."""
        self.path(name).write_bytes(pickle.dumps(self.array(label, SPECTRUM)))

    def pt(self, name: str, label: int) -> None:
        """Write a filter bank as a saved tensor."""
        torch.save(torch.as_tensor(self.array(label, BANKS)), self.path(name))


def _cremad_clips(n: int) -> list[tuple[str, int, bool]]:
    """Return (clip, class, whether it is a test clip): eight actors, who are in both splits as in the published one."""
    sentences = ("IEO", "TIE", "IOM", "IWW", "TAI", "MTI", "IWL", "ITH", "DFA", "ITS", "TSI", "WSI")
    clips = []
    for i in range(n):
        label, turn = i % len(EMOTIONS), i // len(EMOTIONS)
        strength = "XX" if turn < 96 else ("LO", "MD", "HI")[turn // 96 % 3]
        name = f"{1001 + turn % 8}_{sentences[turn // 8 % 12]}_{EMOTIONS[label]}_{strength}"
        clips.append((name, label, turn % 5 == 4))
    return clips


def _write_cremad(w: Writer, n: int) -> None:
    lists = {"train": [], "test": []}
    for clip, label, test in _cremad_clips(n):
        w.tone(f"AudioWAV/{clip}.wav", label)
        w.frames(f"Image-01-FPS/{clip}", label)
        lists["test" if test else "train"].append(f"{clip},{EMOTIONS[label]}")
    for name, rows in lists.items():
        w.lines(f"data/CREMAD/{name}.csv", rows, encoding="utf-8-sig")  # some published copies begin with this mark


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
    "cremad-pmr": _write_cremad_pmr,
    "cremad-fbank": _write_cremad_fbank,
    "cremad-mla": _write_cremad_mla,
    "ave": _write_ave,
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

"""Kinetics-Sounds in three layouts: 31 to 34 classes of what can be seen and heard."""

from pathlib import Path

from mmpid.datasets.multimodal import MultimodalData
from mmpid.datasets.readers.clips import check_count, check_size, index_files, layout_of, open_clips
from mmpid.datasets.readers.describe import described
from mmpid.datasets.readers.lists import Entries, find_list, read_rows
from mmpid.datasets.readers.media import Frames, StoredArray, require_pillow
from mmpid.datasets.readers.sound import LogSpectrogram

SPECTROGRAMS = "Kinetics-Sounds, spectrograms and frames (InfoReg, CRMT, BalanceBenchmark)"
BY_SPLIT = "Kinetics-Sounds, by split (Valuate and Enhance)"
BY_CLASS = "Kinetics-Sounds, by split and class (ARL)"
LISTS = {
    SPECTROGRAMS: {"train": (r"ks_train_overlap\.txt",), "test": (r"ks_test_overlap\.txt",)},
    BY_SPLIT: {
        "train": (r"train_1fps_path\.txt",), "validation": (r"val_1fps_path\.txt",), "test": (r"test_1fps_path\.txt",),
    },
    BY_CLASS: {},
}  # fmt: skip


def read_spectrograms(
    root: Path, *, size: int = 224, frames: int = 1, split: str = "official", **options
) -> MultimodalData:
    """Open `{split}_spec` and `{split}-frames-1fps`; lists have rows `id label`."""
    return _read(root, SPECTROGRAMS, size=size, frames=frames, split=split, **options)


def read_by_split(
    root: Path, *, size: int = 224, frames: int = 1, split: str = "official", **options
) -> MultimodalData:
    """Open `ks_audio` and `ks_visual`; lists have rows `path label`."""
    return _read(root, BY_SPLIT, size=size, frames=frames, split=split, **options)


def read_by_class(
    root: Path, *, size: int = 224, frames: int = 1, front_end: str = "log-stft-5s", split: str = "official", **options
) -> MultimodalData:
    """Open wav files and frames in folders of classes; the folders name split and class."""
    return _read(root, BY_CLASS, size=size, frames=frames, front_end=front_end, split=split, **options)


def _read(
    root: Path, title: str, *, size: int, frames: int, split: str, front_end: str = "", **options
) -> MultimodalData:
    require_pillow()
    found, files = index_files(root, layout_of(title))
    entries = Entries()
    for name, patterns in LISTS[title].items():
        path = find_list(root, files, patterns)
        if path:
            entries.add(name, read_rows(path, None, 0, 1), path.name)
    sound = LogSpectrogram(front_end) if front_end else StoredArray()
    loaders = {"audio": sound, "image": Frames(check_size(size), check_count(frames))}
    origin = "Kinetics-Sounds (Arandjelovic & Zisserman 2017), from a folder"
    options = described(
        options, name="kinetics-sounds", origin=origin, layout=title, front_end=front_end or "spectrograms as stored",
        frames=frames, size=size,
    )  # fmt: skip
    return open_clips(root, found, entries, loaders, split=split, **options)

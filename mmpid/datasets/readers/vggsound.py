"""VGGSound: clips of ten seconds from YouTube in 309 classes, named by video and start."""

import csv
from pathlib import Path

from mmpid.datasets.multimodal import MultimodalData
from mmpid.datasets.readers.clips import check_count, check_size, index_files, layout_of, open_clips
from mmpid.datasets.readers.describe import described
from mmpid.datasets.readers.lists import Entries, find_list
from mmpid.datasets.readers.media import Frames, StoredArray, require_pillow
from mmpid.datasets.readers.sound import LogSpectrogram

TITLE = "VGGSound"


def read_vggsound(
    root: Path, *, size: int = 224, frames: int = 1, front_end: str = "log-stft-5s", split: str = "official", **options
) -> MultimodalData:
    """Open wav files or stored spectrograms, and frames; `vggsound.csv` has rows `video,start,label,split`.

    Classes are numbered in alphabetical order. The repositories number them by first appearance in the list, which
    changes with missing clips.
    """
    require_pillow()
    found, files = index_files(root, layout_of(TITLE))
    entries = Entries()
    path = find_list(root, files, (r"vggsound\.csv",))
    if path:
        parts = _read_table(path)
        for name, rows in parts.items():
            entries.add(name, rows, path.name)
    for name, clips in found.files.items():  # starts are padded with zeros in some copies
        found.files[name] = {f"{clip[:11]}_{int(clip[12:])}": names for clip, names in clips.items()}
    audio = found.files["audio"]
    wav = any(name.endswith(".wav") for names in audio.values() for name in names)
    found.files["audio"] = {clip: [n for n in names if n.endswith(".wav") == wav] for clip, names in audio.items()}
    loaders = {
        "audio": LogSpectrogram(front_end) if wav else StoredArray(),
        "image": Frames(check_size(size), check_count(frames)),
    }
    options = described(
        options, name="vggsound", origin="VGGSound (Chen et al. 2020), from a folder", layout=TITLE,
        front_end=front_end if wav else "as stored", frames=frames, size=size,
    )  # fmt: skip
    return open_clips(root, found, entries, loaders, group_of=_video, split=split, **options)


def _video(clip: str) -> str:
    """Return the video that a clip is cut from: eleven characters."""
    return clip[:11]


def _read_table(path: Path) -> dict[str, list[tuple[str, str]]]:
    """Return (clip, label) by split; the start of a clip is written with six digits or as it is."""
    parts: dict[str, list] = {"train": [], "test": []}
    with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
        for row in csv.reader(stream):
            if len(row) == 4 and row[3].strip() in parts and row[1].strip().isdigit():
                parts[row[3].strip()].append((f"{row[0].strip()}_{int(row[1])}", row[2].strip()))
    return parts

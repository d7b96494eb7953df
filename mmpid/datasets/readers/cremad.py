"""CREMA-D: 7,442 clips of 91 actors, six emotions, in the layouts in which frames and sound circulate."""

from pathlib import Path

from mmpid.datasets.listings import named
from mmpid.datasets.multimodal import MultimodalData
from mmpid.datasets.readers.clips import Found, check_count, check_size, index_files, layout_of, open_clips
from mmpid.datasets.readers.describe import described
from mmpid.datasets.readers.lists import Entries, find_list, read_rows
from mmpid.datasets.readers.media import Frames, StoredArray, require_pillow
from mmpid.datasets.readers.sound import BANK_MEAN, BANK_STD, LogSpectrogram
from mmpid.datasets.readers.video import VideoFrames, require_ffmpeg

AS_PUBLISHED = "CREMA-D, as published"
WITH_WAV = "CREMA-D, frames and wav or spectrograms (OGM-GE, PMR)"
WITH_BANKS = "CREMA-D, frames and filter banks (MMPareto, D&R, BalanceBenchmark)"
LISTS = {
    "train": (r"train\.csv", r"my_train_cre\w*\.txt"),
    "validation": (r"val\.csv", r"my_val_cre\w*\.txt"),
    "test": (r"test\.csv", r"my_test_cre\w*\.txt"),
}
CODES = {
    "neutral": "NEU", "happy": "HAP", "sad": "SAD", "fear": "FEA", "disgust": "DIS", "angry": "ANG", "anger": "ANG",
}  # fmt: skip


def read_with_sound(
    root: Path, *, size: int = 224, frames: int = 1, front_end: str = "log-stft-3s", split: str = "official", **options
) -> MultimodalData:
    """Open frames with wav files (`AudioWAV`) or stored spectrograms (`Audio-299`).

    `front_end` names the spectrogram of a wav file: see `mmpid.datasets.readers.sound.FRONT_ENDS`.
    """
    require_pillow()
    found, files = index_files(root, layout_of(WITH_WAV))
    entries = cremad_entries(root, files, found)
    audio = found.files["audio"]
    wav = any(name.endswith(".wav") for names in audio.values() for name in names)
    kind = ".wav" if wav else ".pkl"
    if any(not name.endswith(kind) for names in audio.values() for name in names):
        entries.notes.append("wav files and stored spectrograms are there; the wav files are read.")
        found.files["audio"] = {clip: [n for n in names if n.endswith(kind)] for clip, names in audio.items()}
    loaders = {
        "audio": LogSpectrogram(front_end) if wav else StoredArray(),
        "image": Frames(check_size(size), check_count(frames)),
    }
    about = {"layout": WITH_WAV, "front_end": front_end if wav else "as stored", "frames": frames, "size": size}
    return _open(root, found, entries, loaders, split, about, options)


def read_as_published(
    root: Path, *, size: int = 224, frames: int = 1, front_end: str = "log-stft-3s", split: str = "official", **options
) -> MultimodalData:
    """Open wav files (`AudioWAV`) and videos (`VideoFlash`) as they are distributed; frames come from `ffmpeg`.

    The distribution has no lists of a split: copy `train.csv` and `test.csv` into the folder for the published one.
    """
    require_ffmpeg()
    found, files = index_files(root, layout_of(AS_PUBLISHED))
    found.files["image"] = found.files.pop("video")
    loaders = {"audio": LogSpectrogram(front_end), "image": VideoFrames(check_size(size), check_count(frames))}
    about = {"layout": AS_PUBLISHED, "front_end": front_end, "frames": frames, "size": size}
    return _open(root, found, cremad_entries(root, files, found), loaders, split, about, options)


def read_with_banks(
    root: Path, *, size: int = 224, frames: int = 1, split: str = "official", **options
) -> MultimodalData:
    """Open frames with filter banks that were stored as tensors, and normalize those as the repositories do."""
    require_pillow()
    found, files = index_files(root, layout_of(WITH_BANKS))
    entries = cremad_entries(root, files, found)
    loaders = {"audio": StoredArray(BANK_MEAN, BANK_STD), "image": Frames(check_size(size), check_count(frames))}
    about = {"layout": WITH_BANKS, "front_end": "filter banks as stored, AudioSet's mean and scale", "frames": frames}
    return _open(root, found, entries, loaders, split, about | {"size": size}, options)


def _open(root, found, entries, loaders, split, about, options) -> MultimodalData:
    options = described(options, name="cremad", origin="CREMA-D (Cao et al. 2014), from a folder", **about)
    return open_clips(root, found, entries, loaders, group_of=actor, split=split, **options)


def actor(clip: str) -> str:
    """Return the actor of a clip, its first four digits."""
    return clip[:4]


def cremad_entries(root: Path, files: list[str], found: Found) -> Entries:
    """Return the published split. The class of a clip is the one in its name: two orders of numbers circulate."""
    entries = Entries()
    for split, names in LISTS.items():
        path = find_list(root, files, names)
        if path:
            entries.add(split, read_rows(path, "," if path.suffix == ".csv" else None, 0, 1), path.name)
    contrary = [
        clip for clip, label in entries.label.items()
        if not label.isdigit() and found.label.get(clip) not in (None, CODES.get(label.lower(), label.upper()))
    ]  # fmt: skip
    if contrary:
        said = named(contrary, "clip")
        entries.notes.append(f"{said} have another label in a list than in their name, which counts.")
    if any(label.isdigit() for label in entries.label.values()):
        entries.notes.append("the lists number the classes, in one of two orders; the names of the clips are used.")
    entries.label = {}
    return entries

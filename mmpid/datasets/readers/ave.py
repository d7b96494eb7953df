"""AVE: 4,143 rows of events in 28 classes, cut to start and end, or as videos of ten seconds."""

from pathlib import Path

from mmpid.datasets.multimodal import MultimodalData
from mmpid.datasets.readers.clips import Found, check_count, check_size, index_files, layout_of, open_clips
from mmpid.datasets.readers.describe import described
from mmpid.datasets.readers.lists import Entries, find_list, read_rows
from mmpid.datasets.readers.media import Frames, StoredArray, require_pillow
from mmpid.datasets.readers.video import VideoFrames, VideoSound, require_ffmpeg

AS_PUBLISHED = "AVE, as published"
CUT = "AVE, cut to start and end (PMR, ReconBoost)"
LISTS = {"train": (r"trainSet\.txt",), "validation": (r"valSet\.txt",), "test": (r"testSet\.txt",)}


def read_ave(root: Path, *, size: int = 224, frames: int = 1, split: str = "official", **options) -> MultimodalData:
    """Open stored spectrograms and frames; rows of the lists are `Category&VideoID&Quality&Start&End`.

    A video that stands in the lists more than once counts once, with its first row, as the published loaders do.
    """
    require_pillow()
    found, files = index_files(root, layout_of(CUT))
    loaders = {"audio": StoredArray(), "image": Frames(check_size(size), check_count(frames))}
    about = {"layout": CUT, "front_end": "spectrograms as stored", "frames": frames, "size": size}
    return _open(root, found, files, loaders, split, about, options)


def read_as_published(
    root: Path, *, size: int = 224, frames: int = 1, front_end: str = "log-psd-10s", split: str = "official", **options
) -> MultimodalData:
    """Open the videos as they are distributed: frames and sound of the whole clip come from `ffmpeg`.

    Start and end in the lists are not used: a clip is all of its ten seconds.
    """
    require_ffmpeg()
    found, files = index_files(root, layout_of(AS_PUBLISHED))
    videos = found.files.pop("video")
    found.files |= {"audio": videos, "image": dict(videos)}
    loaders = {"audio": VideoSound(front_end), "image": VideoFrames(check_size(size), check_count(frames))}
    about = {"layout": AS_PUBLISHED, "front_end": front_end, "frames": frames, "size": size}
    return _open(root, found, files, loaders, split, about, options)


def _open(
    root: Path, found: Found, files: list[str], loaders: dict, split: str, about: dict, options: dict
) -> MultimodalData:
    entries = Entries()
    for name, patterns in LISTS.items():
        path = find_list(root, files, patterns)
        if path:
            entries.add(name, read_rows(path, "&", 1, 0), path.name)
    options = described(options, name="ave", origin="AVE (Tian et al. 2018), from a folder", **about)
    return open_clips(root, found, entries, loaders, split=split, **options)

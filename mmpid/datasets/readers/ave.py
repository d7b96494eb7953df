"""AVE: 4,143 rows of events in 28 classes, cut to start and end."""

from pathlib import Path

from mmpid.datasets.multimodal import MultimodalData
from mmpid.datasets.readers.clips import check_count, check_size, index_files, layout_of, open_clips
from mmpid.datasets.readers.describe import described
from mmpid.datasets.readers.lists import Entries, find_list, read_rows
from mmpid.datasets.readers.media import Frames, StoredArray, require_pillow

CUT = "AVE, cut to start and end (PMR, ReconBoost)"
LISTS = {"train": (r"trainSet\.txt",), "validation": (r"valSet\.txt",), "test": (r"testSet\.txt",)}


def read_ave(root: Path, *, size: int = 224, frames: int = 1, split: str = "official", **options) -> MultimodalData:
    """Open stored spectrograms and frames; rows of the lists are `Category&VideoID&Quality&Start&End`.

    A video that stands in the lists more than once counts once, with its first row, as the published loaders do.
    """
    require_pillow()
    found, files = index_files(root, layout_of(CUT))
    entries = Entries()
    for name, patterns in LISTS.items():
        path = find_list(root, files, patterns)
        if path:
            entries.add(name, read_rows(path, "&", 1, 0), path.name)
    loaders = {"audio": StoredArray(), "image": Frames(check_size(size), check_count(frames))}
    options = described(
        options, name="ave", origin="AVE (Tian et al. 2018), from a folder", layout=CUT,
        front_end="spectrograms as stored", frames=frames, size=size,
    )  # fmt: skip
    return open_clips(root, found, entries, loaders, split=split, **options)

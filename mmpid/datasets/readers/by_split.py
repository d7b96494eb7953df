"""Folders by split, as MLA keeps CREMA-D, Kinetics-Sounds and AVE, and Food-101 and MVSA with tokens of text."""

import re
from pathlib import Path

from mmpid.datasets.layouts import CREMAD
from mmpid.datasets.multimodal import MultimodalData
from mmpid.datasets.readers.clips import Found, check_count, check_size, index_files, layout_of, open_clips
from mmpid.datasets.readers.describe import described
from mmpid.datasets.readers.lists import Entries, find_list, read_rows
from mmpid.datasets.readers.media import Frames, StoredArray, require_pillow

FRAMES_AND_BANKS = "frames and filter banks by split (MLA: CREMA-D, Kinetics-Sounds, AVE)"
IMAGES_AND_TOKENS = "images and token arrays by split (MLA: Food-101, MVSA)"
LISTS = {
    "train": (r"my_train_\w+\.txt",),
    "validation": (r"my_(?:val|dev)_\w+\.txt",),
    "test": (r"my_test_\w+\.txt",),
}


def read_banks_by_split(
    root: Path, *, size: int = 224, frames: int = 1, split: str = "official", **options
) -> MultimodalData:
    """Open `audio/{split}_fbank` and `visual/{split}_imgs`; classes stand in the lists, or in names of CREMA-D."""
    require_pillow()
    found, files = index_files(root, layout_of(FRAMES_AND_BANKS))
    entries = list_entries(root, files, found)
    cremad = {clip: match["label"] for clip in found.split if (match := re.fullmatch(CREMAD, clip))}
    group_of = None
    if len(cremad) == len(found.split):
        entries.label, group_of = cremad, _actor
    loaders = {"audio": StoredArray(), "image": Frames(check_size(size), check_count(frames))}
    options = described(
        options, name="cremad" if group_of else "clips", origin="frames and filter banks, from a folder",
        layout=FRAMES_AND_BANKS, front_end="filter banks as stored", frames=frames, size=size,
    )  # fmt: skip
    return open_clips(root, found, entries, loaders, group_of=group_of, split=split, **options)


def read_tokens_by_split(root: Path, *, size: int = 224, split: str = "official", **options) -> MultimodalData:
    """Open `visual/{split}_imgs` and `text_token/{split}_token`; classes stand in the lists.

    Tokens are numbers of words, as float32: an encoder of text begins with `.long()`.
    """
    require_pillow()
    found, files = index_files(root, layout_of(IMAGES_AND_TOKENS))
    entries = list_entries(root, files, found)
    loaders = {"image": Frames(check_size(size)), "text": StoredArray()}
    origin = "images and tokens of text, from a folder"
    options = described(options, name="image-text", origin=origin, layout=IMAGES_AND_TOKENS, size=size)
    return open_clips(root, found, entries, loaders, split=split, tokens=("text",), **options)


def _actor(clip: str) -> str:
    return clip[:4]


def list_entries(root: Path, files: list[str], found: Found) -> Entries:
    """Return the classes that lists give, and the split of the lists; of the folders where there are no lists."""
    entries = Entries()
    for split, names in LISTS.items():
        path = find_list(root, files, names)
        if path:
            entries.add(split, read_rows(path, None, 0, 1), path.name)
    moved = [clip for clip, split in entries.split.items() if found.split.get(clip, split) != split]
    if moved:
        entries.notes.append(f"{len(moved):,} clips are in another folder than their list says; the list counts.")
    return entries

"""UCF-101: frames and optical flow of 13,320 clips of 101 actions, cut from 25 groups of videos per class."""

import re
from pathlib import Path

from mmpid.datasets.multimodal import MultimodalData
from mmpid.datasets.readers.clips import Found, check_count, check_size, index_files, layout_of, open_clips
from mmpid.datasets.readers.describe import described
from mmpid.datasets.readers.lists import Entries, find_list, read_rows
from mmpid.datasets.readers.media import Flow, Frames, require_pillow

TITLE = "UCF-101, frames and optical flow"
NAME = re.compile(r"v_(?P<label>\w+?)_(?P<group>g\d+)_c\d+")


def read_ucf(
    root: Path, *, size: int = 224, frames: int = 1, fold: int = 1, split: str = "official", **options
) -> MultimodalData:
    """Open frames, and flow as the middle pair of `u` and `v`; `fold` is 1, 2 or 3 of the published splits."""
    require_pillow()
    found, files = index_files(root, layout_of(TITLE))
    entries = Entries()
    for name in ("train", "test"):
        path = find_list(root, files, (rf"{name}list0{fold}\.txt",))
        if path:
            entries.add(name, read_rows(path, None, 0, -1), path.name)
    matches = {clip: NAME.fullmatch(clip) for clip in set().union(*found.files.values())}
    found.label = {clip: match["label"] for clip, match in matches.items() if match}
    unpaired = _pair_flow(found)
    if unpaired:
        entries.notes.append(f"{unpaired:,} clips have other numbers of u and v; only frames in both are used.")
    loaders = {"flow": Flow(check_size(size)), "image": Frames(check_size(size), check_count(frames))}
    origin = "UCF-101 (Soomro et al. 2012), from a folder"
    options = described(options, name="ucf-101", origin=origin, layout=TITLE, frames=frames, size=size, fold=fold)
    return open_clips(root, found, entries, loaders, group_of=_video, split=split, several=("image",), **options)


def _video(clip: str) -> str:
    """Return the group of videos that a clip is cut from."""
    match = NAME.fullmatch(clip)
    return f"{match['label']}_{match['group']}" if match else clip


def _pair_flow(found: Found) -> int:
    """Put the files of u before those of v, those with a partner only; return how many clips lost some."""
    unpaired, flow = 0, found.files["flow"]
    for clip, names in list(flow.items()):
        parts = {"u": {}, "v": {}}
        for name in names:
            folder = name.rsplit("/", 2)[0].rpartition("/")[2]
            parts["u" if folder.endswith("u") else "v"][name.rpartition("/")[2]] = name
        both = [name for name in parts["u"] if name in parts["v"]]
        unpaired += len(both) < max(map(len, parts.values()))
        flow[clip] = [parts[axis][name] for axis in "uv" for name in both]
    return unpaired

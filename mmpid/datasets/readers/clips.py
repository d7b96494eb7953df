"""Clips of several modalities on disk: index them, count and leave out what is missing or damaged, open the rest."""

import hashlib
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import numpy as np
from torch.utils.data import DataLoader, Dataset

from mmpid import _validate
from mmpid.datasets.inspection import list_files
from mmpid.datasets.layouts import LAYOUTS, Layout
from mmpid.datasets.listings import named, odd_names
from mmpid.datasets.multimodal import MultimodalData
from mmpid.datasets.readers.health import find_fault
from mmpid.datasets.readers.lists import Entries
from mmpid.datasets.stream_cache import MAX_BYTES, DecodeCache
from mmpid.errors import InputError, LeakageWarning, MMPIDWarning, ScaleWarning, warn

OFFICIAL, BY_GROUP, RANDOM = "official", "group", "random"


def natural(text: str) -> list:
    """Return a key that sorts frame2 before frame10."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", text) if part]


@dataclass
class Found:
    """Files of a layout by modality and clip, in natural order, with the split and class that their folders name.

    `notes` says which clips lie in folders of two splits or two classes; the first one counts.
    """

    files: dict[str, dict[str, list[str]]]
    split: dict[str, str] = field(default_factory=dict)
    label: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class ClipDataset(Dataset):
    """Item i is ({modality: tensor}, 0): labels are known from lists and names."""

    def __init__(self, root: Path, clips: list[dict], loaders: Mapping[str, Callable]):
        self.root, self.clips, self.loaders = root, clips, dict(loaders)

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, i: int):
        parts = self.clips[i]
        return {name: load(self._place(parts[name])) for name, load in self.loaders.items()}, 0

    def cache_key(self) -> str:
        """Return what changes when a file is replaced: names, sizes and times of all files."""
        names = [name for parts in self.clips for part in parts.values() if not isinstance(part, str) for name in part]
        stats = [(self.root / name).stat() for name in names]
        return repr([(name, s.st_size, s.st_mtime_ns) for name, s in zip(names, stats, strict=True)])

    def _place(self, part):
        return part if isinstance(part, str) else [self.root / name for name in part]


def layout_of(title: str) -> Layout:
    """Return a layout by its title."""
    return next(layout for layout in LAYOUTS if layout.title == title)


def index_files(root: Path, layout: Layout) -> tuple[Found, list[str]]:
    """Find the files of a layout; return them, and all files of the folder."""
    files, _ = list_files(root)
    found = Found({name: defaultdict(list) for name in layout.patterns})
    twice = {"split": set(), "label": set()}
    for name in files:
        match = layout.match(name)
        if not match:
            continue
        modality, groups = match[0], match[1].groupdict()
        clip = groups.get("clip")
        if clip is None:  # a table of all clips
            continue
        told = {"split": layout.split_of(match[1]), "label": groups.get("label")}
        known = {"split": found.split, "label": found.label}
        other = [what for what, value in told.items() if value and known[what].setdefault(clip, value) != value]
        for what in other:
            twice[what].add(clip)
        if not other:
            found.files[modality][clip].append(name)
    for clips in found.files.values():
        for names in clips.values():
            names.sort(key=natural)
    found.notes = odd_names(files) + [
        f"{named(sorted(clips), 'clip')} lie in folders of two {what}s; the first, in alphabetical order, counts."
        for what, clips in twice.items()
        if clips
    ]
    return found, files


def open_clips(
    root: Path, found: Found, entries: Entries, loaders: Mapping[str, Callable], *, group_of: Callable | None = None,
    split: str = OFFICIAL, several: tuple[str, ...] = ("image",), tokens: tuple[str, ...] = (),
    num_workers: int = 0, cache: object = None, cache_bytes: int = MAX_BYTES, **options,
) -> MultimodalData:  # fmt: skip
    """Open the clips that have every modality in sound files; say in notes what was left out, and why.

    Parameters
    ----------
    root, found, entries
        The folder, its files, and what lists say of clips.
    loaders : mapping of str to callable
        For each modality a function from the files of a clip to a tensor.
    group_of : callable, optional
        From a clip to its group (actor, video).
    split : {"official", "group", "random"}
        The split of the lists or folders; whole groups, cut by seed; or any clips, cut by seed.
    several : tuple of str
        Modalities of several files per clip, of which damaged ones are left out as long as one remains.
    tokens : tuple of str
        Modalities whose numbers stand for words, so that their scale means nothing.
    num_workers : int
        Processes that read clips.
    cache : path, optional
        Folder in which decoded clips are kept (:class:`~mmpid.datasets.stream_cache.DecodeCache`).
    cache_bytes : int
        The most that this folder may hold.
    **options
        Passed on to :meth:`mmpid.MultimodalData.from_loaders`.
    """
    _validate.choice(split, "split", (OFFICIAL, BY_GROUP, RANDOM))
    split_of = entries.split or found.split
    notes = found.notes + entries.notes
    wanted = list(split_of) if split_of else sorted(set().union(*found.files.values()), key=natural)
    clips, parts = _sound_clips(root, found, wanted, loaders, several, notes)
    labels = {clip: entries.label.get(clip) or found.label.get(clip, "") for clip in clips}
    unlabeled = [clip for clip in clips if not labels[clip]]
    if unlabeled:
        notes.append(f"{named(unlabeled, 'clip')} without a label are left out.")
        clips, parts = [c for c in clips if labels[c]], [p for c, p in zip(clips, parts, strict=True) if labels[c]]
    if not clips:
        raise InputError(f"{root} holds no clip with every modality and a label. " + " ".join(notes))
    _note_unlisted(found, split_of, notes)
    groups = [group_of(clip) for clip in clips] if group_of else None
    given = {"split": _official(clips, split_of, notes)} if split == OFFICIAL else {}
    if split == BY_GROUP and groups is None:
        raise InputError("`split` must be 'official' or 'random' for clips without groups; it was 'group'.")
    class_names = sorted({labels[clip] for clip in clips}, key=natural)
    workers = _validate.number(num_workers, "num_workers", low=0, integer=True)
    samples: Dataset = ClipDataset(root, parts, loaders)
    samples = samples if cache is None else DecodeCache(samples, cache, max_bytes=cache_bytes)
    loader = DataLoader(samples, batch_size=1, num_workers=workers)
    data = _open(
        loader, tokens, target=[labels[clip] for clip in clips], class_names=class_names,
        groups=None if split == RANDOM else groups, **given, **options,
    )  # fmt: skip
    options = data.options | {"split": split, "class_map": {name: i for i, name in enumerate(class_names)}}
    if published := given.get("split"):
        options["split_hash"] = split_hash(clips, published)
    return replace(data, notes=tuple(notes) + data.notes, options=options)


def _open(loader: DataLoader, tokens: tuple[str, ...], **options) -> MultimodalData:
    """Open a loader; that groups straddle an official split becomes a note, since it is the published split."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        data = MultimodalData.from_loaders(loader, **options)
    for warning in said:
        of_tokens = issubclass(warning.category, ScaleWarning) and any(repr(t) in str(warning.message) for t in tokens)
        if not of_tokens and not issubclass(warning.category, LeakageWarning):
            warn(str(warning.message), cast(type[MMPIDWarning], warning.category))
    return replace(data, notes=data.notes + _note_groups(data))


def _note_groups(data: MultimodalData) -> tuple[str, ...]:
    if data.groups is None:
        return ()
    owners = Counter(group for index in data.splits.values() for group in set(data.groups[index].tolist()))
    shared = sum(count > 1 for count in owners.values())
    if not shared:
        return ()
    return (
        f"{shared} of {len(owners)} groups (actors, videos) are in more than one split, as published; split='group' "
        f"keeps each in one.",
    )


def _sound_clips(root: Path, found: Found, wanted: list[str], loaders, several, notes: list) -> tuple[list, list]:
    """Return clips that have every modality, and their files; count the others by what is wrong with them."""
    clips, parts, wrong, damaged = [], [], defaultdict(list), Counter()
    for clip in wanted:
        files = {}
        for name in loaders:
            given = found.files.get(name, {}).get(clip, ())
            if isinstance(given, str):
                files[name] = given
                continue
            faults = {path: find_fault(root / path) for path in given}
            sound = [path for path in given if not faults[path]]
            if sound and name in several:
                damaged.update(f"{name} {fault}" for fault in faults.values() if fault)
            complete = bool(sound) if name in several else bool(given) and len(sound) == len(given)
            if not complete:
                fault = next((fault for fault in faults.values() if fault), "missing")
                wrong[f"{name} {fault}"].append(clip)
                break
            files[name] = sound
        else:
            clips.append(clip)
            parts.append(files)
    for what, lost in wrong.items():
        notes.append(f"left out: {named(lost, 'clip')}, {what}.")
    for what, count in damaged.items():
        notes.append(f"left out: {count:,} files of clips that have others, {what}.")
    return clips, parts


def _note_unlisted(found: Found, split_of: Mapping[str, str], notes: list) -> None:
    there = set().union(*found.files.values())
    unlisted = sorted(there - set(split_of), key=natural) if split_of else []
    if unlisted:
        notes.append(f"left out: {named(unlisted, 'clip')}, in no list.")


def _official(clips: list[str], split_of: Mapping[str, str], notes: list) -> dict | None:
    """Return the index arrays of the published split; None, and a note, where none is there."""
    splits = {name: np.array([i for i, clip in enumerate(clips) if split_of.get(clip) == name])
              for name in ("train", "validation", "test")}  # fmt: skip
    present = {name: index for name, index in splits.items() if len(index)}
    if "train" not in present or "test" not in present:
        notes.append("no published split was found, so the clips are cut by seed.")
        return None
    return present


def split_hash(clips: list[str], split: Mapping[str, np.ndarray]) -> str:
    """Return twelve hexadecimal digits of which clips are in which published split, whatever the order of the lists.

    Two folders with the same digits have the same clips in training and test, before probe and validation are cut.
    """
    rows = sorted(f"{name} {clips[i]}" for name, index in split.items() for i in index)
    return hashlib.sha256("\n".join(rows).encode("utf-8", "surrogateescape")).hexdigest()[:12]


def check_size(value, name: str = "size") -> int:
    """Return a side of an image in pixels."""
    return _validate.number(value, name, low=8, high=1024, integer=True)


def check_count(value, name: str = "frames") -> int:
    """Return a number of frames."""
    return _validate.number(value, name, low=1, high=32, integer=True)

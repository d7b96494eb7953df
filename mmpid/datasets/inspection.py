"""Look at a folder of data: which layout it is, what it holds, and what is missing, from names alone."""

import csv
import os
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

from mmpid import _validate
from mmpid._tables import html_table, text_table
from mmpid.datasets.array_folder import inspect_arrays, read_headers
from mmpid.datasets.inspection_help import Samples, compare_protocols, pick_samples, samples_html, what_next
from mmpid.datasets.layouts import LAYOUTS, Layout, recognize
from mmpid.datasets.listings import (
    SHOWN,
    clips_in_two_lists,
    clips_that_are_not_there,
    file_size,
    named,
    odd_names,
    read_lists,
)
from mmpid.errors import InputError

OWN = "arrays, one per modality, and labels"


@dataclass(frozen=True, kw_only=True, repr=False)
class Inspection:
    """What a folder holds.

    Attributes
    ----------
    path : str
        The folder.
    layout : str
        Name of the layout, empty if none was recognized.
    rows : tuple of dict
        One row per modality and split: `modality`, `split` (empty if names do not tell), `samples`, `files`.
    problems : tuple of str
        What is missing, orphaned or unreadable.
    notes : tuple of str
        Useful facts about such data.
    protocols : tuple of str
        A sentence for each published setting of this data set: what differs here, and how to read it that way.
    next : tuple of str
        What to type next.
    samples : tuple of (str, dict)
        Up to three clips and a file of each modality; a notebook shows pictures and plays sound.
    """

    path: str
    layout: str
    rows: tuple[dict, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()
    protocols: tuple[str, ...] = ()
    next: tuple[str, ...] = ()
    samples: Samples = ()

    @property
    def ok(self) -> bool:
        """Whether the layout is known and nothing is missing."""
        return bool(self.layout) and not self.problems

    def to_frame(self):
        """Return a pandas table, one row per modality and split."""
        import pandas as pd

        return pd.DataFrame(list(self.rows), columns=["modality", "split", "samples", "files"])

    def _cells(self) -> list[list[str]]:
        return [[r["modality"], r["split"] or "-", f"{r['samples']:,}", f"{r['files']:,}"] for r in self.rows]

    def _head(self) -> str:
        return f"{self.path}: {self.layout or 'no known layout'}"

    def _remarks(self) -> list[str]:
        verdict = ["nothing is missing"] if self.ok else [f"problem: {text}" for text in self.problems]
        return verdict + [f"note: {text}" for text in self.notes] + [f"protocol {text}" for text in self.protocols]

    def __repr__(self) -> str:
        table = [text_table(["modality", "split", "samples", "files"], self._cells())] if self.rows else []
        return "\n".join([self._head(), *table, *self._remarks(), *(["next:", *self.next] if self.next else [])])

    def _repr_html_(self) -> str:
        from html import escape

        table = html_table(["modality", "split", "samples", "files"], self._cells(), caption=self._head())
        remarks = "<ul>" + "".join(f"<li>{escape(text)}</li>" for text in self._remarks()) + "</ul>"
        typed = f"<pre>{escape(chr(10).join(self.next))}</pre>" if self.next else ""
        return table + samples_html(folder_of(self.path), self.samples) + remarks + typed


def inspect_folder(path) -> Inspection:
    """Recognize the layout of a data set on disk, count its samples, and say what is missing or orphaned.

    Names of files and folders are looked at, text lists of clips are read, and of NumPy files the headers. No image,
    sound or array is loaded, and nothing is unpickled.

    Parameters
    ----------
    path : path
        A folder: one of the layouts in which CREMA-D, AVE, Kinetics-Sounds, VGGSound, UCF-101, Food-101, MVSA,
        AV-MNIST, CG-MNIST or the affect data sets circulate, or arrays of your own (`audio.npy`, `image.npy`,
        `labels.npy`, or one `.npz` with such members).

    Returns
    -------
    Inspection
        Print it, or read `.problems`, `.ok` and `.to_frame()`.

    Raises
    ------
    InputError
        The folder does not exist, is a file, or is not a path.

    Notes
    -----
    A recognized name says nothing about the content. A spectrogram may have other parameters than that of a paper,
    which can change accuracy by many points.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> import numpy as np
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> for name, array in {"audio": np.zeros((9, 4)), "image": np.zeros((8, 5, 5)), "labels": np.arange(9)}.items():
    ...     np.save(folder / f"{name}.npy", array)
    >>> inspect_folder(folder).problems
    ('image has 8 samples, the labels have 9.',)
    """
    root = folder_of(path)
    files, empty = list_files(root)
    arrays = [name for name in files if name.endswith((".npy", ".npz")) and name.count("/") < 2][:200]
    layout = recognize(_representatives(files))
    own = inspect_arrays(read_headers(root, arrays)) if layout is None else None
    if own:
        rows, problems = own
        more = what_next(str(path), None, not problems)
        return Inspection(path=str(path), layout=OWN, rows=tuple(rows), problems=tuple(problems + empty), next=more)
    if layout is None:
        return Inspection(path=str(path), layout="", rows=(), problems=(_unknown(files), *empty))
    return _count(str(path), root, layout, files, empty)


def folder_of(path) -> Path:
    """Return a folder that exists; `~` is understood."""
    root = Path(os.path.expanduser(_validate.path(path, "path")))
    if not root.is_dir():
        what = "is a file" if root.is_file() else "does not exist"
        raise InputError(f"`path` must be a folder; {str(path)!r} {what}. Give the folder that holds the data set.")
    return root


def list_files(root: Path) -> tuple[list[str], list[str]]:
    """Return all files as relative POSIX paths, in order, and a sentence about the empty ones."""
    files, empty, visited = [], [], set()
    for folder, subfolders, names in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in visited:  # a link that leads back up
            subfolders.clear()
            continue
        visited.add(real)
        prefix = "" if folder == str(root) else os.path.relpath(folder, root).replace(os.sep, "/") + "/"
        for name in (name for name in names if not name.startswith(".")):
            files.append(prefix + name)
            if file_size(os.path.join(folder, name)) == 0:
                empty.append(prefix + name)
    return sorted(files), [f"{named(sorted(empty), 'file')} without content."] if empty else []


def _representatives(files: list[str]) -> list[str]:
    """Return a few files of each folder: enough to recognize a layout among millions."""
    taken = Counter()
    few = []
    for name in files:
        folder = name.rpartition("/")[0]
        taken[folder] += 1
        if taken[folder] <= SHOWN:
            few.append(name)
    return few


def _count(path: str, root: Path, layout: Layout, files: list[str], empty: list[str]) -> Inspection:
    """Count samples and files by modality and split, and compare modalities with each other and with lists."""
    counts: Counter = Counter()
    samples: dict[str, dict[str, set[str]]] = {name: defaultdict(set) for name in layout.patterns}
    first: dict[str, dict[str, str]] = {name: {} for name in layout.patterns}
    for name in files:
        found = layout.match(name)
        if found:
            modality, groups = found[0], found[1].groupdict()
            split = layout.split_of(found[1])
            counts[modality, split] += 1
            samples[modality][split].add(groups.get("clip") or name)
            if "clip" in groups:
                first[modality].setdefault(groups["clip"], name)
    paired = _paired(layout)
    rows = [
        {
            "modality": modality,
            "split": split,
            "samples": len(clips) if modality in paired else sum(_rows_of(root / name) for name in clips),
            "files": counts[modality, split],
        }
        for modality, by_split in samples.items()
        for split, clips in sorted(by_split.items(), key=lambda item: _order(item[0]))
    ]
    listed, notes = read_lists(root, layout, files)
    problems = [f"modality {name} has no files." for name, by_split in samples.items() if not by_split]
    problems += (
        _orphans(layout, samples) + clips_that_are_not_there(samples, listed) + clips_in_two_lists(listed) + empty
    )
    return Inspection(
        path=path, layout=layout.title, rows=tuple(rows), problems=tuple(problems),
        notes=(*_size_note(layout, samples), *odd_names(files), *notes, *layout.notes), samples=pick_samples(first),
        protocols=tuple(_protocols(layout, first, counts)), next=what_next(path, layout, not problems),
    )  # fmt: skip


def _protocols(layout: Layout, first: dict[str, dict[str, str]], counts: Counter) -> list[str]:
    clips = max(map(len, first.values()), default=0)
    images = sum(count for (modality, _), count in counts.items() if modality == "image")
    wav = any(name.endswith(".wav") for name in first.get("audio", {}).values())
    options = ("frames", "size", *(["front_end"] if wav else []), "split")
    return compare_protocols(layout, clips, images / clips if clips else 0, options)


def _rows_of(path: Path) -> int:
    """Return how many samples per file of all samples of a split holds: rows of a table, first axis of an array."""
    if path.suffix == ".csv":
        with open(path, encoding="utf-8-sig", errors="replace", newline="") as stream:
            return max(0, sum(1 for _ in csv.reader(stream)) - 1)
    shape, _ = next(iter(next(iter(read_headers(path.parent, [path.name]).values())).values()))
    return shape[0] if shape else 0


def _order(split: str) -> int:
    known = ("train", "validation", "test", "")
    return known.index(split) if split in known else len(known)


def _paired(layout: Layout) -> list[str]:
    """Return the modalities whose files are one sample each, so that they can be compared by name."""
    return [name for name, these in layout.patterns.items() if all("(?P<clip>" in p for p in these)]


def _orphans(layout: Layout, samples) -> list[str]:
    """Say which samples have one modality and lack another, split by split."""
    names = [name for name in _paired(layout) if samples[name]]  # else one sentence says that it has no files
    if len(names) < 2 or not layout.comparable:
        return []
    problems = []
    for split in sorted({s for name in names for s in samples[name]}, key=_order):
        for name in names:
            for other in names:
                lost = samples[name][split] - samples[other][split] if name != other else ()
                if lost:
                    where = f" in {split}" if split else ""
                    problems.append(f"{named(sorted(lost), 'sample')} with {name} and without {other}{where}.")
    return problems


def _size_note(layout: Layout, samples) -> list[str]:
    there = set().union(*(clips for by_split in samples.values() for clips in by_split.values()))
    if not layout.published or len(there) >= layout.published:
        return []
    return [f"{len(there):,} of {layout.published:,} published clips are here."]


def _unknown(files: list[str]) -> str:
    """Say what was found instead of a layout."""
    endings = Counter(os.path.splitext(name)[1].lower() or "none" for name in files)
    found = ", ".join(f"{count:,} {ending}" for ending, count in endings.most_common(5)) or "nothing"
    known = "; ".join(layout.title for layout in LAYOUTS)
    return (
        f"no layout was recognized; found: {found}. Known are: {known}; and {OWN} (audio.npy, image.npy, labels.npy, "
        f"or one .npz with such members). Any other data come in through MultimodalData.from_datasets or from_loaders."
    )

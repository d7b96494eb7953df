"""Lists of a published split: which clip is in which split, and of which class."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from mmpid.datasets.listings import LARGEST_LIST, file_size, named

MEDIA = re.compile(r"\.(?:wav|flv|mp4|avi|jpe?g|png|npy|pt|pkl)$", re.IGNORECASE)
HEADERS = {"name", "clip", "filename", "file", "video", "videoid", "id", "vid", "path", "category", "label"}


@dataclass
class Entries:
    """What lists say: the split and the class of each clip, and what was odd about them.

    The order of clips is that of the lists, split by split.
    """

    split: dict[str, str] = field(default_factory=dict)
    label: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, split: str, rows: list[tuple[str, str]], name: str) -> None:
        """Take the clips of one list; the first row of a clip counts."""
        again, moved, contrary = [], [], []
        for clip, label in rows:
            if clip in self.split:
                (again if self.split[clip] == split else moved).append(clip)
                if label and self.label.get(clip, label) != label:
                    contrary.append(clip)
                continue
            self.split[clip] = split
            if label:
                self.label[clip] = label
        if again:
            self.notes.append(f"{name}: listed more than once: {named(again, 'clip')}; the first row counts.")
        if moved:
            self.notes.append(f"{name}: already in another split, which counts: {named(moved, 'clip')}.")
        if contrary:
            self.notes.append(f"{name}: {named(contrary, 'clip')} have two different labels; the first one counts.")


def find_list(root: Path, files: list[str], names: tuple[str, ...]) -> Path | None:
    """Return the list of one of these names that lies closest to the root, or None."""
    places = [name for name in files if any(re.fullmatch(pattern, name.rpartition("/")[2]) for pattern in names)]
    places = [name for name in places if file_size(root / name) < LARGEST_LIST]
    return root / min(places, key=lambda name: (name.count("/"), name)) if places else None


def read_rows(path: Path, separator: str | None, clip: int, label: int) -> list[tuple[str, str]]:
    """Return (clip, label) of each row; a byte-order mark, a header, blank lines and file endings are left out.

    A clip is the last part of a path without its ending. It is only ever compared with names that are there, so a list
    cannot lead out of the folder.
    """
    rows = []
    most = label if separator is None and label > clip else max(clip, label) + 1  # a class may be of two words
    for line in path.read_text(encoding="utf-8-sig", errors="surrogateescape").splitlines():
        cells = [cell.strip().strip('"') for cell in line.strip().split(separator, most)]
        if not line.strip() or len(cells) <= clip:
            continue
        if not rows and cells[clip].lower() in HEADERS:
            continue
        name = cells[clip].replace("\\", "/").rstrip("/").rpartition("/")[2]
        rows.append((MEDIA.sub("", name), cells[label] if 0 <= label < len(cells) else ""))
    return rows

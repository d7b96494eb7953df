"""Text lists of clips beside a data set: what they name, and how that fits what is there."""

import os
from pathlib import Path

from mmpid.datasets.layouts import Layout, Listing

LARGEST_LIST = 50 * 2**20  # bytes; a text file beyond this is not a list of clips
SHOWN = 3


def file_size(path) -> int:
    """Return the size of a file in bytes; a link that leads nowhere has none."""
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def readable_name(name: str) -> str:
    """Return a name that can be printed: bytes that are not UTF-8 become question marks."""
    return name if name.isascii() else name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def odd_names(files: list[str]) -> list[str]:
    """Say which names are not UTF-8, as archives of other systems leave them; such files are used like others."""
    odd = [name for name in files if not name.isascii() and readable_name(name) != name]
    return [f"{named(odd, 'name')} not in UTF-8."] if odd else []


def named(names: list[str], noun: str) -> str:
    """Return how many there are, and the first few names."""
    shown = ", ".join(map(readable_name, names[:SHOWN])) + (", ..." if len(names) > SHOWN else "")
    return f"{len(names):,} {noun}{'s' if len(names) > 1 else ''} ({shown})"


def read_lists(root: Path, layout: Layout, files: list[str]) -> tuple[dict[str, list[str]], list[str]]:
    """Return the clips that each list of the layout names, and notes on lists that are absent."""
    listed, absent = {}, []
    for listing in layout.listings:
        places = [name for name in files if name.rpartition("/")[2] == listing.name]
        if places and file_size(root / places[0]) < LARGEST_LIST:
            listed[listing.name] = read_list(root / places[0], listing)
        elif "val" not in listing.name:
            absent.append(listing.name)
    notes = [f"no list {', '.join(absent)} was found, so the splits are unknown."] if absent else []
    notes += [f"{name} lists {len(clips):,} clips." for name, clips in listed.items()]
    return listed, notes


def read_list(path: Path, listing: Listing) -> list[str]:
    """Return the clips of a text list, without its header and without file endings."""
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    fields = [line.split(listing.separator) for line in lines if line.strip()]
    clips = [row[listing.column].strip() for row in fields if len(row) > listing.column]
    return [clip.rpartition(".")[0] or clip for clip in clips if clip.lower() not in ("name", "videoid", "clip", "")]


def clips_in_two_lists(listed: dict[str, list[str]]) -> list[str]:
    """Say how many clips are in more than one list."""
    problems = []
    names = list(listed)
    for i, one in enumerate(names):
        for two in names[i + 1 :]:
            clips = set(listed[one]) & set(listed[two])
            if clips:
                problems.append(f"{named(sorted(clips), 'clip')} in both {one} and {two}.")
    return problems


def clips_that_are_not_there(samples, listed: dict[str, list[str]]) -> list[str]:
    """Say which clips are listed and not there."""
    problems = []
    for modality, by_split in samples.items():
        there = set().union(*by_split.values()) if by_split else set()
        for name, clips in listed.items():
            lost = sorted(set(clips) - there)
            if lost and there:
                problems.append(f"{named(lost, 'clip')} of {name} without {modality}.")
    return problems

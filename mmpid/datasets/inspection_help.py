"""What an inspection adds for people: three samples to see and hear, published settings, and what to type next."""

import base64
from collections.abc import Mapping
from html import escape
from pathlib import Path

from mmpid import protocols
from mmpid.datasets.layouts import Layout
from mmpid.datasets.listings import readable_name
from mmpid.protocols.clashes import reading

SHOWN_SAMPLES = 3
LARGEST = {"image": 300_000, "audio": 1_000_000}  # bytes of a file that is shown
KINDS = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".wav": "audio/wav"}
Samples = tuple[tuple[str, dict[str, str]], ...]


def pick_samples(files: Mapping[str, Mapping[str, str]]) -> Samples:
    """Return up to three clips, spread over the folder, with a file of each modality that has one per clip."""
    known = [set(clips) for clips in files.values() if clips]
    clips = sorted(set.intersection(*known)) if known else []
    at = sorted({round(i * (len(clips) - 1) / (SHOWN_SAMPLES - 1)) for i in range(SHOWN_SAMPLES)}) if clips else []
    return tuple((clips[i], {name: those[clips[i]] for name, those in files.items() if those}) for i in at)


def samples_html(root: Path, samples: Samples) -> str:
    """Return pictures and players of samples, their files inside; nothing is decoded here."""
    blocks = []
    for clip, parts in samples:
        shown = "".join(_element(root / name) or f"<div><code>{_shown(name)}</code></div>" for name in parts.values())
        title = f"<figcaption>{_shown(clip)}</figcaption>"
        blocks.append(f'<figure style="margin:4px 12px 4px 0">{title}{shown}</figure>')
    return f'<div style="display:flex;flex-wrap:wrap">{"".join(blocks)}</div>' if blocks else ""


def _element(path: Path) -> str:
    """Return an element that shows a file; empty for kinds that a browser does not show, and for large files."""
    kind = KINDS.get(path.suffix.lower(), "")
    tag = kind.partition("/")[0]
    try:
        if not kind or not 0 < path.stat().st_size <= LARGEST[tag]:
            return ""
        source = f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
    except OSError:
        return ""
    if tag == "audio":
        return f'<audio controls src="{source}" style="display:block;width:220px"></audio>'
    style = "display:block;max-width:220px;max-height:160px"
    return f'<img src="{source}" alt="{_shown(path.name)}" style="{style}">'


def _shown(name: str) -> str:
    return escape(readable_name(name))


def compare_protocols(layout: Layout, samples: int, frames: float, options: tuple[str, ...]) -> list[str]:
    """Say of each protocol of this data set what differs here, and how to read the folder that way.

    Parameters
    ----------
    layout : Layout
        What was recognized.
    samples : int
        Clips that are there.
    frames : float
        Frames of a clip, on average; 0 where there are none.
    options : tuple of str
        Of the readers' options those that this folder leaves open.
    """
    found = []
    for name in protocols.available():
        protocol = protocols.get(name)
        if protocol.data.get("name") != layout.data:
            continue
        published = protocol.data["train"] + protocol.data["test"] if {"train", "test"} <= protocol.data.keys() else 0
        other = [f"{samples:,} of {published:,} clips"] if 0 < samples < published else []
        if 0 < frames < protocol.data.get("frames", 0):
            other.append(f"{frames:.3g} frames per clip, it uses {protocol.data['frames']}")
        if "front_end" in protocol.data and "front_end" not in options:
            other.append(f"sound as stored, it computes {protocol.data['front_end']}")
        said = "; ".join(other) or "nothing in the files differs"
        how = reading(protocol, options)
        found.append(f"{name}: {said}. Read with {how}." if how else f"{name}: {said}.")
    return found


def what_next(path: str, layout: Layout | None, ok: bool) -> tuple[str, ...]:
    """Return lines that work as typed: open the data, check it, train."""
    lines = ["import mmpid", f"data = mmpid.datasets.read({path!r})", "print(data.notes)"]
    lines.append("print(mmpid.testing.check_data(data))")
    return (*lines, "trainer = mmpid.Trainer(mmpid.LateFusion.from_data(data), data)") if ok else tuple(lines)

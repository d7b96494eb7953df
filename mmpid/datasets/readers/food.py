"""Food-101 of UPMC: pictures of dishes and the titles of the pages that they stand on."""

import csv
from collections import defaultdict
from pathlib import Path

from mmpid import _validate
from mmpid.datasets.listings import named
from mmpid.datasets.multimodal import MultimodalData
from mmpid.datasets.readers.clips import check_size, index_files, layout_of, open_clips
from mmpid.datasets.readers.describe import described
from mmpid.datasets.readers.lists import Entries
from mmpid.datasets.readers.media import Frames, HashedText, require_pillow
from mmpid.errors import InputError

TITLE = "Food-101 image and text (UPMC)"


def read_food(
    root: Path, *, size: int = 224, text_size: int = 512, split: str = "official", **options
) -> MultimodalData:
    """Open `images/{split}/{class}` and `texts/{split}_titles.csv`, whose columns are text, label and Image_path.

    Words of a title are counted in `text_size` hashed columns, so that nothing is fitted; for an encoder of your own,
    tokenize the titles and use `from_datasets`.
    """
    require_pillow()
    columns = _validate.number(text_size, "text_size", low=2, high=2**20, integer=True)
    found, files = index_files(root, layout_of(TITLE))
    entries = Entries()
    tables = [name for name in files if name.rpartition("/")[2].endswith("_titles.csv")]
    found.files["image"] = defaultdict(list, found.files["image"])
    titles = {}
    for name in sorted(tables):
        titles |= _read_titles(root / name, entries)
    found.files["text"] = titles
    twice = [clip for clip, names in found.files["image"].items() if len(names) > 1]
    if twice:
        entries.notes.append(f"{named(twice, 'picture')} are there more than once; the first one is read.")
        for clip in twice:
            del found.files["image"][clip][1:]
    loaders = {"image": Frames(check_size(size)), "text": HashedText(columns)}
    origin = "Food-101 (Wang et al. 2015), from a folder"
    options = described(options, name="food-101", origin=origin, layout=TITLE, size=size, text_size=text_size)
    return open_clips(root, found, entries, loaders, split=split, several=(), **options)


def _read_titles(path: Path, entries: Entries) -> dict[str, str]:
    """Return the title of each picture; the first row of a picture counts."""
    titles, without = {}, 0
    with open(path, encoding="utf-8-sig", errors="replace", newline="") as stream:
        table = csv.DictReader(stream)
        columns = {str(name).strip().lower(): name for name in table.fieldnames or ()}
        if not {"text", "image_path"} <= set(columns):
            raise InputError(f"{path.name} must have the columns text and Image_path; it had {table.fieldnames}.")
        for row in table:
            picture, text = row[columns["image_path"]], (row[columns["text"]] or "").strip()
            if not picture or not text:
                without += 1
                continue
            titles.setdefault(Path(picture.replace("\\", "/")).stem, text)
    if without:
        entries.notes.append(f"{path.name}: {without:,} rows without a title or a picture are left out.")
    return titles

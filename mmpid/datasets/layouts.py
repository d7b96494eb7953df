"""Layouts in which people keep the data sets of the field: which names are samples of which modality and split."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

CREMAD = r"(?P<clip>\d{4}_[A-Z]{3}_(?P<label>[A-Z]{3})_[A-Z]{2})"
YOUTUBE = r"(?P<clip>[\w-]{11}_\d{1,6})"
CLIP = r"(?P<clip>[^/]+)"
FRAME = r"[^/]*\d+\.(?:jpg|jpeg|png)"
SPLIT_NAMES = {"val": "validation", "dev": "validation", "valid": "validation", "training": "train"}


@dataclass(frozen=True)
class Listing:
    """A text file that lists the samples of a split: its name, and how its lines are cut into fields."""

    name: str
    separator: str = ","
    column: int = 0


@dataclass(frozen=True)
class Layout:
    """A data set on disk: for each modality the names of its files, with groups `clip`, and `split`, `label` if told.

    `comparable` says whether a clip has the same name in every modality, `splits` which names of splits mean another
    one than usual, `data` the name that protocols have for the data set.
    """

    title: str
    patterns: dict[str, tuple[str, ...]]
    listings: tuple[Listing, ...] = ()
    published: int = 0
    notes: tuple[str, ...] = ()
    comparable: bool = True
    splits: dict[str, str] = field(default_factory=dict)
    data: str = ""
    compiled: dict[str, tuple[re.Pattern, ...]] = field(init=False, repr=False)

    def __post_init__(self):
        ready = {name: tuple(re.compile(rf"(?:.*/)?{p}") for p in these) for name, these in self.patterns.items()}
        object.__setattr__(self, "compiled", ready)

    def split_of(self, match: re.Match) -> str:
        """Return the split that a folder's name tells, in our words; empty if it tells none."""
        name = match.groupdict().get("split") or ""
        return self.splits.get(name) or SPLIT_NAMES.get(name, name)

    def match(self, path: str) -> tuple[str, re.Match] | None:
        """Return modality and match of a file that belongs to this layout."""
        for modality, patterns in self.compiled.items():
            for pattern in patterns:
                found = pattern.fullmatch(path)
                if found:
                    return modality, found
        return None


_CREMAD_NOTES = (
    "CREMA-D: repositories number the classes in two orders, NEU HAP SAD FEA DIS ANG and alphabetical; check yours.",
)
_CREMAD_LISTS = (Listing("train.csv"), Listing("val.csv"), Listing("test.csv"))

LAYOUTS = (
    Layout(
        "CREMA-D, as published",
        {"audio": (rf"AudioWAV/{CREMAD}\.wav",), "video": (rf"VideoFlash/{CREMAD}\.flv",)},
        _CREMAD_LISTS,
        7442,
        _CREMAD_NOTES,
        data="cremad",
    ),
    Layout(
        "CREMA-D, frames and wav or spectrograms (OGM-GE, PMR)",
        {
            "audio": (rf"AudioWAV/{CREMAD}\.wav", rf"Audio-\d+/{CREMAD}\.pkl"),
            "image": (rf"Image-\d+-FPS/{CREMAD}/{FRAME}",),
        },
        _CREMAD_LISTS,
        7442,
        _CREMAD_NOTES,
        data="cremad",
    ),
    Layout(
        "CREMA-D, frames and filter banks (MMPareto, D&R, BalanceBenchmark)",
        {"audio": (rf"audio/{CREMAD}\.pt",), "image": (rf"visual/{CREMAD}/{FRAME}",)},
        _CREMAD_LISTS,
        7442,
        _CREMAD_NOTES,
        data="cremad",
    ),
    Layout(
        "frames and filter banks by split (MLA: CREMA-D, Kinetics-Sounds, AVE)",
        {
            "audio": (rf"audio/(?P<split>train|val|test)_(?:fbank|spec)/{CLIP}\.npy",),
            "image": (rf"visual/(?P<split>train|val|test)_imgs/Image-\d+-FPS/{CLIP}/{FRAME}",),
        },
    ),
    Layout(
        "AVE, cut to start and end (PMR, ReconBoost)",
        {"audio": (rf"Audio-\d+-SE/{CLIP}\.pkl",), "image": (rf"Image-\d+-FPS-SE/{CLIP}/{FRAME}",)},
        (Listing("trainSet.txt", "&", 1), Listing("valSet.txt", "&", 1), Listing("testSet.txt", "&", 1)),
        4115,
        ("AVE: the lists have 4,143 rows and name 4,115 distinct clips; loaders keep the first row of each.",),
        data="ave",
    ),
    Layout(
        "AVE, as published",
        {"video": (r"AVE/(?P<clip>[\w-]{11})\.mp4",)},
        (Listing("trainSet.txt", "&", 1), Listing("valSet.txt", "&", 1), Listing("testSet.txt", "&", 1)),
        4115,
        data="ave",
    ),
    Layout(
        "Kinetics-Sounds, spectrograms and frames (InfoReg, CRMT, BalanceBenchmark)",
        {
            "audio": (rf"(?P<split>train|test|val)_spec/{CLIP}\.npy",),
            "image": (rf"(?:train|val|test)-frames-\d+fps/(?P<split>train|val|test)/{CLIP}/{FRAME}",),
        },
        (Listing("ks_train_overlap.txt", " "), Listing("ks_test_overlap.txt", " ")),
        notes=("Kinetics-Sounds: clips with three frames or fewer are dropped by the repositories.",),
        data="kinetics-sounds",
    ),
    Layout(
        "Kinetics-Sounds, by split (Valuate and Enhance)",
        {
            "audio": (rf"ks_audio/(?P<split>train|val|test)/{CLIP}\.npy",),
            "image": (rf"ks_visual/(?P<split>train|val|test)/{CLIP}/{FRAME}",),
        },
        data="kinetics-sounds",
    ),
    Layout(
        "Kinetics-Sounds, by split and class (ARL)",
        {
            "audio": (rf"audio/(?P<split>train|test)/(?P<label>[^/]+)/{CLIP}\.wav",),
            "image": (rf"visual/(?P<split>train|val|test)_img/Image-\d+-FPS/(?P<label>[^/]+)/{CLIP}/{FRAME}",),
        },
        splits={"val": "test"},
        data="kinetics-sounds",
    ),
    Layout(
        "VGGSound",
        {"audio": (rf"{YOUTUBE}\.(?:wav|npy)",), "image": (rf"{YOUTUBE}(?:\.mp4)?/{FRAME}",)},
        notes=(
            "VGGSound: repositories number the classes by first appearance in the list, which changes with missing "
            "clips; keep a class map.",
        ),
        data="vggsound",
    ),
    Layout(
        "UCF-101, frames and optical flow",
        {
            "flow": (rf"[^/]*(?:_[uv]|/[uv]|^[uv])/(?P<clip>v_\w+)/{FRAME}", rf"[uv]/(?P<clip>v_\w+)/{FRAME}"),
            "image": (rf"(?P<clip>v_\w+)/{FRAME}",),
        },
        published=13320,
    ),
    Layout(
        "Food-101 image and text (UPMC)",
        {
            "image": (rf"images/(?P<split>train|test)/(?P<label>[^/]+)/{CLIP}\.(?:jpg|jpeg|png)",),
            "text": (r"texts/(?P<split>train|test)_titles\.csv",),
        },
    ),
    Layout(
        "images and token arrays by split (MLA: Food-101, MVSA)",
        {
            "image": (rf"visual/(?P<split>train|dev|val|test)_imgs/{CLIP}\.(?:jpg|jpeg|png)",),
            "text": (rf"text_token/(?P<split>train|dev|val|test)_token/{CLIP}_token\.npy",),
        },
    ),
    Layout(
        "AV-MNIST (MultiBench)",
        {
            "audio": (r"audio/(?P<split>train|test)_data\.npy",),
            "image": (r"image/(?P<split>train|test)_data\.npy",),
        },
        notes=(
            "AV-MNIST: two incompatible versions circulate; image alone reaches about 65 % in one and 75 % in the "
            "other. Look at your unimodal accuracies.",
        ),
    ),
    Layout(
        "CG-MNIST, colored array beside MNIST (PMR, MMPareto)",
        {
            "color": (r"(?P<clip>mnist_10color_jitter_var_[\d.]+)\.npy",),
            "gray": (r"(?P<clip>(?:train|t10k)-images[-.]idx3-ubyte(?:\.gz)?)",),
        },
        notes=(
            "CG-MNIST: the colored array is a pickled dictionary; mmpid.datasets.read makes arrays of it and runs "
            "nothing. mmpid.datasets.load('cg-mnist') generates the same kind of data.",
        ),
        comparable=False,
    ),
    Layout(
        "affect features in one pickle (MultiBench, MulT, MMSA)",
        {
            "vision, audio, text": (
                r"(?P<clip>mosi_raw|mosi_data|mosei_senti_data(?:_noalign)?|humor|sarcasm|(?:un)?aligned_50)\.pkl",
            )
        },
        notes=(
            "A pickle runs code when it is opened, so it is not opened here. mmpid.datasets.read opens it with a "
            "reader that makes arrays and runs nothing.",
            "MOSI and MOSEI labels are scores from -3 to 3: MultiBench calls > 0 positive, BalanceBenchmark >= 0.",
        ),
    ),
)


def recognize(paths: Iterable[str]) -> Layout | None:
    """Return the layout that explains the most modalities, and then the most files; None if none explains any.

    A layout of several modalities that finds only one of them is beaten by one that finds all it knows.
    """
    seen = {index: Counter() for index in range(len(LAYOUTS))}
    for path in paths:
        for index, layout in enumerate(LAYOUTS):
            found = layout.match(path)
            if found:
                seen[index][found[0]] += 1

    def rank(index: int):
        found = seen[index]
        return len(found) == len(LAYOUTS[index].patterns), len(found), sum(found.values()), -index

    best = max(seen, key=rank)
    return LAYOUTS[best] if seen[best] else None

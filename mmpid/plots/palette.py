"""The colors of the whole project: one table, for matplotlib and for the page.

Each role has a line, a text and an area color, for light and dark backgrounds. Lines keep a contrast of 3.6 or more
with their background, and text keeps 5 or more. Neighboring areas of the stacked chart differ by at least 9 in OKLab x
100 for protan, deutan and tritan vision. Color is never the only cue: each role also has a dash, a place or a name.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Ink:
    """Colors of one role on one background."""

    line: str
    text: str
    area: str


LIGHT = {
    "m0": Ink("#0b6fae", "#0a5f96", "#69acd9"),
    "m1": Ink("#c27400", "#8a5200", "#f1bd62"),
    "m2": Ink("#b83b1e", "#9a2f17", "#e9a08e"),
    "m3": Ink("#1f8ea3", "#166d7d", "#8cc7d2"),
    "m4": Ink("#7a5433", "#654428", "#bfa58c"),
    "m5": Ink("#6d7023", "#55581b", "#b9bc80"),
    "both": Ink("#9c5b98", "#84497f", "#e4d0e7"),
    "together": Ink("#0b8562", "#08704f", "#8fd0ba"),
    "joint": Ink("#0b8562", "#08704f", "#e9f5f1"),
    "average": Ink("#69707a", "#555c66", "#d9dde3"),
    "missing": Ink("#69707a", "#69707a", "#f5f6f8"),
}
DARK = {
    "m0": Ink("#5ab0ee", "#7cc3f5", "#3b86ba"),
    "m1": Ink("#f0ad3e", "#f3bd62", "#9c6c1d"),
    "m2": Ink("#ff8f70", "#ffa68c", "#96452f"),
    "m3": Ink("#5fd0e0", "#83dbe7", "#2b7784"),
    "m4": Ink("#cfa27c", "#dab799", "#7a5a3e"),
    "m5": Ink("#bcc05a", "#cacd80", "#686b27"),
    "both": Ink("#d79fd5", "#e0b0de", "#5b4463"),
    "together": Ink("#35c796", "#5bd7ae", "#1d6b52"),
    "joint": Ink("#35c796", "#5bd7ae", "#13241f"),
    "average": Ink("#8d95a0", "#a9b0ba", "#343a42"),
    "missing": Ink("#8d95a0", "#8d95a0", "#1b1d21"),
}
DASHES = ("dashed", "dotted", "dashdot", "solid")
DASH_OF = {"both": "solid", "together": "dashdot", "joint": "solid", "average": "dashdot"}


def modality_role(index: int) -> str:
    """Return the role of a modality by its position; the seventh looks like the first."""
    return f"m{index % 6}"


def dash_of(role: str) -> str:
    """Return the dash of a role; from the fifth modality on, dashes repeat."""
    return DASH_OF[role] if role in DASH_OF else DASHES[int(role[1:]) % len(DASHES)]

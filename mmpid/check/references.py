"""Stored values, and whether a new run agrees with them."""

import json
from dataclasses import dataclass
from pathlib import Path

from mmpid.errors import InputError

TOLERANCES = ("atol", "rtol", "interval", "half_width")
DEFAULT_TOLERANCE = {"atol": 0.02}


@dataclass(frozen=True)
class Verdict:
    """One value of one notebook against its reference."""

    notebook: str
    name: str
    value: float | None
    reference: float | None
    tolerance: str
    ok: bool

    def row(self, seconds: float) -> list[str]:
        """Return the cells of the table that `mmpid check` prints."""
        value, reference = ("-" if x is None else f"{x:.4f}" for x in (self.value, self.reference))
        return [
            self.notebook,
            self.name,
            value,
            reference,
            self.tolerance,
            "ok" if self.ok else "MISS",
            f"{seconds:.0f}",
        ]


def judge(notebook: str, values: dict[str, float], references: dict[str, dict]) -> list[Verdict]:
    """Compare published values with stored references; one that is missing on either side is a miss.

    A reference is `{"value": x}` with one tolerance: `"atol": a` (|v - x| <= a), `"rtol": r` (|v - x| <= r |x|), or
    `"interval": [low, high]` (low <= v <= high), or, for a mean difference over seeds, `"half_width": h`
    (|v - x| <= h, with h half of its 95 % interval over seeds: other seeds would move it as much).
    """
    verdicts = []
    for name in sorted(values.keys() | references.keys()):
        value, reference = values.get(name), references.get(name)
        if value is None or reference is None:
            missing = "not published" if value is None else "no reference"
            stored = reference["value"] if reference else None
            verdicts.append(Verdict(notebook, name, value, stored, missing, False))
        else:
            low, high, text = _bounds(reference, f"{notebook}: {name}")
            verdicts.append(Verdict(notebook, name, value, reference["value"], text, low <= value <= high))
    return verdicts


def _bounds(reference: dict, where: str) -> tuple[float, float, str]:
    """Return the lowest and highest value that agree, and how to say it."""
    x = reference["value"]
    if "interval" in reference:
        low, high = reference["interval"]
        return low, high, f"in [{low:.4g}, {high:.4g}]"
    if "half_width" in reference:
        half = reference["half_width"]
        return x - half, x + half, f"its 95 % interval, ± {half:.3g}"
    if "atol" in reference:
        return x - reference["atol"], x + reference["atol"], f"± {reference['atol']:g}"
    if "rtol" in reference:
        half = abs(x) * reference["rtol"]
        return x - half, x + half, f"± {100 * reference['rtol']:g} %"
    raise InputError(f"the reference {where} must have a tolerance: {', '.join(TOLERANCES)}.")


def load_references(folder: Path, notebook: str, size: str) -> dict[str, dict]:
    """Return the references of a notebook at one size ("smoke" or "full"); {} when none are stored."""
    path = folder / f"{notebook}.json"
    if not path.is_file():
        return {}
    try:
        return json.loads(path.read_text()).get(size, {}).get("values", {})
    except (json.JSONDecodeError, AttributeError) as problem:
        raise InputError(f"{path} is not a reference file: {problem}. Restore it from version control.") from problem


def store_references(folder: Path, notebook: str, size: str, values: dict[str, float], versions: dict, commit: str):
    """Replace the references of a notebook at one size; tolerances that were set by hand stay."""
    path = folder / f"{notebook}.json"
    stored = json.loads(path.read_text()) if path.is_file() else {}
    old = stored.get(size, {}).get("values", {})
    entries = {}
    for name, value in values.items():
        tolerance = {key: old[name][key] for key in TOLERANCES if key in old.get(name, {})}
        entries[name] = {"value": value, **(tolerance or DEFAULT_TOLERANCE)}
    stored[size] = {"values": entries, "versions": versions, "commit": commit}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(stored, indent=1) + "\n")

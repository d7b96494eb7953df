"""The content of a study's board: a folder in, plain values out."""

from pathlib import Path
from typing import Any

from mmpid.studies.exports import words
from mmpid.studies.store import read_about, status

STATES = ("waiting", "running", "finished", "failed")


class Reader:
    """Reads a study repeatedly; finished runs are not read twice."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._known: dict[str, dict[str, Any]] = {}
        self._shown = ""

    def scene(self) -> dict[str, Any]:
        """Return a row for each data set, method and setting with a cell for each seed, and the overall progress."""
        about = read_about(self.folder)
        plan = about["plan"]
        shown = "validation" if any(entry["setting"] for entry in plan) else "test"  # tuning never uses test
        if shown != self._shown:
            self._known, self._shown = {}, shown
        rows: dict[tuple[str, ...], dict[str, Any]] = {}
        several = len({entry["data"] for entry in plan}) > 1
        for entry in plan:
            key = (entry["data"], entry["method"], words(entry["setting"]))
            names = [*([entry["data"]] if several else []), entry["method"], *([key[2]] if key[2] else [])]
            row = rows.setdefault(key, {"name": ", ".join(names), "cells": []})
            row["cells"].append({"seed": entry["seed"], "folder": entry["folder"], **self._status(entry["folder"])})
        cells = [cell for row in rows.values() for cell in row["cells"]]
        counts = {state: sum(cell["state"] == state for cell in cells) for state in STATES}
        counts["waiting"] += about.get("to_come", 0)  # what a search has not named yet
        seeds = sorted({cell["seed"] for cell in cells})
        found = {"rows": list(rows.values()), "seeds": seeds, "counts": counts, "left": _left(cells, counts)}
        return found | {"unit": f"{shown} accuracy, %"}

    def _status(self, place: str) -> dict[str, Any]:
        if place in self._known:
            return self._known[place]
        told = status(self.folder / place)
        state = told["state"]
        if state == "finished":
            scores = {row["head"]: 100 * row[f"{self._shown}_accuracy"] for row in told["rows"]}
            shown = "; ".join(f"{head} {score:.1f} %" for head, score in scores.items())
            detail = f"{self._shown} accuracy: {shown}; {told['seconds']:.1f} s"
            cell = {
                "state": state,
                "mark": f"{list(scores.values())[-1]:.0f}",
                "detail": detail,
                "seconds": told["seconds"],
            }
            self._known[place] = cell
            return cell
        if state == "failed":
            return {"state": state, "mark": "!", "detail": told["error"]}
        if state == "running":
            detail = f"epoch {told['epoch']} of {told['of']}"
            return {"state": state, "mark": f"{100 * told['epoch'] // max(told['of'], 1)}%", "detail": detail}
        return {"state": state, "mark": "", "detail": "waiting"}


def _left(cells: list[dict[str, Any]], counts: dict[str, int]) -> float | None:
    """Return the remaining seconds, from the mean of the finished runs; None before the first run finishes."""
    seconds = [cell["seconds"] for cell in cells if cell["state"] == "finished"]
    todo = counts["waiting"] + 0.5 * counts["running"]
    if not todo:
        return 0.0
    return sum(seconds) / len(seconds) * todo / max(counts["running"], 1) if seconds else None


def sentence(scene: dict[str, Any]) -> str:
    """Return the progress of the study."""
    counts = scene["counts"]
    total = sum(counts.values())
    parts = [f"{counts['finished']} of {total} runs finished"]
    parts += [f"{counts['running']} running"] if counts["running"] else []
    parts += [f"{counts['failed']} failed"] if counts["failed"] else []
    left = scene["left"]
    if left is not None and left > 0:
        parts.append(f"about {f'{left / 60:.0f} min' if left > 90 else f'{left:.0f} s'} left")
    return ", ".join(parts) + "."

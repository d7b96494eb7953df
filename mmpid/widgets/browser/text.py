"""The tables of the run browser: plain functions from runs to HTML."""

from collections.abc import Sequence
from html import escape

from mmpid.plots.palette import LIGHT
from mmpid.widgets.browser import runs as rn
from mmpid.widgets.parts.markup import sample, table

COLUMNS = ("data", "seed", "stage", "epochs", "switch", "accuracy", "measured on", "created")


def found(all_: Sequence[rn.Run], chosen: Sequence[rn.Run], where: str) -> tuple[str, str]:
    """Return a sentence about the runs found and chosen, and one about what to do next."""
    good = sum(run.record is not None for run in all_)
    damaged = len(all_) - good
    bad = f"{_count(damaged, 'entry', 'entries')} not a run, or damaged: see the last rows." if damaged else ""
    if not good:
        return f"No run in {where} yet.", f"{EMPTY} {bad}".strip()
    more = "Choose a second one to compare." if len(chosen) == 1 else ""
    return f"{_count(good, 'run')} in {where}, {len(chosen)} chosen.", f"{more} {bad}".strip()


def status(all_: Sequence[rn.Run], chosen: Sequence[rn.Run], where: str) -> str:
    """Return the same sentences for a page without a kernel."""
    return f'<p class="mmpid-status">{escape(" ".join(found(all_, chosen, where)))}</p>'


def entry(run: rn.Run, chosen: Sequence[rn.Run]) -> dict:
    """Return the row of the page's table for a run."""
    if run.record is None:
        return {"name": run.name, "place": run.place, "problem": run.problem}
    place = next((i for i, one in enumerate(chosen) if one is run), None)
    role, dash = rn.style(place) if place is not None else ("", "")
    look = {"chosen": place is not None, "role": role, "dash": dash}
    return {"name": run.name, "place": run.place, "problem": "", "cells": rn.summary(run), **look}


EMPTY = (
    "A run appears here once Trainer(..., out_dir=a folder in it) has begun, or trainer.save(...) or record.save(...) "
    "has written into it; press Refresh then."
)


def _count(n: int, one: str, several: str = "") -> str:
    return f"{n} {one if n == 1 else several or one + 's'}"


def overview(found: Sequence[rn.Run], chosen: Sequence[rn.Run]) -> str:
    """Return the table of all runs; those that are chosen carry the line that draws them."""
    if not found:
        return ""
    places = {run.name: i for i, run in enumerate(chosen)}
    head = "".join(f'<th scope="col">{word}</th>' for word in ("", "run", *COLUMNS))
    body = "".join(_row(run, places.get(run.name)) for run in sorted(found, key=lambda run: run.record is None))
    return f'<table class="mmpid-table mmpid-found"><tr>{head}</tr>{body}</table>'


def _row(run: rn.Run, place: int | None) -> str:
    role, dash = rn.style(place or 0)
    line = sample(LIGHT[role].line, dash, label="chosen") if place is not None else ""
    name = f'<th scope="row" title="{escape(run.place)}">{escape(run.name)}</th>'
    if run.record is None:
        return f'<tr><td></td>{name}<td colspan="{len(COLUMNS)}" class="mmpid-reason">{escape(run.problem)}</td></tr>'
    cells = rn.summary(run)
    return f"<tr><td>{line}</td>{name}{''.join(f'<td>{escape(cells[c])}</td>' for c in COLUMNS)}</tr>"


def comparison(chosen: Sequence[rn.Run]) -> str:
    """Return results side by side, what differs between the metadata, and the decisions of each."""
    if not chosen:
        return '<div class="mmpid-detail">Choose a run to see what it reached.</div>'
    parts = [table("Results; information at the latest probe", *rn.results(list(chosen)))]
    if len(chosen) > 1:
        head, rows = rn.differences(list(chosen))
        same = '<p class="mmpid-detail">The metadata are the same: same data, model, settings, seed, versions.</p>'
        parts.append(table("What differs between the metadata", head, rows) if rows else same)
    for run in chosen:
        head, rows = rn.decisions(run)
        none = f'<p class="mmpid-detail">No decision in {escape(run.name)} yet.</p>'
        parts.append(table(f"Decisions of {run.name}", head, rows) if rows else none)
    return f'<div class="mmpid-tables-row">{"".join(parts)}</div>'

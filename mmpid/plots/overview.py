"""A whole run in one picture: what remains of the board when no kernel is running."""

import textwrap

from mmpid.plots import style
from mmpid.plots.accuracy_curves import accuracy_curves
from mmpid.plots.ecs_curves import ecs_curves
from mmpid.plots.loss_curves import loss_curves
from mmpid.plots.pid_curves import pid_curves
from mmpid.plots.traces import record_of, worth_showing

_MOST_DECISIONS = 6


def overview(record, *, proxy: str | None = None, note: str = "", hint: str = "") -> style.Picture:
    """Draw the four panels of a run and list its latest decisions with their reasons.

    Parameters
    ----------
    record
        A `mmpid.RunRecord`, or a trainer.
    proxy
        Which recorded strength proxy to draw; the first by default.
    note
        A short note after the heading, such as the state of the training.
    hint
        A line at the bottom, such as what to do if the live board is gone.

    Returns
    -------
    matplotlib.figure.Figure
        Shows itself in a notebook; `.savefig(path)` writes it.

    Raises
    ------
    ConfigError
        If `proxy` was not recorded.

    Notes
    -----
    Only the path that led to the current state is drawn; epochs that a rewind discarded are left out.

    Examples
    --------
    >>> from mmpid import RunRecord
    >>> overview(RunRecord({"modalities": ["audio", "image"]})).get_suptitle()
    'audio + image  ·  not trained yet'
    """
    record = record_of(record)
    lines = decision_lines(record.lineage("decision"))
    words = 0.55 + 0.2 * max(len(lines), 1)
    figure = style.Picture(figsize=(11, 7.6 + words), layout="constrained")
    panels = figure.subplots(3, 2, gridspec_kw={"height_ratios": [3.6, 3.6, words]})
    for draw, ax in ((pid_curves, panels[0, 0]), (accuracy_curves, panels[0, 1]), (loss_curves, panels[1, 1])):
        draw(record, ax)
    ecs_curves(record, panels[1, 0], proxy=proxy)
    _write(panels[2], lines)
    figure.suptitle(heading(record, note), x=0.01, ha="left", fontsize=10, color=style.INK)
    if hint:
        figure.supxlabel(hint, x=0.01, ha="left", fontsize=9, color=style.INK)
    return figure


def heading(record, note: str = "") -> str:
    """Return one line that says which run this is and how far it got."""
    epochs = record.lineage("epoch")
    parts = [" + ".join(record.metadata["modalities"])]
    parts += [f"{epochs[-1]['stage']} stage, epoch {epochs[-1]['epoch']}"] if epochs else ["not trained yet"]
    parts += [f"{key} {record.metadata[key]}" for key in ("seed", "device") if key in record.metadata]
    parts += test_scores(record)
    return "  ·  ".join([*parts, *([note] if note else [])])


def test_scores(record) -> list[str]:
    """Return the test accuracies of a finished run in words, the joint one first; empty before the end."""
    results = record.lineage("result")
    if not results:
        return []
    start = "test_accuracy."
    scores = {key[len(start) :]: value for key, value in results[-1].items() if key.startswith(start)}
    order = sorted(scores, key=lambda name: (name != "joint", name != "ens"))
    return ["test accuracy " + ", ".join(f"{name} {scores[name]:.3f}" for name in order)] if scores else []


def decision_lines(decisions: list[dict], width: int = 150) -> list[str]:
    """Return the latest decisions, newest first, each with its epoch, source and reason."""
    lines = []
    for row in worth_showing(decisions)[::-1][:_MOST_DECISIONS]:
        what = " ".join(word for word in (row["action"], row.get("modality", "")) if word)
        lines.append(textwrap.shorten(f"epoch {row['epoch']}: {what} ({row['source']}). {row['reason']}", width))
    return lines


def _write(panels, lines: list[str]) -> None:
    for ax in panels:
        ax.set_axis_off()
    text = "\n".join(lines) if lines else "No decision has been taken yet."
    rest = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "top", "color": style.INK}
    head = panels[0].annotate("Decisions, newest first", (0, 1), (0, 0), fontsize=11, fontweight="bold", **rest)
    body = panels[0].annotate(text, (0, 1), (0, -18), fontsize=9, linespacing=1.5, **rest)
    for words in (head, body):
        words.set_in_layout(False)  # the list is wider than its panel and must not squeeze the pictures above

"""What the board says in words: plain functions from the state of a run to small pieces of HTML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from mmpid.live.session import Failure
from mmpid.widgets.parts.markup import sample

_WORDS = {
    "idle": ("○", "Ready"),
    "playing": ("▶", "Training"),
    "paused": ("❚❚", "Paused"),
    "finished": ("✓", "Finished"),
    "failed": ("✖", "Failed"),
    "closed": ("–", "Closed"),
}
_STAGES = {"unimodal": "stage 1 of 2: encoders one by one", "joint": "stage 2 of 2: joint training"}
_MOST_DECISIONS = 50


@dataclass(frozen=True, kw_only=True)
class State:
    """What there is to say about a run at one moment."""

    state: str
    stage: str
    epoch: int
    active: tuple[str, ...]
    modalities: tuple[str, ...]
    auto: bool
    device: str
    done: int
    total: int
    batches: int = 0
    probes: Sequence[int] = ()
    waiting_for: str = ""
    run: str = ""
    rates: Mapping[str, float] = field(default_factory=dict)
    notice: str = ""
    result: str = ""


def status(now: State) -> str:
    """Say the state, stage and active modalities; changes rarely, so that a screen reader can follow it."""
    symbol, word = _WORDS[now.state]
    paused = [name for name in now.modalities if name not in now.active]
    parts = [_STAGES.get(now.stage, now.stage)]
    parts.append("training " + " and ".join(now.active) if now.active else "nothing is active")
    parts += [f"paused: {', '.join(paused)}"] if paused else []
    parts.append(f"on {now.device}")
    parts = [f"run “{now.run}”", *parts] if now.run else parts
    line = f"<b>{symbol} {word}</b> · " + " · ".join(escape(part) for part in parts)
    detail = _detail(_next(now))
    notice = f'<div class="mmpid-notice" role="alert">{escape(now.notice)}</div>' if now.notice else ""
    live = f'class="mmpid-status" role="status" aria-live="polite" data-state="{now.state}"'
    return f"<div {live}>{line}{detail}{notice}</div>"


def hint(now: State) -> str:
    """Say what the controller waits for; it changes with every probe, so it is outside of what is read aloud."""
    if now.state in ("closed", "finished") or now.stage == "joint" or not now.auto:
        return ""
    waits = f"The controller waits: {now.waiting_for}."
    return _detail(waits if now.waiting_for else "The controller decides after each probe.")


def _detail(words: str) -> str:
    return f'<div class="mmpid-detail">{escape(words)}</div>' if words else ""


def _next(now: State) -> str:
    """Say what the user can do next, where the board does not say it already."""
    if now.state == "closed":
        return "Another board has taken over this run, or it was closed. Run the cell again to go on here."
    if now.state == "finished":
        return f"The run is complete{': ' if now.result else ''}{now.result}. The next cells can use it."
    if now.stage == "joint" or now.auto:
        return ""
    return "You decide: press “Start joint training” when you want stage 2."


def progress(now: State) -> tuple[float, str, str]:
    """Say how far the training is, as a share, in words, and as the look of a bar; changes at each update."""
    total = f" of {now.total}" if now.total else ""
    words = f"epoch {now.epoch} · {now.done}{total} epochs trained · {now.batches:,} batches here"
    look = now.state if now.state in ("failed", "finished") else ""
    return min(now.done / now.total, 1.0) if now.total else 0.0, words, look


def decisions(rows: Sequence[dict]) -> str:
    """List decisions with their reasons, newest first."""
    if not rows:
        return '<div class="mmpid-detail">No decision yet. Each one appears here with its reason.</div>'
    items = "".join(_decision(row) for row in rows[::-1][:_MOST_DECISIONS])
    left = len(rows) - _MOST_DECISIONS
    more = f'<li class="mmpid-detail">and {left} earlier ones</li>' if left > 0 else ""
    return f'<ul class="mmpid-decisions">{items}{more}</ul>'


def _decision(row: dict) -> str:
    what = " ".join(part for part in (row["action"].replace("_", " "), row.get("modality", "")) if part)
    by = " · ".join(part for part in (row.get("source", ""), row.get("rule", "")) if part)
    quiet = ' class="mmpid-quiet"' if row["action"] == "hold" else ""
    head = f'<span class="mmpid-when">epoch {row["epoch"]:g}</span> <b>{escape(what)}</b>'
    return f'<li{quiet}>{head} <span class="mmpid-detail">{escape(by)}</span><br>{escape(row["reason"])}</li>'


def what_if(decisions: Sequence, n_probes: int) -> str:
    """Say when a rule would have switched on the recorded probes, and why."""
    if not decisions:
        return '<div class="mmpid-detail">The answer appears here once stage 1 has a probe.</div>'
    last = decisions[-1]
    if last.action == "switch":
        start = "" if last.rewind_to is None else f", starting from epoch {last.rewind_to}"
        head = f"It would have switched at epoch {last.epoch}{start}"
    else:
        head = f"It would not have switched in the {n_probes} recorded probes of stage 1"
    note = "Probes after another decision would have differed; a replay cannot know them."
    return (
        f'<div class="mmpid-answer" role="status"><b>{escape(head)}.</b> {escape(last.reason)}.'
        f'<div class="mmpid-detail">{note}</div></div>'
    )


def note(words: str, code: str = "", alert: bool = False) -> str:
    """Say what became of a click, with a line of code to copy where there is one."""
    role, kind = ("alert", "mmpid-refused") if alert else ("status", "mmpid-said")
    line = f" <code>{escape(code)}</code>" if code else ""
    return f'<div class="mmpid-note {kind}" role="{role}">{escape(words)}{line}</div>'


def branched(name: str, number: int, epoch: int) -> str:
    """Say that there is a branch, and how to drive it."""
    words = (
        f"“{name}” now stands at epoch {epoch}; this run is unchanged. Choose it under Runs to drive it; in code it is"
    )
    return note(words, f"board.branches[{number}]")


def saved(path: str) -> str:
    """Say where a run was saved, and how to go on with it."""
    return note(f"Saved to {path}. To go on from there:", f"mmpid.Trainer.load({path!r}, data)")


def exported(path: str) -> str:
    """Say where a report was written."""
    return note(f"The report is in {path}. It opens in any browser.")


def failure(problem: Failure | None, of_training: bool = True) -> str:
    """Show what went wrong, with advice, and the traceback for whoever wants it."""
    if problem is None:
        return ""
    advice = f"<div>{escape(problem.advice)}</div>" if problem.advice else ""
    what, then = "Training stopped", "The run is kept as it was. Press Play to try again."
    if not of_training:
        what, then = "Something went wrong in the board", "The training itself is not touched by this."
    again = f'<div class="mmpid-detail">{then}</div>'
    trace = f"<details><summary>Traceback</summary><pre>{escape(problem.text)}</pre></details>"
    head = f"<b>{what}: {escape(problem.summary)}</b>"
    return f'<div class="mmpid-failure" role="alert">{head}{advice}{again}{trace}</div>'


def runs_table(runs: Sequence[dict]) -> str:
    """Compare runs: where each started from, when its joint training began, and how good it is."""
    heads = list(dict.fromkeys(head for run in runs for head in run["scores"]))
    order = sorted(heads, key=lambda head: (head in ("ens", "joint"), head == "joint"))
    titles = ["run", "branched from", "state", "epoch", "joint from", *order, "accuracy on", "decisions (by you)"]
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in titles)
    body = "".join(_run_row(run, order) for run in runs)
    return f'<table class="mmpid-table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _run_row(run: dict, heads: Sequence[str]) -> str:
    start = "" if run["branched_at"] is None else f"{run['parent'] or 'main'}, epoch {run['branched_at']}"
    switch = "" if run["switch"] is None else f"epoch {run['switch']:g}"
    scores = [f"{run['scores'][head]:.3f}" if head in run["scores"] else "" for head in heads]
    state = _WORDS[run["state"]][1]
    counts = f"{run['decisions']} ({run['by_user']})"
    cells = [start, state, str(run["epoch"]), switch, *scores, run["judged_on"], counts]
    line = sample("currentColor", "solid") if run["chosen"] else sample("currentColor", run["dash"], 1.2)
    name = f"{line}{escape(run['name'])}"
    return f'<tr><th scope="row">{name}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in cells)}</tr>'


def class_table(values, modalities: Sequence[str], classes: Sequence[str], caption: str) -> str:
    """Return a heat map as a table: a modality a row, a class a column, the color as strong as the number.

    `values` has shape (modalities, classes).
    """
    top = max(float(abs(values).max()), 1e-12)
    head = "".join(f'<th scope="col">{escape(str(name))}</th>' for name in classes)
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(_heat(value, top) for value in row)}</tr>'
        for name, row in zip(modalities, values, strict=True)
    )
    return (
        f'<table class="mmpid-table mmpid-heat"><caption>{escape(caption)}</caption>'
        f'<thead><tr><th scope="col">class</th>{head}</tr></thead><tbody>{body}</tbody></table>'
    )


def _heat(value: float, top: float) -> str:
    color = "2, 158, 115" if value >= 0 else "213, 94, 0"
    return f'<td style="background: rgba({color}, {0.75 * abs(value) / top:.2f})">{value:.2f}</td>'


def findings(found: Sequence) -> str:
    """List what `mmpid.diagnose` noticed."""
    if not found:
        return '<div class="mmpid-detail">Nothing stands out in this run so far.</div>'
    items = "".join(
        f'<li><b>{escape(f.name)}.</b> {escape(f.evidence)} <span class="mmpid-detail">{escape(f.advice)}</span></li>'
        for f in found
    )
    return f'<ul class="mmpid-decisions">{items}</ul>'

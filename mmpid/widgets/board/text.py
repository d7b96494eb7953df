"""The words of the board: plain functions from the state of a run to sentences and small pieces of HTML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from mmpid.live.session import Failure
from mmpid.widgets.parts.markup import sample

STATES = {
    "idle": "Ready",
    "playing": "Training",
    "paused": "Paused",
    "finished": "Finished",
    "failed": "Failed",
    "closed": "Stopped",
}
MOST_DECISIONS = 50
GONE = "No board above? Then its kernel is gone: run the notebook again. A new Trainer starts at epoch 0."


@dataclass(frozen=True, kw_only=True)
class State:
    """The state of a run at one moment."""

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
    waiting_for: str = ""
    run: str = ""
    rates: Mapping[str, float] = field(default_factory=dict)
    notice: str = ""
    replaced: bool = False


@dataclass(frozen=True, kw_only=True)
class Message:
    """One line in the footer of the board; `kind` is "rest", "said", "refused" or "error"."""

    words: str
    code: str = ""
    kind: str = "rest"

    def to_dict(self) -> dict:
        """Return plain values."""
        return vars(self)


def progress(now: State) -> str:
    """Say how far training has progressed; changes with each update."""
    total = f" of {now.total}" if now.total else ""
    return f"epoch {now.epoch} · {now.done}{total} epochs trained · {count(now.batches, 'batch', 'batches')} here"


def count(n: int, one: str, several: str) -> str:
    """Return a number with its noun."""
    return f"{n:,} {one if n == 1 else several}"


def resting(now: State) -> Message:
    """Say what the run waits for, or what to do, while there is no message."""
    if now.state == "closed":
        if now.replaced:
            return Message(words="This run now belongs to another board. This page still shows what it knows.")
        words = f"Stopped at epoch {now.epoch}. A new Trainer starts at epoch 0; this one goes on from here with:"
        return Message(words=words, code="mmpid.widgets.Dashboard(trainer)")
    if now.state == "finished":
        return Message(words="The next cell can use the finished run:", code="record = board.wait()")
    if now.state == "failed":
        return Message(words="The run is kept as it was. Play tries again.")
    if now.stage == "joint":
        return Message(words="Stage 2: the joint head and the encoders train together.")
    if not now.auto:
        return Message(words="You decide: pause encoders, and start joint training when you want stage 2.")
    if now.waiting_for:
        return Message(words=f"The controller waits: {now.waiting_for}.")
    return Message(words="The controller decides after each probe.")


def sentence(problem: Exception) -> str:
    """Return an error as a sentence."""
    words = str(problem)
    return words[:1].upper() + words[1:]


def failure_summary(problem: Failure, of_training: bool = True) -> str:
    """Return one line about what went wrong."""
    return problem.summary if of_training else f"Something went wrong in the board: {problem.summary}"


def decisions(rows: Sequence[dict]) -> str:
    """List decisions with their reasons, newest first."""
    if not rows:
        return '<p class="mmpid-quiet">No decision yet. Each one appears here with its reason.</p>'
    items = "".join(_decision(row) for row in rows[::-1][:MOST_DECISIONS])
    left = len(rows) - MOST_DECISIONS
    more = f'<li class="mmpid-quiet">and {left} earlier ones</li>' if left > 0 else ""
    return f'<ul class="mmpid-list">{items}{more}</ul>'


def _decision(row: dict) -> str:
    what = " ".join(part for part in (row["action"].replace("_", " "), row.get("modality", "")) if part)
    by = " · ".join(part for part in (row.get("source", ""), row.get("rule", "")) if part)
    head = f'<span class="mmpid-when">epoch {row["epoch"]:g}</span> <b>{escape(what)}</b>'
    return f'<li>{head} <span class="mmpid-quiet">{escape(by)}</span> {escape(row["reason"])}</li>'


def findings(found: Sequence) -> str:
    """List what `mmpid.diagnose` noticed."""
    if not found:
        return '<p class="mmpid-quiet">Nothing stands out in this run so far. That does not prove that all is well.</p>'
    items = "".join(
        f'<li><b>{escape(f.name)}.</b> {escape(f.evidence)} <span class="mmpid-quiet">{escape(f.advice)}</span></li>'
        for f in found
    )
    return f'<ul class="mmpid-list">{items}</ul>'


def runs_table(runs: Sequence[dict]) -> str:
    """Compare runs: where each one started, when its joint training began, and how accurate it is."""
    heads = list(dict.fromkeys(head for run in runs for head in run["scores"]))
    order = sorted(heads, key=lambda head: (head in ("ens", "joint"), head == "joint"))
    named = ["average" if head == "ens" else head for head in order]
    titles = ["run", "branched from", "state", "epoch", "joint from", *named, "accuracy on", "decisions (by you)"]
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in titles)
    body = "".join(_run_row(run, order) for run in runs)
    return f'<table class="mmpid-table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _run_row(run: dict, heads: Sequence[str]) -> str:
    start = "" if run["branched_at"] is None else f"{run['parent'] or 'main'}, epoch {run['branched_at']}"
    switch = "" if run["switch"] is None else f"epoch {run['switch']:g}"
    scores = [f"{run['scores'][head]:.3f}" if head in run["scores"] else "" for head in heads]
    counts = f"{run['decisions']} ({run['by_user']})"
    cells = [start, STATES[run["state"]], str(run["epoch"]), switch, *scores, run["judged_on"], counts]
    line = sample("currentColor", "solid") if run["chosen"] else sample("currentColor", run["dash"], 1.2)
    name = f"{line}{escape(run['name'])}"
    return f'<tr><th scope="row">{name}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in cells)}</tr>'

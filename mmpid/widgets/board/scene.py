"""What the page draws of a run: charts, the timeline's events, and the headline of each probe; rows in, values out."""

from collections.abc import Mapping, Sequence
from typing import cast

from mmpid.plots import charts
from mmpid.plots.headline import Headline, headline_of
from mmpid.plots.reading import label_entropy, placed_probes, read_atom
from mmpid.plots.traces import accuracy_traces, ecs_proxies, loss_traces, switch_epoch
from mmpid.widgets.board.branches import Run
from mmpid.widgets.board.history import History, thinned
from mmpid.widgets.parts.page import packed

MOST_POINTS = 120  # a chart of 500 pixels cannot show more than this
PARTS = ("known", "accuracy", "strength", "loss")
ICONS = {
    "pause": "pause",
    "resume": "play",
    "switch": "join",
    "rewind": "back",
    "learning_rate": "rate",
    "batch_size": "rate",
}


class Scene:
    """The charts of one board; unchanged parts are not computed again.

    Parameters
    ----------
    metadata
        Metadata of the run: names of modalities and classes, entropy of the label.
    """

    def __init__(self, metadata: Mapping):
        self.modalities = list(metadata["modalities"])
        self.metadata = metadata
        self.proxy: str | None = None
        self._shown: dict[str, tuple] = {}

    def show(self, view, history: History, parts: Sequence[str], others: Sequence[Run] = ()) -> None:
        """Update some charts of the page to the rows on the current path."""
        switch = switch_epoch(history.decided)
        beside = [(run.name, run.history.update()) for run in others]
        context = (switch, len(history.left), tuple((name, len(path.path)) for name, path in beside))
        epochs, probes = history.of("epoch"), history.of("probe")
        if "known" in parts and self._is_news("known", probes, *context):
            view.known, view.atoms = self._known(history, switch)
        if "accuracy" in parts and self._is_news("accuracy", epochs, *context):
            view.accuracy = self._curves(charts.accuracy_chart, accuracy_traces, history, beside, switch)
        if "loss" in parts and self._is_news("loss", epochs, *context):
            view.loss = self._curves(charts.loss_chart, loss_traces, history, beside, switch)
        if "strength" in parts and self._is_news("strength", probes, self.proxy, *context):
            view.strength = self._strength(history, switch)

    def _placed(self, history: History) -> Sequence[Mapping]:
        return thinned(placed_probes(history.path, self.metadata), MOST_POINTS)

    def _known(self, history: History, switch: float | None) -> tuple[dict, dict]:
        probes = self._placed(history)
        entropy = label_entropy(self.metadata, probes)
        if len(self.modalities) == 2:
            stack = [charts.knowledge_chart(probes, self.modalities, entropy, switch)]
        else:
            n = range(len(self.modalities))
            stack = [charts.known_by_chart(probes, self.modalities, i, entropy, switch) for i in n]
        synergy = [read_atom(probe, "synergy") for probe in probes]
        sure = {
            "identified": [int(one is not None and one.identified) for one in synergy],
            "proven": [int(one is not None and one.proven) for one in synergy],
        }
        return packed(*stack) | sure, packed(charts.atoms_chart(probes, self.modalities, switch))

    def _curves(self, chart_of, traces_of, history: History, beside, switch: float | None) -> dict:
        left = thinned([row for row in history.left if row["kind"] == "epoch"], MOST_POINTS)
        others = [(name, traces_of(thinned(path.of("epoch"), MOST_POINTS), self.modalities)) for name, path in beside]
        chart = chart_of(thinned(history.of("epoch"), MOST_POINTS), self.modalities, switch)
        return packed(chart, ghosts=traces_of(left, self.modalities), others=others)

    def _strength(self, history: History, switch: float | None) -> dict:
        probes = self._placed(history)
        proxies = ecs_proxies(probes[-1:])
        if proxies and self.proxy not in proxies:
            self.proxy = proxies[0]
        if not proxies:
            return {"proxies": [], **packed(charts.strength_chart([], self.modalities, None))}
        proxy = cast(str, self.proxy)  # one of `proxies`
        names = self.metadata.get("class_names") or []
        classes = [
            charts.strength_by_class_chart(probes, self.modalities, proxy, i, str(name)) for i, name in enumerate(names)
        ]
        shown = [chart for chart in classes if not chart.is_empty]
        overall = charts.strength_chart(probes, self.modalities, self.proxy, switch)
        return {"proxies": proxies, "proxy": self.proxy, **packed(overall, *shown)}

    def forget(self) -> None:
        """Draw everything again next time, because another run is in front."""
        self._shown.clear()

    def _is_news(self, part: str, rows: list[dict], *context) -> bool:
        """Whether a part differs from what it shows; remembers the answer."""
        seen, old = (len(rows), id(rows[-1]) if rows else 0, *context), self._shown.get(part)
        self._shown[part] = seen
        return seen != old


def events(history: History, others: Sequence[Run], present: float, metadata: Mapping) -> dict:
    """Return the timeline's content: probes, flags, pauses, start of stage 2, discarded epochs, branches."""
    probes = thinned([row["epoch"] for row in placed_probes(history.path, metadata)], MOST_POINTS)
    flags = [
        {
            "at": row["epoch"],
            "icon": ICONS.get(row["action"], "flag"),
            "words": decision_words(row),
            "by": _by(row),
            "why": row["reason"],
        }
        for row in history.decided
    ]
    left = max((row["epoch"] for row in history.left), default=0)
    branches = [_branch(run) for run in others]
    return {
        "probes": probes,
        "flags": flags[-MOST_POINTS:],
        "pauses": pauses(history.decided, present),
        "switch": switch_epoch(history.decided),
        "left": left if left > present else None,
        "branches": branches,
    }


def decision_words(row: Mapping) -> str:
    """Return a decision in two or three words."""
    names = {
        "switch": "joint training starts",
        "learning_rate": "learning rate",
        "batch_size": "batch size",
        "rule": "another rule",
    }
    words = names.get(row["action"], row["action"].replace("_", " "))
    return " ".join(part for part in (words, row.get("modality", "")) if part)


def _by(row: Mapping) -> str:
    source: str = row.get("source", "")
    return {"user": "you", "": ""}.get(source, source)


def pauses(decided: Sequence[Mapping], present: float) -> list[dict]:
    """Return each pause, with its modality and its first and last epoch; a pause still on ends at the current epoch.

    A pause that was over in the epoch in which it began, as by a switch, paused nothing.
    """
    open_: dict[str, float] = {}
    found = []
    for row in decided:
        who = row.get("modality", "")
        if row["action"] == "pause":
            open_.setdefault(who, row["epoch"])
        elif row["action"] == "resume" and who in open_:
            found.append({"who": who, "from": open_.pop(who), "to": row["epoch"]})
        elif row["action"] == "switch":
            found += [{"who": name, "from": since, "to": row["epoch"]} for name, since in open_.items()]
            open_.clear()
    found = [pause for pause in found if pause["to"] > pause["from"]]
    return found + [{"who": name, "from": since, "to": present} for name, since in open_.items()]


def _branch(run: Run) -> dict:
    epochs = run.history.update().of("epoch")
    last = epochs[-1] if epochs else {}
    head = "joint" if last.get("validation_accuracy.joint") is not None else "ens"
    share = last.get(f"validation_accuracy.{head}")
    said = f"epoch {run.trainer.epoch}" + (
        f": {'joint' if head == 'joint' else 'average'} {share:.0%}" if share is not None else ""
    )
    return {
        "name": run.name,
        "from": run.record.metadata.get("branched_at") or 0,
        "to": run.trainer.epoch,
        "switch": switch_epoch(run.history.decided),
        "says": said.replace("%", " %"),
    }


def plain(headline: Headline) -> dict:
    """Return a headline as plain values."""
    return {
        "situation": headline.situation,
        "words": [list(part) for part in headline.words],
        "sure": headline.sure,
        "mark": headline.mark,
        "evidence": headline.evidence,
        "next": headline.next,
        "epoch": headline.epoch,
    }


class Stories:
    """Each probe's headline as it was then, built once, so that the page can look back without the kernel."""

    def __init__(self, metadata: Mapping):
        self._metadata = metadata
        self._made: dict[int, tuple[object, dict]] = {}

    def update(self, path: Sequence[Mapping], most: int | None = None) -> list[dict]:
        """Return the headlines of at most `MOST_POINTS` probes, at most `most` of them new."""
        ends, made = [], 0
        for i, row in enumerate(path):
            if row["kind"] == "probe":
                ends.append([row, i])
            elif row["kind"] != "epoch" and ends:
                ends[-1][1] = i  # a decision that was based on the probe belongs to it
        stories = []
        for row, end in thinned(ends, MOST_POINTS):
            kept = self._made.get(id(row))
            if kept is None or kept[0] is not row:
                if most is not None and made >= most:
                    continue
                made += 1
                kept = row, plain(headline_of(path[: end + 1], self._metadata))
                self._made[id(row)] = kept
            stories.append({**kept[1], "at": row["epoch"]})
        self._made = {id(row): self._made[id(row)] for row, _ in ends if id(row) in self._made}
        return stories

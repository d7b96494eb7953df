"""The headline as a data class, and the rows of a run as its situations need them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mmpid.plots.reading import placed_probes, read_atom
from mmpid.rules.controller import BalanceController
from mmpid.rules.registry import built_in_part
from mmpid.runs.probe import Atom, Probe, unique_keys

SURE = {"clear": "clear evidence", "noise": "within noise", "early": "too early", "doubtful": "doubtful", "": ""}


@dataclass(frozen=True, kw_only=True)
class Headline:
    """What to say about a run.

    Attributes
    ----------
    situation : str
        Which of the known situations this is, for example "lead" or "finished".
    words : tuple of (str, str)
        The sentence in parts: text, and the role whose color it has ("m0", "joint", "error", or "").
    sure : {"clear", "noise", "early", "doubtful", ""}
        How sure it is.
    evidence, next : str
        The numbers with their noise; what happens next, or what to do.
    epoch : float or None
        The epoch that it is about.
    samples : int or None
        Samples of the probe; the mark names this number if the evidence is doubtful.
    """

    situation: str
    words: tuple[tuple[str, str], ...]
    sure: str = ""
    evidence: str = ""
    next: str = ""
    epoch: float | None = None
    samples: int | None = None

    @property
    def sentence(self) -> str:
        """The sentence as plain text."""
        return "".join(text for text, _ in self.words)

    @property
    def mark(self) -> str:
        """How sure it is, in words."""
        return f"doubtful: {self.samples} samples" if self.sure == "doubtful" and self.samples else SURE[self.sure]

    def __str__(self) -> str:
        mark = f" ({self.mark})" if self.mark else ""
        return f"{self.sentence}{mark} {self.evidence} Next: {self.next}".strip()


class View:
    """The rows as the situations need them."""

    def __init__(self, path: Sequence[Mapping], metadata: Mapping, auto: bool):
        self.path, self.metadata, self.auto = path, metadata, auto
        self.names = list(metadata.get("modalities", ()))
        self.probes = placed_probes(path, metadata)
        self.probe: Mapping = self.probes[-1] if self.probes else {}
        rows = [row for row in path if row["kind"] in ("epoch", "probe", "decision")]
        self.last: Mapping = rows[-1] if rows else {}
        self.epochs = [row for row in path if row["kind"] == "epoch"]
        self.result = next((row for row in reversed(path) if row["kind"] == "result"), None)
        self.settings = metadata.get("settings", {})
        saved = metadata.get("controller") or BalanceController().to_dict()
        self.rule, self.pause, give_up = (built_in_part(saved, name) for name in ("rule", "pause", "give_up"))
        self.give_up_after = getattr(give_up, "probes", None)
        self.ratio, self.floor = float(getattr(self.pause, "ratio", 3.0)), float(getattr(self.pause, "floor", 0.05))
        self.max_pause = getattr(self.pause, "max_pause", None)
        self.stage = self.last.get("stage", "unimodal")

    @property
    def epoch(self) -> float | None:
        """Epoch of the latest row."""
        return self.last.get("epoch")

    @property
    def probe_every(self) -> int:
        """Epochs between two probes."""
        if self.settings.get("probe_every"):
            return int(self.settings["probe_every"])
        epochs = sorted({int(probe["epoch"]) for probe in self.probes} | {0})
        return epochs[-1] - epochs[-2] if len(epochs) > 1 else 1

    @property
    def needed(self) -> int:
        """Number of probes before anything is compared."""
        return int(getattr(self.pause, "warmup", 2)) + 1

    def unique(self, probe: Mapping | None = None) -> list[Atom | None]:
        """Return the unique information of each modality at a probe, the latest by default."""
        return [read_atom(self.probe if probe is None else probe, key) for key in unique_keys(self.names).values()]

    def paused(self) -> list[str]:
        """Return the currently paused modalities, according to the decisions on the path."""
        paused: list[str] = []
        for row in self.path:
            if row.get("action") == "pause":
                paused.append(row["modality"])
            elif row.get("action") in ("resume", "switch", "rewind"):
                kept = row.get("modality") if row["action"] == "resume" else None
                paused = [name for name in paused if kept is not None and name != kept]
        flags = {name: self.last.get(f"active.{name}") for name in self.names}
        return [name for name in self.names if name in paused or flags[name] is False]

    def knows_nothing(self, probe: Mapping) -> bool:
        """Whether a probe proved nothing or, for counted estimates, found no more than shuffled labels give."""
        return Probe.from_row(probe, self.names).knows_nothing

    @property
    def held_out(self) -> bool:
        """Whether the latest probe was estimated on held-out samples."""
        return Probe.from_row(self.probe, self.names).is_held_out

    def by_user(self, action: str) -> bool:
        """Whether the latest decision of this kind was taken by the user."""
        rows = [row for row in self.path if row.get("action") == action]
        return bool(rows) and rows[-1].get("source") == "user"

    def doubtful(self, unique: Sequence[Atom | None], leader: int) -> bool:
        """Whether the probe does not prove what a leader seems to know alone."""
        reading = unique[leader]
        return reading is None or not reading.proven

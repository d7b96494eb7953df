"""The default switch rule: redundancy has stopped rising, and most of the budget is spent."""

from dataclasses import dataclass

from mmpid import _validate
from mmpid.rules.base import SwitchRule
from mmpid.rules.decision import Decision, Value
from mmpid.runs.probe import Probe
from mmpid.runs.record import RunRecord


@dataclass(frozen=True, kw_only=True)
class RedundancyPlateau(SwitchRule):
    """Switch when redundancy has stopped rising and most of the budget is spent: the default.

    Switch at probe t when ``R_t - R_{t-patience} < max(min_gain, noise)``, with noise the 95 % half-width of R_t, and
    ``epoch_t >= min_share * epochs``.

    Parameters
    ----------
    patience : int
        Probes over which the gain is measured.
    min_gain : float
        Smallest gain in bits that counts as rising.
    warmup : int
        First probes to leave out.
    max_gap : float, optional
        Also require that the modalities' unique information differs by at most this many bits.
    min_share : float
        Share of the run's budget of epochs before which the rule never switches; 0 asks for the plateau alone.

    Notes
    -----
    In the solvable model of :mod:`mmpid.theory` the plateau marks the hand-over better than the synergy peak does. On
    real data it comes too early: on all five data sets that were swept, encoders that went on alone after it ended
    up better (docs/two-stage.md), because a few hundred probe samples cannot show their last gains. That is why the
    rule also looks at the budget.
    """

    patience: int = 5
    min_gain: float = 0.05
    warmup: int = 3
    max_gap: float | None = None
    min_share: float = 0.75

    def __post_init__(self):
        super().__post_init__()
        _validate.number(self.patience, "patience", low=1, integer=True)
        _validate.number(self.min_gain, "min_gain", low=0)
        _validate.number(self.warmup, "warmup", low=0, integer=True)
        _validate.number(self.min_share, "min_share", low=0, high=1)
        if self.max_gap is not None:
            _validate.number(self.max_gap, "max_gap", low=0)

    def decide(self, record: RunRecord) -> Decision:
        """Switch once redundancy gained less than its noise over `patience` probes, and enough was trained alone."""
        probes, wanted = self.probes(record), self.warmup + self.patience + 1
        if len(probes) < wanted:
            text = f"warming up: {len(probes)} of {wanted} probes"
            return self.hold(probes[-1] if probes else None, text, {"probes": len(probes), "wanted": wanted})
        now = probes[-1]
        atom, before = now.redundancy, probes[-1 - self.patience].redundancy
        if atom.value is None or before.value is None or not (atom.is_known and before.is_known):
            return self.hold_unknown(now, "redundancy")
        gain, bar = atom.value - before.value, max(self.min_gain, atom.half_width)
        text = f"redundancy {atom.value:.2f} bit, {gain:+.2f} over {self.patience} probes"
        values = {"redundancy": atom.value, "gain": gain, "threshold": bar, "patience": self.patience}
        if gain >= bar:
            return self.hold(now, f"{text}: still rising by more than {bar:.2f} bit", values)
        text = f"{text}: a plateau (less than {bar:.2f} bit)"
        return self._wait_for_more(record, now, text, values) or self._start(record, now, text, values)

    def _wait_for_more(self, record: RunRecord, now: Probe, text: str, values: dict[str, Value]) -> Decision | None:
        """Hold on the plateau while the budget or the balance asks for it, or return None."""
        budget = record.metadata.get("settings", {}).get("epochs")
        if budget and now.epoch < self.min_share * budget:
            wanted = f"{now.epoch} of {budget} epochs are spent, {self.min_share:.0%} are wanted"
            spent = {"epoch": now.epoch, "epochs": budget, "min_share": self.min_share}
            return self.hold(now, f"{text}, but only {wanted}", values | spent)
        if self.max_gap is None:
            return None
        unique = now.unique.values()
        if not all(atom.is_known for atom in unique):
            return self.hold_unknown(now, "unique information")
        own = [atom.value for atom in unique if atom.value is not None]
        gap = max(own, default=0.0) - min(own, default=0.0)
        if gap <= self.max_gap:
            return None
        gaps = {"unique_gap": gap, "max_gap": self.max_gap}
        return self.hold(now, f"{text}, but unique information differs by {gap:.2f} bit", values | gaps)

    def _start(self, record: RunRecord, now: Probe, text: str, values: dict[str, Value]) -> Decision:
        best = self.best(record) or now
        return self.switch(now, text, best.epoch, values)

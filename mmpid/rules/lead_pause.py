"""The built-in pause policy: pause the modality that runs ahead, and resume it when it has waited long enough."""

from dataclasses import dataclass
from math import isfinite

from mmpid import _validate
from mmpid.rules.base import PausePolicy
from mmpid.rules.decision import Decision, Value
from mmpid.runs.probe import Probe, one_per_epoch
from mmpid.runs.record import RunRecord

MEASURES = {"uniqueness": "unique information", "information": "information"}  # what is compared, and its name


@dataclass(frozen=True, kw_only=True)
class LeadPause(PausePolicy):
    """Pause the modality whose unique information runs ahead of the weakest one's.

    With U_m the unique information of modality m (bits), an active m is paused when
    ``U_m / max(min_j U_j, floor) > ratio``, the difference exceeds its 95 % noise and, with held-out probes, U_m is
    proven; it is resumed when the ratio is
    below ``hysteresis * ratio``, or when the difference is within the noise. What the user paused by hand stays paused.

    Parameters
    ----------
    ratio : float
        Ratio above which a modality is ahead; 3 in the paper.
    floor : float
        Smallest denominator in bits, so that the ratio of two numbers near zero does not explode.
    hysteresis : float
        Fraction of the ratio below which a paused modality resumes; 1 removes the gap between both thresholds.
    warmup : int
        Number of first probes in which no modality is paused.
    dwell : int
        Probes that a modality stays as it is after a change.
    max_pause : int, optional
        Probes after which a paused modality resumes whatever the ratio; None sets no limit.
    measure : {"uniqueness", "information"}
        What is compared: U_m, or all that m knows, ``I(Y; X_m) = R_m + U_m``, which ignores the overlap (a control).
    max_pauses : int, optional
        Joint training starts at the latest when stage 1 has had this many pauses; the paper's script allows two. By
        default there is no limit.

    Notes
    -----
    In stage 1 the encoders share nothing, so a pause does not help the weaker one; it only keeps the stronger one from
    being far ahead when joint training starts. A modality that really knows more keeps its lead for good, and an
    endless pause then starves it. docs/two-stage.md says what that costs. Hence `max_pause`.

    No modality is paused or resumed at a probe in which any unique information is not a finite number.
    """

    ratio: float = 3.0
    floor: float = 0.05
    hysteresis: float = 0.7
    warmup: int = 2
    dwell: int = 2
    max_pause: int | None = 2
    measure: str = "uniqueness"

    def __post_init__(self):
        super().__post_init__()
        _validate.number(self.ratio, "ratio", low=1)
        _validate.number(self.floor, "floor", low=0, open_low=True)
        _validate.number(self.hysteresis, "hysteresis", low=0, high=1, open_low=True)
        _validate.number(self.warmup, "warmup", low=0, integer=True)
        _validate.number(self.dwell, "dwell", low=0, integer=True)
        if self.max_pause is not None:
            _validate.number(self.max_pause, "max_pause", low=1, integer=True)
        _validate.choice(self.measure, "measure", MEASURES)

    def decide(self, record: RunRecord) -> list[Decision]:
        """Compare each modality with the one that has the least unique information; resumes come before pauses."""
        probes = one_per_epoch(record.probes())
        if len(probes) <= self.warmup:
            return []
        now, decisions = probes[-1], []
        active = now.active
        for name, lead in self.leads(now).items():
            change = _last_change(record, name)
            waited = sum(probe.epoch > change["epoch"] for probe in probes) if change else len(probes)
            if waited < self.dwell:
                continue
            if active[name]:
                decision = self._pause(name, lead, now)
            elif change and change["source"] == "user":  # what the user paused stays paused
                continue
            else:
                decision = self._resume(name, lead, now, waited)
            if decision:
                decisions.append(decision)
        return sorted(decisions, key=lambda each: each.action == "pause")  # the last one that trains is never paused

    def leads(self, probe: Probe) -> dict[str, "Lead"]:
        """Return the lead of each modality over the weakest one; none where a value is not a finite number."""
        atoms, own = probe.unique, self._measured(probe)
        if not own or len(own) < len(atoms):
            return {}
        weakest = min(own, key=own.__getitem__)
        return {
            name: Lead(
                own=value,
                least=own[weakest],
                weakest=weakest,
                ratio=value / max(own[weakest], self.floor),
                noise=atoms[name].noise_of_difference(atoms[weakest]),
            )
            for name, value in own.items()
        }

    def is_ahead(self, probe: Probe, name: str, lead: "Lead") -> bool:
        """Return whether a lead is above the ratio and beyond the noise and, where held-out scores can say, proven."""
        doubtful = self.measure == "uniqueness" and probe.is_held_out and not probe.unique[name].proven
        return not doubtful and lead.bits > lead.noise and lead.ratio > self.ratio

    def _measured(self, probe: Probe) -> dict[str, float]:
        """Return what is compared, of the modalities of which it is a finite number."""
        own = {name: atom.value for name, atom in probe.unique.items() if atom.is_known}
        if self.measure == "information":
            own = {name: probe.information(name) for name in own}
        return {name: value for name, value in own.items() if value is not None and isfinite(value)}

    def _pause(self, name: str, lead: "Lead", now: Probe) -> Decision | None:
        """Return a pause if an active modality runs too far ahead."""
        if not self.is_ahead(now, name, lead):
            return None
        why = f"{self._compare(name, lead)}: ratio {lead.ratio:.1f} is above {self.ratio:g}"
        return self._change("pause", name, why, now, self._values(lead, self.ratio))

    def _resume(self, name: str, lead: "Lead", now: Probe, waited: int) -> Decision | None:
        """Return a resume if a paused modality has waited long enough."""
        bar, text = self.hysteresis * self.ratio, self._compare(name, lead)
        values = self._values(lead, bar)
        if lead.ratio < bar:
            return self._change("resume", name, f"{text}: ratio {lead.ratio:.1f} is below {bar:.1f}", now, values)
        if lead.bits <= lead.noise:
            why = f"{text}: the lead is within its noise of {lead.noise:.2f} bit"
            return self._change("resume", name, why, now, values)
        if self.max_pause is not None and waited >= self.max_pause:
            why = f"{text}; the pause has lasted {waited} probes, the most allowed"
            values |= {"probes": waited, "max_pause": self.max_pause}
            return self._change("resume", name, why, now, values, rule="max_pause")
        return None

    def _compare(self, name: str, lead: "Lead") -> str:
        other = "the least" if lead.weakest == name else f"{lead.weakest} {lead.least:.2f}"
        return f"{name} has {lead.own:.2f} bit of {MEASURES[self.measure]}, {other}"

    def _values(self, lead: "Lead", threshold: float) -> dict[str, Value]:
        own = "unique" if self.measure == "uniqueness" else "information"
        return {own: lead.own, "least": lead.least, "weakest": lead.weakest} | {
            "ratio": lead.ratio, "threshold": threshold, "lead": lead.bits, "noise": lead.noise
        }  # fmt: skip

    @staticmethod
    def _change(
        action: str, modality: str, reason: str, now: Probe, values: dict[str, Value], rule: str = "uniqueness_ratio"
    ) -> Decision:
        return Decision(action=action, reason=reason, epoch=now.epoch, modality=modality, rule=rule, values=values)


@dataclass(frozen=True, kw_only=True)
class Lead:
    """How far a modality is ahead of the weakest one: what both have, in bits, their ratio, and the noise."""

    own: float
    least: float
    weakest: str
    ratio: float
    noise: float

    @property
    def bits(self) -> float:
        """The difference, in bits."""
        return self.own - self.least


def _last_change(record: RunRecord, modality: str) -> dict | None:
    """Return the latest decision that paused or resumed a modality."""
    for row in reversed(record.lineage("decision")):
        if row["modality"] == modality and row["action"] in ("pause", "resume"):
            return row
    return None

"""The balance controller: pause the modality that runs ahead, resume it, start joint training. A pure function.

It reads the record and returns decisions; the trainer obeys. Nothing is remembered between two calls, so the same
record always gives the same decisions, and a recorded run can be asked what other settings would have done.
"""

from dataclasses import dataclass, field

from mmpid import _validate
from mmpid.errors import ConfigError
from mmpid.train.decision import Decision, noise_of_difference
from mmpid.train.rules import RULES, PeakSynergy, RedundancyPlateau, SwitchRule


@dataclass(frozen=True, kw_only=True)
class BalanceController:
    """Pause the modality whose unique information runs ahead, and switch to joint training when the rule says so.

    With U_m the unique information of modality m (bits), an active m is paused when
    ``U_m / max(min_j U_j, floor) > uniqueness_ratio`` and the difference exceeds its 95 % noise; it is resumed when
    the ratio is below ``hysteresis * uniqueness_ratio``, or when the difference is within the noise. What the user
    paused by hand stays paused.

    Parameters
    ----------
    rule : SwitchRule
        When to start joint training.
    uniqueness_ratio : float
        Ratio above which a modality is ahead; 3 in the paper.
    floor : float
        Smallest denominator in bits, so that the ratio of two numbers near zero does not explode.
    hysteresis : float
        Fraction of the ratio below which a paused modality resumes; 1 removes the gap between both thresholds.
    warmup : int
        First probes in which nobody is paused.
    dwell : int
        Probes that a modality stays as it is after a change.

    Notes
    -----
    A pause is meant to give the weaker encoder time. On held-out data a modality that really knows more keeps its
    lead for good; then the pause only costs it updates, and :class:`FixedEpoch` without pauses is the control.

    Examples
    --------
    >>> from mmpid.train import RunRecord
    >>> row = dict(segment=0, stage="unimodal", step=0, redundancy=.1, synergy=.1, unique2=.05)
    >>> record = RunRecord({"modalities": ["audio", "image"]})
    >>> for epoch in range(4):
    ...     _ = record.append("probe", epoch=epoch, unique1=0.3 * epoch, **row)
    >>> [(d.action, d.modality) for d in BalanceController().decide(record)]
    [('pause', 'audio'), ('hold', '')]
    """

    rule: SwitchRule = field(default_factory=RedundancyPlateau)
    uniqueness_ratio: float = 3.0
    floor: float = 0.05
    hysteresis: float = 0.7
    warmup: int = 2
    dwell: int = 1

    def __post_init__(self):
        if not isinstance(self.rule, SwitchRule):
            raise ConfigError(
                f"`rule` must be a SwitchRule such as RedundancyPlateau() or PeakSynergy(); it was {self.rule!r}."
            )
        _validate.number(self.uniqueness_ratio, "uniqueness_ratio", low=1)
        _validate.number(self.floor, "floor", low=0, open_low=True)
        _validate.number(self.hysteresis, "hysteresis", low=0, high=1, open_low=True)
        _validate.number(self.warmup, "warmup", low=0, integer=True)
        _validate.number(self.dwell, "dwell", low=0, integer=True)

    def decide(self, record) -> list[Decision]:
        """Return the decisions after the latest probe: pauses and resumes first, then the rule's."""
        probes = record.lineage("probe")
        if not probes:
            return []
        decisions = self._balance(record, probes)
        if probes[-1]["stage"] == "unimodal":
            decisions.append(self._switch(record, probes[-1]))
        return decisions

    def _switch(self, record, probe: dict) -> Decision:
        """Ask the rule; stage 1 also ends when its epochs are used up."""
        decision = self.rule.decide(record)
        limit = record.card.get("settings", {}).get("unimodal_epochs")
        if decision.action == "hold" and limit is not None and probe["epoch"] >= limit:
            best = self.rule.best(record) or probe
            return Decision(
                action="switch",
                reason=f"stage 1 has used its {limit} epochs ({decision.reason})",
                epoch=probe["epoch"],
                rule="unimodal_epochs",
                rewind_to=best["epoch"],
            )
        return decision

    def _balance(self, record, probes: list[dict]) -> list[Decision]:
        """Compare each modality with the one that has the least unique information."""
        names = record.card["modalities"]
        now = probes[-1]
        if len(probes) <= self.warmup:
            return []
        unique = {name: f"unique{i}" for i, name in enumerate(names, start=1)}
        weakest = min(names, key=lambda name: now[unique[name]])
        decisions = []
        for name in names:
            change = _last_change(record, name)
            if change and sum(probe["epoch"] > change["epoch"] for probe in probes) < self.dwell:
                continue
            decision = self._judge(now, name, weakest, unique)
            by_hand = bool(change) and change["source"] == "user"
            if decision and not (decision.action == "resume" and by_hand):  # what the user paused stays paused
                decisions.append(decision)
        return decisions

    def _judge(self, now: dict, name: str, weakest: str, unique: dict[str, str]) -> Decision | None:
        """Pause, resume or leave one modality."""
        own, least = now[unique[name]], now[unique[weakest]]
        ratio = own / max(least, self.floor)
        noise = noise_of_difference(now, unique[name], now, unique[weakest])
        ahead = name != weakest and own - least > noise
        active = now.get(f"active.{name}", True)
        text = f"{name} has {own:.2f} bit of unique information, {weakest} {least:.2f}"
        if active and ahead and ratio > self.uniqueness_ratio:
            reason = f"{text}: ratio {ratio:.1f} is above {self.uniqueness_ratio:g}"
            return Decision(action="pause", reason=reason, epoch=now["epoch"], modality=name, rule="uniqueness_ratio")
        resume_at = self.hysteresis * self.uniqueness_ratio
        if not active and (not ahead or ratio < resume_at):
            why = (
                f"ratio {ratio:.1f} is below {resume_at:.1f}"
                if ahead
                else f"the lead is within its noise of {noise:.2f}"
            )
            reason = f"{text}: {why}"
            return Decision(action="resume", reason=reason, epoch=now["epoch"], modality=name, rule="uniqueness_ratio")
        return None

    def to_dict(self) -> dict:
        """Return the settings as plain JSON values."""
        return {
            "rule": self.rule.to_dict(),
            "uniqueness_ratio": self.uniqueness_ratio,
            "floor": self.floor,
            "hysteresis": self.hysteresis,
            "warmup": self.warmup,
            "dwell": self.dwell,
        }

    @classmethod
    def from_dict(cls, values: dict) -> "BalanceController":
        """Return a controller from :meth:`to_dict`; a rule of your own must be passed as an object instead."""
        rule = dict(values["rule"])
        kind = RULES[_validate.choice(rule.pop("name"), "rule", RULES)]
        return cls(**{**values, "rule": kind(**rule)})


def _last_change(record, modality: str) -> dict | None:
    """Return the latest decision that paused or resumed a modality."""
    changes = [
        row
        for row in record.lineage("decision")
        if row["modality"] == modality and row["action"] in ("pause", "resume")
    ]
    return changes[-1] if changes else None


def default_controller(preset: str) -> BalanceController:
    """Return our controller, or the paper's: no noise, no floor to speak of, no hysteresis, synergy's peak."""
    if preset != "paper":
        return BalanceController()
    rule = PeakSynergy(drop=0.8, warmup=0, noise_aware=False)
    return BalanceController(rule=rule, uniqueness_ratio=3.0, floor=1e-9, hysteresis=1.0, warmup=0, dwell=0)

"""The balance controller: pause the modality that runs ahead, resume it, start joint training. A pure function.

It reads the record and returns decisions; the trainer obeys. Nothing is remembered between two calls, so the same
record always gives the same decisions, and a recorded run can be asked what other settings would have done.
"""

from dataclasses import dataclass, field, fields
from math import isfinite

from mmpid import _validate
from mmpid.errors import ConfigError
from mmpid.rules.decision import Decision, noise_of_difference, one_per_epoch
from mmpid.rules.give_up import nothing_to_teach, was_overruled
from mmpid.rules.switch import RULES, PeakSynergy, RedundancyPlateau, SwitchRule

MEASURES = {"uniqueness": "unique information", "information": "information"}  # what is compared, and its name


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
    max_pause : int
        Probes after which a paused modality resumes whatever the ratio.
    measure : {"uniqueness", "information"}
        What is compared: U_m, or all that m knows, ``I(Y; X_m) = R_m + U_m``, which sees no overlap (a control).
    max_reversals : int, optional
        Joint training starts at the latest at the probe with so many pauses of stage 1, that probe's included, as
        the paper's script does after two; by default pauses end nothing. Pauses by hand do not count, and those of
        several modalities at one probe count once.
    give_up_after : int, optional
        Probes in a row that find that no modality knows the label alone, after which stage 1 is given up: joint
        training starts from the untrained encoders, from scratch. None never gives up.

    Notes
    -----
    In stage 1 the encoders share nothing, so a pause does not help the weaker one; it only keeps the stronger one from
    being far ahead when joint training starts. A modality that really knows more keeps its lead for good, and a pause
    without end then starves it: docs/two-stage.md has what that costs. Hence `max_pause`; with a very large
    `uniqueness_ratio` nobody is ever paused, which is the control.

    Where the target needs several modalities at once, stage 1 has nothing to teach, and the state in which it leaves
    the encoders is a worse start than none. Such a probe has redundancy and every unique information within what
    shuffled labels give, which must have been measured (`n_null`); besides, no unimodal validation loss may ever have
    been below that of the class frequencies (``metadata["data"]["prior_loss"]``), nor still be falling. Stage 1 is
    not given up with a rule that says itself when joint training starts (:class:`Manual`, :class:`FixedEpoch`), with
    frozen encoders, while somebody is paused, nor again once the user has gone back behind it.

    Examples
    --------
    >>> from mmpid import RunRecord
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
    dwell: int = 2
    max_pause: int = 2
    measure: str = "uniqueness"
    max_reversals: int | None = None
    give_up_after: int | None = 5

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
        _validate.number(self.max_pause, "max_pause", low=1, integer=True)
        _validate.choice(self.measure, "measure", MEASURES)
        for name in ("max_reversals", "give_up_after"):
            if getattr(self, name) is not None:
                _validate.number(getattr(self, name), name, low=1, integer=True)

    def decide(self, record) -> list[Decision]:
        """Return the decisions after the latest probe: resumes, pauses, then the rule's, unless stage 1 is given up."""
        probes = record.lineage("probe")
        if not probes:
            return []
        if probes[-1]["stage"] == "unimodal" and (given_up := self._give_up(record, probes[-1])):
            return [given_up]
        decisions = self._balance(record, one_per_epoch(probes))
        if probes[-1]["stage"] == "unimodal":
            decisions.append(self._switch(record, probes[-1], decisions))
        return decisions

    def _give_up(self, record, probe: dict) -> Decision | None:
        """Start joint training from scratch where stage 1 has nothing to teach, or return None."""
        frozen = record.metadata.get("settings", {}).get("freeze_encoders", False)
        if self.give_up_after is None or not self.rule.adaptive or frozen:
            return None
        why = nothing_to_teach(record, self.give_up_after)
        if why is None or was_overruled(record):
            return None
        return Decision(
            action="switch",
            reason=f"{why}, so joint training starts from scratch: a random joint head, the full learning rate",
            epoch=probe["epoch"],
            rule="give_up_after",
            rewind_to=0,
            from_scratch=True,
        )

    def _switch(self, record, probe: dict, changes: list[Decision]) -> Decision:
        """Ask the rule; stage 1 also ends when its epochs are used up, or when it has seen enough pauses."""
        decision = self.rule.decide(record)
        end = self._end_of_stage_one(record, probe, changes) if decision.action == "hold" else None
        if end is None:
            return decision
        rule, why = end
        best = self.rule.best(record) or probe
        return Decision(
            action="switch",
            reason=f"stage 1 has {why} ({decision.reason})",
            epoch=probe["epoch"],
            rule=rule,
            rewind_to=best["epoch"],
        )

    def _end_of_stage_one(self, record, probe: dict, changes: list[Decision]) -> tuple[str, str] | None:
        """Say what ends stage 1 although the rule holds, or None."""
        limit = record.metadata.get("settings", {}).get("unimodal_epochs")
        if limit is not None and probe["epoch"] >= limit:
            return "unimodal_epochs", f"used its {limit} epochs"
        if self.max_reversals is not None:
            n = _count_pauses(record, changes)
            if n >= self.max_reversals:
                return "max_reversals", f"seen {n} {'pause' if n == 1 else 'pauses'}, the most allowed"
        return None

    def _balance(self, record, probes: list[dict]) -> list[Decision]:
        """Compare each modality with the one that has the least unique information; resumes come before pauses."""
        if len(probes) <= self.warmup:
            return []
        now = probes[-1]
        standing = self._standing(record.metadata["modalities"], now)
        decisions = []
        for name, lead in standing.items():
            change = _last_change(record, name)
            waited = sum(probe["epoch"] > change["epoch"] for probe in probes) if change else len(probes)
            if waited < self.dwell:
                continue
            if now.get(f"active.{name}", True):
                answer = self._should_pause(lead)
            elif change and change["source"] == "user":  # what the user paused stays paused
                continue
            else:
                answer = self._should_resume(lead, name, waited)
            if answer:
                action, rule, why = answer
                decisions.append(Decision(action=action, reason=why, epoch=now["epoch"], modality=name, rule=rule))
        return sorted(decisions, key=lambda each: each.action == "pause")  # the last one that trains is never paused

    def _should_pause(self, lead: "_Lead") -> tuple[str, str, str] | None:
        """Say why an active modality runs too far ahead, or None."""
        if lead.bits > lead.noise and lead.ratio > self.uniqueness_ratio:
            why = f"{lead.text}: ratio {lead.ratio:.1f} is above {self.uniqueness_ratio:g}"
            return "pause", "uniqueness_ratio", why
        return None

    def _should_resume(self, lead: "_Lead", name: str, waited: int) -> tuple[str, str, str] | None:
        """Say why a paused modality has waited long enough, or None."""
        bar = self.hysteresis * self.uniqueness_ratio
        if lead.ratio < bar:
            return "resume", "uniqueness_ratio", f"{lead.text}: ratio {lead.ratio:.1f} is below {bar:.1f}"
        if lead.bits <= lead.noise:
            return "resume", "uniqueness_ratio", f"{lead.text}: the lead is within its noise of {lead.noise:.2f} bit"
        if waited >= self.max_pause:
            why = f"{lead.text}, but {name} has been paused for {waited} probes, the most allowed"
            return "resume", "max_pause", why
        return None

    def _standing(self, names: list[str], now: dict) -> dict[str, "_Lead"]:
        """Return the lead of each modality over the one that has the least; nobody's where a value is not a number."""
        unique = {name: f"unique{i}" for i, name in enumerate(names, start=1)}
        values = {name: now[key] for name, key in unique.items()}
        if self.measure == "information":
            values = {name: x + now.get(f"redundancy.{name}", now["redundancy"]) for name, x in values.items()}
        if not all(map(isfinite, values.values())):
            return {}
        least = min(values, key=values.__getitem__)
        what = MEASURES[self.measure]
        return {
            name: _Lead(
                ratio=own / max(values[least], self.floor),
                bits=own - values[least],
                noise=noise_of_difference(now, unique[name], now, unique[least]),
                text=f"{name} has {own:.2f} bit of {what}, {least} {values[least]:.2f}",
            )
            for name, own in values.items()
        }

    def to_dict(self) -> dict:
        """Return the settings as plain JSON values."""
        own = {} if type(self) is BalanceController else {"kind": type(self).__name__}
        return own | {
            "rule": self.rule.to_dict(),
            "uniqueness_ratio": self.uniqueness_ratio,
            "floor": self.floor,
            "hysteresis": self.hysteresis,
            "warmup": self.warmup,
            "dwell": self.dwell,
            "max_pause": self.max_pause,
            "measure": self.measure,
            **({} if self.max_reversals is None else {"max_reversals": self.max_reversals}),
            "give_up_after": self.give_up_after,
        }

    @classmethod
    def from_dict(cls, values: dict) -> "BalanceController":
        """Return a controller from :meth:`to_dict`; a rule of your own must be passed as an object instead.

        One that was saved before stage 1 could be given up never gives it up.
        """
        rule = dict(values["rule"])
        for kind, name in (("controller", values.get("kind")), ("rule", rule["name"])):
            if name not in (None, *RULES):
                raise ConfigError(
                    f"the run used a {kind} of its own, {name!r}; pass `controller=` made as it was then."
                )
        unknown = sorted(set(values) - {f.name for f in fields(cls)})
        if unknown:
            raise ConfigError(f"the saved controller has fields unknown to this version: {unknown}. Update mmpid.")
        made = RULES[rule.pop("name")](**rule)
        return cls(**{"give_up_after": None, **values, "rule": made})


@dataclass(frozen=True, kw_only=True)
class _Lead:
    """How far a modality is ahead of the weakest: as a ratio, in bits, with the noise of these, and in words."""

    ratio: float
    bits: float
    noise: float
    text: str


def _last_change(record, modality: str) -> dict | None:
    """Return the latest decision that paused or resumed a modality."""
    changes = [
        row
        for row in record.lineage("decision")
        if row["modality"] == modality and row["action"] in ("pause", "resume")
    ]
    return changes[-1] if changes else None


def _count_pauses(record, changes: list[Decision]) -> int:
    """Return at how many probes of stage 1 a controller has paused someone, those of `changes` included."""
    rows = record.lineage("decision", stage="unimodal")
    epochs = {row["epoch"] for row in rows if row["action"] == "pause" and row["source"] == "controller"}
    return len(epochs | {change.epoch for change in changes if change.action == "pause"})


def check_controller(controller, name: str = "controller") -> BalanceController:
    """Return a controller; a bare rule is the likely mistake."""
    hint = "For example BalanceController(rule=RedundancyPlateau())."
    if isinstance(controller, SwitchRule):
        hint = f"Wrap it: BalanceController(rule={controller!r})."
    return _validate.instance(controller, name, BalanceController, "a BalanceController", hint)


def default_controller(preset: str) -> BalanceController:
    """Return our controller, or the paper's: no noise, floor or hysteresis, synergy's peak, two pauses at the most.

    The probe of the untrained network, which a script that probes every so many epochs has not, decides nothing there.
    """
    if preset != "paper":
        return BalanceController()
    rule = PeakSynergy(drop=0.8, warmup=1, noise_aware=False)
    return BalanceController(
        rule=rule, uniqueness_ratio=3.0, floor=1e-9, hysteresis=1.0, warmup=1, dwell=0, max_pause=10**9,
        max_reversals=2, give_up_after=None,
    )  # fmt: skip

"""The balance controller: a switch rule, a pause policy and a give-up rule, asked after every probe.

It reads the record and returns decisions; the trainer carries them out. Nothing is remembered between two calls, so
the same record always gives the same decisions, and a recorded run can be asked what others would have decided.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from mmpid import _validate
from mmpid.errors import ConfigError
from mmpid.rules.base import GiveUpRule, Part, PausePolicy, SwitchRule, qualified_name
from mmpid.rules.decision import Decision
from mmpid.rules.give_up import NothingLearned
from mmpid.rules.lead_pause import LeadPause
from mmpid.rules.peak import PeakSynergy
from mmpid.rules.plateau import RedundancyPlateau
from mmpid.rules.registry import KINDS, load_part, refuse_clash, refuse_own, upgrade
from mmpid.rules.released import FallenSynergy, PauseForGood
from mmpid.runs.probe import Probe
from mmpid.runs.record import RunRecord

EXAMPLES = {"rule": "RedundancyPlateau()", "pause": "LeadPause() or None", "give_up": "NothingLearned() or None"}


@dataclass(frozen=True, kw_only=True)
class BalanceController:
    """Pause the modality that runs ahead, and start joint training when the rule says so.

    Parameters
    ----------
    rule : SwitchRule
        When joint training starts.
    pause : PausePolicy or None
        Which encoders are paused and resumed; None pauses no encoder.
    give_up : GiveUpRule or None
        When stage 1 is given up; None never gives it up.

    Raises
    ------
    ConfigError
        A part is of the wrong kind, or a class of yours has the name of a built-in one.

    Notes
    -----
    Each part is one class, and your own class can replace a built-in one. A run saves your own parts by name
    only: pass `controller=` to :meth:`Trainer.load`.

    Stage 1 also ends after `unimodal_epochs`, and at the probe with as many pauses as ``pause.max_pauses`` allows. It
    is not given up with a rule that says itself when joint training starts (:class:`Manual`, :class:`FixedEpoch`), with
    frozen encoders, or again after the user has gone back to a point before it.

    Examples
    --------
    >>> from mmpid import RunRecord
    >>> row = dict(segment=0, stage="unimodal", step=0, redundancy=.1, synergy=.1, unique2=.05)
    >>> record = RunRecord({"modalities": ["audio", "image"]})
    >>> for epoch in range(4):
    ...     _ = record.append("probe", epoch=epoch, unique1=0.3 * epoch, **row)
    >>> [(d.action, d.modality) for d in BalanceController().decide(record)]
    [('pause', 'audio'), ('hold', '')]
    >>> [(d.action, d.modality) for d in BalanceController(pause=None).decide(record)]
    [('hold', '')]
    """

    rule: SwitchRule = field(default_factory=RedundancyPlateau)
    pause: PausePolicy | None = field(default_factory=LeadPause)
    give_up: GiveUpRule | None = field(default_factory=NothingLearned)

    def __post_init__(self):
        for argument, kind in KINDS.items():
            part = getattr(self, argument)
            if part is None and argument != "rule":
                continue
            if not isinstance(part, kind):
                raise ConfigError(
                    f"`{argument}` must be a {kind.__name__} such as {EXAMPLES[argument]}; it was {part!r}."
                )
            refuse_clash(part, argument)
        if type(self).__name__ == "BalanceController" and type(self) is not BalanceController:
            raise ConfigError(f"rename your class {qualified_name(type(self))}: mmpid has a BalanceController already.")

    def decide(self, record: RunRecord) -> list[Decision]:
        """Return the decisions after the latest probe: resumes, pauses, then the rule's, unless stage 1 is given up."""
        probes = record.probes()
        if not probes:
            return []
        now = probes[-1]
        alone = now.stage == "unimodal"
        if alone and (given_up := self._give_up(record)):
            return [given_up]
        decisions = [] if self.pause is None else self._ask_pause(self.pause, record, now)
        if alone:
            decisions.append(self._switch(record, now, decisions))
        return decisions

    def best(self, record: RunRecord) -> Probe | None:
        """Return the probe whose state joint training should start from, or None while there is none."""
        best = self.rule.best(record)
        hint = "Return one of self.probes(record), or None."
        where = f"{self.rule.name}.best(record)"
        return None if best is None else _validate.instance(best, where, Probe, "a Probe or None", hint)

    def _ask_pause(self, policy: PausePolicy, record: RunRecord, now: Probe) -> list[Decision]:
        """Return the pauses and resumes of the policy."""
        answers, where = policy.decide(record), f"{policy.name}.decide(record)"
        _validate.instance(answers, where, Sequence, "a list of decisions", "Return [] for no change.")
        for answer in answers:
            _check_decision(answer, policy, ("pause", "resume"))
            _validate.choice(answer.modality, f"{where}: modality", now.modalities)
        return list(answers)

    def _give_up(self, record: RunRecord) -> Decision | None:
        """Return the decision that gives stage 1 up, or None."""
        frozen = record.metadata.get("settings", {}).get("freeze_encoders", False)
        if self.give_up is None or not self.rule.adaptive or frozen:
            return None
        answer = self.give_up.decide(record)
        if answer is None or _was_overruled(record):
            return None
        return _check_decision(answer, self.give_up, ("switch",))

    def _switch(self, record: RunRecord, now: Probe, changes: list[Decision]) -> Decision:
        """Ask the rule; stage 1 also ends when its epochs are used up, or when it has seen enough pauses."""
        decision = _check_decision(self.rule.decide(record), self.rule, ("hold", "switch"))
        end = self._end_of_stage_one(record, now, changes) if decision.action == "hold" else None
        if end is None:
            return decision
        rule, why, values = end
        best = self.best(record) or now
        return Decision(
            action="switch",
            reason=f"stage 1 has {why} ({decision.reason})",
            epoch=now.epoch,
            rule=rule,
            rewind_to=best.epoch,
            values={**decision.values, **values},
        )

    def _end_of_stage_one(
        self, record: RunRecord, now: Probe, changes: list[Decision]
    ) -> tuple[str, str, dict[str, int]] | None:
        """Return what ends stage 1 although the rule holds: its name, words and values; or None."""
        limit = record.metadata.get("settings", {}).get("unimodal_epochs")
        if limit is not None and now.epoch >= limit:
            return "unimodal_epochs", f"used its {limit} epochs", {"epoch": now.epoch, "unimodal_epochs": limit}
        most = None if self.pause is None else self.pause.max_pauses
        if most is not None and (n := _count_pauses(record, changes)) >= most:
            why = f"seen {n} {'pause' if n == 1 else 'pauses'}, the most allowed"
            return "max_reversals", why, {"pauses": n, "max_pauses": most}
        return None

    def to_dict(self) -> dict[str, Any]:
        """Return the parts, each by module-qualified name with its settings, as plain JSON values."""
        parts = {name: getattr(self, name) for name in KINDS}
        saved = {name: None if part is None else part.to_dict() for name, part in parts.items()}
        return {"class": qualified_name(type(self)), **saved}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "BalanceController":
        """Return a controller from :meth:`to_dict`, of this version or an older one.

        Only built-in parts can be made again; one of your own must be passed as an object instead.
        """
        saved = upgrade(_validate.instance(values, "values", Mapping, "a mapping", "Pass what to_dict() returned."))
        kind = saved.pop("class", None)
        if kind not in (None, qualified_name(BalanceController)):
            refuse_own(kind, "controller")
            raise ConfigError(f"the saved controller {kind!r} is unknown to this version. Update mmpid.")
        unknown = sorted(set(saved) - {each.name for each in fields(BalanceController)})
        if unknown:
            raise ConfigError(f"the saved controller has fields unknown to this version: {unknown}. Update mmpid.")
        parts: dict[str, Any] = {name: load_part(part, name) for name, part in saved.items()}
        return cls(**parts)


def check_controller(controller, name: str = "controller") -> BalanceController:
    """Return a controller; a bare part is the likely mistake."""
    hint = "For example BalanceController(rule=RedundancyPlateau())."
    for argument, kind in KINDS.items():
        if isinstance(controller, kind):
            hint = f"Wrap it: BalanceController({argument}={controller!r})."
    return _validate.instance(controller, name, BalanceController, "a BalanceController", hint)


def default_controller(preset: str, variant: str | None = None) -> BalanceController:
    """Return our controller, or the paper's: no noise, floor or hysteresis, the synergy peak, at most two pauses.

    The probe of the untrained network, which a script that probes only between epochs lacks, decides nothing there.
    In the variant "released" it resumes no modality and never rewinds.
    """
    if preset != "paper":
        return BalanceController()
    if variant == "released":
        return BalanceController(rule=FallenSynergy(), pause=PauseForGood(), give_up=None)
    return BalanceController(
        rule=PeakSynergy(drop=0.8, warmup=1, noise_aware=False),
        pause=LeadPause(ratio=3.0, floor=1e-9, hysteresis=1.0, warmup=1, dwell=0, max_pause=None, max_pauses=2),
        give_up=None,
    )


def _check_decision(answer, part: Part, actions: tuple[str, ...]) -> Decision:
    """Return what a part answered if it is a decision that this kind of part may make."""
    where = f"{part.name}.decide(record)"
    _validate.instance(answer, where, Decision, "a Decision", "Return what self.hold or self.switch returns.")
    _validate.choice(answer.action, f"{where}: action", actions)
    return answer


def _count_pauses(record: RunRecord, changes: list[Decision]) -> int:
    """Return at how many probes of stage 1 a controller has paused someone, those of `changes` included."""
    rows = record.lineage("decision", stage="unimodal")
    epochs = {row["epoch"] for row in rows if row["action"] == "pause" and row["source"] == "controller"}
    return len(epochs | {change.epoch for change in changes if change.action == "pause"})


def _was_overruled(record: RunRecord) -> bool:
    """Whether the user went back after a controller had given stage 1 up; this is often in a discarded future."""
    given_up = False
    for row in record.rows:
        if row["kind"] == "decision":
            given_up = given_up or (row["source"] == "controller" and row.get("from_scratch", False))
            if given_up and row["source"] == "user" and row["action"] == "rewind":
                return True
    return False

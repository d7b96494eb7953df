"""Switch rules: when should joint training start? Each is a pure function of the record.

A rule sees the probes of stage 1 and returns a :class:`~mmpid.rules.decision.Decision`, so the rule that ran and any
other one can be asked again later, on the same record, without training (:func:`mmpid.replay`).
"""

from dataclasses import asdict, dataclass, fields
from math import isfinite
from typing import ClassVar

from mmpid import _validate
from mmpid.rules.decision import Decision, half_width, is_known, noise_of_difference, one_per_epoch, unique_values


@dataclass(frozen=True, kw_only=True)
class SwitchRule:
    """Base of the rules; a rule of your own overrides :meth:`decide`, and :meth:`best` if it rewinds.

    No rule acts on an atom that is not a number: it holds, and says so.

    Examples
    --------
    >>> @dataclass(frozen=True, kw_only=True)
    ... class FirstProbe(SwitchRule):
    ...     def decide(self, record):
    ...         return self.switch(self.probes(record)[-1], "one probe is enough")
    """

    name: ClassVar[str] = ""
    adaptive: ClassVar[bool] = True  # False where joint training starts when it was told to, whatever is measured

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        cls.name = cls.__dict__.get("name") or cls.__name__  # never that of the rule it is derived from

    def decide(self, record) -> Decision:
        """Return a decision ("switch" or "hold") after the latest probe of `record`."""
        return self.hold(self.probes(record), "the switch is made by hand")

    def best(self, record) -> dict | None:
        """Return the probe row whose state joint training should start from, or None while there is none.

        It is the latest probe whose redundancy is within its noise of the highest: what is equal to the best, as far
        as one can tell, and has been trained longest.
        """
        probes = [probe for probe in self.probes(record) if is_known(probe, "redundancy")]
        if not probes:
            return None
        peak = max(probes, key=lambda p: p["redundancy"])
        return next(p for p in reversed(probes) if peak["redundancy"] - p["redundancy"] <= _noise_of_fall(peak, p))

    @staticmethod
    def probes(record) -> list[dict]:
        """Return the probe rows of stage 1 on the present path, in order, one an epoch."""
        return one_per_epoch(record.lineage("probe", stage="unimodal"))

    def hold(self, probes: list[dict], reason: str) -> Decision:
        """Return a decision to go on with stage 1."""
        return Decision(action="hold", reason=reason, epoch=probes[-1]["epoch"] if probes else 0, rule=self.name)

    def hold_unknown(self, probes: list[dict], what: str) -> Decision:
        """Return a decision to go on, because a measured value is not a number."""
        return self.hold(probes, f"{what} is not a number in a probe that counts; nothing is decided on it")

    def switch(self, probe: dict, reason: str, rewind_to: int | None = None) -> Decision:
        """Return a decision to start joint training."""
        return Decision(action="switch", reason=reason, epoch=probe["epoch"], rule=self.name, rewind_to=rewind_to)

    def to_dict(self) -> dict:
        """Return the rule's name and settings as plain JSON values."""
        return {"name": self.name, **asdict(self)}


@dataclass(frozen=True, kw_only=True)
class Manual(SwitchRule):
    """Never switch: the user presses the button."""

    adaptive: ClassVar[bool] = False


@dataclass(frozen=True, kw_only=True)
class FixedEpoch(SwitchRule):
    """Switch at a fixed epoch: the control that every adaptive rule has to beat."""

    adaptive: ClassVar[bool] = False

    epoch: int = 10

    def __post_init__(self):
        _validate.number(self.epoch, "epoch", low=0, integer=True)

    def decide(self, record) -> Decision:
        """Switch at the first probe at or after `epoch`."""
        probes = self.probes(record)
        if probes and probes[-1]["epoch"] >= self.epoch:
            return self.switch(probes[-1], f"epoch {self.epoch} is reached")
        return self.hold(probes, f"waiting for epoch {self.epoch}")

    def best(self, record) -> dict | None:
        """Return the latest probe: this rule never looks back."""
        probes = self.probes(record)
        return probes[-1] if probes else None


@dataclass(frozen=True, kw_only=True)
class PeakSynergy(SwitchRule):
    """Switch when synergy has fallen clearly below its peak, and start from the peak (arXiv 2509.20840).

    Switch at probe t when ``S_t < drop * max_s S_s`` and, with `noise_aware`, the fall is larger than the 95 %
    half-width of the difference.

    Parameters
    ----------
    drop : float
        Fraction of the peak below which synergy counts as fallen; .8 in the paper's script.
    warmup : int
        First probes to leave out: random features already cluster, so the first values mean little.
    noise_aware : bool
        Ask that the fall exceeds the noise and that synergy is identified at all; off reproduces the paper.

    Notes
    -----
    Plug-in synergy is mostly bias in small samples and falls as encoders sharpen: a peak seen there is an artifact.
    In the solvable model of :mod:`mmpid.theory` the peak comes earlier than the best hand-over.
    """

    drop: float = 0.8
    warmup: int = 2
    noise_aware: bool = True

    def __post_init__(self):
        _validate.number(self.drop, "drop", low=0, high=1, open_low=True)
        _validate.number(self.warmup, "warmup", low=0, integer=True)
        _validate.flag(self.noise_aware, "noise_aware")

    def decide(self, record) -> Decision:
        """Switch once synergy has fallen below `drop` times its peak by more than the noise."""
        probes = self.probes(record)
        seen = probes[self.warmup :]
        if len(seen) < 2:
            return self.hold(probes, f"warming up: {len(probes)} of {self.warmup + 2} probes")
        now, peak = seen[-1], self.best(record)
        if not is_known(now, "synergy"):
            return self.hold_unknown(probes, "synergy")
        if self.noise_aware and not now.get("synergy_identified", True):
            return self.hold(probes, f"synergy is not identified with {now.get('n_samples', '?')} samples")
        fall, noise = peak["synergy"] - now["synergy"], noise_of_difference(peak, "synergy", now, "synergy")
        text = f"synergy {now['synergy']:.2f} bit, peak {peak['synergy']:.2f} at epoch {peak['epoch']}"
        if now["synergy"] >= self.drop * peak["synergy"]:
            return self.hold(probes, f"{text}: above {self.drop:g} of the peak")
        if self.noise_aware and fall <= noise:
            return self.hold(probes, f"{text}: the fall is within its noise of {noise:.2f} bit")
        return self.switch(now, f"{text}: below {self.drop:g} of the peak", rewind_to=peak["epoch"])

    def best(self, record) -> dict | None:
        """Return the probe with the highest synergy after the warm-up."""
        probes = self.probes(record)
        seen = [probe for probe in probes[self.warmup :] or probes if is_known(probe, "synergy")]
        return max(seen, key=lambda p: p["synergy"]) if seen else None


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
        Also ask that the modalities' unique information differs by at most so many bits.
    min_share : float
        Share of the run's budget of epochs before which the rule never switches; 0 asks for the plateau alone.

    Notes
    -----
    In the solvable model of :mod:`mmpid.theory` the plateau marks the hand-over better than the synergy peak does. On
    real data it comes too early: on all five data sets that were swept, encoders that went on alone after it ended
    up better (docs/two-stage.md), because a few hundred probe samples cannot show their last gains. That is why the
    budget has a say.
    """

    patience: int = 5
    min_gain: float = 0.05
    warmup: int = 3
    max_gap: float | None = None
    min_share: float = 0.75

    def __post_init__(self):
        _validate.number(self.patience, "patience", low=1, integer=True)
        _validate.number(self.min_gain, "min_gain", low=0)
        _validate.number(self.warmup, "warmup", low=0, integer=True)
        _validate.number(self.min_share, "min_share", low=0, high=1)
        if self.max_gap is not None:
            _validate.number(self.max_gap, "max_gap", low=0)

    def decide(self, record) -> Decision:
        """Switch once redundancy gained less than its noise over `patience` probes, and enough was trained alone."""
        probes = self.probes(record)
        if len(probes) < self.warmup + self.patience + 1:
            return self.hold(probes, f"warming up: {len(probes)} of {self.warmup + self.patience + 1} probes")
        now, before = probes[-1], probes[-1 - self.patience]
        if not (is_known(now, "redundancy") and is_known(before, "redundancy")):
            return self.hold_unknown(probes, "redundancy")
        gain = now["redundancy"] - before["redundancy"]
        bar = max(self.min_gain, half_width(now, "redundancy"))
        text = f"redundancy {now['redundancy']:.2f} bit, {gain:+.2f} over {self.patience} probes"
        if gain >= bar:
            return self.hold(probes, f"{text}: still rising by more than {bar:.2f} bit")
        text = f"{text}: a plateau (less than {bar:.2f} bit)"
        budget = record.metadata.get("settings", {}).get("epochs")
        if budget and now["epoch"] < self.min_share * budget:
            wanted = f"{now['epoch']} of {budget} epochs are spent, {self.min_share:.0%} are wanted"
            return self.hold(probes, f"{text}, but only {wanted}")
        if self.max_gap is not None:
            unique = unique_values(now)
            gap = max(unique, default=0.0) - min(unique, default=0.0)
            if not all(map(isfinite, unique)):
                return self.hold_unknown(probes, "unique information")
            if gap > self.max_gap:
                return self.hold(probes, f"{text}, but unique information differs by {gap:.2f} bit")
        return self.switch(now, text, rewind_to=self.best(record)["epoch"])


def what_changed(before: SwitchRule, after: SwitchRule) -> str:
    """Return in words what a new rule changes: settings from -> to, or for a rule of another kind those it was given.

    Settings that are as they were, or as they are by default, are left out.

    Examples
    --------
    >>> what_changed(FixedEpoch(epoch=5), FixedEpoch(epoch=2))
    'FixedEpoch(epoch=5 -> 2)'
    >>> what_changed(FixedEpoch(epoch=5), PeakSynergy(drop=0.6))
    'FixedEpoch -> PeakSynergy(drop=0.6)'
    """
    now = {each.name: getattr(after, each.name) for each in fields(after)}
    if type(before) is type(after):
        old = {name: getattr(before, name) for name in now}
        changed = [f"{name}={old[name]!r} -> {x!r}" for name, x in now.items() if x != old[name]]
        return f"{after.name}({', '.join(changed)})"
    given = [f"{each.name}={now[each.name]!r}" for each in fields(after) if now[each.name] != each.default]
    return f"{before.name} -> {after.name}{'(' + ', '.join(given) + ')' if given else ''}"


def _noise_of_fall(peak: dict, probe: dict) -> float:
    """Return the 95 % half-width of the difference of two probes' redundancy, in bits; 0 for the peak itself."""
    return 0.0 if probe is peak else noise_of_difference(peak, "redundancy", probe, "redundancy")


RULES = {rule.name: rule for rule in (Manual, FixedEpoch, PeakSynergy, RedundancyPlateau)}

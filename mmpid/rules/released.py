"""The controller of the released script of arXiv 2509.20840, as it is: what it pauses, and when it starts stage 2."""

from dataclasses import dataclass

from mmpid import _validate
from mmpid.rules.base import PausePolicy, SwitchRule
from mmpid.rules.decision import Decision
from mmpid.runs.probe import Probe, one_per_epoch
from mmpid.runs.record import RunRecord


def counted(probes: list[Probe], warmup: int) -> list[Probe]:
    """Return the probes that the script looks at: where no later source is without unique information."""
    return [probe for probe in probes[warmup:] if all(u is not None and u > 0 for u in _unique(probe)[1:])]


def _unique(probe: Probe) -> list[float | None]:
    return [atom.value if atom.is_known else None for atom in probe.unique.values()]


@dataclass(frozen=True, kw_only=True)
class PauseForGood(PausePolicy):
    """Pause a modality whose unique information exceeds `ratio` times the least, and never resume it.

    Parameters
    ----------
    ratio : float
        3 in the script.
    warmup : int
        Number of first probes in which no modality is paused.
    max_pauses : int, optional
        Stage 1 ends at the probe with this many pauses. None is resumed, so the second is that of another modality.

    Notes
    -----
    A probe in which the second source has no unique information is skipped, as in the script. There a first source
    with exactly none stops the program; here it is nobody's lead.
    """

    ratio: float = 3.0
    warmup: int = 1
    max_pauses: int | None = 2

    def __post_init__(self):
        super().__post_init__()
        _validate.number(self.ratio, "ratio", low=1)
        _validate.number(self.warmup, "warmup", low=0, integer=True)

    def decide(self, record: RunRecord) -> list[Decision]:
        """Pause the modality that is ahead at the latest probe."""
        probes = one_per_epoch(record.probes("unimodal"))
        now = probes[-1] if probes else None
        if now is None or now not in counted(probes, self.warmup):
            return []
        unique = {name: atom.value or 0.0 for name, atom in now.unique.items()}
        weakest = min(unique, key=lambda name: unique[name])
        return [
            self._pause(name, unique[name], weakest, unique[weakest], now)
            for name in unique
            if now.active[name] and unique[weakest] > 0 and unique[name] > self.ratio * unique[weakest]
        ]

    def _pause(self, name: str, own: float, weakest: str, least: float, now: Probe) -> Decision:
        why = f"{name} has {own:.3f} bit of unique information, {weakest} {least:.3f}: ratio above {self.ratio:g}"
        values = {"unique": own, "least": least, "weakest": weakest, "ratio": own / least, "threshold": self.ratio}
        return Decision(
            action="pause", reason=why, epoch=now.epoch, modality=name, rule="uniqueness_ratio", values=values
        )


@dataclass(frozen=True, kw_only=True)
class FallenSynergy(SwitchRule):
    """Switch when synergy is below `drop` times the best so far, from the present state.

    Parameters
    ----------
    drop : float
        .8 in the script.
    warmup : int
        First probes to leave out.

    Notes
    -----
    The best includes the present probe and must be above zero. Probes without unique information of the second source
    are skipped, for the best too.
    """

    drop: float = 0.8
    warmup: int = 1

    def __post_init__(self):
        super().__post_init__()
        _validate.number(self.drop, "drop", low=0, high=1, open_low=True)
        _validate.number(self.warmup, "warmup", low=0, integer=True)

    def decide(self, record: RunRecord) -> Decision:
        """Compare the latest probe with the best."""
        probes = self.probes(record)
        now, seen = (probes[-1] if probes else None), counted(probes, self.warmup)
        known = [probe.synergy.value for probe in seen if probe.synergy.is_known and probe.synergy.value is not None]
        if now is None or not seen or now is not seen[-1] or len(known) < len(seen):
            return self.hold(now, "this probe is skipped", {"probes": len(probes)})
        best, synergy = max(known), known[-1]
        values = {"synergy": synergy, "best": best, "drop": self.drop, "threshold": self.drop * best}
        text = f"synergy {synergy:.3f} bit, best {best:.3f}"
        if best > 0 and synergy < self.drop * best:
            return self.switch(now, f"{text}: below {self.drop:g} of the best", now.epoch, values)
        return self.hold(now, f"{text}: not below {self.drop:g} of the best", values)

    def best(self, record: RunRecord) -> Probe | None:
        """Return the latest probe: the script goes on from where it is."""
        return self.latest(record)

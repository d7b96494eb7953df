"""The switch rule of arXiv 2509.20840: synergy has fallen below its peak."""

from dataclasses import dataclass

from mmpid import _validate
from mmpid.rules.base import SwitchRule
from mmpid.rules.decision import Decision
from mmpid.runs.probe import Probe, highest
from mmpid.runs.record import RunRecord


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
        Require that the fall exceeds the noise and that synergy is identified at all; False reproduces the paper. With
        held-out probes the rule then follows what is proven, the lower end of synergy's interval, which no sample size
        biases upward, and waits until some is.

    Notes
    -----
    Plug-in synergy is mostly bias in small samples and falls as encoders sharpen: a peak seen there is an artifact.
    In the solvable model of :mod:`mmpid.theory` the peak comes earlier than the best hand-over.
    """

    drop: float = 0.8
    warmup: int = 2
    noise_aware: bool = True

    def __post_init__(self):
        super().__post_init__()
        _validate.number(self.drop, "drop", low=0, high=1, open_low=True)
        _validate.number(self.warmup, "warmup", low=0, integer=True)
        _validate.flag(self.noise_aware, "noise_aware")

    def decide(self, record: RunRecord) -> Decision:
        """Switch once synergy has fallen below `drop` times its peak by more than the noise."""
        probes = self.probes(record)
        now = probes[-1] if probes else None
        if now is None or len(probes) < self.warmup + 2:
            wanted = self.warmup + 2
            values = {"probes": len(probes), "wanted": wanted}
            return self.hold(now, f"warming up: {len(probes)} of {wanted} probes", values)
        atom, best = now.synergy, self.best(record)
        if best is None or atom.value is None or not atom.is_known:
            return self.hold_unknown(now, "synergy")
        if self.noise_aware and now.is_held_out:
            return self._decide_on_proof(now, best)
        if self.noise_aware and not atom.identified:
            samples = "?" if now.n_samples is None else now.n_samples
            values = {"synergy": atom.value, "n_samples": now.n_samples}
            return self.hold(now, f"synergy is not identified with {samples} samples", values)
        peak = best.synergy.value or 0.0
        fall, noise = peak - atom.value, best.synergy.noise_of_difference(atom)
        text = f"synergy {atom.value:.2f} bit, peak {peak:.2f} at epoch {best.epoch}"
        values = {"synergy": atom.value, "peak": peak, "peak_epoch": best.epoch, "drop": self.drop}
        values |= {"threshold": self.drop * peak, "fall": fall, "noise": noise}
        if atom.value >= self.drop * peak:
            return self.hold(now, f"{text}: above {self.drop:g} of the peak", values)
        if self.noise_aware and fall <= noise:
            return self.hold(now, f"{text}: the fall is within its noise of {noise:.2f} bit", values)
        return self.switch(now, f"{text}: below {self.drop:g} of the peak", best.epoch, values)

    def _decide_on_proof(self, now: Probe, best: Probe) -> Decision:
        """Follow the lower end of the interval, in which the noise is already."""
        low, peak = now.synergy.low or 0.0, best.synergy.low or 0.0
        values = {"synergy_low": low, "peak": peak, "peak_epoch": best.epoch, "drop": self.drop}
        if not best.synergy.proven:
            return self.hold(now, "no synergy is proven yet", values)
        text = f"proven synergy {low:.2f} bit, peak {peak:.2f} at epoch {best.epoch}"
        if low >= self.drop * peak:
            return self.hold(now, f"{text}: above {self.drop:g} of the peak", values)
        return self.switch(now, f"{text}: below {self.drop:g} of the peak", best.epoch, values)

    def best(self, record: RunRecord) -> Probe | None:
        """Return the probe with the highest synergy after the warm-up; noise-aware and held out, the highest proof."""
        probes = self.probes(record)
        seen = probes[self.warmup :] or probes
        if self.noise_aware and seen and seen[-1].is_held_out:
            known = [probe for probe in seen if probe.synergy.is_known and probe.synergy.low is not None]
            return max(known, key=lambda probe: probe.synergy.low or 0.0, default=None)
        return highest(seen, "synergy")

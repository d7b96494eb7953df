"""The switch rule of arXiv 2509.20840: synergy has fallen below its peak."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from mmpid import _validate
from mmpid.rules.base import SwitchRule
from mmpid.rules.decision import Decision
from mmpid.runs.probe import Probe, highest
from mmpid.runs.record import RunRecord


@dataclass(frozen=True, kw_only=True)
class PeakSynergy(SwitchRule):
    """Switch when synergy has fallen clearly below its peak, and start from the peak (arXiv 2509.20840).

    Switch at probe t when ``S_t < drop * max_s S_s`` and the peak is above 0. With `noise_aware` the peak must be at
    least `min_bits`. On held-out probes S is then the proven part of synergy, the lower end of its 95 % interval. On
    counted probes the fall must be larger than the 95 % half-width of the difference.

    Parameters
    ----------
    drop : float
        Fraction of the peak below which synergy counts as fallen; .8 in the paper's script.
    warmup : int
        First probes to leave out: random features already cluster, so the first values mean little.
    noise_aware : bool
        Require proof of the peak. With held-out probes enough synergy must be proven. With counted ones it must be
        identified, and the fall must exceed its noise. False follows the point estimate, as the paper does.
    min_bits : float
        With `noise_aware`, the smallest peak in bits from which a fall counts; the rule waits for it. A controller
        that was saved before this setting existed loads with 0.

    Notes
    -----
    Plug-in synergy is mostly bias in small samples and falls as encoders sharpen: a peak seen there is an artifact.
    In the solvable model of :mod:`mmpid.theory` the peak comes earlier than the best hand-over, and on real data it
    does not mark it either (docs/two-stage.md).

    Corrected for bias, synergy can be below zero. A peak of zero or less says nothing about training, so the rule
    waits.

    The proven part is as noisy as the estimate. Around zero it flickers, and one probe in many proves a few
    thousandths of a bit; `min_bits` ignores those. On the seeds of four data sets that chose it, .02 is the smallest
    floor without a start that cost 20 points or more. A higher one gained only because it switches less often. With
    it, too, a fall of the proven part is no proof that synergy fell.

    Examples
    --------
    >>> record = RunRecord({"modalities": ["audio", "image"]})
    >>> for epoch, low in enumerate([-0.1, 0.01, 0.3, 0.2]):
    ...     row = dict(segment=0, stage="unimodal", epoch=epoch, step=epoch, estimator="held-out")
    ...     _ = record.append("probe", **row, synergy=0.4, synergy_low=low, synergy_high=0.6)
    >>> decision = PeakSynergy(warmup=1).decide(record)
    >>> decision.action, decision.rewind_to
    ('switch', 2)
    >>> PeakSynergy(warmup=1, min_bits=0.5).decide(record).action
    'hold'
    """

    once: ClassVar[Mapping[str, Any]] = {"min_bits": 0.0}

    drop: float = 0.8
    warmup: int = 2
    noise_aware: bool = True
    min_bits: float = 0.02

    def __post_init__(self):
        super().__post_init__()
        _validate.number(self.drop, "drop", low=0, high=1, open_low=True)
        _validate.number(self.warmup, "warmup", low=0, integer=True)
        _validate.flag(self.noise_aware, "noise_aware")
        _validate.number(self.min_bits, "min_bits", low=0)

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
        if peak <= 0 or (self.noise_aware and peak < self.min_bits):
            return self.hold(now, f"{text}: no peak to fall from", values)
        if atom.value >= self.drop * peak:
            return self.hold(now, f"{text}: above {self.drop:g} of the peak", values)
        if self.noise_aware and fall <= noise:
            return self.hold(now, f"{text}: the fall is within its noise of {noise:.2f} bit", values)
        return self.switch(now, f"{text}: below {self.drop:g} of the peak", best.epoch, values)

    def _decide_on_proof(self, now: Probe, best: Probe) -> Decision:
        """Follow the lower end of the interval, which no sample size biases upward."""
        low, peak = now.synergy.low or 0.0, best.synergy.low or 0.0
        values = {"synergy_low": low, "peak": peak, "peak_epoch": best.epoch, "drop": self.drop}
        values |= {"min_bits": self.min_bits}
        if not best.synergy.proven:
            return self.hold(now, "no synergy is proven yet", values)
        text = f"proven synergy {low:.3f} bit, peak {peak:.3f} at epoch {best.epoch}"
        if peak < self.min_bits:
            return self.hold(now, f"{text}: a peak below {self.min_bits:g} bit does not count", values)
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

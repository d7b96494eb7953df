"""Rules on held-out probes: what is proven counts, whatever the point estimate says."""

import pytest

from mmpid.rules import BalanceController, LeadPause, Manual, NothingLearned, PeakSynergy
from mmpid.runs import RunRecord

META = {"modalities": ["audio", "image"], "data": {"prior_loss": 1.4}, "settings": {"unimodal_epochs": 50}}


def run(**series) -> RunRecord:
    """A record of held-out probes; a series of (value, low) per atom, and losses that teach nothing."""
    record = RunRecord(META)
    n = max(map(len, series.values()))
    for epoch in range(n):
        row = dict(segment=0, stage="unimodal", epoch=epoch, step=epoch)
        if epoch:
            record.append("epoch", **row, **{f"validation_loss.{name}": 1.4 for name in META["modalities"]})
        atoms = {}
        for atom in ("redundancy", "unique1", "unique2", "synergy"):
            value, low = series.get(atom, [(0.0, -0.01)] * n)[epoch]
            atoms |= {atom: value, f"{atom}_low": low, f"{atom}_high": value + 0.05, f"{atom}_proven": low > 0}
        record.append("probe", **row, **atoms, estimator="held-out", synergy_identified=False, n_samples=240)
    return record


@pytest.mark.parametrize(("low", "pauses"), [(0.2, True), (-0.01, False)])
def test_only_a_proven_lead_pauses(low, pauses):
    made = run(unique1=[(0.6, low)] * 4)
    controller = BalanceController(rule=Manual(), pause=LeadPause(), give_up=None)
    assert ("pause" in [d.action for d in controller.decide(made)]) is pauses


@pytest.mark.parametrize(("low", "gives_up"), [(0.01, False), (-0.01, True)])
def test_stage_one_is_given_up_where_nothing_is_proven(low, gives_up):
    made = run(redundancy=[(0.05, low)] * 5)
    decision = NothingLearned(probes=3).decide(made)
    assert (decision is not None) is gives_up


def test_the_synergy_peak_follows_what_is_proven():
    never = run(synergy=[(0.9, -0.1)] * 5)
    assert PeakSynergy(warmup=0).decide(never).action == "hold", "a large point proves nothing"
    fallen = run(synergy=[(0.3, 0.1), (0.4, 0.3), (0.5, 0.25), (0.9, 0.1)])
    decision = PeakSynergy(warmup=0, drop=0.8).decide(fallen)
    assert (decision.action, decision.rewind_to) == ("switch", 1)
    assert decision.values["peak"] == 0.3 and decision.values["synergy_low"] == 0.1


@pytest.mark.parametrize(("min_bits", "action"), [(0.0, "switch"), (0.02, "hold")])
def test_a_flicker_of_proof_is_no_peak(min_bits, action):
    flicker = run(synergy=[(0.4, -0.02), (0.5, 0.008), (0.4, -0.03)])
    assert PeakSynergy(warmup=0, min_bits=min_bits).decide(flicker).action == action


def test_the_paper_s_own_rule_is_unchanged():
    rising = run(synergy=[(0.3, 0.1), (0.4, 0.3), (0.5, 0.25), (0.9, 0.1)])
    assert PeakSynergy(warmup=0, noise_aware=False).decide(rising).action == "hold"

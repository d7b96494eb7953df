"""Switch rules are pure functions of the record: tables of (record, decision), no training."""

from math import nan

import pytest

from mmpid import BalanceController, FixedEpoch, Manual, PeakSynergy, RedundancyPlateau, RunRecord
from mmpid.rules import SwitchRule
from mmpid.rules.base import what_changed
from tests.rules.records import METADATA, record, with_nan


def test_peak_synergy_switches_below_the_drop_and_names_the_peak():
    falling = record(synergy=[0, 0, 0.3, 0.5, 0.45, 0.39])
    decision = PeakSynergy(drop=0.8).decide(falling)
    assert (decision.action, decision.rewind_to, decision.epoch) == ("switch", 3, 5)
    assert decision.values == {
        "synergy": 0.39, "peak": 0.5, "peak_epoch": 3, "drop": 0.8, "threshold": 0.4,
        "fall": pytest.approx(0.11), "noise": pytest.approx(0.02 * 2**0.5),
    }  # fmt: skip
    assert PeakSynergy(drop=0.7).decide(falling).action == "hold"


def test_peak_synergy_ignores_a_fall_within_its_noise():
    noisy = record(synergy=[0, 0, 0.3, 0.5, 0.45, 0.39], width=0.1)
    held = PeakSynergy().decide(noisy)
    assert held.action == "hold" and held.values["fall"] <= held.values["noise"]
    assert PeakSynergy(noise_aware=False).decide(noisy).action == "switch"


def test_peak_synergy_waits_for_an_identified_synergy():
    made = record(synergy=[0, 0, 0.3, 0.5, 0.45, 0.1])
    made.rows[-1] |= {"synergy_identified": False, "n_samples": 240}
    held = PeakSynergy().decide(made)
    assert held.action == "hold" and held.values["n_samples"] == 240
    assert PeakSynergy(noise_aware=False).decide(made).action == "switch"


def test_peak_synergy_leaves_out_the_warm_up():
    assert PeakSynergy(warmup=2).best(record(synergy=[0.9, 0.8, 0.1, 0.3, 0.2])).epoch == 3


def test_redundancy_plateau_switches_when_the_gain_is_noise():
    rising = record(redundancy=[0, 0.2, 0.5, 0.8, 1.1, 1.3, 1.5])
    assert RedundancyPlateau(patience=3).decide(rising).action == "hold"
    flat = record(redundancy=[0, 0.2, 0.5, 0.8, 1.1, 1.3, 1.31, 1.32, 1.31])
    decision = RedundancyPlateau(patience=3).decide(flat)
    assert (decision.action, decision.rewind_to) == ("switch", 8)
    assert decision.values == {
        "redundancy": 1.31, "gain": pytest.approx(0.01), "threshold": 0.05, "patience": 3
    }  # fmt: skip


def test_joint_training_starts_from_the_latest_probe_that_is_as_good_as_the_best():
    """Equal within the noise: the one trained longest. A fall beyond the noise: back to before it."""
    assert Manual().best(record(redundancy=[0, 1.3, 1.32, 1.31])).epoch == 3
    assert Manual().best(record(redundancy=[0, 1.3, 1.32, 1.31], width=0.0)).epoch == 2
    fallen = record(redundancy=[0, 0.5, 1.0, 1.3, 1.32, 1.31, 1.3, 1.1])
    assert RedundancyPlateau(patience=3).decide(fallen).rewind_to == 6


def test_redundancy_plateau_waits_until_its_share_of_the_budget_is_spent():
    metadata = {**METADATA, "settings": {"epochs": 12, "unimodal_epochs": 99}}
    flat = record(redundancy=[1.0] * 9, metadata=metadata)  # the latest probe is at epoch 8 of 12
    waiting = RedundancyPlateau(patience=3, min_share=0.75).decide(flat)
    told = {name: waiting.values[name] for name in ("epoch", "epochs", "min_share")}
    assert waiting.action == "hold" and told == {"epoch": 8, "epochs": 12, "min_share": 0.75}
    assert RedundancyPlateau(patience=3, min_share=0.6).decide(flat).action == "switch"
    assert RedundancyPlateau(patience=3).decide(record(redundancy=[1.0] * 10, metadata=metadata)).action == "switch"


def test_redundancy_plateau_can_ask_for_balance():
    flat = record(redundancy=[1.0] * 8, unique1=[0.9] * 8, unique2=[0.1] * 8)
    assert RedundancyPlateau(patience=3).decide(flat).action == "switch"
    held = RedundancyPlateau(patience=3, max_gap=0.2).decide(flat)
    assert held.action == "hold" and held.values["unique_gap"] == pytest.approx(0.8)


@pytest.mark.parametrize("peak", [-0.05, 0.0])
def test_synergy_that_was_never_above_zero_has_no_peak_to_fall_from(peak):
    below = record(synergy=[peak, peak - 0.1, peak - 0.2, peak - 0.3])
    for rule in (PeakSynergy(warmup=0), PeakSynergy(warmup=0, noise_aware=False)):
        assert rule.decide(below).action == "hold"


@pytest.mark.parametrize("rule", [FixedEpoch(epoch=3), PeakSynergy(), RedundancyPlateau(), Manual()])
def test_no_rule_switches_before_there_is_anything_to_see(rule):
    assert rule.decide(RunRecord(METADATA)).action == "hold"
    assert rule.best(RunRecord(METADATA)) is None
    assert rule.decide(record(synergy=[0.5])).action == "hold"


def test_manual_never_switches_and_fixed_switches_at_its_epoch():
    made = record(synergy=[0.1] * 6)
    assert Manual().decide(made).action == "hold"
    assert FixedEpoch(epoch=6).decide(made).values == {"epoch": 5, "target_epoch": 6}
    assert [FixedEpoch(epoch=e).decide(made).action for e in (4, 5, 6)] == ["switch", "switch", "hold"]


@pytest.mark.parametrize(
    "broken", [{}, {"synergy": 0.1, "redundancy": 0.1, "synergy_low": nan, "redundancy_high": nan}]
)
@pytest.mark.parametrize(
    "rule",
    [PeakSynergy(warmup=0, noise_aware=False), RedundancyPlateau(warmup=0, patience=2, min_share=0)],
    ids=lambda rule: rule.name,
)
def test_no_rule_acts_on_an_atom_that_is_not_a_number(rule, broken):
    run = with_nan([0.5, 0.6, 0.5])
    run.rows.append(with_nan([nan], **broken).rows[0] | {"epoch": 3})
    decision = rule.decide(run)
    assert decision.action == "hold" and decision.values["unknown"] in ("synergy", "redundancy")
    assert rule.best(run).epoch == 1, "nor is it ever the best"
    run.rows.append(run.rows[0] | {"epoch": 4, "synergy": 0.2, "redundancy": 0.5})
    assert rule.decide(run).action == "switch", "and it does not stand in the way of what comes after"


def test_a_gap_that_is_not_a_number_is_no_balance():
    run = with_nan([0.5] * 4)
    run.rows[-1]["unique1"] = nan
    decision = RedundancyPlateau(warmup=0, patience=2, min_share=0, max_gap=9.0).decide(run)
    assert decision.action == "hold" and decision.values["unknown"] == "unique information"


def test_probing_again_by_hand_hastens_nothing():
    rule, controller = RedundancyPlateau(warmup=0, patience=3, min_share=0), BalanceController(rule=Manual())
    run = with_nan([0.1, 0.5])
    for _ in range(6):
        run.rows.append(dict(run.rows[-1]))
    assert rule.decide(run).values == {"probes": 2, "wanted": 4}
    assert [d.action for d in controller.decide(run)] == ["hold"], "two probes are still the warm-up"


def test_a_change_of_rule_is_told_by_what_changed():
    class Mine(SwitchRule):
        pass

    plateau = RedundancyPlateau(patience=8, max_gap=0.2)
    told = [
        (plateau, RedundancyPlateau(patience=8, min_share=0.5), "(max_gap=0.2 -> None, min_share=0.75 -> 0.5)"),
        (plateau, Manual(), " -> Manual"),
        (plateau, Mine(), " -> Mine"),
        (Mine(), plateau, " -> RedundancyPlateau(patience=8, max_gap=0.2)"),
    ]
    for before, after, words in told:
        assert what_changed(before, after) == before.name + words

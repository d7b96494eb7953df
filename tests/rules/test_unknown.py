"""Whatever a probe holds, asking about it raises nothing, and nobody acts on an atom that is not known."""

from math import inf, nan

from hypothesis import given, settings
from hypothesis import strategies as st

from mmpid import BalanceController, PeakSynergy, RedundancyPlateau, RunRecord, diagnose, replay
from mmpid.rules import LeadPause, NothingLearned
from mmpid.rules.controller import default_controller

ATOMS = ("redundancy", "synergy", "unique1", "unique2")
NUMBERS = st.one_of(st.none(), st.sampled_from((nan, inf, -inf)), st.floats(-1e300, 1e300), st.floats(-1, 2))
ENDS = ("low", "high", "null_low", "null_high")
ROWS = st.fixed_dictionaries(
    {},
    optional={atom: NUMBERS for atom in ATOMS}
    | {f"{atom}_{end}": NUMBERS for atom in ATOMS for end in ENDS}
    | {f"active.{name}": st.booleans() for name in ("audio", "image")}
    | {
        "synergy_identified": st.sampled_from((True, False, None)),
        "gap": NUMBERS,
        "n_samples": st.sampled_from((None, 9)),
    },
)
LOSSES = st.fixed_dictionaries({}, optional={f"validation_loss.{name}": NUMBERS for name in ("audio", "image")})
CONTROLLERS = [
    BalanceController(rule=rule, pause=LeadPause(warmup=0, dwell=0, measure=measure), give_up=NothingLearned(probes=2))
    for rule in (
        PeakSynergy(warmup=0),
        PeakSynergy(warmup=0, noise_aware=False),
        RedundancyPlateau(warmup=0, patience=1, min_share=0),
        RedundancyPlateau(warmup=0, patience=1, min_share=0, max_gap=0.5),
    )
    for measure in ("uniqueness", "information")
] + [BalanceController(), default_controller("paper")]


def is_known(row, atom):
    value, ends = row.get(atom), [row.get(f"{atom}_low"), row.get(f"{atom}_high")]
    return value is not None and all(x is None or abs(x) < inf for x in (value, *ends))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(ROWS, LOSSES), max_size=6))
def test_no_probe_raises_and_nobody_acts_on_an_unknown_atom(rows):
    record = RunRecord({"modalities": ["audio", "image"], "data": {"prior_loss": 0.7}})
    for epoch, (row, losses) in enumerate(rows):
        place = {"segment": 0, "stage": "unimodal", "epoch": epoch, "step": epoch}
        record.append("epoch", **place, **losses)
        record.append("probe", **place, **row)
        for controller in CONTROLLERS:
            for decision in controller.decide(record):
                assert all(x is None or isinstance(x, str) or abs(x) < inf for x in decision.values.values())
                if decision.action in ("pause", "resume"):
                    assert is_known(row, "unique1") and is_known(row, "unique2")
                elif decision.action == "switch":
                    needed = {"PeakSynergy": ["synergy"], "RedundancyPlateau": ["redundancy"]}
                    atoms = needed.get(decision.rule, ["redundancy", "unique1", "unique2"])
                    assert all(is_known(row, atom) for atom in atoms)
                    assert decision.rewind_to is None or 0 <= decision.rewind_to <= epoch
    diagnose(record)
    for controller in CONTROLLERS:
        replay(record, controller)

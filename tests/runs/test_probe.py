"""A probe is a view of its row: the same numbers, by the names of the modalities."""

import threading
from math import hypot, inf, nan

import pytest

from mmpid import RunRecord
from mmpid.runs.probe import Atom, Probe, one_per_epoch, unique_keys

PLACE = {"segment": 0, "stage": "unimodal", "step": 7}


def test_every_field_of_a_real_probe_is_found_by_name(make_trainer):
    trainer = make_trainer(n_boot=10, n_null=5)
    trainer.step(epochs=1)
    (_, row), (_, probe) = trainer.record.lineage("probe"), trainer.record.probes()
    assert (probe.epoch, probe.step, probe.stage, probe.segment) == (1, row["step"], "unimodal", row["segment"])
    assert probe.modalities == ("a", "b") and probe.row is row
    atoms = {"redundancy": probe.redundancy, "synergy": probe.synergy}
    atoms |= {"unique1": probe.unique["a"], "unique2": probe.unique["b"]}
    for name, atom in atoms.items():
        told = [row[f"{name}{end}"] for end in ("", "_low", "_high", "_null_low", "_null_high", "_identified")]
        assert told == [atom.value, atom.low, atom.high, atom.null_low, atom.null_high, atom.identified]
        assert atom.proven == (row[f"{name}_low"] > 0)
    assert (probe.total, probe.gap, probe.n_samples) == (row["total"], row["gap"], row["n_samples"])
    assert probe.observable == row["observable"] and probe.active == {"a": True, "b": True}
    assert probe.information("b") == row["redundancy"] + row["unique2"]


def test_what_was_not_measured_is_none_and_not_known():
    probe = Probe.from_row({**PLACE, "epoch": 0}, ["a", "b"])
    assert probe.redundancy == Atom() == probe.unique["b"] and not probe.redundancy.is_known
    assert probe.total is probe.gap is probe.n_samples is probe.observable is probe.information("a") is None
    assert not probe.knows_nothing


@pytest.mark.parametrize(
    ("atom", "known"),
    [
        (Atom(0.1), True),
        (Atom(0.1, low=0.0), True),
        (Atom(None, 0.0, 0.1), False),
        (Atom(nan), False),
        (Atom(inf), False),
        (Atom(0.1, nan, 0.2), False),
        (Atom(0.1, 0.0, inf), False),
    ],
)
def test_an_atom_is_known_if_it_and_the_ends_of_its_interval_are_finite(atom, known):
    assert atom.is_known is known
    assert atom.half_width >= 0


def test_noise_is_the_half_width_of_an_independent_difference():
    one, two = Atom(0.5, 0.2, 0.8), Atom(0.4, 0.0, 0.8)
    assert (one.half_width, two.half_width) == pytest.approx((0.3, 0.4))
    assert one.noise_of_difference(two) == pytest.approx(hypot(0.3, 0.4)) and Atom(1.0).half_width == 0


@pytest.mark.parametrize(
    ("atom", "nothing"),
    [(Atom(0.0), True), (Atom(0.02), False), (Atom(0.02, null_high=0.02), True), (Atom(nan, null_high=1.0), False),
     (Atom(0.0, null_high=nan), False)],
)  # fmt: skip
def test_nothing_is_what_shuffled_labels_give_and_never_what_is_not_known(atom, nothing):
    assert atom.is_nothing is nothing


def test_what_a_row_says_is_proven_is_proven():
    row = {**PLACE, "epoch": 1, "synergy": 0.2, "synergy_low": 0.1}
    assert Probe.from_row(row).synergy.proven
    assert not Probe.from_row(row | {"synergy_proven": False}).synergy.proven
    assert Probe.from_row(row | {"synergy_low": -0.1, "synergy_proven": True}).synergy.proven


def test_names_are_those_of_the_record_or_else_what_the_row_tells():
    row = {**PLACE, "epoch": 0, "unique1": 0.1, "unique2": 0.2, "unique3": 0.3}
    (probe,) = RunRecord({"modalities": ["x", "y", "z"]}, [{"kind": "probe", **row}]).probes()
    assert {name: atom.value for name, atom in probe.unique.items()} == {"x": 0.1, "y": 0.2, "z": 0.3}
    assert unique_keys(probe.modalities) == {"x": "unique1", "y": "unique2", "z": "unique3"}
    assert Probe.from_row(row).modalities == ("source1", "source2", "source3")
    assert Probe.from_row(row | {"active.u": 1, "active.v": 1, "active.w": 0}).active == {"u": 1, "v": 1, "w": 0}


def test_probes_are_those_of_the_present_path_by_stage_and_one_an_epoch_on_request():
    record = RunRecord({"modalities": ["a", "b"]})
    for epoch in (0, 1, 1, 2):
        record.append("probe", **PLACE, epoch=epoch)
    back = {"segment": 1, "stage": "unimodal", "epoch": 1, "step": 7}
    record.append("decision", **back, parent=0, from_row=3, action="rewind")
    record.append("probe", **back | {"stage": "joint"})
    assert [p.epoch for p in record.probes()] == [0, 1, 1, 1]
    assert [p.epoch for p in record.probes("unimodal")] == [0, 1, 1]
    assert [(p.epoch, p.stage) for p in one_per_epoch(record.probes())] == [
        (0, "unimodal"), (1, "unimodal"), (1, "joint")
    ]  # fmt: skip
    assert one_per_epoch(record.probes())[1].row is record.rows[1]


def test_probes_are_read_while_another_thread_appends():
    record, whole = RunRecord({"modalities": ["a", "b"]}), []

    def write():
        for epoch in range(2000):
            record.append("probe", **PLACE, epoch=epoch, unique1=float(epoch))

    writer = threading.Thread(target=write)
    writer.start()
    while writer.is_alive():
        probes = record.probes()
        whole.append(
            all(probe.unique["a"].value == probe.epoch == i for i, probe in enumerate(probes[-50:], len(probes[:-50])))
        )
    writer.join(30)
    assert all(whole) and len(record.probes()) == 2000

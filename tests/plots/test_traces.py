"""What the curves are: pure numbers, without a plotting library."""

import numpy as np
import pytest

from mmpid.errors import InputError
from mmpid.plots import traces
from mmpid.runs import RunRecord
from tests.widgets.fake_trainer import FakeTrainer

MODALITIES = ("audio", "image")


@pytest.fixture(scope="module")
def record():
    trainer = FakeTrainer(epochs=40)
    trainer.fit()
    return trainer.record


def test_atoms_carry_the_modalities_names_and_their_intervals(record):
    probes = record.lineage("probe")
    found = traces.pid_traces(probes, MODALITIES)
    assert [t.label for t in found][1:3] == ["unique to audio (U1)", "unique to image (U2)"]
    for trace in found:
        assert trace.value.tolist() == [row[trace.key] for row in probes]
        assert (trace.low < trace.value).all() and (trace.value < trace.high).all()


def test_an_atom_that_the_sample_does_not_identify_is_labeled_so(record):
    probes = [dict(row) for row in record.lineage("probe")]
    probes[-1]["synergy_identified"] = False
    labels = [t.label for t in traces.pid_traces(probes, MODALITIES)]
    assert labels[0] == "redundant (R)" and labels[3] == "synergistic (S), not identified"


def test_an_interval_is_drawn_only_where_every_probe_has_one(record):
    probes = [dict(row) for row in record.lineage("probe")]
    del probes[1]["synergy_low"]
    assert traces.pid_traces(probes, MODALITIES)[3].low is None
    assert traces.pid_traces(probes, MODALITIES)[0].low is not None


@pytest.mark.parametrize("missing", [None, float("nan"), "absent"])
def test_missing_numbers_are_left_out(missing):
    rows = [{"epoch": 1, "loss.audio": 1.0}, {"epoch": 2}, {"epoch": 3, "loss.audio": 0.5}]
    if missing != "absent":
        rows[1]["loss.audio"] = missing
    audio = traces.loss_traces(rows, MODALITIES)[0]
    assert audio.epoch.tolist() == [1, 3]


def test_no_two_curves_of_a_panel_look_the_same(record):
    epochs, probes = record.lineage("epoch"), record.lineage("probe")
    for panel in (
        traces.pid_traces(probes, MODALITIES),
        traces.accuracy_traces(epochs, MODALITIES),
        traces.loss_traces(epochs, MODALITIES),
        traces.ecs_traces(probes, MODALITIES, "margin"),
    ):
        assert len({t.color for t in panel}) == len({t.dash for t in panel}) == len(panel)


def test_each_modality_has_an_atom_of_its_own_with_its_name():
    names = ("audio", "image", "text")
    probes = [{"epoch": 0, "redundancy": 1.0, "unique1": 0.1, "unique2": 0.2, "unique3": 0.3, "synergy": 0.4}]
    found = traces.pid_traces(probes, names)
    assert [(t.label, t.value.tolist()) for t in found] == [
        ("redundant (R, mean)", [1.0]),
        ("unique to audio (U1)", [0.1]),
        ("unique to image (U2)", [0.2]),
        ("unique to text (U3)", [0.3]),
        ("synergistic (S, mean)", [0.4]),
    ]
    assert [t.color for t in found[1:4]] == [traces.modality_style(i)[0] for i in range(3)]


def test_six_modalities_have_six_colors_apart_from_those_of_the_other_curves():
    colors = [traces.modality_style(i)[0] for i in range(6)]
    assert len({*colors, traces.PINK, traces.GREEN, traces.GRAY}) == 9


def test_a_modality_has_one_color_in_every_panel(record):
    epochs, probes = record.lineage("epoch"), record.lineage("probe")
    atoms = traces.pid_traces(probes, MODALITIES)
    accuracy = traces.accuracy_traces(epochs, MODALITIES)
    assert [t.color for t in atoms[1:3]] == [t.color for t in accuracy[:2]]


def test_the_curve_of_the_joint_head_starts_with_the_joint_stage(record):
    joint = traces.accuracy_traces(record.lineage("epoch"), MODALITIES)[3]
    assert joint.epoch.min() == traces.switch_epoch(record.lineage("decision")) + 1


def test_the_null_band_is_the_recorded_one(record):
    band = traces.null_band(record.lineage("probe"))
    assert band.low.tolist() == [-0.04] * len(band.epoch)
    assert traces.null_band([]) is None


def test_proxies_are_found_in_the_rows(record):
    probes = record.lineage("probe")
    assert traces.ecs_proxies(probes) == ["margin", "confidence"]
    assert traces.ecs_proxies([]) == []
    assert traces.strength_by_class(probes[-1], MODALITIES, "margin").shape == (2, 10)
    assert traces.strength_by_class(probes[-1], MODALITIES, "unknown") is None


def test_only_the_latest_discarded_future_is_left_behind(record):
    path = record.lineage()
    left = traces.left_behind(path, record.rows)
    assert left and all(row["segment"] == 0 for row in left)
    assert len(left) + len(path) == len(record.rows)
    assert traces.left_behind(path, path) == []


def test_thinning_keeps_both_ends():
    rows = [{"epoch": e, "loss.audio": float(e)} for e in range(1000)]
    thin = traces.loss_traces(rows, MODALITIES)[0].thinned(50)
    assert (len(thin.epoch), thin.epoch[0], thin.epoch[-1]) == (50, 0, 999)
    assert (np.diff(thin.epoch) > 0).all()
    assert thin.thinned(50) is thin


@pytest.mark.parametrize("value", [1e-6, 0.3, 0.999, 1, 7.4, 123.0])
def test_a_nice_limit_is_close_above(value):
    assert value <= traces.nice_limit(value) * (1 + 1e-9) <= 2 * value * (1 + 1e-6)


def test_a_record_names_its_modalities():
    with pytest.raises(InputError, match="`record`"):
        traces.record_of(RunRecord())

import json

import pytest
import torch

from mmpid.bench import coverage
from mmpid.bench import estimate as bench
from mmpid.estimate import families, study


def test_benchmark_shows_its_tables_and_writes_their_figures(tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "discretizer_errors", lambda *_: [])
    monkeypatch.setattr(bench, "CASES", {"k-means": {}, "counted": {"estimator": "counted"}})
    few = [row for row in coverage.rows() if row.name.startswith("Gaussian, weak")]
    monkeypatch.setattr(coverage, "rows", lambda full=False: few)
    shown = []
    records = bench.run(quick=True, json_path=tmp_path / "bench.json", show=shown.append)
    assert json.loads((tmp_path / "bench.json").read_text()) == records
    assert all(record["seconds"] > 0 for record in records if "case" in record)
    text = "\n".join(shown)
    assert "Gaussian, weak" in text and "false proof" in text and "ratio" in text


def test_figures_of_a_row_are_means_over_its_draws():
    joint = families.head_joints()["6 classes, 90 and 50 %, 30 % together"]
    row = coverage.Row(name="heads", joint=joint, n_samples=240, family="heads")
    record, fewer = coverage.measure(row, 2), coverage.measure(row, 2, n_counted=1)
    assert fewer["held-out"]["coverage"] == record["held-out"]["coverage"]
    assert all(share in (0, 1) for share in fewer["counted"]["coverage"]) and fewer["n_counted"] == 1
    for name in coverage.ESTIMATORS:
        figures = record[name]
        assert all(share in (0, 0.5, 1) for share in (*figures["coverage"], *figures["proven"]))
        assert all(rmse >= abs(bias) - 1e-12 for rmse, bias in zip(figures["rmse"], figures["bias"], strict=True))
    assert record["truth"] == pytest.approx(list(study.truth(joint).values()))


def test_rows_are_distributions_and_those_without_synergy_have_none():
    rows = coverage.rows()
    assert len({(row.name, row.family, row.n_samples) for row in rows}) == len(rows) > 60
    for row in rows:
        assert row.joint.min() >= 0 and abs(float(row.joint.sum()) - 1) < 1e-12, row.name
    free = {row.name: row.joint for row in rows if row.family == "no synergy"}
    assert all(abs(study.truth(joint)["synergy"]) < coverage.NOTHING for joint in free.values())


def test_heads_that_know_nearly_the_same_are_what_their_name_says():
    first = families.like_heads()["10 classes, 8 known to each, 95%"].sum(1)  # p(x1, y)
    right = first.diagonal() * 10
    assert abs(float(right[0]) - 0.95) < 1e-12 and abs(float(right[9]) - (0.95 / 2 + 0.005)) < 1e-12
    equal = study.truth(families.like_heads()["4 classes, 90% and 90%, 0% together"])
    assert max(equal["unique1"], equal["unique2"]) < 1e-4 < 0.1 < equal["redundancy"]


@pytest.mark.slow
def test_real_heads_are_distributions():
    joints = coverage.real_heads((1, 2), ("av-digits", "watch"))
    assert len(joints) == 4 and all(torch.isclose(j.sum(), torch.ones((), dtype=j.dtype)) for j in joints.values())

import json

from mmpid.bench import estimate as bench
from mmpid.estimate import study


def test_benchmark_shows_times_and_spreads_and_writes_them(tmp_path):
    shown = []
    records = bench.run(quick=True, json_path=tmp_path / "bench.json", show=shown.append)
    text = "\n".join(shown)
    assert "k-means 20 x 20, no replicates" in text and "warm start" in text and "ratio" in text
    assert json.loads((tmp_path / "bench.json").read_text()) == records
    assert all(record["seconds"] > 0 for record in records if "case" in record)


def test_accuracy_shows_a_line_a_joint_and_size():
    shown = []
    rows = bench.accuracy(1, show=shown.append, n_boot=4, n_null=4)
    assert "Gaussian, weak, 20x20x6, 5,000" in shown[0] and "10 classes, 70 and 50 %, 240" in shown[0]
    assert len(rows) == 4 * (5 + 2 * 4) and all(row["n_draws"] == 1 for row in rows)


def test_joints_of_other_families_are_distributions():
    joints = [joint for joint, _ in study.other_joints().values()] + list(study.head_joints().values())
    for joint in joints:
        assert joint.min() >= 0 and abs(float(joint.sum()) - 1) < 1e-12
    assert abs(float(joints[5].sum(1).diagonal().sum()) - 0.8) < 1e-12

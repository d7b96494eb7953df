import json

from mmpid.bench import estimate as bench
from mmpid.estimate import study


def test_benchmark_shows_times_and_spreads_and_writes_them(tmp_path):
    shown = []
    records = bench.run(quick=True, json_path=tmp_path / "bench.json", show=shown.append)
    text = "\n".join(shown)
    assert "k-means 20 x 20, counted" in text and "warm start" in text and "ratio" in text
    assert json.loads((tmp_path / "bench.json").read_text()) == records
    assert all(record["seconds"] > 0 for record in records if "case" in record)


def test_accuracy_shows_a_line_a_joint_and_size():
    shown = []
    rows = bench.accuracy(1, show=shown.append, estimator="counted", n_boot=4, n_null=4)
    assert "Gaussian, weak, 20x20x6, 5,000" in shown[0] and "10 classes, 70 and 50 %, 240" in shown[0]
    assert len(rows) == 4 * (5 + 2 * 4) and all(row["n_draws"] == 1 for row in rows)


def test_joints_of_other_families_are_distributions():
    joints = [joint for joint, _ in study.other_joints().values()] + list(study.head_joints().values())
    for joint in joints:
        assert joint.min() >= 0 and abs(float(joint.sum()) - 1) < 1e-12
    assert abs(float(joints[5].sum(1).diagonal().sum()) - 0.8) < 1e-12


def test_heads_that_know_nearly_the_same_are_distributions_with_what_their_name_says():
    joints = study.like_heads()
    for name, joint in joints.items():
        assert joint.min() >= 0 and abs(float(joint.sum()) - 1) < 1e-12, name
    first = joints["10 classes, 8 known to each, 95%"].sum(1)  # p(x1, y)
    right = first.diagonal() * 10
    assert abs(float(right[0]) - 0.95) < 1e-12 and abs(float(right[9]) - (0.95 / 2 + 0.005)) < 1e-12
    equal = study.truth(joints["4 classes, 90% and 90%, 0% together"])
    assert max(equal["unique1"], equal["unique2"]) < 1e-4 < 0.1 < equal["redundancy"]


def test_doubts_are_counted_beside_coverage(monkeypatch):
    few = {"6 classes, 4 known to each, 95%": study.like_heads()["6 classes, 4 known to each, 95%"]}
    monkeypatch.setattr(bench, "like_heads", lambda: few)
    for name in ("head_joints", "known_joints", "other_joints"):
        monkeypatch.setattr(bench, name, dict)
    shown = []
    rows = bench.doubts(4, show=shown.append)
    assert [row[:2] for row in rows] == [["6 classes, 4 known to each, 95%", n] for n in (240, 1200)]
    assert all(0 <= x <= 1 for row in rows for x in (*row[2:6], *row[8:])) and rows[1][8] == 1
    assert "U doubted" in shown[0] and "1,200" in shown[0]

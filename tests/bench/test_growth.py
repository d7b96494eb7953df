"""The benchmark of growth: its slope, and that it runs."""

import json

import pytest

from mmpid.bench import growth


def test_slope_is_the_power():
    assert growth.slope((1, 2, 4), [3.0, 12.0, 48.0]) == pytest.approx(2)
    assert growth.slope((1,), [3.0]) is None and growth.slope((1, 2), [0.0, 3.0]) is None


@pytest.mark.slow
def test_quick_run_measures_and_predicts(tmp_path):
    shown = []
    records = growth.run(quick=True, json_path=tmp_path / "growth.json", show=shown.append)
    assert [len(record["seconds"]) for record in records] == [2, 2]
    assert all(seconds > 0 for record in records for seconds in (*record["seconds"], *record["predicted_seconds"]))
    assert len(json.loads((tmp_path / "growth.json").read_text())) == 2 and "16 / 32" in shown[0]

import json

from mmpid.bench import estimate as bench


def test_benchmark_shows_times_and_spreads_and_writes_them(tmp_path):
    shown = []
    records = bench.run(quick=True, json_path=tmp_path / "bench.json", show=shown.append)
    text = "\n".join(shown)
    assert "k-means 20 x 20, no replicates" in text and "warm start" in text and "ratio" in text
    assert json.loads((tmp_path / "bench.json").read_text()) == records
    assert all(record["seconds"] > 0 for record in records if "case" in record)

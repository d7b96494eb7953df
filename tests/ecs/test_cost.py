"""The benchmark of the proxies' cost."""

import json

from mmpid.bench import proxies
from mmpid.ecs import available


def test_share_is_that_of_the_epoch_before(monkeypatch):
    clock = iter([0, 4, 10, 11] * 5)
    monkeypatch.setattr(proxies.time, "process_time", lambda: next(clock))
    epoch, probe = proxies._records({"epoch": lambda: None, "probe": lambda: None}, rounds=2)
    assert epoch == {"case": "epoch", "seconds": 4, "share": 1.0, "every": 7}
    assert probe == {"case": "probe", "seconds": 1, "share": 0.25, "every": 2}


def test_run_covers_every_proxy_and_writes_json(monkeypatch, tmp_path):
    monkeypatch.setattr(proxies, "_records", _two_rounds(proxies._records))
    shown = []
    records = proxies.run(quick=True, json_path=tmp_path / "proxies.json", show=shown.append)
    assert set(available()) < {record["case"] for record in records}
    assert all(record["share"] > 0 for record in records)
    assert "share of an epoch" in shown[0]
    assert json.loads((tmp_path / "proxies.json").read_text())["records"] == records


def _two_rounds(measure):
    return lambda cases, rounds: measure(cases, 2)

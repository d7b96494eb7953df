"""`mmpid bench gpu` without a GPU: it says so, its parts run on the CPU at tiny sizes, and their time is enforced."""

import json
import math
from dataclasses import replace

import pytest
import torch

from mmpid import cli
from mmpid.bench import gpu

LARGE = ("engine and probe with ResNet-18", "tests marked gpu")  # minutes on a busy machine


@pytest.fixture
def no_cuda(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def test_without_cuda_nothing_is_measured_and_that_is_no_failure(no_cuda, tmp_path, capsys):
    path = tmp_path / "gpu.json"
    assert cli.main(["bench", "gpu", "--json", str(path)]) == 0
    assert capsys.readouterr().out.strip() == "not measured: no CUDA device"
    assert json.loads(path.read_text())["parts"] == {}
    assert cli.main(["bench", "pid", "--rehearse"]) == 2


def test_all_parts_together_take_less_than_they_may():
    assert sum(part.seconds for part in gpu.PARTS) <= gpu.TOTAL <= 480  # each has its turn


@pytest.mark.parametrize(
    "part", [pytest.param(p, id=p.name, marks=[pytest.mark.slow] if p.name in LARGE else []) for p in gpu.PARTS]
)
def test_every_part_runs_on_the_cpu_and_returns_records_that_json_holds(part):
    records = json.loads(json.dumps(part.measure("cpu", True)))
    assert records and part.name in gpu._table(part.name, {"seconds": 0.0, "records": records})
    for record in records:
        assert all(math.isfinite(x) for x in record.values() if isinstance(x, float))
        assert record.get("exit_code", 0) == 0
        assert record.get("difference_to_cpu", 0.0) < 1e-6


def test_a_part_is_ended_when_its_time_is_up_and_the_others_are_named(monkeypatch, tmp_path):
    slow = replace(gpu.PARTS[0], seconds=0.3)  # less than a process needs to start
    monkeypatch.setattr(gpu, "PARTS", (slow, gpu.PARTS[1]))
    report = gpu.run(rehearse=True, total=0.4, json_path=tmp_path / "gpu.json", show=lambda text: None)
    assert "stopped after" in report["parts"][slow.name]["problem"]
    assert "no time was left" in report["parts"][gpu.PARTS[1].name]["problem"]
    assert json.loads((tmp_path / "gpu.json").read_text()) == report


@pytest.mark.slow
def test_the_rehearsal_runs_from_the_command_line(tmp_path):
    path = tmp_path / "gpu.json"
    assert cli.main(["bench", "gpu", "--rehearse", "--json", str(path)]) == 0
    report = json.loads(path.read_text())
    assert list(report["parts"]) == [part.name for part in gpu.PARTS]
    assert all(found["records"] for found in report["parts"].values())

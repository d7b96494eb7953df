import json

import pytest

from mmpid.bench import engine


def test_the_benchmark_prints_its_tables_and_writes_its_records(tmp_path, monkeypatch):
    monkeypatch.setattr(
        engine, "CASES", [engine.Case("av-digits", "mlp", "unimodal"), engine.Case("av-digits", "mlp", "joint")]
    )
    shown = []
    records = engine.run(quick=True, json_path=tmp_path / "engine.json", show=shown.append)
    text = "\n".join(shown)
    for title in ("engine against a bare loop", "probe and checkpoint", "stacked seeds", "ResNet-18"):
        assert title in text
    assert all(record["ratio"] > 0 for record in records["overhead"])
    assert records["stacked"][0]["largest_difference"] <= 1.01 / 400
    assert json.loads((tmp_path / "engine.json").read_text())["overhead"] == records["overhead"]


def test_the_bare_loop_trains_as_the_engine_does():
    import torch

    from mmpid.datasets import load

    data = load("av-digits", seed=0)
    for stage in ("unimodal", "joint"):
        trainer = engine._trainer(data, "mlp", stage)
        bare = engine.BareLoop(engine.copy.deepcopy(trainer.model), data, stage)
        trainer.step(epochs=2)
        bare.train(2)
        for one, other in zip(trainer.model.parameters(), bare.model.parameters(), strict=True):
            torch.testing.assert_close(one, other)


@pytest.mark.slow
def test_the_large_network_is_measured_on_any_device():
    record = engine.resnet("cpu", {"audio": (1, 8, 8), "video": (3, 8, 8)}, rounds=1, batches=1, n_probe=90)
    assert record["ratio"] > 0 and record["probe_share_of_five_epochs"] > 0
    assert len(engine._resnet_line(record)) == len(engine._RESNET) + 1

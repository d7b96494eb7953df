"""What docs/engine.md shows of a finished model must run, in its order, as written."""

import re
from pathlib import Path

import pytest
import torch

import mmpid

PAGE = Path(__file__).parents[2] / "docs" / "engine.md"


def test_weights_prediction_and_export_run_as_written(tmp_path, monkeypatch, capsys):
    data = mmpid.datasets.load("av-digits", seed=0)
    quick = {"epochs": 3, "unimodal_epochs": 2, "n_boot": 0, "n_null": 0, "device": "cpu"}
    trainer = mmpid.Trainer(mmpid.LateFusion.from_data(data), data, **quick)
    trainer.fit(progress=False)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    shown = [block for block in blocks if re.search(r"def log|selected_model|class Joint", block)]
    assert len(shown) == 3
    names = {"mmpid": mmpid, "data": data, "trainer": trainer}
    monkeypatch.chdir(tmp_path)
    for block in shown:
        exec(compile(block, PAGE.name, "exec"), names)
    rows = [row for row in trainer.record.lineage() if row["kind"] in ("epoch", "probe")]
    assert len(capsys.readouterr().out.splitlines()) == len(rows)
    test, result = data.split("test"), trainer.record.lineage("result")[-1]
    right = (names["probabilities"].argmax(1) == test.target).float().mean()
    assert float(right) == pytest.approx(result["test_accuracy.joint"])
    alone = (names["by_ear"].argmax(1) == test.target).float().mean()
    assert float(alone) == pytest.approx(result["test_accuracy.audio"])
    logits = torch.export.load("model.pt2").module()(test.inputs["audio"], test.inputs["image"])
    torch.testing.assert_close(logits.softmax(1), names["probabilities"])

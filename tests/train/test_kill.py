import json

import pytest

from mmpid import Trainer
from mmpid.bench import kill
from mmpid.runs.folder import NOW, RECORD


def test_a_state_whose_rows_were_never_written_is_passed_over(make_trainer, small_data, tmp_path):
    trainer = make_trainer(out_dir=tmp_path / "run")
    trainer.step(epochs=3)
    record, now = tmp_path / "run" / RECORD, tmp_path / "run" / NOW
    lines = record.read_text().splitlines(keepends=True)
    last_probe = max(i for i, line in enumerate(lines) if '"probe"' in line)
    record.write_text("".join(lines[:last_probe]) + lines[last_probe][:20])
    now.unlink()
    assert Trainer.load(tmp_path / "run", small_data, device="cpu").epoch == 2


@pytest.mark.parametrize("name", [f".{NOW}.1.tmp", f".{RECORD}.1.tmp", "checkpoints/.s000-e000001.safetensors.1.tmp"])
def test_half_written_files_are_removed_when_the_run_goes_on(make_trainer, small_data, tmp_path, name):
    make_trainer(out_dir=tmp_path / "run").step(epochs=1)
    (tmp_path / "run" / name).write_bytes(b"half")
    Trainer.load(tmp_path / "run", small_data, device="cpu")
    assert not (tmp_path / "run" / name).exists()


def test_the_budget_counts_the_same_bytes_after_loading(make_trainer, small_data, tmp_path):
    trainer = make_trainer(out_dir=tmp_path / "run")
    trainer.step(epochs=2)
    loaded = Trainer.load(tmp_path / "run", small_data, device="cpu")
    assert loaded.checkpoints._sizes == trainer.checkpoints._sizes


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_goes_on_bit_for_bit(tmp_path):
    shown = []
    report = kill.run(kills=25, seed=1, json_path=tmp_path / "kill.json", show=shown.append)
    assert report.passed, report.failures
    assert sum(report.kills.values()) == 25 == sum(json.loads((tmp_path / "kill.json").read_text())["kills"].values())
    assert "failures: 0" in shown[0] and report.reads > 25


@pytest.mark.parametrize("batches", [0, 3])
def test_a_run_that_was_stopped_before_its_first_epoch_ended_starts_again(make_trainer, small_data, tmp_path, batches):
    whole, stopped = make_trainer(batch_size=40), make_trainer(batch_size=40, out_dir=tmp_path / "run")
    if batches:
        stopped.step(batches=batches)
    resumed = Trainer.load(tmp_path / "run", small_data, device="cpu")
    assert resumed.epoch == 0
    for trainer in (whole, resumed):
        trainer.fit(progress=False)
    assert resumed.record.content()[1:] == whole.record.content()[1:]

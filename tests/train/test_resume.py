import json
import os
import subprocess
import sys

import pytest
import torch

from mmpid import BalanceController, FixedEpoch, LateFusion, Manual, RunRecord, Trainer
from mmpid.errors import CheckpointError, ConfigError, InputError
from mmpid.runs.checkpoint import CheckpointStore
from mmpid.runs.state import State, read_state, write_state
from tests.small_runs import weights


@pytest.mark.parametrize("batches", [1, 7, 12, 22])
def test_a_saved_run_goes_on_bit_for_bit(make_trainer, small_data, tmp_path, batches):
    whole, first = make_trainer(batch_size=40), make_trainer(batch_size=40)
    first.step(batches=batches)
    resumed = Trainer.load(first.save(tmp_path / "run"), small_data, device="cpu")
    whole.fit(progress=False)
    resumed.fit(progress=False)
    assert resumed.record == whole.record and torch.equal(weights(resumed), weights(whole))


@pytest.mark.parametrize("observable", ["prediction", "kmeans"])
def test_codebooks_and_checkpoints_travel_with_the_run(make_trainer, small_data, tmp_path, observable):
    whole = make_trainer(observable=observable, unimodal_epochs=9)
    whole.step(epochs=3)
    resumed = Trainer.load(whole.save(tmp_path / "run"), small_data, device="cpu")
    for trainer in (whole, resumed):
        trainer.rewind(to=1)
        trainer.step(epochs=2)
    assert resumed.record == whole.record and torch.equal(weights(resumed), weights(whole))


def test_a_folder_kept_current_goes_on_from_its_last_epoch(make_trainer, small_data, tmp_path):
    whole = make_trainer()
    whole.fit(progress=False)
    stopped = make_trainer(out_dir=tmp_path / "run")
    stopped.step(epochs=2)
    stopped.step(batches=1)  # lost, as in a crash
    resumed = Trainer.load(tmp_path / "run", small_data, device="cpu")
    assert resumed.epoch == 2
    resumed.fit(progress=False)
    assert resumed.record.content()[1:] == whole.record.content()[1:]
    assert torch.equal(weights(resumed), weights(whole))
    assert RunRecord.load(tmp_path / "run") == resumed.record


KILLED = """
import os, sys
sys.path.insert(0, {tests!r})
import numpy as np
from mmpid import LateFusion, MultimodalData, Trainer
rng = np.random.default_rng(0)
y = np.arange(400) % 4
x = {{name: rng.normal(size=(4, 6))[y] + rng.normal(size=(400, 6)) for name in "ab"}}
data = MultimodalData.from_arrays(x, y, seed=0)
args = dict(epochs=6, unimodal_epochs=3, n_boot=0, n_null=0, correction="none", device="cpu", batch_size=40)
trainer = Trainer(LateFusion.from_data(data), data, out_dir={out!r}, **args)
if {kill}:
    trainer.step(batches={kill})
    os.kill(os.getpid(), 9)
trainer = Trainer.load({out!r}, data, device="cpu") if {resume} else trainer
trainer.fit(progress=False)
"""


@pytest.mark.slow
@pytest.mark.parametrize("kill", [7, 23])
def test_a_killed_process_leaves_a_run_that_goes_on_bit_for_bit(tmp_path, kill):
    def run(out, kill=0):
        code = KILLED.format(tests="", out=str(out), kill=kill, resume=False)
        return subprocess.run([sys.executable, "-c", code], env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False)

    assert run(tmp_path / "whole").returncode == 0
    assert run(tmp_path / "killed", kill).returncode == -9
    resume = (
        KILLED.split("args = ")[0]
        + f"Trainer.load({str(tmp_path / 'killed')!r}, data, device='cpu').fit(progress=False)"
    )
    subprocess.run([sys.executable, "-c", resume.format(tests="")], check=True)
    whole, killed = RunRecord.load(tmp_path / "whole"), RunRecord.load(tmp_path / "killed")
    assert killed == whole
    states = [read_state(tmp_path / name / "now.safetensors").tensors for name in ("whole", "killed")]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_nothing_is_written_over(make_trainer, tmp_path):
    make_trainer(out_dir=tmp_path / "run")
    with pytest.raises(ConfigError, match=r"already holds a run.*Trainer\.load"):
        make_trainer(out_dir=tmp_path / "run")


def test_a_checkpoint_cut_short_is_refused_and_an_older_one_still_loads(make_trainer, small_data, tmp_path):
    trainer = make_trainer(out_dir=tmp_path / "run")
    trainer.step(epochs=2)
    now = tmp_path / "run" / "now.safetensors"
    now.write_bytes(now.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="cut short"):
        read_state(now)
    assert Trainer.load(tmp_path / "run", small_data, device="cpu").epoch == 2


@pytest.mark.parametrize("spoil", [lambda content: content[:-100], lambda content: content[:4], lambda content: b"x"])
def test_when_the_newest_states_are_spoiled_an_older_one_loads_and_goes_on(make_trainer, small_data, tmp_path, spoil):
    whole = make_trainer()
    whole.fit(progress=False)
    trainer = make_trainer(out_dir=tmp_path / "run")
    trainer.step(epochs=3)
    for path in (tmp_path / "run" / "now.safetensors", *sorted(trainer.checkpoints.folder.iterdir())[-2:]):
        path.write_bytes(spoil(path.read_bytes()))
    resumed = Trainer.load(tmp_path / "run", small_data, device="cpu")
    assert resumed.epoch == 1
    resumed.fit(progress=False)
    assert resumed.record.content()[1:] == whole.record.content()[1:]
    assert torch.equal(weights(resumed), weights(whole))


def test_files_of_others_in_the_folder_are_passed_over(make_trainer, small_data, tmp_path):
    from safetensors.torch import save_file

    trainer = make_trainer(out_dir=tmp_path / "run")
    trainer.step(epochs=2)
    folder = trainer.checkpoints.folder
    for name in ("notes.txt", "s1-eleven.safetensors", "s-e.safetensors", "s000-e000009.safetensors.bak"):
        (folder / name).write_text("not ours")
    save_file({"w": torch.zeros(3)}, folder / "s000-e000099.safetensors", metadata={"format": "pt"})
    (tmp_path / "run" / "now.safetensors").unlink()
    resumed = Trainer.load(tmp_path / "run", small_data, device="cpu")
    assert resumed.epoch == 2
    with pytest.raises(CheckpointError, match="s000-e000099.safetensors is not a complete checkpoint of mmpid"):
        resumed.checkpoints.get((0, 99))
    resumed.rewind(to=1)
    assert resumed.epoch == 1 and (folder / "notes.txt").exists()


def test_a_newer_state_is_named_and_an_older_one_loads(make_trainer, small_data, tmp_path, monkeypatch):
    import mmpid.runs.state as checkpoint

    trainer = make_trainer(out_dir=tmp_path / "run")
    trainer.step(epochs=2)
    now = tmp_path / "run" / "now.safetensors"
    monkeypatch.setattr(checkpoint, "FORMAT", 99)
    write_state(trainer._run.snapshot(), now)
    monkeypatch.undo()
    assert Trainer.load(tmp_path / "run", small_data, device="cpu").epoch == 2
    for path in trainer.checkpoints.folder.iterdir():
        path.unlink()
    now.replace(trainer.checkpoints.folder / "s000-e000002.safetensors")
    with pytest.raises(CheckpointError, match="no checkpoint in .* can be read.*format 99.*Update mmpid"):
        Trainer.load(tmp_path / "run", small_data, device="cpu")


def test_at_most_the_work_since_the_last_epochs_end_is_lost(make_trainer, small_data, tmp_path):
    trainer = make_trainer(out_dir=tmp_path / "run", batch_size=40)
    for batch in range(1, 20):
        trainer.step(batches=1)
        kept = RunRecord.load(tmp_path / "run")
        epochs = [row["epoch"] for row in kept.rows if row["kind"] == "epoch"]
        assert len(epochs) == batch // 6, "six batches per epoch"
        assert len([row for row in kept.rows if row["kind"] == "probe"]) == (len(epochs) + 1 if epochs else 0)


def test_a_run_keeps_its_first_best_and_latest_checkpoints_within_the_budget(make_trainer, tmp_path):
    controller = BalanceController(rule=Manual(), pause=None)
    trainer = make_trainer(out_dir=tmp_path / "run", epochs=12, unimodal_epochs=12, controller=controller)
    trainer.step(batches=1)
    trainer.checkpoints.budget = 3 * max(path.stat().st_size for path in trainer.checkpoints.folder.iterdir())
    trainer.step(epochs=11)
    best = trainer.controller.best(trainer.record).epoch
    epochs = [epoch for _, epoch in trainer.checkpoints]
    assert {0, best, trainer.epoch} <= set(epochs) and len(epochs) <= 4
    on_disk = sorted(int(path.stem.split("-e")[1]) for path in trainer.checkpoints.folder.iterdir())
    assert on_disk == sorted(epochs)
    trainer.switch_to_joint(rewind=True)
    assert trainer.epoch == best


@pytest.mark.parametrize(
    "content", [b"", b"not a checkpoint", b"\x80\x04\x95pickle", json.dumps({"format": 1}).encode()]
)
def test_a_foreign_file_is_refused(tmp_path, content):
    path = tmp_path / "now.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="not a complete checkpoint"):
        read_state(path)


def test_a_newer_format_is_refused(tmp_path, monkeypatch):
    import mmpid.runs.state as checkpoint

    monkeypatch.setattr(checkpoint, "FORMAT", 99)
    path = write_state(State({"x": torch.zeros(2)}, {}), tmp_path / "new.safetensors")
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match="format 99"):
        read_state(path)


def test_other_data_and_other_models_are_refused(make_trainer, small_data, tmp_path):
    from mmpid import MultimodalData

    folder = make_trainer().save(tmp_path / "run")
    other = MultimodalData.from_arrays(small_data.inputs, small_data.target, seed=1)
    with pytest.raises(CheckpointError, match="Load the same data, with its seed"):
        Trainer.load(folder, other)
    wrong = LateFusion.from_data(small_data, fusion="sum")
    with pytest.raises(CheckpointError, match="another model: .* tensors do not fit"):
        Trainer.load(folder, small_data, model=wrong, device="cpu")
    with pytest.raises(InputError, match="does not exist"):
        Trainer.load(tmp_path / "nowhere", small_data)


def test_the_store_keeps_first_latest_and_best_within_its_budget():
    state = lambda: State({"x": torch.zeros(100)}, {})  # noqa: E731  400 bytes
    store = CheckpointStore(budget=1700)
    for epoch in range(10):
        store.add((0, epoch), state(), keep=[(0, 4)] if epoch >= 4 else [])
    assert list(store) == [(0, 0), (0, 4), (0, 8), (0, 9)]
    with pytest.raises(CheckpointError, match="no checkpoint of epoch 5; kept are those of epochs 0, 4, 8, 9"):
        store.get((0, 5))


def test_an_interrupted_fit_goes_on_as_if_nothing_had_happened(make_trainer, monkeypatch):
    import signal

    from mmpid.train.engine import Engine

    whole, stopped = make_trainer(batch_size=40), make_trainer(batch_size=40)
    whole.fit(progress=False)
    update, calls = Engine.update, []

    def interrupted(*arguments, **options):
        calls.append(1)
        if len(calls) == 9:
            signal.raise_signal(signal.SIGINT)  # Ctrl-C in the middle of a batch
        return update(*arguments, **options)

    monkeypatch.setattr(Engine, "update", interrupted)
    with pytest.raises(KeyboardInterrupt):
        stopped.fit(progress=False)
    assert not stopped.finished and len(calls) == 9
    stopped.fit(progress=False)
    assert stopped.record == whole.record and torch.equal(weights(stopped), weights(whole))


def test_a_rule_taken_up_on_the_way_is_still_in_force_after_loading(make_trainer, small_data, tmp_path):
    trainer = make_trainer()
    trainer.step(epochs=1)
    trainer.controller = BalanceController(rule=FixedEpoch(epoch=2))
    trainer.step(batches=1)
    loaded = Trainer.load(trainer.save(tmp_path / "run"), small_data, device="cpu")
    assert loaded.controller == trainer.controller
    assert loaded.fit(progress=False) == trainer.fit(progress=False)


def test_a_run_is_not_saved_over_another_one(make_trainer, small_data, tmp_path):
    trainer, other = make_trainer(), make_trainer(seed=1)
    trainer.step(epochs=2)
    trainer.save(tmp_path / "run")
    other.step(epochs=1)
    with pytest.raises(ConfigError, match="`path`"):
        other.save(tmp_path / "run")
    trainer.step(epochs=1)
    trainer.save(tmp_path / "run")
    assert Trainer.load(tmp_path / "run", small_data, device="cpu").epoch == 3, "its own earlier state is no other run"


def test_checkpoints_are_found_in_the_order_in_which_they_were_made(tmp_path):
    for segment in (999, 1000):
        write_state(State({"x": torch.zeros(1)}, {"n_rows": segment}), tmp_path / f"s{segment:03d}-e000001.safetensors")
    assert CheckpointStore.open(tmp_path).latest().tree["n_rows"] == 1000


def test_how_an_update_is_computed_belongs_to_the_device_and_not_to_the_run(make_trainer):
    trainer = make_trainer()
    trainer.step(epochs=1)
    state = trainer.state_dict()
    for group in state["engine"]["optimizer"]["groups"]:
        group |= {"fused": True, "foreach": None, "lr": 0.123}  # as a GPU would have written it
    trainer.load_state_dict(state)
    assert {(g["fused"], g["foreach"], g["lr"]) for g in trainer._run.engine.optimizer.param_groups} == {
        (None, True, 0.123)
    }

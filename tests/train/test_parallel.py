import os
import socket
import subprocess
import sys

import pytest
import torch

from mmpid.errors import InputError, MMPIDWarning
from mmpid.train.parallel import Parallel, _buckets

pytest.importorskip("accelerate")

SCRIPT = """
import sys
import numpy as np, torch
from mmpid import LateFusion, MultimodalData, Trainer, methods

torch.set_num_threads(1)
rng = np.random.default_rng(0)
y = np.arange(425) % 4  # 256 samples train, in batches of 50: the last has 6, which four parts would not divide
x = {name: rng.normal(size=(4, 6))[y] + rng.normal(size=(425, 6)) for name in "ab"}
data = MultimodalData.from_arrays(x, y, seed=0, split={"train": .6, "probe": .15, "validation": .1, "test": .15})
accelerator = None
if len(sys.argv) > 2:
    from accelerate import Accelerator
    accelerator = Accelerator(cpu=True)
trainer = Trainer(
    LateFusion.from_data(data), data, accelerator=accelerator, device="cpu", out_dir=sys.argv[1] + "-run",
    epochs=4, unimodal_epochs=2, batch_size=BATCH, n_boot=0, n_null=0, log_every=2, callbacks=CALLBACKS,
)
trainer.fit(progress=False)
rank, rows = accelerator.process_index if accelerator else 0, repr(trainer.record.content()[1:])
torch.save({"model": trainer.model.state_dict(), "rows": rows}, f"{sys.argv[1]}-{rank}.pt")
"""


def launch(out, n_processes, batch_size=50, callbacks="[]", script=SCRIPT):
    """Run the script in several processes that find each other on this machine; return what each ended with."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    script = script.replace("BATCH", str(batch_size)).replace("CALLBACKS", callbacks)
    command = [sys.executable, "-c", script, str(out)]
    shared = {**os.environ, "OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    shared |= {"WORLD_SIZE": str(n_processes), "LOCAL_WORLD_SIZE": str(n_processes)}
    if n_processes == 1:
        started = [subprocess.Popen(command)]
    else:
        ranks = [{"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(n_processes)]
        started = [subprocess.Popen([*command, "together"], env={**shared, **rank}) for rank in ranks]
    assert [process.wait(timeout=200) for process in started] == [0] * n_processes
    return [torch.load(f"{out}-{rank}.pt", weights_only=True) for rank in range(n_processes)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("batch_size", "callbacks"), [(50, "[]"), (42, "[]"), (50, "[methods.OGMGE(enhance=False), methods.AGM()]")]
)
def test_two_processes_train_as_one(tmp_path, batch_size, callbacks):
    (alone,) = launch(tmp_path / "alone", 1, batch_size, callbacks)
    first, second = launch(tmp_path / "both", 2, batch_size, callbacks)
    assert first["rows"] == second["rows"]
    for key, value in alone["model"].items():
        assert torch.equal(first["model"][key], second["model"][key])
        torch.testing.assert_close(first["model"][key], value, rtol=1e-4, atol=1e-6)
    assert (tmp_path / "both-run" / "now.safetensors").exists()  # written once, by the main process


class Two:
    """Stands for an accelerator of two processes that hold the same numbers."""

    num_processes, process_index, is_main_process = 2, 1, True

    def __init__(self):
        self.exchanges = 0

    def reduce(self, tensor, reduction):
        assert reduction == "mean"
        self.exchanges += 1
        return tensor / 2


@pytest.fixture
def two():
    parallel = Parallel.__new__(Parallel)
    parallel.accelerator, parallel._warned = Two(), False
    return parallel


def test_an_even_batch_is_divided_and_an_uneven_one_is_not(two):
    assert two.share(torch.arange(6)).tolist() == [3, 4, 5]
    with pytest.warns(MMPIDWarning, match="batch of 5 samples cannot be split evenly among 2 processes"):
        assert two.share(torch.arange(5)).tolist() == [0, 1, 2, 3, 4]
    assert two.share(torch.arange(3)).tolist() == [0, 1, 2]  # said once


def test_gradients_are_averaged_in_one_exchange_a_type_and_frozen_parameters_are_left_alone(two):
    parameters = [torch.nn.Parameter(torch.ones(n)) for n in (3, 1, 2)]
    for parameter in parameters[:2]:
        parameter.grad = torch.full_like(parameter, 4.0)
    two.reduce(parameters)
    assert [p.grad is None or p.grad.tolist() for p in parameters] == [[2.0] * 3, [2.0], True]
    assert two.accelerator.exchanges == 1


def test_buckets_hold_one_type_and_a_bounded_size(monkeypatch):
    monkeypatch.setattr("mmpid.train.parallel.BUCKET", 10)
    sizes = [(6, torch.float32), (6, torch.float32), (3, torch.float64), (3, torch.float32)]
    buckets = _buckets([torch.zeros(n, dtype=kind) for n, kind in sizes])
    assert [[t.numel() for t in bucket] for bucket in buckets] == [[6], [6, 3], [3]]


def test_what_is_no_accelerator_is_refused():
    with pytest.raises(InputError, match="must be an accelerate.Accelerator; it was str"):
        Parallel("auto")

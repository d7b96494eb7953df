"""Every method in two processes: both come to the same weights, and to those of one process where it can be."""

from pathlib import Path

import pytest
import torch

from tests.train.test_parallel import launch

pytest.importorskip("accelerate")

SCRIPT = """
import sys
sys.path.insert(0, ROOT)
import numpy as np, torch
from mmpid import LateFusion, MultimodalData, Trainer
from tests.methods.oracles import METHODS
from mmpid.methods import LFM

torch.set_num_threads(1)
rng = np.random.default_rng(0)
y = np.arange(205) % 4  # 123 samples train, in batches of 40: the last has 3, which two parts do not divide
x = {name: rng.normal(size=(4, 6))[y] + s * rng.normal(size=(205, 6)) for name, s in (("a", 1.0), ("b", 2.0))}
data = MultimodalData.from_arrays(x, y, seed=0, split={"train": .6, "probe": .15, "validation": .1, "test": .15})
accelerator = None
if len(sys.argv) > 2:
    from accelerate import Accelerator
    accelerator = Accelerator(cpu=True)
found = {}
makers = {f"{name} {label}": make for name, cases in METHODS.items() for label, make in cases.RUNS.items()}
for name, make in {**makers, "lfm learned": lambda: LFM("learned", lr=1.0)}.items():
    trainer = Trainer(
        LateFusion.from_data(data), data, accelerator=accelerator, device="cpu", epochs=4, unimodal_epochs=0,
        batch_size=40, n_boot=0, n_null=0, callbacks=[make()], stage2="off", lr=0.05,
    )
    trainer.fit(progress=False)
    found[name] = {"model": trainer.model.state_dict(), "rows": repr(trainer.record.content()[1:])}
torch.save(found, f"{sys.argv[1]}-{accelerator.process_index if accelerator else 0}.pt")
"""
OF_THE_PART = ("synib",)  # takes entries of other samples from the part of the batch that a process has


@pytest.mark.slow
def test_every_method_decides_alike_in_two_processes_and_as_one(tmp_path):
    script = SCRIPT.replace("ROOT", repr(str(Path(__file__).parents[2])))
    (alone,) = launch(tmp_path / "alone", 1, script=script)
    first, second = launch(tmp_path / "both", 2, script=script)
    for name, one in alone.items():
        assert first[name]["rows"] == second[name]["rows"], name
        for key, value in one["model"].items():
            assert torch.equal(first[name]["model"][key], second[name]["model"][key]), name
            if not name.startswith(OF_THE_PART):
                torch.testing.assert_close(first[name]["model"][key], value, rtol=1e-4, atol=1e-5, msg=f"{name}: {key}")

"""An imbalance that is induced midway is answered within two probes: in both stages, of both kinds, and among three.

The modalities start alike: the same class centers, the same initial weights, independent noise. Nobody is paused until
one encoder learns ten times faster, or until one modality's samples become noisy.
"""

import numpy as np
import pytest
import torch

from mmpid import BalanceController, FixedEpoch, LateFusion, Manual, MultimodalData, Trainer
from mmpid.rules import LeadPause

SETTINGS = {"ecs": (), "device": "cpu", "epochs": 40}


def alike(names: str, seed: int) -> tuple[LateFusion, MultimodalData]:
    """Modalities that differ in nothing but their noise."""
    rng = np.random.default_rng(seed)
    y = np.arange(1200) % 4
    centers = np.linalg.qr(rng.normal(size=(6, 6)))[0][:4]
    data = MultimodalData.from_arrays({m: centers[y] + 0.3 * rng.normal(size=(1200, 6)) for m in names}, y, seed=0)
    model = LateFusion.from_data(data, seed=0)
    for part in (model.encoders, model.heads):
        for name in names[1:]:
            part[name].load_state_dict(part[names[0]].state_dict())
    return model, data


def in_stage(stage: str, names: str, lr: float, seed: int, quiet: int) -> Trainer:
    """Return a trainer that has spent some quiet epochs in a stage."""
    rule = Manual() if stage == "unimodal" else FixedEpoch(epoch=2)
    settings = {"unimodal_epochs": 30, "stage2": "balance", "joint_lr_scale": 1.0, "rewind": False}
    model, data = alike(names, seed)
    controller = BalanceController(rule=rule, pause=LeadPause(warmup=quiet - 2))
    trainer = Trainer(model, data, controller=controller, lr=lr, **SETTINGS, **settings)
    trainer.step(epochs=quiet)
    assert trainer.stage == stage and not pauses(trainer)
    return trainer


def pauses(trainer) -> list[tuple[str, str]]:
    return [(row["modality"], row["stage"]) for row in trainer.record.rows if row.get("action") == "pause"]


def make_noisy(trainer: Trainer, name: str) -> None:
    """Raise one modality's noise in everything that is still to be read."""
    generator = torch.Generator().manual_seed(1)
    for split in (*trainer._run.splits.values(), trainer._run.prober.split):
        split.inputs[name].add_(2 * torch.randn(split.inputs[name].shape, generator=generator))


@pytest.mark.parametrize("stage", ["unimodal", "joint"])
@pytest.mark.parametrize(("names", "seed"), [("ab", 0), ("ab", 1), ("abc", 0)])
def test_an_encoder_that_learns_ten_times_faster_is_paused(stage, names, seed):
    trainer = in_stage(stage, names, lr=0.001, seed=seed, quiet=5)
    trainer.set_learning_rate(0.01, "b")
    trainer.step(epochs=2)
    assert pauses(trainer) == [("b", stage)]
    (reason,) = [row["reason"] for row in trainer.record.rows if row.get("action") == "pause"]
    assert reason.startswith("b has") and "ratio" in reason


@pytest.mark.parametrize("stage", ["unimodal", "joint"])
@pytest.mark.parametrize("seed", [0, 2])
def test_when_one_modality_becomes_noisy_the_other_one_is_paused(stage, seed):
    trainer = in_stage(stage, "ab", lr=0.02, seed=seed, quiet=8)
    make_noisy(trainer, "b")
    trainer.step(epochs=2)
    assert pauses(trainer) == [("a", stage)]

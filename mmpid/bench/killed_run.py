"""The small run that the kill test kills, and how its folder is read."""

from pathlib import Path

import numpy as np
import torch

from mmpid.bench.drift import Drift
from mmpid.datasets import MultimodalData
from mmpid.models import LateFusion
from mmpid.rules import BalanceController, LeadPause, PeakSynergy
from mmpid.runs.folder import RECORD
from mmpid.runs.state import read_state
from mmpid.train import Trainer

EPOCH_BUDGET, DROPOUT, OBSERVABLE = 8, 0.2, "kmeans"


def small_data() -> MultimodalData:
    """Return data with two modalities of different strength and four classes."""
    rng = np.random.default_rng(0)
    y = np.arange(480) % 4
    centers = {name: rng.normal(size=(4, 6)) for name in ("a", "b")}
    inputs = {name: centers[name][y] + s * rng.normal(size=(480, 6)) for name, s in (("a", 0.7), ("b", 1.6))}
    return MultimodalData.from_arrays(inputs, y, seed=0, name="small")


def small_model() -> LateFusion:
    """Return a model with custom encoders, which loading needs, and with random numbers in training."""

    def encoder():
        return torch.nn.Sequential(torch.nn.Linear(6, 16), torch.nn.ReLU(), torch.nn.Dropout(DROPOUT))

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return LateFusion({"a": encoder(), "b": encoder()}, 4, dims={"a": 16, "b": 16})


def train(data: MultimodalData, folder: Path) -> None:
    """Start the run or resume it, up to its end."""
    if (folder / RECORD).exists():
        trainer = load(data, folder)
    else:
        model, controller, callbacks = _own_parts()
        trainer = Trainer(
            model, data, controller=controller, callbacks=callbacks, device="cpu", out_dir=folder, epochs=EPOCH_BUDGET,
            unimodal_epochs=6, batch_size=32, observable=OBSERVABLE, n_clusters=5, n_boot=5, n_null=2, log_every=3,
        )  # fmt: skip
    trainer.fit(progress=False)


def load(data: MultimodalData, folder: Path, read_only: bool = False) -> Trainer:
    """Return the run as loaded from its folder."""
    model, controller, callbacks = _own_parts()
    return Trainer.load(
        folder, data, model=model, controller=controller, callbacks=callbacks, device="cpu", read_only=read_only
    )


def _own_parts() -> tuple[LateFusion, BalanceController, list]:
    """Return model, controller and callbacks, which a folder does not hold."""
    rule, pause = PeakSynergy(warmup=1, noise_aware=False), LeadPause(ratio=1.2, warmup=1, dwell=1)
    return small_model(), BalanceController(rule=rule, pause=pause), [Drift()]


def read_states(folder: Path) -> dict[str, tuple]:
    """Return the content of every state in a folder, by path, in a form that compares bit for bit."""
    found = {}
    for path in folder.rglob("*.safetensors"):
        state = read_state(path)
        bits = {key: (str(x.dtype), tuple(x.shape), x.numpy().tobytes()) for key, x in state.tensors.items()}
        found[str(path.relative_to(folder))] = state.tree, bits
    return found

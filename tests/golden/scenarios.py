"""Twenty-four short runs that exercise every path of the trainer; their records and weights are kept."""

import hashlib

import numpy as np
import torch
from torch import nn

from mmpid import FixedEpoch, LateFusion, Manual, MultimodalData, PeakSynergy, RedundancyPlateau, Trainer, datasets

SEEDS = (0, 1)
QUICK = {"estimator": "counted", "n_boot": 0, "n_null": 0, "correction": "none", "device": "cpu"}
PROBED = {"estimator": "counted", "n_boot": 12, "n_null": 10, "device": "cpu"}


def gaussian_data(n_modalities: int = 2, *, seed: int = 0, n: int = 320) -> MultimodalData:
    """Modalities of different noise about four classes."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 4
    inputs = {}
    for name, noise in zip("abc"[:n_modalities], (0.7, 1.4, 2.0), strict=False):
        centers = rng.normal(size=(4, 6))
        inputs[name] = centers[y] + noise * rng.normal(size=(n, 6))
    return MultimodalData.from_arrays(inputs, y, seed=seed, name="gaussian")


def matching_data(seed: int) -> MultimodalData:
    """Do two signs agree? No modality knows the label alone."""
    rng = np.random.default_rng(seed)
    a, b = rng.choice([-1.0, 1.0], size=(2, 320, 1))
    y = (a[:, 0] == b[:, 0]).astype(int)
    inputs = {"a": a + 0.3 * rng.normal(size=(320, 4)), "b": b + 0.3 * rng.normal(size=(320, 4))}
    return MultimodalData.from_arrays(inputs, y, seed=seed, name="matching")


class Items(torch.utils.data.Dataset):
    """The samples of data in memory, one at a time."""

    def __init__(self, data):
        self.data = data

    def __len__(self):
        return len(self.data.target)

    def __getitem__(self, i):
        return {name: x[i] for name, x in self.data.inputs.items()}, int(self.data.target[i])


def dropout_model(data: MultimodalData, seed: int, fusion: str = "concat") -> LateFusion:
    """Encoders with batch normalization and dropout, whose random numbers belong to the run."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoders = {
            name: nn.Sequential(nn.Linear(*shape, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Dropout(0.2), nn.Linear(12, 8))
            for name, shape in data.shapes.items()
        }
        return LateFusion(encoders, data.n_classes, fusion=fusion, dims=dict.fromkeys(data.modalities, 8))


def plain(data: MultimodalData, seed: int, **settings) -> Trainer:
    """A trainer with the built-in model."""
    return Trainer(LateFusion.from_data(data, seed=seed), data, seed=seed, **settings)


def automatic(seed, controller, folder):
    """Pauses and a switch by the controller, with intervals and null bands."""
    data = datasets.load("av-digits", seed=seed)
    rule = RedundancyPlateau(patience=2, warmup=1, min_share=0.4)
    made = controller(rule, ratio=1.1, floor=0.01, warmup=1, dwell=1, give_up=None)
    trainer = plain(data, seed, controller=made, epochs=9, **PROBED)
    trainer.fit(progress=False)
    return [trainer]


def by_hand(seed, controller, folder):
    """Pause, resume, rates, batch sizes within an epoch, rewind, switch with a rewind, probe by hand."""
    trainer = plain(gaussian_data(seed=seed), seed, epochs=8, unimodal_epochs=6, batch_size=24, **QUICK)
    trainer.auto = False
    trainer.step(epochs=2)
    trainer.pause("a")
    trainer.step(batches=3)
    trainer.set_learning_rate(0.01, "b")
    trainer.set_batch_size(16)
    trainer.probe()
    trainer.step(epochs=1)
    trainer.resume("a")
    trainer.step(epochs=2)
    trainer.rewind(3)
    trainer.step(batches=4)
    trainer.switch_to_joint(rewind=2)
    trainer.set_learning_rate(0.02)
    trainer.fit(progress=False)
    return [trainer]


def branched(seed, controller, folder):
    """Two futures of one run, one of them from scratch."""
    parent = Trainer(
        dropout_model(data := gaussian_data(seed=seed), seed), data, seed=seed, epochs=7, unimodal_epochs=5, **QUICK
    )
    parent.step(epochs=3)
    child = parent.branch(at=2, name="child")
    child.switch_to_joint(rewind=False)
    other = parent.branch()
    other.switch_to_joint(from_scratch=True)
    for trainer in (child, other, parent):
        trainer.fit(progress=False)
    return [parent, child, other]


def resumed(seed, controller, folder):
    """Killed within an epoch of each stage, and loaded from its folder and from a saved copy."""
    data = gaussian_data(seed=seed)
    trainer = Trainer(
        dropout_model(data, seed),
        data,
        seed=seed,
        epochs=7,
        unimodal_epochs=4,
        out_dir=folder / "run",
        log_every=2,
        **QUICK,
    )
    trainer.step(epochs=2)
    trainer.step(batches=3)
    trainer = Trainer.load(trainer.save(folder / "copy"), data, model=dropout_model(data, 9), device="cpu")
    trainer.step(epochs=3)
    trainer.step(batches=2)
    trainer = Trainer.load(trainer.save(folder / "again"), data, model=dropout_model(data, 8), device="cpu")
    trainer.fit(progress=False)
    return [trainer]


def three_modalities(seed, controller, folder):
    """One against the rest, and pairs, from predicted classes."""
    trainer = plain(gaussian_data(3, seed=seed), seed, epochs=5, unimodal_epochs=3, **PROBED)
    trainer.fit(progress=False)
    return [trainer]


def three_clustered(seed, controller, folder):
    """One against the rest from k-means codebooks that start from the last probe's; a switch by hand."""
    trainer = plain(
        gaussian_data(3, seed=seed), seed, epochs=5, unimodal_epochs=4, observable="kmeans", n_clusters=5, **QUICK
    )
    trainer.step(epochs=2)
    trainer.switch_to_joint(rewind=1)
    trainer.fit(progress=False)
    return [trainer]


def streamed(seed, controller, folder):
    """Samples read batch by batch."""
    whole = gaussian_data(seed=seed)
    loader = torch.utils.data.DataLoader(Items(whole))
    data = MultimodalData.from_loaders(loader, split=whole.splits, in_memory=False, class_names=list("wxyz"))
    trainer = plain(data, seed, epochs=5, unimodal_epochs=3, batch_size=40, **QUICK)
    trainer.step(batches=5)
    trainer.fit(progress=False)
    return [trainer]


def paper(seed, controller, folder):
    """The preset of the paper, shortened."""
    data = gaussian_data(seed=seed)
    trainer = plain(
        data,
        seed,
        preset="paper",
        epochs=14,
        unimodal_epochs=10,
        joint_epochs=4,
        probe_every=2,
        n_clusters=5,
        probe_samples=96,
        device="cpu",
    )
    trainer.fit(progress=False)
    return [trainer]


def adamw(seed, controller, folder):
    """AdamW, class weights, a step schedule, warm k-means codebooks, probes at every second epoch."""
    made = controller(PeakSynergy(warmup=1), ratio=3.0, floor=0.05, warmup=2, dwell=2, give_up=None)
    trainer = plain(
        gaussian_data(seed=seed), seed, controller=made, epochs=8, unimodal_epochs=4, optimizer="adamw", lr=0.003,
        class_weight="balanced", lr_step=2, observable="kmeans", n_clusters=6, probe_every=2, log_every=3, **PROBED,
    )  # fmt: skip
    trainer.fit(progress=False)
    return [trainer]


def frozen_fusion(seed, controller, folder):
    """A gated fusion on frozen encoders, bfloat16, test selection, a random joint head."""
    data = gaussian_data(seed=seed)
    made = controller(FixedEpoch(epoch=2), ratio=None, floor=0.05, warmup=2, dwell=2, give_up=None)
    trainer = Trainer(
        dropout_model(data, seed, "gated"), data, seed=seed, controller=made, epochs=5, unimodal_epochs=3,
        freeze_encoders=True, precision="bfloat16", selection="test", fusion_init="random", rewind=False, **QUICK,
    )  # fmt: skip
    trainer.fit(progress=False)
    return [trainer]


def given_up(seed, controller, folder):
    """Stage 1 teaches nothing, and is given up."""
    made = controller(RedundancyPlateau(), ratio=3.0, floor=0.05, warmup=2, dwell=2, give_up=3)
    trainer = plain(matching_data(seed), seed, controller=made, epochs=9, lr=0.002, **(PROBED | {"n_boot": 0}))
    trainer.fit(progress=False)
    return [trainer]


def joint_only(seed, controller, folder):
    """Joint training from scratch, with a controller that may pause in stage 2."""
    made = controller(Manual(), ratio=1.05, floor=0.001, warmup=0, dwell=0, give_up=None)
    trainer = plain(
        gaussian_data(seed=seed), seed, controller=made, epochs=5, unimodal_epochs=0, stage2="balance", **QUICK
    )
    trainer.fit(progress=False)
    return [trainer]


SCENARIOS = {
    f.__name__: f
    for f in (
        automatic, by_hand, branched, resumed, three_modalities, three_clustered, streamed, paper, adamw, frozen_fusion,
        given_up, joint_only,
    )
}  # fmt: skip


def fingerprint(trainer) -> dict:
    """Return the rows of a run and digests of all that it ends with."""
    chosen = trainer.selected_model().state_dict() if trainer.finished else {}
    return {
        "rows": [{k: v for k, v in row.items() if k != "seconds"} for row in trainer.record.rows],
        "settings": trainer.record.metadata["settings"],
        "weights": digest(trainer.model.state_dict()),
        "selected": digest(chosen),
    }


def digest(tensors: dict) -> str:
    """Return a hash of tensors, bit for bit."""
    made = hashlib.sha256()
    for name in sorted(tensors):
        made.update(name.encode())
        made.update(tensors[name].detach().cpu().contiguous().numpy().tobytes())
    return made.hexdigest()


def arithmetic() -> str:
    """Return a hash of a few sums: runs repeat bit for bit only where processor and torch round them alike."""
    generator = torch.Generator().manual_seed(0)
    x, w = (torch.randn(64, 192, generator=generator) for _ in range(2))
    with torch.no_grad():
        products = x @ w.T
        parts = {
            "products": products, "exponentials": products.softmax(1).log(), "sums": (x * w).sum(1),
            "double": torch.linalg.svdvals(x.double()),
            "solve": torch.linalg.cholesky(x.double() @ x.double().T + torch.eye(64).double()),
        }  # fmt: skip
    return digest(parts)

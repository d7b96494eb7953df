"""The two runs of a race: trained in turns of one epoch, with each encoder read by a fresh head."""

import warnings
from collections.abc import Mapping

import numpy as np
import torch

from mmpid import _validate
from mmpid.estimate import estimate_row
from mmpid.models import LateFusion
from mmpid.plots.reading import label_entropy
from mmpid.train.evaluation import evaluate
from mmpid.train.trainer import Trainer

RECIPES: dict[str, dict] = {
    "joint": {"unimodal_epochs": 0, "aux_weight": 0.0},
    "joint+aux": {"unimodal_epochs": 0},
    "two-stage": {},
}
QUIET = {"n_boot": 0, "n_null": 0, "ecs": (), "stage2": "off"}
N_BOOT = 60


class Lane:
    """One run of a race.

    An encoder's own head says little about it if only the joint head has trained the encoder. Both runs are therefore
    read in the same way: after each epoch a linear classifier is fitted on the frozen embeddings of the training
    samples, and its predictions on the probe samples are decomposed.

    Parameters
    ----------
    name : str
        Name of the recipe.
    settings : mapping
        Settings of the trainer, in addition to those of the recipe.

    Attributes
    ----------
    probes : list of dict
        One row per epoch, with the atoms and their intervals.
    bits : dict
        By epoch and modality, what the fresh head knows about each probe sample, in bits: H(Y) + log2 of its
        probability for the true class. The mean is a lower estimate of I(Y; X) from held-out samples.
    """

    def __init__(self, name: str, recipe: Mapping, data, seed: int, settings: Mapping):
        self.name, self.data = name, data
        model = LateFusion.from_data(data, seed=seed)
        own = {**QUIET, **settings, **recipe}
        if own.get("unimodal_epochs") != 0:
            own |= {"n_boot": 20, "n_null": 5}  # what the controller decides on
        self.trainer = Trainer(model, data, seed=seed, name=name, **own)
        self._fit, self._read = data.split("train"), data.split("probe")
        self.entropy = label_entropy(self.trainer.record.metadata)
        self.bits: dict[tuple[int, str], np.ndarray] = {}
        self.probes: list[dict] = [self._probe()]

    @property
    def finished(self) -> bool:
        """Whether the run has used its budget."""
        return self.trainer.finished

    def bits_at(self, epoch: float, name: str) -> np.ndarray:
        """Return what an encoder knew about each probe sample at the last reading up to an epoch."""
        return self.bits[max(at for at, who in self.bits if who == name and at <= epoch), name]

    def step(self) -> None:
        """Train one epoch and read the encoders."""
        before = self.trainer.epoch
        self.trainer.step(epochs=1)
        if self.trainer.epoch <= before:  # a switch went back to an earlier state
            self.probes = [row for row in self.probes if row["epoch"] < self.trainer.epoch]
            self.bits = {key: bits for key, bits in self.bits.items() if key[0] < self.trainer.epoch}
        self.probes.append(self._probe())

    def _probe(self) -> dict:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        known, asked = (evaluate(self.trainer.model, split) for split in (self._fit, self._read))
        scores = {}
        for name in self.data.modalities:
            readout = make_pipeline(StandardScaler(), LogisticRegression(max_iter=60))
            x, y = (part.embeddings[name].cpu().double().numpy() for part in (known, asked))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # the last digits of the readout do not matter
                readout.fit(x.reshape(len(x), -1), known.target.cpu().numpy())
            shares = np.full((len(y), self.data.n_classes), 1e-3)
            shares[:, readout.classes_] = np.maximum(readout.predict_proba(y.reshape(len(y), -1)), 1e-3)
            scores[name] = torch.from_numpy(np.log(shares)).float()
            right = shares[np.arange(len(y)), asked.target.cpu().numpy()]
            self.bits[self.trainer.epoch, name] = self.entropy + np.log2(right)  # of each sample; its mean is I(Y; X)
        row = estimate_row(
            scores, asked.target, discretizer="prediction", n_boot=N_BOOT, n_null=0, n_classes=self.data.n_classes
        )
        at = {"kind": "probe", "epoch": self.trainer.epoch, "stage": self.trainer.stage}
        return {**at, **row}


def recipe_of(side: str, recipe: str | Mapping) -> tuple[str, dict]:
    """Return the name and the settings of a recipe; a mapping of trainer settings is a custom recipe."""
    if isinstance(recipe, Mapping):
        return str(recipe.get("name", side)), {key: value for key, value in recipe.items() if key != "name"}
    return recipe, RECIPES[_validate.choice(recipe, side, RECIPES)]

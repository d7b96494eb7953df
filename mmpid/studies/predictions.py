"""What one run answered to each test sample."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from mmpid.studies.store import Finished

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Predictions:
    """Answers of one classifier of one run on the test split."""

    run: Finished
    head: str
    data: str
    seed: int

    @cached_property
    def logits(self) -> np.ndarray:
        """Logits (N, k)."""
        return self.run.arrays[f"test.{self.head}"]

    @property
    def target(self) -> np.ndarray:
        """Labels (N,)."""
        return self.run.arrays["test_target"]

    @property
    def index(self) -> np.ndarray:
        """Place of each sample in the data (N,)."""
        return self.run.arrays["test_index"]

    @property
    def group(self) -> np.ndarray:
        """Group of each sample (N,); without groups, each is its own."""
        return self.run.arrays["test_group"]

    @cached_property
    def pool(self) -> str:
        """Fingerprint of the samples: where it is the same, so are the samples behind an index."""
        return self.run.told["pool"]

    @cached_property
    def correct(self) -> np.ndarray:
        """Whether each answer is right, as 0.0 or 1.0 (N,)."""
        return (self.logits.argmax(1) == self.target).astype(float)

    def to_frame(self) -> "pd.DataFrame":
        """Return one row per test sample: index, group, target, predicted, correct, and p of each class."""
        import pandas as pd

        scaled = self.logits - self.logits.max(1, keepdims=True)
        p = np.exp(scaled) / np.exp(scaled).sum(1, keepdims=True)
        columns = {"index": self.index, "group": self.group, "target": self.target, "predicted": p.argmax(1)}
        columns |= {"correct": self.correct.astype(bool)} | {f"p.{k}": p[:, k] for k in range(p.shape[1])}
        return pd.DataFrame(columns)

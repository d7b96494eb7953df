"""What a simulation of the solvable model found."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from mmpid.theory.settings import ModelSettings
from mmpid.theory.strength import State, ecs_from


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """What one call of `simulate` found. Shapes have a leading axis of seeds where `n_seeds` was given.

    Attributes
    ----------
    settings : ModelSettings
        Settings of the model.
    schedule : str
        The training schedule.
    seeds : tuple of int
        Seeds of the worlds.
    ecs : Tensor, shape (..., K, 2)
        Effective Competitive Strength at step 0, by class and modality, no unit.
    predicted_winner : Tensor of int64, shape (..., K)
        Modality (0 or 1) with the larger ECS.
    winner : Tensor of int64, shape (..., K)
        Modality that keeps the class to itself at the end: the other one's Lambda is below 0.3 of its own. -1 where
        there is no loser, because both learned the class (or, in a run cut short, neither).
    first : Tensor of int64, shape (..., K)
        Modality that discovered the class first (Lambda reached beta), -1 if none did.
    discovery_time, predicted_time : Tensor, shape (..., K, 2)
        Steps until discovery, as measured (infinity if never) and as predicted from ECS.
    hand_over : Tensor of int64, shape (...)
        Step at which joint training began; 0 under the joint schedule, -1 if never.
    n_steps : Tensor of int64, shape (...)
        Steps taken in all.
    error : Tensor, shape (...)
        Stratified test error: the strata weighted by their exact probabilities, in [0, 1].
    strata : Tensor, shape (..., 2, 2)
        Test error given whether modality 1 (first axis) and modality 2 (second axis) is insufficient.
    unimodal_error : Tensor, shape (..., 2)
        Test error of each modality alone.
    strength_path : Tensor, shape (T + 1, ..., K, 2)
        Lambda at every step; NaN after a seed's last one.
    start, final : State
        The model at step 0 and after the last step.
    snapshots : tuple of State
        The model at the steps asked for.
    """

    settings: ModelSettings
    schedule: str
    seeds: tuple[int, ...]
    ecs: Tensor
    predicted_winner: Tensor
    winner: Tensor
    first: Tensor
    discovery_time: Tensor
    predicted_time: Tensor
    hand_over: Tensor
    n_steps: Tensor
    error: Tensor
    strata: Tensor
    unimodal_error: Tensor
    strength_path: Tensor = field(repr=False)
    start: State = field(repr=False)
    final: State = field(repr=False)
    snapshots: tuple[State, ...] = field(repr=False)

    @property
    def ecs_path(self) -> Tensor:
        """ECS at every step, (T + 1, ..., K, 2)."""
        return ecs_from(self.settings, self.strength_path, self.start.data_strength.cpu())

    @property
    def both_learned(self) -> Tensor:
        """Mask (..., K) of the classes that both modalities had learned at the end."""
        final = last_strength(self.strength_path, self.n_steps)
        return (final >= self.settings.beta).all(-1)

    def to_frame(self):
        """Return one row per seed and class as a pandas DataFrame."""
        import pandas as pd

        k = self.settings.n_classes
        columns = {
            "seed": torch.tensor(self.seeds).repeat_interleave(k),
            "class": torch.arange(k).repeat(len(self.seeds)),
        }
        for name in ("ecs", "discovery_time", "predicted_time"):
            for r in range(2):
                columns[f"{name}_{r + 1}"] = getattr(self, name)[..., r].flatten()
        for name in ("predicted_winner", "first", "winner"):
            columns[name] = getattr(self, name).flatten()
        return pd.DataFrame({name: values.cpu().numpy() for name, values in columns.items()})

    def __repr__(self) -> str:
        lost = self.winner >= 0
        right = int((self.predicted_winner == self.winner)[lost].sum())
        error = ", ".join(f"{float(e):.4g}" for e in self.error.flatten()[:4])
        more = ", ..." if self.error.numel() > 4 else ""
        return (
            f"Simulation(n_classes={self.settings.n_classes}, schedule={self.schedule!r}, seeds={len(self.seeds)}, "
            f"error={error}{more}, classes with a loser {int(lost.sum())} of {lost.numel()}, "
            f"winner predicted for {right} of them)"
        )


def last_strength(path: Tensor, n_steps: Tensor) -> Tensor:
    """Lambda (..., K, 2) after each seed's last step."""
    index = n_steps.view(1, *n_steps.shape, 1, 1).expand(1, *path.shape[1:])
    return path.gather(0, index).squeeze(0)

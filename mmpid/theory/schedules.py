"""The training schedules: which modalities learn at each step, and on which loss, for a group of seeds at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mmpid.theory.data import DTYPE, MEAN_SIZE, Samples, amplitudes, draw
from mmpid.theory.network import Descent, leading, stratified_error
from mmpid.theory.settings import ModelSettings
from mmpid.theory.strength import ecs_from

SCHEDULES = ("joint", "two-stage", "one-shaped", "two-stage-margin")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A schedule with its lengths, in steps.

    Shaping ends after `shaping_steps`, or, where that is None, by an oracle: when every class of every shaped
    modality is stronger than `shaped_level` and, if `balanced`, no confuser class of one modality outvotes the own
    class of the other in a mean sample; `margin_steps` later under "two-stage-margin".
    """

    schedule: str
    n_steps: tuple[int, ...] | None
    shaping_steps: int | None = None
    joint_steps: int = 100
    margin_steps: int = 120
    shaped_level: float = 2.0
    balanced: bool = True
    max_shaping_steps: int = 2000
    imbalance: float = 1.0
    checkpoints: tuple[int, ...] = ()
    n_test: int = 4000

    def is_shaped(self, settings: ModelSettings, lam: Tensor, amplitude: Tensor) -> Tensor:
        """Mask (S,) of the seeds whose shaping is done, from Lambda (S, K, 2) and amplitudes (S, 2, K)."""
        if self.schedule == "one-shaped":
            return (lam[..., 0] > self.shaped_level).all(1)
        strong = (lam > self.shaped_level).flatten(1).all(1)
        votes = lam * amplitude.mT
        outvoted = settings.rho * votes.amax(1) > MEAN_SIZE * votes.amin(1).flip(1)
        return strong & ~outvoted.any(1) if self.balanced else strong


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a group of S seeds leaves behind; `path` (T + 1, S, K, 2) is NaN after a seed's last step."""

    start: Tensor
    final: Tensor
    snapshots: tuple[Tensor, ...]
    path: Tensor
    data_strength: Tensor
    amplitude: Tensor
    hand_over: Tensor
    n_steps: Tensor
    strata: Tensor
    strata_alone: Tensor


def run_group(settings: ModelSettings, plan: Plan, seeds: Sequence[int], device: torch.device) -> Outcome:
    """Train a group of seeds in one batch and measure their test errors."""
    generators = [torch.Generator().manual_seed(int(seed)) for seed in seeds]
    amplitude = torch.stack([amplitudes(settings, g) for g in generators]).to(device, DTYPE)
    samples = draw(settings, amplitude, settings.n_train, generators)
    start = _initial_weights(settings, generators).to(device)
    strengths = data_strength(settings, samples)
    ecs_from(settings, leading(settings, start), strengths)  # refuses before training what it could not tell after it
    run = _Run(settings, plan, amplitude, samples, start.clone(), generators)
    run.train()
    tests = [torch.Generator().manual_seed(int(seed) + 1_000_003) for seed in seeds]
    strata, alone = stratified_error(settings, run.final, amplitude, plan.n_test, tests)
    return Outcome(
        start=start,
        final=run.final,
        snapshots=tuple(run.snapshots),
        path=torch.stack(run.path),
        data_strength=strengths,
        amplitude=amplitude,
        hand_over=run.hand_over,
        n_steps=run.ended,
        strata=strata,
        strata_alone=alone,
    )


def data_strength(settings: ModelSettings, samples: Samples) -> Tensor:
    """d_j^r (S, K, 2): mean of (z_j^r)^q over the training samples of class j, which come in class order."""
    return samples.own.unflatten(2, (settings.n_classes, -1)).pow(settings.q).mean(3).mT


def _initial_weights(settings: ModelSettings, generators: list[torch.Generator]) -> Tensor:
    shape = (2, settings.n_classes * settings.n_neurons, settings.n_dims)
    scale = settings.init_scale / settings.beta
    return torch.stack([scale * torch.randn(shape, generator=g) for g in generators]).to(DTYPE)


class _Run:
    """The loop over steps; seeds that have ended leave the batch."""

    def __init__(self, settings, plan: Plan, amplitude: Tensor, samples: Samples, weights: Tensor, generators):
        n, device = len(weights), weights.device
        self.settings, self.plan, self.amplitude, self.generators = settings, plan, amplitude, generators
        self.descent = Descent(settings, samples, weights)
        self.alive = torch.arange(n, device=device)
        self.final = torch.empty_like(weights)
        self.hand_over = torch.full((n,), -1, dtype=torch.int64, device=device)
        self.shaped_at = torch.full_like(self.hand_over, -1)
        self.ended = torch.zeros_like(self.hand_over)
        budget = plan.n_steps if plan.n_steps is not None else (-1,) * n
        self.budget = torch.tensor(budget, device=device)
        self.path: list[Tensor] = []
        self.snapshots: list[Tensor] = []

    def train(self) -> None:
        step = 0
        while True:
            lam = leading(self.settings, self.descent.weights)
            self._note(step, lam)
            self._hand_over(step, lam)
            self._retire(step)
            if not len(self.alive):
                break
            if self.settings.fresh_data and step:
                self.descent.load(self._fresh())
            joint = self.hand_over[self.alive] >= 0
            self.descent.step(joint, self._trained(joint))
            step += 1
        while len(self.snapshots) < len(self.plan.checkpoints):
            self.snapshots.append(self.final.clone())

    def _trained(self, joint: Tensor) -> Tensor:
        """1 for the modalities that learn: all, but modality 2 waits while only modality 1 is shaped."""
        trained = torch.ones(len(joint), 2, device=joint.device, dtype=DTYPE)
        if self.plan.schedule == "one-shaped":
            trained[:, 1] = joint.to(DTYPE)
        return trained

    def _note(self, step: int, lam: Tensor) -> None:
        row = lam.new_full((len(self.final), *lam.shape[1:]), torch.nan)
        row[self.alive] = lam
        self.path.append(row)
        if step in self.plan.checkpoints:
            self.final[self.alive] = self.descent.weights
            self.snapshots.append(self.final.clone())

    def _hand_over(self, step: int, lam: Tensor) -> None:
        """Let seeds whose shaping is over go on to joint training."""
        due = self._due(step, lam) & (self.hand_over[self.alive] < 0)
        if due.any():
            self.hand_over[self.alive[due]] = step
            if self.plan.imbalance != 1 and self.plan.schedule != "joint":
                self.descent.weights[due, 1] *= self.plan.imbalance

    def _due(self, step: int, lam: Tensor) -> Tensor:
        plan = self.plan
        if plan.schedule == "joint":
            return torch.ones(len(lam), dtype=torch.bool, device=lam.device)
        limit = plan.max_shaping_steps if plan.shaping_steps is None else plan.shaping_steps
        if step >= limit or plan.shaping_steps is not None:
            return torch.full((len(lam),), step >= limit, device=lam.device)
        shaped = self.shaped_at[self.alive]
        shaped = torch.where(
            (shaped < 0) & plan.is_shaped(self.settings, lam, self.amplitude[self.alive]), step, shaped
        )
        self.shaped_at[self.alive] = shaped
        margin = plan.margin_steps if plan.schedule == "two-stage-margin" else 0
        return (shaped >= 0) & (step >= shaped + margin)

    def _retire(self, step: int) -> None:
        """Take the seeds that have used up their steps out of the batch."""
        handed = self.hand_over[self.alive]
        by_budget = (self.budget[self.alive] >= 0) & (step >= self.budget[self.alive])
        by_stage = (self.budget[self.alive] < 0) & (handed >= 0) & (step >= handed + self.plan.joint_steps)
        done = by_budget | by_stage
        if not done.any():
            return
        gone = self.alive[done]
        self.final[gone] = self.descent.weights[done]
        self.ended[gone] = step
        self.alive = self.alive[~done]
        self.descent.keep(~done)

    def _fresh(self) -> Samples:
        rows = self.alive.tolist()
        return draw(
            self.settings, self.amplitude[self.alive], self.settings.n_train, [self.generators[i] for i in rows]
        )

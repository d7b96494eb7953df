"""What the competition lab shows for one setting of its knobs: plain values, computed without a widget."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
import torch

from mmpid.theory import Simulation, simulate
from mmpid.theory.network import pattern_weights
from mmpid.theory.study import Interval, slope

SWEEP_CLASSES = (4, 8, 16, 32)
SWEEP_SEEDS = 4
REFERENCE_CLASSES = 16  # a constant rate is the rate at this number of classes
N_TEST = 1000  # per stratum: this measures its error to about 0.01


def lacking(names: tuple[str, str]) -> list[str]:
    """Return what may be insufficient in a sample, in the order of `World.strata`."""
    return ["neither", names[1], names[0], "both"]


@dataclass(frozen=True, kw_only=True)
class Knobs:
    """One setting of the lab.

    `insufficiency` is c: a sample is insufficient in a modality with probability c / K, or with c / 16 for every K if
    `constant_rate`. `ratio` is the strength of modality 2 over that of modality 1. `shaping_steps` is the length of
    stage 1; None lets an oracle end it. `n_steps` is the length of the whole run, for every schedule.
    """

    n_classes: int = 16
    init_scale: float = 0.004
    ratio: float = 1.0
    insufficiency: float = 0.25
    constant_rate: bool = False
    schedule: str = "joint"
    shaping_steps: int | None = None
    n_steps: int = 400
    seed: int = 0

    def rate(self, n_classes: int | None = None) -> float:
        """Probability that a sample is insufficient in a modality."""
        classes = REFERENCE_CLASSES if self.constant_rate else n_classes or self.n_classes
        return min(1.0, self.insufficiency / classes)

    @property
    def for_sweep(self) -> "Knobs":
        """The knobs that the sweep over K depends on; all others at their defaults."""
        extra = self.schedule if self.schedule not in ("joint", "two-stage") else "joint"
        return replace(self, n_classes=REFERENCE_CLASSES, seed=0, schedule=extra)

    @property
    def sweep_schedules(self) -> tuple[str, ...]:
        """Joint and two-stage training, and the chosen schedule if it is a different one."""
        return tuple(dict.fromkeys(("joint", "two-stage", self.schedule)))


def run(knobs: Knobs) -> Simulation:
    """Simulate one world."""
    return simulate(
        knobs.n_classes,
        knobs.schedule,
        seed=knobs.seed,
        n_steps=knobs.n_steps,
        shaping_steps=None if knobs.schedule == "joint" else knobs.shaping_steps,
        n_test=N_TEST,
        init_scale=knobs.init_scale,
        amplitude_ratio=knobs.ratio,
        mu=knobs.rate(),
    )


@dataclass(frozen=True, kw_only=True)
class World:
    """One simulated world and its results."""

    knobs: Knobs
    sim: Simulation

    @property
    def ecs(self) -> np.ndarray:
        """ECS at the start, shape (K, 2), no unit."""
        return self.sim.ecs.double().numpy()

    @property
    def predicted(self) -> np.ndarray:
        """Modality (0 or 1) that ECS names for each class, shape (K,)."""
        return self.sim.predicted_winner.numpy()

    @property
    def kept(self) -> np.ndarray:
        """Owner of each class at the end, shape (K,): 0 or 1 for one modality alone, 2 for both, -1 for none yet."""
        has = np.isfinite(self.sim.discovery_time.numpy())
        return np.where(has.all(-1), 2, np.where(has.any(-1), has.argmax(-1), -1))

    @property
    def hits(self) -> tuple[int, int]:
        """How many classes with a single owner ECS predicted right, and how many there are: (right, total)."""
        alone = np.isin(self.kept, (0, 1))
        return int((self.kept == self.predicted)[alone].sum()), int(alone.sum())

    @property
    def hand_over(self) -> int | None:
        """Step at which joint training began; None from the start (joint schedule), or never."""
        return int(self.sim.hand_over) if self.knobs.schedule != "joint" and self.sim.hand_over >= 0 else None

    @property
    def error(self) -> float:
        """Stratified test error."""
        return float(self.sim.error)

    @property
    def strata(self) -> np.ndarray:
        """Error given which modalities are insufficient, shape (4,), in the order of `lacking`."""
        return self.sim.strata.double().flatten().numpy()

    @property
    def strata_weights(self) -> np.ndarray:
        """Probability of each pattern, shape (4,)."""
        return pattern_weights(self.sim.settings).double().flatten().numpy()


def make_world(knobs: Knobs) -> World:
    """Simulate the world of these knobs."""
    return World(knobs=knobs, sim=run(knobs))


def discovered(times: torch.Tensor, n_steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the corners (step, classes discovered by then) of a staircase, from discovery times (K,)."""
    reached = np.sort(times.double().numpy())
    reached = reached[reached <= n_steps]
    count = np.arange(len(reached) + 1)
    step = np.concatenate([[0.0], np.repeat(reached, 2), [float(n_steps)]])
    return step, np.repeat(count, 2).astype(float)


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Errors over the number of classes, as far as they are computed: `errors[schedule][K]` by seed."""

    knobs: Knobs
    errors: dict[str, dict[int, tuple[float, ...]]] = field(default_factory=dict)
    done: int = 0
    total: int = 0

    @property
    def complete(self) -> bool:
        """Whether every run is finished."""
        return self.done == self.total > 0

    def slope(self, schedule: str) -> Interval | None:
        """Slope of log mean error on log K with its interval over seeds; None before the end or with a zero error."""
        errors = self.errors.get(schedule, {})
        if not self.complete or len(errors) < 2 or any(value <= 0 for values in errors.values() for value in values):
            return None
        return slope({k: torch.tensor(values) for k, values in errors.items()}, n_boot=500)


@lru_cache(maxsize=2048)
def _error_of(knobs: Knobs) -> float:
    """Test error of one world; kept, so that going back to a setting costs nothing."""
    return float(run(knobs).error)


def make_sweep(knobs: Knobs, classes=SWEEP_CLASSES, n_seeds: int = SWEEP_SEEDS) -> Iterator[Sweep]:
    """Run the schedules over K, one world after the other, and yield the state after each: all K first, then seeds."""
    todo = [(seed, k, name) for seed in range(n_seeds) for k in classes for name in knobs.sweep_schedules]
    errors: dict[str, dict[int, tuple[float, ...]]] = {name: {} for name in knobs.sweep_schedules}
    yield Sweep(knobs=knobs, total=len(todo))
    for done, (seed, k, name) in enumerate(todo, start=1):
        found = _error_of(replace(knobs, n_classes=k, seed=seed, schedule=name))
        errors[name][k] = (*errors[name].get(k, ()), found)
        yield Sweep(knobs=knobs, errors={n: dict(by_k) for n, by_k in errors.items()}, done=done, total=len(todo))

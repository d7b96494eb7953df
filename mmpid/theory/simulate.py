"""The solvable model of modality competition, from one call."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields

import torch
from torch import Tensor

from mmpid._validate import choice, flag, integers, number
from mmpid.errors import ConfigError
from mmpid.theory.network import pattern_weights
from mmpid.theory.results import Simulation, last_strength
from mmpid.theory.schedules import SCHEDULES, Outcome, Plan, run_group
from mmpid.theory.settings import ModelSettings
from mmpid.theory.strength import State, crossing_time, ecs_from, larger, predicted_discovery_time

#: A class has a loser when the weaker modality ends below this share of the stronger one's Lambda.
LOSER_RATIO = 0.3
_GROUP = {"cpu": 800_000, "cuda": 400_000_000}  # activations of seeds that are trained in one batch


def simulate(
    n_classes: int = 16,
    schedule: str = "joint",
    *,
    seed: int = 0,
    n_seeds: int | None = None,
    n_steps: int | Sequence[int] | Tensor | None = None,
    shaping_steps: int | None = None,
    joint_steps: int = 100,
    balanced: bool = True,
    imbalance: float = 1.0,
    checkpoints: Sequence[int] = (),
    n_test: int = 4000,
    device: str | torch.device = "cpu",
    workers: int = 1,
    **settings,
) -> Simulation:
    """Train the solvable two-modality model and compare what happens with what ECS predicts.

    Data are sparse codes with sufficient and insufficient samples; the network adds two one-layer encoders with a
    smoothed ReLU; training is full-batch gradient descent in single precision with the gradient written out. While
    the network is undecided, the strength of a class's leading neuron obeys d Lambda / dt = kappa d Lambda^(q-1), so
    the modality with the larger ECS = Lambda d^(1/(q-2)) discovers the class first and, by lowering the loss, leaves
    the other behind.

    Parameters
    ----------
    n_classes : int, at least 2
        K.
    schedule : {"joint", "two-stage", "one-shaped", "two-stage-margin"}
        Joint training from the start; unimodal training of both modalities until every class is shaped, then joint;
        the same with only modality 1 shaped; or two-stage with 120 further steps of shaping as a margin.
    seed : int
        Seed of the first world: amplitudes, data and initial weights.
    n_seeds : int, optional
        Worlds, seeded `seed`, `seed` + 1, ...; results then have a leading axis. Without it one world and no axis.
    n_steps : int or sequence of int, optional
        Steps in all, one number for every seed if a sequence. By default 400 for "joint"; for the other schedules
        joint training lasts `joint_steps`.
    shaping_steps : int, optional
        Length of the first stage. By default an oracle ends it, see `balanced`. Refused with "joint", which has no
        first stage.
    joint_steps : int
        Length of the second stage, unless `n_steps` is given; without effect for "joint", whose length is `n_steps`.
    balanced : bool
        The oracle ends shaping when Lambda > 2 for every class and, if `balanced`, no confuser class of one modality
        outvotes the own class of the other in a mean sample. Without balance the error falls more slowly than mu^2.
        Of no effect where no oracle is asked: with "joint", "one-shaped" or `shaping_steps`.
    imbalance : float, above 0
        Factor on the weights of modality 2 at the hand-over. Refused with "joint", which has no hand-over.
    checkpoints : sequence of int
        Steps at which to keep the model; for a step after the last one, the final model is kept.
    n_test : int
        Test samples per stratum and seed, rounded down to a multiple of K, but at least one per class.
    device : str or torch.device
        Where to train. Random numbers are drawn on the CPU, so that every device sees the same worlds. The states
        stay on the device; all other results come back to the CPU.
    workers : int
        Groups of seeds trained at the same time in threads.
    **settings
        Settings of the model, see `ModelSettings`.

    Returns
    -------
    Simulation
        ECS at the start, predicted and actual winners, discovery times, test errors, trajectories.

    Raises
    ------
    ConfigError
        If a setting is unknown or out of range: q < 2, fewer than two classes, rates outside [0, 1], a device that
        is not there; or if it is of a first stage that the schedule does not have.

    Notes
    -----
    The model follows the assumptions that the literature states. We derived the formula of ECS, the prediction of
    discovery times and the explanation of the error laws, and did not find them in the two-stage paper. The exponents
    over K come from the rate mu = c / K of insufficient samples, which we put in by hand. The
    end of shaping uses an oracle. Fusion is additive, so nothing here can reward synergy.

    References
    ----------
    Huang et al., Modality Competition: What Makes Joint Training of Multi-modal Network Fail in Deep Learning?,
    ICML 2022 (arXiv 2203.12221); arXiv 2509.20840 for ECS and the two-stage claim.

    Examples
    --------
    >>> sim = simulate(n_classes=4, seed=0)
    >>> sim.ecs.shape, bool((sim.first == sim.predicted_winner).all())
    (torch.Size([4, 2]), True)
    """
    model = _settings(n_classes, settings)
    seeds = _seeds(seed, n_seeds)
    lengths = (n_steps, shaping_steps, joint_steps)
    plan = _plan(schedule, lengths, flag(balanced, "balanced"), imbalance, checkpoints, n_test, len(seeds))
    outcome = _run(model, plan, seeds, _device(device), number(workers, "workers", low=1, integer=True))
    return _result(model, plan, seeds, outcome, squeeze=n_seeds is None)


def _settings(n_classes: int, settings: dict) -> ModelSettings:
    for name in settings:
        choice(name, "a setting of the model", [f.name for f in fields(ModelSettings)])
    return ModelSettings(n_classes=n_classes, **settings)


def _seeds(seed: int, n_seeds: int | None) -> tuple[int, ...]:
    number(seed, "seed", low=0, integer=True)
    count = 1 if n_seeds is None else number(n_seeds, "n_seeds", low=1, integer=True)
    return tuple(range(seed, seed + count))


def _device(device: str | torch.device) -> torch.device:
    """Return a device that there is."""
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError):
        found = None
    if found is None or (found.type == "cuda" and not torch.cuda.is_available()):
        there = "a device of this machine" + ("" if torch.cuda.is_available() else ", which has no CUDA device")
        raise ConfigError(f'`device` must be {there}; it was {device!r}. Try device="cpu".')
    return found


def _refuse_first_stage(shaping_steps: int | None, imbalance: float) -> None:
    """Refuse settings of a first stage, which joint training from the start does not have."""
    given = {"shaping_steps": (shaping_steps, None), "imbalance": (imbalance, 1)}
    for name, (value, without) in given.items():
        if value != without:
            raise ConfigError(
                f'`{name}` must be left out with schedule="joint", which has no first stage and no hand-over; it was '
                f'{value!r}. Try schedule="two-stage".'
            )


def _plan(schedule, lengths, balanced: bool, imbalance, checkpoints, n_test, n_seeds: int) -> Plan:
    choice(schedule, "schedule", SCHEDULES)
    n_steps, shaping_steps, joint_steps = lengths
    if n_steps is None and schedule == "joint":
        n_steps = 400
    budget = None
    if n_steps is not None:
        n_steps = n_steps.tolist() if isinstance(n_steps, Tensor) else n_steps
        listed = list(n_steps) if isinstance(n_steps, Iterable) else [n_steps] * n_seeds
        if len(listed) != n_seeds:
            raise ConfigError(
                f"`n_steps` must be one integer or one for each of the {n_seeds} seeds; it had {len(listed)} entries. "
                "Pass the `n_steps` of another simulation with the same seeds."
            )
        budget = tuple(number(n, "n_steps", low=0, integer=True) for n in listed)
    if shaping_steps is not None:
        number(shaping_steps, "shaping_steps", low=0, integer=True)
    imbalance = number(imbalance, "imbalance", low=0, open_low=True, finite=True)
    if schedule == "joint":
        _refuse_first_stage(shaping_steps, imbalance)
    return Plan(
        schedule=schedule,
        n_steps=budget,
        shaping_steps=shaping_steps,
        joint_steps=number(joint_steps, "joint_steps", low=0, integer=True),
        balanced=balanced,
        imbalance=imbalance,
        checkpoints=tuple(sorted(set(integers(checkpoints, "checkpoints")))),
        n_test=number(n_test, "n_test", low=1, integer=True),
    )


def _run(settings: ModelSettings, plan: Plan, seeds, device: torch.device, workers: int) -> Outcome:
    """Train the seeds in groups that fit the cache, `workers` groups at a time, and put them together."""
    per_seed = 2 * settings.n_classes**2 * settings.n_neurons * settings.n_train
    size = max(1, min(_GROUP.get(device.type, _GROUP["cuda"]) // per_seed, -(-len(seeds) // workers)))
    starts = range(0, len(seeds), size)

    def group(start: int) -> Outcome:
        budget = None if plan.n_steps is None else plan.n_steps[start : start + size]
        part = Plan(**{**vars(plan), "n_steps": budget})
        return run_group(settings, part, seeds[start : start + size], device)

    with torch.no_grad():
        if workers == 1 or len(starts) == 1:
            parts = [group(start) for start in starts]
        else:
            with ThreadPoolExecutor(workers) as pool:
                parts = list(pool.map(group, starts))
    return _concatenate(parts)


def _concatenate(parts: list[Outcome]) -> Outcome:
    length = max(len(part.path) for part in parts)
    joined = {}
    for f in fields(Outcome):
        values = [getattr(part, f.name) for part in parts]
        if f.name == "path":
            joined["path"] = torch.cat([_pad(path, length) for path in values], 1)
        elif f.name == "snapshots":
            joined["snapshots"] = tuple(torch.cat(group) for group in zip(*values, strict=True))
        else:
            joined[f.name] = torch.cat(values)
    return Outcome(**joined)


def _pad(path: Tensor, length: int) -> Tensor:
    return torch.cat([path, path.new_full((length - len(path), *path.shape[1:]), torch.nan)])


def _result(settings: ModelSettings, plan: Plan, seeds, outcome: Outcome, squeeze: bool) -> Simulation:
    def shaped(tensor: Tensor, axis: int = 0) -> Tensor:
        return tensor.squeeze(axis) if squeeze else tensor

    def state(step: int, weights: Tensor) -> State:
        parts = (shaped(part) for part in (weights, outcome.data_strength, outcome.amplitude))
        return State(
            settings=settings, step=step, **dict(zip(("weights", "data_strength", "amplitude"), parts, strict=True))
        )

    path, n_steps, strata = outcome.path.cpu(), outcome.n_steps.cpu(), outcome.strata.cpu()
    lam, d = path[0], outcome.data_strength.cpu()
    strengths = ecs_from(settings, lam, d)
    times = crossing_time(path, settings.beta)
    weights = pattern_weights(settings)
    return Simulation(
        settings=settings,
        schedule=plan.schedule,
        seeds=tuple(seeds),
        ecs=shaped(strengths),
        predicted_winner=shaped(larger(strengths)),
        winner=shaped(_winner(last_strength(path, n_steps))),
        first=shaped(torch.where(times.isfinite().any(-1), times.argmin(-1), -1)),
        discovery_time=shaped(times),
        predicted_time=shaped(predicted_discovery_time(settings, lam, d)),
        hand_over=shaped(outcome.hand_over.cpu()),
        n_steps=shaped(n_steps),
        error=shaped((strata * weights).sum((-2, -1))),
        strata=shaped(strata),
        unimodal_error=shaped((outcome.strata_alone.cpu() * weights).sum((-2, -1))),
        strength_path=shaped(path, 1),
        start=state(0, outcome.start),
        final=state(int(n_steps.max()), outcome.final),
        snapshots=tuple(state(*pair) for pair in zip(plan.checkpoints, outcome.snapshots, strict=True)),
    )


def _winner(lam: Tensor) -> Tensor:
    """Modality (S, K) that keeps a class to itself, -1 where the weaker one is at least 0.3 of the stronger."""
    lost = lam.amin(-1) < LOSER_RATIO * lam.amax(-1)
    return torch.where(lost, larger(lam), -1)

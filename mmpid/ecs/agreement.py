"""How well the proxies follow ECS where ECS is known: in the solvable model, cold, warming up and unevenly trained."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mmpid._validate import choice
from mmpid.ecs.evidence import ProxyEvidence, ProxySettings
from mmpid.ecs.proxies import available, measure
from mmpid.theory import State, ecs, simulate
from mmpid.theory.evaluate import MODALITIES, SparseCodingNet, mix, pick, sample
from mmpid.theory.study import Interval, proportion, rank_correlation

#: Largest number of unimodal steps that a modality has taken in each regime.
REGIMES = {"cold": 0, "warming": 70, "mixed": 220}
_EVERY = 10


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Agreement of one proxy with ECS in one regime.

    Attributes
    ----------
    proxy, regime : str
        What was compared, and where.
    level : Interval
        Spearman correlation over classes, modalities and worlds.
    gap : Interval
        Spearman correlation of the difference between modalities with the difference in log ECS.
    modality : Interval
        Spearman correlation of the strengths by modality with the mean ECS over classes.
    winner : Interval
        Share of classes in which the proxy names the stronger modality, among those with a clear gap in ECS (0.1 in
        log).
    """

    proxy: str
    regime: str
    level: Interval
    gap: Interval
    modality: Interval
    winner: Interval

    def row(self) -> dict[str, str | float]:
        """Flat row for a table."""
        flat: dict[str, str | float] = {"proxy": self.proxy, "regime": self.regime}
        for name in ("level", "gap", "modality", "winner"):
            interval = getattr(self, name)
            flat |= {name: interval.estimate, f"{name}_low": interval.low, f"{name}_high": interval.high}
        return flat


def agreement(
    names: Iterable[str] | None = None,
    regimes: Sequence[str] = tuple(REGIMES),
    *,
    n_classes: int = 16,
    n_seeds: int = 8,
    n_per_class: int = 20,
    seed: int = 0,
    **settings,
) -> list[Agreement]:
    """Measure proxies and ECS side by side in the solvable model.

    In each world, each modality has been trained alone for a random number of steps up to the limit of the regime: 0
    when cold, 70 when warming, 220 when mixed. The two numbers of steps are equal, except in the mixed regime, where
    they are independent.

    Parameters
    ----------
    names : iterable of str, optional
        Proxies; all of them by default.
    regimes : sequence of {"cold", "warming", "mixed"}
        How far training has progressed.
    n_classes, n_seeds, seed, **settings
        As for `mmpid.theory.simulate`.
    n_per_class : int
        Samples of each class in the fresh probe batch.

    Returns
    -------
    list of Agreement
        One for each regime and proxy.

    Examples
    --------
    >>> [found] = agreement(["class_logit"], ["warming"], n_classes=4, n_seeds=4)
    >>> found.level.estimate > 0.7
    True
    """
    regimes = [choice(name, "regimes", REGIMES) for name in regimes]
    names = list(available() if names is None else names)
    last = max(REGIMES[name] for name in regimes)
    others: dict[str, Any] = {"amplitude_spread": 0.25, **settings}
    sim = simulate(
        n_classes,
        "two-stage",
        seed=seed,
        n_seeds=n_seeds,
        shaping_steps=last,
        n_steps=last,
        checkpoints=range(0, last + 1, _EVERY),
        n_test=n_classes,
        **others,
    )
    found = []
    for regime in regimes:
        states = _states(sim.snapshots, regime, seed)
        found += _compare(regime, states, _measured(names, states, n_per_class, seed))
    return found


def _states(snapshots: Sequence[State], regime: str, seed: int) -> list[State]:
    """One state for each world, each modality at a random step of the regime; the same step for both unless mixed."""
    generator = torch.Generator().manual_seed(seed)
    n_seeds, limit = len(snapshots[0].weights), REGIMES[regime] // _EVERY + 1
    steps = torch.randint(limit, (n_seeds, 2), generator=generator).tolist()
    states = []
    for index, (one, two) in enumerate(steps):
        second = two if regime == "mixed" else one
        states.append(mix(pick(snapshots[one], index), pick(snapshots[second], index)))
    return states


def _measured(names: list[str], states: list[State], n_per_class: int, seed: int) -> list[dict[str, tuple]]:
    """Each proxy by class (K, 2) and by modality (2,), for each world."""
    rows = []
    for index, state in enumerate(states):
        batch = sample(state, n_per_class, seed + 7919 * (index + 1))
        inputs: dict[str, Tensor] = dict(zip(MODALITIES, batch.inputs[0], strict=True))
        evidence = ProxyEvidence.from_model(SparseCodingNet(state), inputs, batch.target)
        k = state.settings.n_classes
        chosen = ProxySettings(look_ahead_steps=20, learning_rate=state.settings.eta * k, max_samples=n_per_class * k)
        results = measure(names, evidence, settings=chosen)
        rows.append(
            {r.name: (_stack(r.by_class), torch.tensor([r.by_modality[m] for m in MODALITIES])) for r in results}
        )
    return rows


def _stack(by_class: Mapping[str, Tensor]) -> Tensor:
    return torch.stack([by_class[name] for name in MODALITIES], -1)


def _compare(regime: str, states: list[State], measured: list[dict[str, tuple]]) -> list[Agreement]:
    truth = torch.stack([ecs(state) for state in states])
    gap = truth.log().diff(dim=-1).squeeze(-1)
    clear = gap.abs() > 0.1
    found = []
    for name in measured[0]:
        by_class = torch.stack([row[name][0] for row in measured])
        by_modality = torch.stack([row[name][1] for row in measured])
        named = by_class.argmax(-1) == truth.argmax(-1)
        found.append(
            Agreement(
                proxy=name,
                regime=regime,
                level=rank_correlation(by_class, truth),
                gap=rank_correlation(by_class.diff(dim=-1), gap),
                modality=rank_correlation(by_modality, truth.mean(1)),
                winner=proportion(int(named[clear].sum()), int(clear.sum())),
            )
        )
    return found

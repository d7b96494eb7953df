"""When should joint training have started? Branch it from every probe, and see which rule would have chosen well."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from mmpid import _validate
from mmpid._progress import progress_bar
from mmpid._tables import html_table, text_table
from mmpid.datasets import load
from mmpid.errors import ConfigError
from mmpid.models import LateFusion
from mmpid.rules import BalanceController, Manual, PeakSynergy, RedundancyPlateau, SwitchRule, replay
from mmpid.studies.comparison import paired_interval
from mmpid.train.trainer import Trainer

RULES = {"RedundancyPlateau": RedundancyPlateau(), "PeakSynergy": PeakSynergy(noise_aware=False)}


def sweep_switch(
    recipe: str | Callable[[int], Trainer],
    *,
    at: Iterable[int],
    seeds: Iterable[int] = range(5),
    rules: Mapping[str, SwitchRule] | None = None,
    progress: bool = True,
    **settings,
) -> "SwitchSweep":
    """Start joint training from each of several epochs of one unimodal stage, and return the final accuracies.

    For each seed, stage 1 is trained once, without pauses, and every epoch in `at` is branched: its joint training
    has the rest of the same budget, so all branches spend the same number of epochs.

    Parameters
    ----------
    recipe : str or callable
        A built-in data set, or a function from a seed to a fresh :class:`Trainer` that probes at every epoch in `at`.
    at : iterable of int
        Epochs at which joint training starts; 0 trains jointly from the start, with the unimodal losses added.
    seeds : iterable of int
        Seeds of data, weights and order.
    rules : mapping of str to SwitchRule, optional
        Rules that are asked, by replay, when they would have switched; by default two of ours.
    progress : bool
        Show a bar.
    **settings
        Fields of :class:`TrainConfig`, with a built-in data set only. `joint_epochs` must be None here and in a recipe.

    Returns
    -------
    SwitchSweep

    Notes
    -----
    Every branch trains at the stage-2 rate, ``lr * joint_lr_scale``, also the one at 0: with the default of a fifth,
    part of what an early start loses is the smaller rate for longer. `joint_lr_scale=1` takes that part away. The
    epochs that a rewind discards are not charged to the rule.

    A rule is scored at the epoch that it would *start* joint training from (its rewind target), moved to the nearest
    epoch in `at`. A rule that would not have switched by the last epoch in `at` is scored there.

    Examples
    --------
    >>> import mmpid
    >>> quick = dict(epochs=4, n_boot=0, n_null=0, correction="none", device="cpu")
    >>> mmpid.sweep_switch("av-digits", at=[0, 2], seeds=[0], progress=False, **quick).to_frame().shape
    (2, 4)
    """
    at, seeds = sorted(set(_validate.integers(at, "at"))), _validate.integers(seeds, "seeds")
    if not at or not seeds:
        raise ConfigError(f"`at` and `seeds` must each hold at least one entry; they were {at} and {seeds}.")
    seeds, rules = _validate.seeds(seeds), _check_rules(rules)
    if callable(recipe) and settings:
        raise ConfigError(f"settings belong in the `recipe` function; {', '.join(settings)} was passed separately.")
    rows, choices = [], []
    with progress_bar(total=len(seeds) * len(at), unit="run", show=progress) as bar:
        for seed in seeds:
            parent = _make(recipe, seed, at[-1], settings)
            _check_budget(parent)
            parent.controller = BalanceController(rule=Manual(), pause=None)
            first, epochs = parent.config.unimodal_epochs or 0, parent.config.epochs
            if at[-1] >= first or at[-1] >= epochs:
                raise ConfigError(
                    f"`at` must lie below `unimodal_epochs` = {first} and `epochs` = {epochs}; it reached {at[-1]}."
                )
            parent.step(epochs=max(1, at[-1]))
            for epoch in at:
                rows.append({"seed": seed, "epoch": epoch, **_finish_from(parent, epoch)})
                bar.update()
            choices += [
                {"seed": seed, "rule": name, "epoch": _choice(parent, rule, at)} for name, rule in rules.items()
            ]
    return SwitchSweep(tuple(rows), tuple(choices))


def _check_rules(rules: Mapping[str, SwitchRule] | None) -> dict[str, SwitchRule]:
    rules = RULES if rules is None else rules
    hint = "For example {'peak': PeakSynergy()}."
    _validate.instance(rules, "rules", Mapping, "a mapping of names to rules", hint)
    for name, rule in rules.items():
        _validate.instance(rule, f"rules[{name!r}]", SwitchRule, "a SwitchRule", hint)
    return dict(rules)


def _make(recipe: str | Callable[[int], Trainer], seed: int, last: int, settings: dict) -> Trainer:
    """Return a fresh trainer: what the recipe gives, or one of our own for a built-in data set."""
    if callable(recipe):
        return _validate.instance(recipe(seed), "recipe(seed)", Trainer, "a Trainer", "Return a fresh one.")
    data = load(recipe, seed=seed)
    own = {"stage2": "off", "unimodal_epochs": last + 1, **settings, "joint_epochs": settings.get("joint_epochs")}
    return Trainer(LateFusion.from_data(data, seed=seed), data, seed=seed, **own)


def _check_budget(trainer: Trainer) -> None:
    """Refuse a trainer whose joint training does not take the rest of the budget."""
    length = trainer.config.joint_epochs
    if length is not None:
        raise ConfigError(
            f"`joint_epochs` must be None in a sweep, where each branch has the rest of the same budget; it was "
            f"{length}. With preset='paper' pass joint_epochs=None to the Trainer of the `recipe`."
        )


def _finish_from(parent: Trainer, epoch: int) -> dict:
    """Branch at a probe, train jointly to the end, return the accuracies."""
    child = parent.branch(at=epoch)
    child.switch_to_joint(rewind=False)
    result = child.fit(progress=False).lineage("result")[-1]
    return {"test_accuracy": result["test_accuracy.joint"], "ens": result["test_accuracy.ens"]}


def _choice(parent: Trainer, rule: SwitchRule, at: list[int]) -> int:
    """Return the epoch in `at` that is nearest to where the rule would start joint training from."""
    decision = replay(parent.record, rule)[-1]
    wanted = at[-1]
    if decision.action == "switch":
        wanted = decision.epoch if decision.rewind_to is None else decision.rewind_to
    return min(at, key=lambda epoch: (abs(epoch - wanted), epoch))


@dataclass(frozen=True, repr=False)
class SwitchSweep:
    """Final accuracy against the epoch at which joint training starts, and what each rule would have chosen."""

    rows: tuple[dict, ...]
    choices: tuple[dict, ...]

    def to_frame(self):
        """Return a pandas table, one row per seed and switch epoch."""
        import pandas as pd

        return pd.DataFrame(self.rows)

    def curve(self):
        """Return a pandas table by switch epoch: mean accuracy, and its paired difference to the first epoch."""
        import pandas as pd

        table = self._table()
        first = table[min(table)]
        rows = [(epoch, x.mean(), *paired_interval(x - first)) for epoch, x in table.items()]
        return pd.DataFrame(rows, columns=["epoch", "test_accuracy", "mean", "low", "high"]).set_index("epoch")

    def rule_table(self):
        """Return a pandas table by rule: the epochs it chooses, its accuracy, and its difference to the best epoch.

        The best epoch is the one with the highest mean accuracy over seeds: a fixed switch that was chosen with
        hindsight, which no rule can be expected to beat.
        """
        import pandas as pd

        table = self._table()
        best = max(table, key=lambda epoch: table[epoch].mean())
        seeds = list(dict.fromkeys(row["seed"] for row in self.rows))
        rows = [("best epoch, with hindsight", float(best), table[best].mean(), 0.0, 0.0, 0.0)]
        for rule in dict.fromkeys(choice["rule"] for choice in self.choices):
            chosen = [c["epoch"] for seed in seeds for c in self.choices if (c["rule"], c["seed"]) == (rule, seed)]
            scores = np.array([table[epoch][i] for i, epoch in enumerate(chosen)])
            rows.append((rule, float(np.mean(chosen)), scores.mean(), *paired_interval(scores - table[best])))
        columns = ["rule", "mean_epoch", "test_accuracy", "mean", "low", "high"]
        return pd.DataFrame(rows, columns=columns).set_index("rule")

    def _table(self) -> dict[int, np.ndarray]:
        """Return accuracies by epoch, in the order of seeds."""
        table: dict[int, list[float]] = {}
        for row in self.rows:
            table.setdefault(row["epoch"], []).append(row["test_accuracy"])
        return {epoch: np.array(table[epoch]) for epoch in sorted(table)}

    def _lines(self) -> list[list[str]]:
        return [
            [
                str(name),
                f"{r['mean_epoch']:.1f}",
                f"{100 * r['test_accuracy']:.1f}",
                _points(*r[["mean", "low", "high"]]),
            ]
            for name, r in self.rule_table().iterrows()
        ]

    _HEADER = ("rule", "starts at epoch", "test accuracy %", "minus the best epoch, points [95 %]")

    def __repr__(self) -> str:
        return text_table(self._HEADER, self._lines())

    def _repr_html_(self) -> str:
        return html_table(self._HEADER, self._lines())


def _points(mean: float, low: float, high: float) -> str:
    return f"{100 * mean:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"

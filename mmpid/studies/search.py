"""Equal tuning by an Optuna sampler: every method gets as many trials, and each trial is trained with every seed."""

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from mmpid import _validate
from mmpid.errors import ConfigError, MissingDependencyError
from mmpid.studies.cell import Cell
from mmpid.studies.layout import Layout
from mmpid.studies.space import Range, ends_or_values, read_space
from mmpid.studies.tuning import check_tuned

HINT = "For example Search({'lr': (0.001, 0.1, 'log'), 'batch_size': [32, 64]}, trials=12)."
SEED, FIRST_AT_RANDOM = 0, 5  # of the sampler without one of the user's
REPEATS = 20  # so often a sampler is asked again for a setting that was not tried before
REHEARSED = 8  # settings that two copies of a sampler must agree on


@dataclass(frozen=True)
class Search:
    """A search for settings by Optuna, for ``compare(tune=...)``: as many trials for each method on each data set.

    Attributes
    ----------
    space : mapping of str to tuple or list
        What may be tried of each :class:`~mmpid.train.TrainConfig` setting: a range as a tuple, ``(low, high)`` or
        ``(low, high, "log")``, of whole numbers where the setting is one; or single values as a list.
    trials : int
        Settings that each method tries on each data set, every one with every seed.
    sampler : optuna.samplers.BaseSampler, optional
        How the next setting is found. Each method and data set gets a copy of its own. By default
        ``TPESampler(seed=0, n_startup_trials=5)``.

    Raises
    ------
    ConfigError, InputError
        If a setting is unknown, a range or a list cannot be used, or `trials` is below 1.

    Notes
    -----
    A trial is scored by the mean validation score over the seeds, of the first of `metrics`, at the epoch that
    `selection` chose. The sampler maximizes it; the test split is read for the table alone. For "unimodal" and "ens",
    which share their runs, it is the score of the average. A trial in which a run failed counts as a trial, and the
    sampler is told that it failed. A setting that the sampler names twice is not counted twice: it is asked again.

    Numbers from a range are rounded to four digits. All methods start the search alike: as long as a sampler draws at
    random, as the default one does for five trials, they try the same settings.

    The search goes round by round: one trial of each method and data set, then the next. So serial, parallel and
    cluster tables are identical, and the same call goes on where it was interrupted without training any setting
    again; more `trials` train the new ones alone. More seeds change the scores, though, and with them what is tried
    later.

    It can mislead like every search on validation data: with few seeds the best of many trials looks better on
    validation than it is. The table therefore reports the test split. An optimum at the edge of a range is named.

    Source: Akiba et al. (2019), Optuna, arXiv 1907.10902; Bergstra et al. (2011) for the default sampler.

    Examples
    --------
    >>> from mmpid.studies import Search
    >>> Search({"lr": (0.001, 0.1, "log"), "batch_size": [32, 64]}, trials=12).trials
    12
    """

    space: Mapping[str, Any]
    trials: int = 12
    sampler: Any = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "trials", _validate.number(self.trials, "trials", low=1, integer=True))
        parts = read_space(self.space, HINT)
        object.__setattr__(self, "space", dict(self.space))
        combinations = _combinations(parts)
        if combinations is not None and len(combinations) < self.trials:
            raise ConfigError(
                f"`trials` must be at most {len(combinations)}, the number of settings in `space`; it was "
                f"{self.trials}. Lower it, or try all of them with tune={{'lr': [...]}}."
            )

    @property
    def parts(self) -> dict[str, Range | list[Any]]:
        """Range or list of values of each setting."""
        return read_space(self.space, HINT)


def prepare(search: Search, settings: Mapping[str, Any]) -> None:
    """Refuse a search that cannot be carried out, before anything is trained."""
    check_tuned({name: ends_or_values(part) for name, part in search.parts.items()}, settings)
    optuna = _optuna()
    if search.sampler is None:
        return
    hint = "Try optuna.samplers.TPESampler(seed=0), or leave it out."
    _validate.instance(search.sampler, "sampler", optuna.samplers.BaseSampler, "a sampler of optuna", hint)
    one, two = (Asker(search) for _ in range(2))
    for _ in range(min(REHEARSED, search.trials)):
        if one.ask() != two.ask():
            raise ConfigError(
                "`sampler` must propose the same settings each time, so that a study can go on; two copies of "
                f"{type(search.sampler).__name__} did not. Give it a seed: {type(search.sampler).__name__}(seed=0)."
            )
        one.tell(0.0)
        two.tell(0.0)


def run_search(
    search: Search, layout: Layout, run: Callable[[list[Cell], int], None], score: Callable[[Cell], float]
) -> list[Cell]:
    """Ask, train and tell, trial by trial; return all cells.

    `run` gets the cells of a round and the number of those that are still to come; `score` returns the validation
    score of a finished cell.
    """
    askers = {pair: Asker(search) for pair in layout.pairs}
    cells: list[Cell] = []
    for done in range(1, search.trials + 1):
        asked = {pair: asker.ask() for pair, asker in askers.items()}
        new = layout.cells(lambda pair, asked=asked: [asked[pair]])
        run(new, len(new) * (search.trials - done))
        for (data, training), asker in askers.items():
            own = [cell for cell in new if (cell.source.name, cell.recipe.training) == (data, training)]
            whole = all(cell.finished for cell in own)
            asker.tell(float(np.mean([score(cell) for cell in own])) if whole else math.nan)
        cells += new
    return cells


class Asker:
    """The search of one method on one data set: asked for a setting, told its score, never for the same one twice."""

    def __init__(self, search: Search):
        optuna = _optuna()
        self.trials, self.parts = search.trials, search.parts
        sampler = copy.deepcopy(search.sampler)
        if sampler is None:
            sampler = optuna.samplers.TPESampler(seed=SEED, n_startup_trials=FIRST_AT_RANDOM)
        with _quiet():
            self.study = optuna.create_study(direction="maximize", sampler=sampler)
        self.study.stop = lambda: None  # samplers of a finite space want to end a loop that is not theirs
        self.scores: dict[str, float] = {}
        self._trial: Any = None
        self._name = ""

    def ask(self) -> dict[str, Any]:
        """Return a setting that was not tried before."""
        for _ in range(REPEATS):
            setting = self._draw()
            if self._name not in self.scores:
                return setting
            self.tell(self.scores[self._name])
        left = [each for each in _combinations(self.parts) or [] if repr(each) not in self.scores]
        if not left:
            raise ConfigError(
                f"`sampler` must propose {self.trials} different settings; {type(self.study.sampler).__name__} "
                f"repeated itself after {len(self.scores)}. Lower `trials`, or choose another sampler."
            )
        self.study.enqueue_trial(left[0])
        return self._draw()

    def tell(self, score: float) -> None:
        """Say how good the setting was; a score that is not a number says that it failed."""
        from optuna.trial import TrialState

        self.scores[self._name] = score
        with _quiet(), _named(self.study.sampler):
            if math.isfinite(score):
                self.study.tell(self._trial, score)
            else:
                self.study.tell(self._trial, state=TrialState.FAIL)

    def _draw(self) -> dict[str, Any]:
        with _quiet(), _named(self.study.sampler):
            self._trial = self.study.ask(fixed_distributions={n: _distribution(p) for n, p in self.parts.items()})
        drawn = self._trial.params
        setting = {
            name: part.rounded(drawn[name]) if isinstance(part, Range) else drawn[name]
            for name, part in self.parts.items()
        }
        self._name = repr(setting)
        return setting


def _combinations(parts: Mapping[str, Range | list[Any]]) -> list[dict[str, Any]] | None:
    """Return all settings of a space that has a number of them, or None."""
    columns = []
    for part in parts.values():
        if not isinstance(part, Range):
            columns.append(part)
        elif part.whole:
            columns.append(range(int(part.low), int(part.high) + 1))
        else:
            return None
    if math.prod(map(len, columns)) > 10**6:  # more than any study trains
        return None
    return [dict(zip(parts, each, strict=True)) for each in product(*columns)]


def _distribution(part: Range | list[Any]) -> Any:
    from optuna import distributions

    if not isinstance(part, Range):
        return distributions.CategoricalDistribution(part)
    if part.whole:
        return distributions.IntDistribution(int(part.low), int(part.high), log=part.log)
    return distributions.FloatDistribution(part.low, part.high, log=part.log)


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as problem:
        raise MissingDependencyError(
            "tune=Search(...) needs 'optuna', which is not installed. Try: pip install 'mmpid[tune]'"
        ) from problem
    return optuna


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna's own messages away: the bar and the table say what happens."""
    optuna = _optuna()
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(level)


@contextmanager
def _named(sampler: Any) -> Iterator[None]:
    """Say whose error it is when a sampler cannot do what is asked."""
    try:
        yield
    except (ValueError, TypeError, RuntimeError, NotImplementedError, ImportError) as problem:
        raise ConfigError(
            f"`sampler` must be able to search `space`; {type(sampler).__name__} failed with "
            f"{type(problem).__name__}: {problem}. Try optuna.samplers.TPESampler(seed=0)."
        ) from problem

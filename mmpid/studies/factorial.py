"""Two factors of a study crossed: what each gives alone, what both give together, and whether the gains add up."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mmpid import _validate
from mmpid.errors import ConfigError, InputError
from mmpid.studies.comparison import Comparison
from mmpid.studies.pairs import units_of
from mmpid.studies.statistics import Component, Interval, holm, interval, seed_component, unit_component

if TYPE_CHECKING:
    import pandas as pd

LEVEL = 0.05
Cell = tuple[str, str]


def contrast(table: Comparison, weights: Mapping[str, float], *, data: Sequence[str | None] | None = None) -> Interval:
    """Return a weighted sum of the accuracies of methods with its 95 % interval, paired by data set and seed.

    Computes ``c = 1/D sum_d 1/S sum_s sum_m w_m a_m(d, s)`` with the accuracy a_m(d, s) of method m. With weights +1
    and -1 it is :meth:`Comparison.difference`; with more of them it answers questions that need several methods, such
    as whether two gains add up.

    Parameters
    ----------
    table : Comparison
        A table of :func:`mmpid.compare`.
    weights : mapping of str to float
        Weight of each method; they must add up to zero.
    data : sequence of str, optional
        Data sets to average over; all of them by default.

    Returns
    -------
    Interval
        Mean, low and high as shares of right answers (0.01 is a point), two-sided p-value against zero, and the number
        of runs of each method.

    Raises
    ------
    ConfigError, InputError
        Unknown methods; weights that do not add up to zero; a seed that one of the methods lacks.

    Notes
    -----
    The variance is that of a two-way cluster: seeds, and test samples (or groups) that seeds share. The interval is
    about other seeds and other samples of *these* data sets; it says nothing of other data sets.

    Examples
    --------
    >>> rows = [{"method": m, "seed": s, "test_accuracy": a} for m, a in (("a", 0.5), ("b", 0.75)) for s in (0, 1)]
    >>> contrast(Comparison(tuple(rows)), {"b": 1, "a": -1}).mean
    0.25
    """
    for method in weights:
        _validate.choice(method, "weights", table.methods)
    total = sum(weights.values())
    if abs(total) > 1e-9:
        raise ConfigError(f"`weights` must add up to zero; they add up to {total:g}. Subtract a method.")
    wanted = table.data if data is None else list(data)
    for name in wanted:
        _validate.choice(name, "data", table.data)
    found = [_one(table, weights, name) for name in wanted]
    share = 1 / len(found)
    parts = [Component(c.variance * share**2, c.df) for _, own in found for c in own]
    return interval(float(np.mean([x.mean() for x, _ in found])), parts, sum(len(x) for x, _ in found))


def _one(table: Comparison, weights: Mapping[str, float], data: str | None) -> tuple[np.ndarray, list[Component]]:
    """Return the contrast of each seed on one data set, and the parts of the variance of its mean."""
    scores: dict[str, dict[int, float]] = {method: {} for method in weights}
    for row in table.rows:
        if row["method"] in weights and row.get("data") == data:
            scores[row["method"]][row["seed"]] = row["test_accuracy"]
    seeds = sorted(set.union(*(set(own) for own in scores.values())))
    for method, own in scores.items():
        if missing := sorted(set(seeds) - own.keys()):
            raise InputError(
                f"`weights` must name methods that have the same seeds; {method!r} lacks {missing} on {data!r}. Leave "
                "the method out, or those seeds."
            )
    values = np.array([sum(w * scores[method][seed] for method, w in weights.items()) for seed in seeds])
    parts = [seed_component(values)]
    stored = {(m, s): p for (d, m, s), p in table.stored.items() if data in (None, d) and m in weights}
    if len(seeds) < 2 or len(stored) < len(seeds) * len(weights):
        return values, parts
    first = next(iter(weights))
    deltas = [np.sum([w * stored[method, seed].correct for method, w in weights.items()], axis=0) for seed in seeds]
    return values, [*parts, unit_component(deltas, [units_of(stored[first, seed]) for seed in seeds])]


def factorial(
    table: Comparison, cells: Mapping[Cell, str], reference: Cell, *, data: Sequence[str | None] | None = None
) -> "pd.DataFrame":
    """Return what two crossed factors give, alone and together, with 95 % intervals.

    With the accuracy a(i, j) at level i of the first factor and j of the second, and the reference (0, 0):

    * ``first``: the first factor alone, ``a(i, 0) - a(0, 0)``;
    * ``second``: the second alone, ``a(0, j) - a(0, 0)``;
    * ``both``: ``a(i, j) - a(0, 0)``;
    * ``interaction``: ``a(i, j) - a(i, 0) - a(0, j) + a(0, 0)``, which is zero where the gains add up;
    * ``first on average`` and ``second on average``: the same step averaged over the levels of the other factor.

    Parameters
    ----------
    table : Comparison
        A table that holds every cell.
    cells : mapping
        From (level of the first factor, level of the second) to the name of the method; a full grid.
    reference : tuple of str
        The cell (0, 0).
    data : sequence of str, optional
        Data sets to average over; all of them by default.

    Returns
    -------
    pandas.DataFrame
        One row per effect: `effect`, `first`, `second`, `mean`, `low`, `high` (shares of right answers), `p`, `p_holm`
        over the rows of the same effect, and `verdict`.

    Raises
    ------
    ConfigError
        A grid with gaps, a method in two cells, or a reference outside the grid.

    Notes
    -----
    How it can mislead: the gains are differences of accuracies, which have a ceiling. A negative interaction near it
    means that nothing was left to gain, not that the two work against each other. An interaction has about twice the
    variance of a gain, so few seeds seldom prove one; look at how far its interval reaches.

    Examples
    --------
    >>> scores = {"": 0.5, "init": 0.6, "method": 0.55, "both": 0.6}
    >>> rows = [{"method": m, "seed": s, "test_accuracy": a} for m, a in scores.items() for s in (0, 1)]
    >>> cells = {("no", "no"): "", ("yes", "no"): "init", ("no", "yes"): "method", ("yes", "yes"): "both"}
    >>> found = factorial(Comparison(tuple(rows)), cells, ("no", "no")).set_index("effect")
    >>> round(float(found.loc["interaction", "mean"]), 3)
    -0.05
    """
    import pandas as pd

    plans = _plans(cells, reference)
    rows = []
    for effect, first, second, weights in plans:
        found = contrast(table, weights, data=data)
        rows.append({"effect": effect, "first": first, "second": second, **found._asdict()})
    frame = pd.DataFrame(rows)
    frame["p_holm"] = frame.groupby("effect")["p"].transform(lambda p: holm(p.tolist()))
    better = np.where(frame["mean"] > 0, "above zero", "below zero")
    frame["verdict"] = np.where(frame["p_holm"] >= LEVEL, "within noise", better)
    return frame


def _plans(cells: Mapping[Cell, str], reference: Cell) -> list[tuple[str, str, str, dict[str, float]]]:
    """Return every effect with its levels and the weights of the methods."""
    firsts, seconds = (list(dict.fromkeys(cell[k] for cell in cells)) for k in (0, 1))
    gaps = [(i, j) for i in firsts for j in seconds if (i, j) not in cells]
    if gaps or reference not in cells:
        wrong = f"it has no {gaps[0]}" if gaps else f"the reference {reference} is not in it"
        raise ConfigError(f"`cells` must hold every pair of levels; {wrong}. Add that cell.")
    if len(set(cells.values())) < len(cells):
        raise ConfigError("`cells` must name a different method in each cell; some occur twice. Rename them.")
    i0, j0 = reference
    own, others = [i for i in firsts if i != i0], [j for j in seconds if j != j0]
    base = cells[reference]
    plans = [("first", i, j0, {cells[i, j0]: 1.0, base: -1.0}) for i in own]
    plans += [("second", i0, j, {cells[i0, j]: 1.0, base: -1.0}) for j in others]
    plans += [("both", i, j, {cells[i, j]: 1.0, base: -1.0}) for i in own for j in others]
    plans += [
        ("interaction", i, j, {cells[i, j]: 1.0, cells[i, j0]: -1.0, cells[i0, j]: -1.0, base: 1.0})
        for i in own
        for j in others
    ]
    share = {"first": 1 / len(seconds), "second": 1 / len(firsts)}
    for i in own:
        steps = {cells[i, j]: share["first"] for j in seconds} | {cells[i0, j]: -share["first"] for j in seconds}
        plans.append(("first on average", i, "", steps))
    for j in others:
        steps = {cells[i, j]: share["second"] for i in firsts} | {cells[i, j0]: -share["second"] for i in firsts}
        plans.append(("second on average", "", j, steps))
    return plans

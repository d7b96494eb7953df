"""When joint training should have started, according to a sweep of the switch point."""

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes

from mmpid.errors import InputError
from mmpid.plots import style
from mmpid.plots.traces import BLUE, GREEN, ORANGE, PINK, VERMILION
from mmpid.studies.comparison import paired_interval

EMPTY = "The accuracy after each switch point\nappears here once a sweep has run"
_MARKS = ((VERMILION, "D"), (ORANGE, "s"), (GREEN, "^"), (PINK, "v"))


def switch_curve(sweep, ax: Axes | None = None, *, title: str = "Test accuracy by the start of joint training") -> Axes:
    """Draw the final accuracy against the epoch at which joint training started, and what each rule chose.

    The band is the 95 % interval over seeds (Student t) of the accuracy *after each seed's own mean was taken out*,
    times sqrt(C / (C - 1)) for C epochs, which corrects for the spread that this removes. It shows how reliably the
    epochs differ from each other, without the variation between easier and harder seeds; it is not an interval of the
    accuracy itself. A rule is drawn at the mean epoch that it chose and the mean accuracy that it got there.

    Parameters
    ----------
    sweep
        What `mmpid.sweep_switch` returns.
    ax
        Axes to draw on; new ones by default.
    title
        Heading of the panel.

    Returns
    -------
    matplotlib.axes.Axes
        x: epoch of the switch; y: test accuracy, 0 to 1.

    Raises
    ------
    InputError
        If `sweep` is something else.

    Notes
    -----
    The highest point was found with hindsight on the test split: no rule can be expected to reach it. Whether two
    epochs differ is a question for their paired difference (`sweep.curve()` has it against the first one): it can be
    clear although their bands overlap a little.

    References
    ----------
    Cousineau (2005), Confidence intervals in within-subject designs; Morey (2008), the correction to it, eq. (2).

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from mmpid.studies.sweep import SwitchSweep
    >>> rows = [dict(seed=s, epoch=e, test_accuracy=0.8 + 0.01 * e + 0.02 * s) for s in (0, 1) for e in (0, 5)]
    >>> ax = switch_curve(SwitchSweep(tuple(rows), ()), Figure().subplots())
    >>> [round(y, 3) for y in ax.lines[0].get_ydata().tolist()]
    [0.81, 0.86]
    """
    if not hasattr(sweep, "rows") or not hasattr(sweep, "choices"):
        raise InputError(f"`sweep` must be what `mmpid.sweep_switch` returns; it was {type(sweep).__name__}.")
    ax = style.axes_or_new(ax)
    style.dress(
        ax, title=title, xlabel="epoch at which joint training starts", ylabel="test accuracy (fraction correct)"
    )
    if not sweep.rows:
        style.empty(ax, EMPTY)
        return ax
    epochs, seeds, table = _table(sweep.rows)
    low, high = _band(table)
    if np.isfinite(low).all():
        ax.fill_between(epochs, low, high, color=BLUE, alpha=0.18, linewidth=0)
    label = f"mean of {len(seeds)} seeds" if len(seeds) > 1 else "one seed"
    curve = {"color": BLUE, "linewidth": 2, "marker": "o", "markersize": 4, "markeredgewidth": 0}
    sns.lineplot(x=epochs, y=table.mean(0), errorbar=None, label=label, legend=False, ax=ax, **curve)
    _draw_rules(ax, sweep.choices, epochs, seeds, table)
    style.legend_above(ax, columns=2)
    return ax


def _table(rows) -> tuple[list[int], list[int], np.ndarray]:
    """Return epochs, seeds, and accuracies of shape (seeds, epochs)."""
    epochs, seeds = (sorted({row[key] for row in rows}) for key in ("epoch", "seed"))
    score = {(row["seed"], row["epoch"]): row["test_accuracy"] for row in rows}
    return epochs, seeds, np.array([[score[seed, epoch] for epoch in epochs] for seed in seeds])


def _band(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the interval over seeds at each epoch, with each seed's own level removed; NaN with one epoch."""
    n_epochs = table.shape[1]
    if n_epochs == 1:  # nothing is left of the spread
        return np.full(1, np.nan), np.full(1, np.nan)
    own = table - table.mean(1, keepdims=True)
    spread = np.sqrt(n_epochs / (n_epochs - 1)) * (own - own.mean(0))
    bounds = np.array([paired_interval(column)[1:] for column in (table.mean(0) + spread).T])
    return bounds[:, 0], bounds[:, 1]


def _draw_rules(ax: Axes, choices, epochs: list[int], seeds: list[int], table: np.ndarray) -> None:
    for i, rule in enumerate(dict.fromkeys(choice["rule"] for choice in choices)):
        chosen = {choice["seed"]: choice["epoch"] for choice in choices if choice["rule"] == rule}
        scores = [table[seeds.index(seed), epochs.index(epoch)] for seed, epoch in chosen.items()]
        color, marker = _MARKS[i % len(_MARKS)]
        marks = {"color": color, "marker": marker, "markersize": 9, "markeredgecolor": style.PAPER, "linestyle": "none"}
        ax.plot(np.mean(list(chosen.values())), np.mean(scores), label=rule, zorder=4, **marks)

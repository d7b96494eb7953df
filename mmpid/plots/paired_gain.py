"""What one method gains over others on the same seeds, with its uncertainty."""

from matplotlib.axes import Axes

from mmpid.errors import InputError
from mmpid.plots import style
from mmpid.plots.traces import BLUE

_COLUMNS = ("method", "mean", "low", "high")


def paired_gain(
    frame,
    ax: Axes | None = None,
    *,
    title: str = "",
    xlabel: str = "difference in test accuracy (fraction), paired by seed",
) -> Axes:
    """Draw paired differences as a forest plot: one row per comparison, a point and its 95 % interval.

    A difference whose interval contains zero is drawn hollow and gray: these seeds do not show which of the two is
    better.

    Parameters
    ----------
    frame
        A pandas DataFrame with the columns method, mean, low, high, one row per comparison.
    ax
        Axes to draw on; new ones by default.
    title
        Heading of the panel.
    xlabel
        Description of the numbers, with their unit.

    Returns
    -------
    matplotlib.axes.Axes
        x: the difference; y: the comparisons, the first on top.

    Raises
    ------
    InputError
        If a column is missing or the frame is empty.

    Notes
    -----
    Each interval is for its own row. Even without any true difference, expect one of twenty comparisons to be drawn
    solid: decide in advance which row matters. Hollow does not mean equal: look at how far the interval reaches.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> rows = [("two-stage - joint", 0.05, 0.03, 0.07), ("two-stage - ens", 0.01, -0.01, 0.03)]
    >>> ax = paired_gain(pd.DataFrame(rows, columns=["method", "mean", "low", "high"]), Figure().subplots())
    >>> [point.get_markerfacecolor() for point in ax.lines if point.get_marker() == "o"]
    ['#0b6fae', 'white']
    """
    if not hasattr(frame, "columns"):
        raise InputError(
            f"`frame` must be a DataFrame with the columns {', '.join(_COLUMNS)}; it was {type(frame).__name__}. "
            "For two methods of a comparison these are comparison.difference(method, reference)."
        )
    missing = [name for name in _COLUMNS if name not in frame]
    if missing or not len(frame):
        problem = f"it lacked {', '.join(missing)}" if missing else "it had no rows"
        raise InputError(f"`frame` must have the columns {', '.join(_COLUMNS)} and one row per comparison; {problem}.")
    ax = style.axes_or_new(ax, size=(6.4, 1.2 + 0.45 * len(frame)))
    for place, row in enumerate(frame.itertuples(index=False)):
        certain = row.low > 0 or row.high < 0
        color = BLUE if certain else style.FAINT
        ax.plot([row.low, row.high], [place, place], color=color, linewidth=2, solid_capstyle="butt")
        face = color if certain else "white"
        ax.plot(
            row.mean, place, marker="o", markersize=7, markerfacecolor=face, markeredgecolor=color, linestyle="none"
        )
    ax.axvline(0, color=style.INK, linewidth=1)
    ax.set_yticks(range(len(frame)), list(frame["method"]))
    ax.set_ylim(len(frame) - 0.5, -0.5)
    return style.dress(ax, title=title, xlabel=xlabel, grid="x")

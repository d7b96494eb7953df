"""Mean ranks of methods over data sets, with Nemenyi's critical difference."""

from matplotlib.axes import Axes

from mmpid.errors import InputError
from mmpid.plots import style
from mmpid.plots.traces import BLUE


def critical_difference(frame, ax: Axes | None = None, *, title: str = "") -> Axes:
    """Draw mean ranks, best on top; a bar joins methods whose ranks differ by less than the critical difference.

    Parameters
    ----------
    frame
        The frame from ``comparison.ranks()``: mean_rank by method, and "critical_difference" in its `attrs`.
    ax
        Axes to draw on; new ones by default.
    title
        Heading of the panel.

    Returns
    -------
    matplotlib.axes.Axes
        x: mean rank, 1 is best; y: the methods, best on top.

    Raises
    ------
    InputError
        If the frame is not one of ranks.

    Notes
    -----
    A rank does not say how much better a method is. With fewer than ten data sets the critical difference is so large
    that few methods differ; a bar then shows a lack of data, not a lack of differences.

    References
    ----------
    Demsar (2006), Statistical comparisons of classifiers over multiple data sets, JMLR 7, section 3.2.4.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> ranks = pd.DataFrame({"mean_rank": [1.2, 1.9, 2.9]}, index=["ens", "joint", "a"])
    >>> ranks.attrs |= {"critical_difference": 1.0, "n_data": 8, "p": 0.001}
    >>> ax = critical_difference(ranks, Figure().subplots())
    >>> [text.get_text() for text in ax.get_yticklabels()]
    ['ens', 'joint', 'a']
    """
    width = getattr(frame, "attrs", {}).get("critical_difference")
    if width is None or "mean_rank" not in frame:
        raise InputError(
            f"`frame` must come from comparison.ranks(); it was {type(frame).__name__} without a critical difference."
        )
    frame = frame.sort_values("mean_rank")
    ranks = frame["mean_rank"].to_numpy()
    ax = style.axes_or_new(ax, size=(6.4, 1.4 + 0.4 * len(frame)))
    for first, last in joined(ranks.tolist(), width):
        x = ranks[last] + 0.03 * len(ranks)
        ax.plot([x, x], [first, last], color=style.FAINT, linewidth=4, solid_capstyle="round", label="joined")
    ax.plot(ranks, range(len(ranks)), linestyle="none", marker="o", markersize=8, color=BLUE)
    ax.set_yticks(range(len(ranks)), [str(name) for name in frame.index])
    ax.set_ylim(len(ranks) - 0.5, -0.5)
    words = f"mean rank over {frame.attrs['n_data']} data sets (critical difference {width:.2f})"
    return style.dress(ax, title=title, xlabel=words, grid="x")


def joined(ranks: list[float], width: float) -> list[tuple[int, int]]:
    """Return (first, last) of the longest stretches of sorted ranks that lie within the critical difference.

    Examples
    --------
    >>> joined([1.0, 1.5, 2.2, 4.0], 1.0)
    [(0, 1), (1, 2)]
    """
    found: list[tuple[int, int]] = []
    for first, rank in enumerate(ranks):
        last = max(i for i, other in enumerate(ranks) if other - rank < width)
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return found

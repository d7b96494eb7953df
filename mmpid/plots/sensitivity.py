"""How each method depends on its tuned setting."""

from matplotlib.axes import Axes

from mmpid.errors import InputError
from mmpid.plots import style


def sensitivity(frame, ax: Axes | None = None, *, score: str = "validation", title: str = "") -> Axes:
    """Draw a method-by-setting map of mean scores; a ring marks the setting that each method chose.

    Parameters
    ----------
    frame
        The frame from ``comparison.sensitivity()``, for one data set.
    ax
        Axes to draw on; new ones by default.
    score
        The column to draw: "validation", which chose the settings, or another one such as "test_accuracy".
    title
        Heading of the panel.

    Returns
    -------
    matplotlib.axes.Axes
        x: the settings; y: the methods; numbers and color: the score in percent.

    Raises
    ------
    InputError
        If the frame lacks a column or holds several data sets.

    Notes
    -----
    If a ring is in the first or last column of a numeric setting, the best value may lie outside the range: try more
    values.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> rows = [("d", "joint", lr, v, v == 0.8) for lr, v in ((0.01, 0.7), (0.1, 0.8))]
    >>> frame = pd.DataFrame(rows, columns=["data", "method", "lr", "validation", "chosen"])
    >>> ax = sensitivity(frame, Figure().subplots())
    >>> [text.get_text() for text in ax.get_xticklabels()]
    ['lr=0.01', 'lr=0.1']
    """
    missing = [name for name in ("data", "method", "chosen", score) if name not in getattr(frame, "columns", ())]
    if missing:
        raise InputError(f"`frame` must come from comparison.sensitivity(); it lacked {', '.join(missing)}.")
    if frame["data"].nunique() != 1:
        raise InputError(
            f"`frame` must hold one data set; it held {frame['data'].nunique()}. Try frame[frame.data == 'digits']."
        )
    tuned = [
        n for n in frame if n not in ("data", "method", "chosen") and not str(n).startswith(("validation", "test_"))
    ]
    labels = frame[tuned].apply(lambda row: "\n".join(f"{name}={row[name]}" for name in tuned), axis=1)
    columns, methods = list(dict.fromkeys(labels)), list(dict.fromkeys(frame["method"]))
    table = frame.assign(setting=labels).pivot(index="method", columns="setting", values=score)
    table = 100 * table.loc[methods, columns]
    ax = style.axes_or_new(ax, size=(1.8 + 0.9 * len(columns), 1.4 + 0.4 * len(methods)))
    image = ax.imshow(table.to_numpy(), cmap="cividis", aspect="auto")
    middle = (table.min().min() + table.max().max()) / 2
    for y, method in enumerate(methods):
        for x, column in enumerate(columns):
            value = table.loc[method, column]
            if value == value:
                ax.text(x, y, f"{value:.1f}", ha="center", va="center", color="black" if value > middle else "white")
    for label, method in zip(labels[frame["chosen"]], frame["method"][frame["chosen"]], strict=True):
        x, y = columns.index(label), methods.index(method)
        ax.plot(x, y, marker="o", markersize=30, markerfacecolor="none", markeredgecolor="#d55e00", markeredgewidth=2)
    ax.set_xticks(range(len(columns)), columns)
    ax.set_yticks(range(len(methods)), methods)
    style.colorbar(image, ax, f"{score.replace('_', ' ')} (%)")
    return style.dress(ax, title=title, grid="")

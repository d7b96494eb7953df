"""Accuracy of each head, of their average and of the joint head, epoch by epoch."""

from matplotlib.axes import Axes

from mmpid._validate import choice
from mmpid.plots import style
from mmpid.plots.traces import accuracy_traces, switch_epoch

EMPTY = "Accuracies appear here\nafter the first epoch"


def accuracy_curves(record, ax: Axes | None = None, *, split: str = "validation", title: str | None = None) -> Axes:
    """Draw accuracies against the epoch.

    Parameters
    ----------
    record
        A `mmpid.RunRecord`.
    ax
        Axes to draw on; new ones by default.
    split
        "validation" or "train".
    title
        Heading of the panel; names the split by default.

    Returns
    -------
    matplotlib.axes.Axes
        x: epoch; y: accuracy, 0 to 1.
    """
    choice(split, "split", ("validation", "train"))
    ax = style.axes_or_new(ax)
    epochs = record.lineage("epoch")
    style.draw_traces(ax, accuracy_traces(epochs, record.card["modalities"], split))
    style.draw_switch(ax, switch_epoch(record.lineage("decision")))
    names = {"validation": "Validation", "train": "Training"}
    style.dress(ax, title=title or f"{names[split]} accuracy", xlabel="epoch", ylabel="accuracy (fraction correct)")
    ax.set_ylim(0, 1)
    style.legend_above(ax, columns=4)
    if not epochs:
        style.empty(ax, EMPTY)
    return ax

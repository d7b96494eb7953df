"""Both stages of a run in one picture: alone, then together."""

from matplotlib.axes import Axes

from mmpid._validate import choice
from mmpid.plots import style
from mmpid.plots.traces import GREEN, accuracy_traces, loss_traces, switch_epoch

EMPTY = "Learning curves appear here\nafter the first epoch"

_GAP = 0.04  # of the axes, between the frame and the names of the stages


def learning_curves(
    record, ax: Axes | None = None, *, quantity: str = "accuracy", title: str = "Learning alone, then together"
) -> Axes:
    """Draw validation curves thick and, where they were recorded, training curves thin; both stages are named.

    The gap between a thick curve and the thin one of the same color is what that head has memorized.

    Parameters
    ----------
    record
        A `mmpid.RunRecord`; the rows on its present path are drawn.
    ax
        Axes to draw on; new ones by default.
    quantity
        "accuracy" or "loss".
    title
        Heading of the panel.

    Returns
    -------
    matplotlib.axes.Axes
        x: epoch; y: accuracy, 0 to 1, or cross-entropy in nats.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from mmpid.train import RunRecord
    >>> record = RunRecord({"modalities": ["audio", "image"]})
    >>> scores = {f"{split}_accuracy.{m}": 0.5 for split in ("train", "validation") for m in ("audio", "image")}
    >>> for epoch in (1, 2):
    ...     _ = record.append("epoch", segment=0, stage="unimodal", epoch=epoch, step=epoch, **scores)
    >>> len(learning_curves(record, Figure().subplots()).lines)
    4
    """
    choice(quantity, "quantity", ("accuracy", "loss"))
    ax = style.axes_or_new(ax, size=(7.5, 4.0))
    epochs, names = record.lineage("epoch"), record.card["modalities"]
    traces = accuracy_traces if quantity == "accuracy" else loss_traces
    style.draw_traces(ax, traces(epochs, names, "validation"))
    thin = [trace for trace in traces(epochs, names, "train") if len(trace.epoch)]
    for trace in thin:
        ax.plot(trace.epoch, trace.value, color=trace.color, linewidth=0.9, alpha=0.7)
    unit = "accuracy (fraction correct" if quantity == "accuracy" else "cross-entropy (nats"
    style.dress(ax, title=title, xlabel="epoch", ylabel=f"{unit}{'; thin: training' if thin else ''})")
    ax.set_ylim(bottom=0, top=1.02 if quantity == "accuracy" else None)
    style.legend_above(ax, columns=4)
    if not epochs:
        style.empty(ax, EMPTY)
        return ax
    _name_stages(ax, epochs[0]["epoch"], epochs[-1]["epoch"], switch_epoch(record.lineage("decision")))
    return ax


def _name_stages(ax: Axes, first: float, last: float, switch: float | None) -> None:
    """Shade stage 2 and write the name of each stage at the foot of the panel."""
    words = {"transform": ax.get_xaxis_transform(), "va": "bottom", "fontsize": 8.5, "color": style.INK}
    end = last if switch is None else switch
    if end > first:
        ax.text((first + end) / 2, _GAP, "stage 1: each alone", ha="center", **words)
    if switch is not None:
        ax.axvspan(switch, max(last, switch + 1), color=GREEN, alpha=0.08, linewidth=0, zorder=0)
        ax.axvline(switch, color=style.INK, linewidth=1.2, linestyle=(0, (3, 3)), zorder=1)
        ax.text((switch + max(last, switch + 1)) / 2, _GAP, "stage 2: together", ha="center", **words)

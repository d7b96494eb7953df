"""Both stages of a run in one picture: alone, then together."""

from matplotlib.axes import Axes

from mmpid._validate import choice
from mmpid.plots import style
from mmpid.plots.charts import accuracy_chart, loss_chart
from mmpid.plots.traces import GREEN, record_of, switch_epoch

EMPTY = "Learning curves appear here\nafter the first epoch"

_GAP = 0.04  # share of the axes, between the frame and the names of the stages
_ROOM = 0.25  # share of the epochs that a stage needs to show its name


def learning_curves(
    record, ax: Axes | None = None, *, quantity: str = "accuracy", title: str = "Learning alone, then together"
) -> Axes:
    """Draw thick validation curves and, if they were recorded, thin training curves; both stages are named.

    The gap between a thick curve and the thin one of the same color is what that head has memorized.

    Parameters
    ----------
    record
        A `mmpid.RunRecord`, or a trainer; the rows on the present path are drawn.
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
    >>> from mmpid import RunRecord
    >>> record = RunRecord({"modalities": ["audio", "image"]})
    >>> scores = {f"{split}_accuracy.{m}": 0.5 for split in ("train", "validation") for m in ("audio", "image")}
    >>> for epoch in (1, 2):
    ...     _ = record.append("epoch", segment=0, stage="unimodal", epoch=epoch, step=epoch, **scores)
    >>> len(learning_curves(record, Figure().subplots()).lines)
    4
    """
    record = record_of(record)
    choice(quantity, "quantity", ("accuracy", "loss"))
    ax = style.axes_or_new(ax, size=(7.5, 4.0))
    epochs, names = record.lineage("epoch"), record.metadata["modalities"]
    chart_of = accuracy_chart if quantity == "accuracy" else loss_chart
    style.draw_traces(ax, chart_of(epochs, names, split="validation").traces)
    thin = [trace for trace in chart_of(epochs, names, split="train").traces if len(trace.epoch)]
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
    """Shade stage 2 and, if there is room, write the name of each stage at the bottom of the panel."""
    end = last if switch is None else switch
    spans = [(first, end, "stage 1: each alone")]
    if switch is not None:
        last = max(last, switch + 1)
        spans.append((switch, last, "stage 2: together"))
        ax.axvspan(switch, last, color=GREEN, alpha=0.08, linewidth=0, zorder=0)
        ax.axvline(switch, color=style.INK, linewidth=1.2, linestyle=(0, (3, 3)), zorder=1)
    place = {"transform": ax.get_xaxis_transform(), "va": "bottom", "ha": "center"}
    for left, right, words in spans:
        if right - left > _ROOM * (last - first):
            ax.text((left + right) / 2, _GAP, words, fontsize=8.5, color=style.INK, **place)

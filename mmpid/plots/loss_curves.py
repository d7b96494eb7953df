"""Losses of each head and of the joint head, epoch by epoch."""

from matplotlib.axes import Axes

from mmpid._validate import choice
from mmpid.plots import style
from mmpid.plots.charts import loss_chart
from mmpid.plots.traces import record_of, switch_epoch


def loss_curves(record, ax: Axes | None = None, *, split: str = "train", title: str | None = None) -> Axes:
    """Draw cross-entropies against the epoch.

    Parameters
    ----------
    record
        A `mmpid.RunRecord`, or a trainer.
    ax
        Axes to draw on; new ones by default.
    split
        "train" or "validation".
    title
        Heading of the panel; names the split by default.

    Returns
    -------
    matplotlib.axes.Axes
        x: epoch; y: cross-entropy as the trainer minimizes it, in nats.

    Raises
    ------
    ConfigError
        If `split` is neither.

    Notes
    -----
    In stage 2 the loss of a single head is drawn too, although only the joint head may be trained then. A training loss
    near zero means that the labels are memorized, not that they are understood.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from mmpid import RunRecord
    >>> record = RunRecord({"modalities": ["audio", "image"]})
    >>> losses = {"loss.audio": 2.0, "loss.image": 1.5}
    >>> _ = record.append("epoch", segment=0, stage="unimodal", epoch=1, step=9, **losses)
    >>> loss_curves(record, Figure().subplots()).get_ylabel()
    'cross-entropy (nats)'
    """
    record = record_of(record)
    choice(split, "split", ("train", "validation"))
    ax = style.axes_or_new(ax)
    switch = switch_epoch(record.lineage("decision"))
    chart = loss_chart(record.lineage("epoch"), record.metadata["modalities"], switch, split)
    style.draw_chart(ax, chart, title)
    ax.set_ylim(bottom=0)
    return ax

"""Losses of each head and of the joint head, epoch by epoch."""

from matplotlib.axes import Axes

from mmpid._validate import choice
from mmpid.plots import style
from mmpid.plots.traces import loss_traces, record_of, switch_epoch

EMPTY = "Losses appear here\nafter the first epoch"


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
    near zero says that labels are known by heart, not that they are understood.

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
    epochs = record.lineage("epoch")
    style.draw_traces(ax, loss_traces(epochs, record.metadata["modalities"], split))
    style.draw_switch(ax, switch_epoch(record.lineage("decision")))
    names = {"validation": "Validation", "train": "Training"}
    style.dress(ax, title=title or f"{names[split]} loss", xlabel="epoch", ylabel="cross-entropy (nats)")
    ax.set_ylim(bottom=0)
    style.legend_above(ax, columns=4)
    if not epochs:
        style.empty(ax, EMPTY)
    return ax

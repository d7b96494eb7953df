"""Accuracy of each head, of their average and of the joint head, epoch by epoch."""

from matplotlib.axes import Axes

from mmpid._validate import choice
from mmpid.plots import style
from mmpid.plots.charts import accuracy_chart
from mmpid.plots.traces import record_of, switch_epoch


def accuracy_curves(record, ax: Axes | None = None, *, split: str = "validation", title: str | None = None) -> Axes:
    """Draw accuracies against the epoch.

    Parameters
    ----------
    record
        A `mmpid.RunRecord`, or a trainer.
    ax
        Axes to draw on; new ones by default.
    split
        "validation" or "train". "train" is the share of right answers among the training samples of an epoch, each
        counted before its update, so it lags behind. It has no average of the heads.
    title
        Heading of the panel; names the split by default.

    Returns
    -------
    matplotlib.axes.Axes
        x: epoch; y: accuracy, 0 to 1.

    Raises
    ------
    ConfigError
        If `split` is neither.

    Notes
    -----
    Training accuracy rises while a head memorizes. The curves of one run have no error bars: on 400 samples the
    standard error of an accuracy is about 0.02.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from mmpid import RunRecord
    >>> record = RunRecord({"modalities": ["audio", "image"]})
    >>> scores = {"validation_accuracy.audio": 0.5, "validation_accuracy.image": 0.75}
    >>> _ = record.append("epoch", segment=0, stage="unimodal", epoch=1, step=9, **scores)
    >>> [line.get_ydata().tolist() for line in accuracy_curves(record, Figure().subplots()).lines]
    [[0.5], [0.75]]
    """
    record = record_of(record)
    choice(split, "split", ("validation", "train"))
    ax = style.axes_or_new(ax)
    switch = switch_epoch(record.lineage("decision"))
    return style.draw_chart(
        ax, accuracy_chart(record.lineage("epoch"), record.metadata["modalities"], switch, split), title
    )

"""What two encoders know about the label, as a box that fills up."""

from matplotlib.axes import Axes

from mmpid.errors import InputError
from mmpid.plots import style
from mmpid.plots.charts import knowledge_chart
from mmpid.plots.reading import label_entropy, placed_probes
from mmpid.plots.traces import record_of, switch_epoch


def knowledge_areas(record, ax: Axes | None = None, *, title: str | None = None) -> Axes:
    """Draw what is known as areas up to H(Y): the first modality alone, both, the second alone, only both together.

    The lower two areas are all that the first modality knows, the middle two all that the second one knows. What only
    both together tell is filled up to what is proven, and hatched up to its estimate.

    Parameters
    ----------
    record
        A `mmpid.RunRecord`, a trainer, or the folder of a run; the rows on the present path are drawn.
    ax
        Axes to draw on; new ones by default.
    title
        Heading of the panel.

    Returns
    -------
    matplotlib.axes.Axes
        x: epoch; y: information in bits, up to the entropy of the label.

    Raises
    ------
    InputError
        If the record has not exactly two modalities: for more, R and S are means, which have no common stack.

    Notes
    -----
    Negative estimates take no room, so the stack can be a little higher than the total information. What is still
    missing is at most the rest up to H(Y), as long as synergy is not negative. Intervals are in `pid_curves`.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from mmpid import RunRecord
    >>> record = RunRecord({"modalities": ["audio", "image"], "class_names": ["cat", "dog"]})
    >>> for epoch in (0, 5):
    ...     atoms = dict(redundancy=0.1 * epoch, unique1=0.2, unique2=0.1, synergy=0.1)
    ...     _ = record.append("probe", segment=0, stage="unimodal", epoch=epoch, step=epoch, **atoms)
    >>> ax = knowledge_areas(record, Figure().subplots())
    >>> [area.get_label() for area in ax.collections]
    ['audio alone', 'both know', 'image alone', 'only together, not proven', 'still missing']
    """
    record = record_of(record)
    names = record.metadata["modalities"]
    if len(names) != 2:
        raise InputError(
            f"`record` must have two modalities; it had {len(names)}. Use pid_curves or stacked_atoms for more."
        )
    ax = style.axes_or_new(ax)
    probes = placed_probes(record.lineage(), record.metadata)
    entropy = label_entropy(record.metadata, probes)
    return style.draw_chart(
        ax, knowledge_chart(probes, names, entropy, switch_epoch(record.lineage("decision"))), title
    )

"""The decomposition of what the encoders know, epoch by epoch."""

from matplotlib.axes import Axes

from mmpid.plots import style
from mmpid.plots.charts import atoms_chart
from mmpid.plots.reading import placed_probes
from mmpid.plots.traces import record_of, switch_epoch


def pid_curves(record, ax: Axes | None = None, *, title: str | None = None) -> Axes:
    """Draw redundancy, the unique information of each modality and synergy against the epoch.

    The bands are 95 % bootstrap intervals, each for one atom of one probe. The hatched band is where synergy lies when
    the labels are shuffled: synergy inside it is not distinguishable from none. If synergy is above it, also look at
    its own band: the hatched one belongs to sources that know nothing.

    Parameters
    ----------
    record
        A `mmpid.RunRecord`, or a trainer; the rows on the current path are drawn.
    ax
        Axes to draw on; new ones by default.
    title
        Heading of the panel; says what is drawn by default.

    Returns
    -------
    matplotlib.axes.Axes
        x: epoch; y: information in bits. For three or more modalities a unique information is against all the others,
        and R and S are means over these one-vs-rest decompositions.

    Notes
    -----
    The numbers are estimates of what the *probed observable* knows (predicted class or clusters), on the probe
    split, and not of what the raw modality contains.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from mmpid import RunRecord
    >>> record = RunRecord({"modalities": ["audio", "image"]})
    >>> atoms = dict(redundancy=1.0, unique1=0.3, unique2=0.1, synergy=0.2)
    >>> _ = record.append("probe", segment=0, stage="unimodal", epoch=3, step=9, **atoms)
    >>> [line.get_label() for line in pid_curves(record, Figure().subplots()).lines][:2]
    ['redundant (R)', 'unique to audio (U1)']
    """
    record = record_of(record)
    ax = style.axes_or_new(ax)
    probes = placed_probes(record.lineage(), record.metadata)
    chart = atoms_chart(probes, record.metadata["modalities"], switch_epoch(record.lineage("decision")))
    return style.draw_chart(ax, chart, title)

"""Everything the encoders know, divided into atoms and stacked, epoch by epoch."""

import numpy as np
from matplotlib.axes import Axes

from mmpid.plots import style
from mmpid.plots.charts import atoms_chart
from mmpid.plots.traces import Trace, atoms_for, pid_traces, record_of, switch_epoch

MOST_WHISKERS = 8


def stacked_atoms(record, ax: Axes | None = None, *, title: str = "What is known, and by whom") -> Axes:
    """Draw the atoms as stacked areas against the epoch; for two modalities their height is the total information.

    The whisker at an area's upper edge is the 95 % interval of that atom alone. A negative estimate is drawn as zero,
    so there the height is more than the total. The area of an atom that the sample does not identify is hatched.

    Parameters
    ----------
    record
        A `mmpid.RunRecord`, or a trainer; the rows on the current path are drawn.
    ax
        Axes to draw on; new ones by default.
    title
        Heading of the panel.

    Returns
    -------
    matplotlib.axes.Axes
        x: epoch; y: information in bits.

    Notes
    -----
    With three or more modalities R and S are means over one-vs-rest decompositions, so the height is not a total.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from mmpid import RunRecord
    >>> record = RunRecord({"modalities": ["audio", "image"]})
    >>> for epoch in (0, 5):
    ...     atoms = dict(redundancy=0.2 * epoch, unique1=0.3, unique2=0.1, synergy=0.1)
    ...     _ = record.append("probe", segment=0, stage="unimodal", epoch=epoch, step=epoch, **atoms)
    >>> len(stacked_atoms(record, Figure().subplots()).collections)
    4
    """
    record = record_of(record)
    ax = style.axes_or_new(ax)
    probes, names = record.lineage("probe"), record.metadata["modalities"]
    complete = [row for row in probes if all(row.get(atom) is not None for atom in atoms_for(names))]
    traces = pid_traces(complete, names) if complete else []
    floor = np.zeros(len(complete))
    for place, trace in enumerate(traces):
        top = floor + trace.value.clip(min=0)
        unsure = "////" if trace.label.endswith("not identified") else None
        fill = {"facecolor": trace.color, "edgecolor": style.PAPER, "linewidth": 0.8, "hatch": unsure, "alpha": 0.8}
        ax.fill_between(trace.epoch, floor, top, label=trace.label, **fill)
        _whiskers(ax, trace, top, (place + 1) / (len(traces) + 1) - 0.5)
        floor = top
    style.draw_switch(ax, switch_epoch(record.lineage("decision")))
    style.dress(ax, title=title, xlabel="epoch", ylabel="information (bits)")
    ax.set_ylim(bottom=0)
    style.legend_above(ax, columns=2)
    if not complete:
        style.empty(ax, atoms_chart([], names).empty)
    return ax


def _whiskers(ax: Axes, trace: Trace, top: np.ndarray, shift: float) -> None:
    """Draw an atom's own interval, from 0 up, at its upper edge, at a few probes, beside those of the other atoms."""
    if trace.low is None or len(top) < 2:
        return
    some = np.unique(np.linspace(0, len(top) - 1, MOST_WHISKERS + 2).round().astype(int)[1:-1])
    x = trace.epoch[some] + shift * 0.8 * (trace.epoch[-1] - trace.epoch[0]) / (MOST_WHISKERS + 2)
    below, above = (
        np.maximum(part[some], 0) for part in (trace.value - np.maximum(trace.low, 0), trace.high - trace.value)
    )
    ax.errorbar(x, top[some], [below, above], fmt="none", ecolor=style.INK, elinewidth=1.1, capsize=2)

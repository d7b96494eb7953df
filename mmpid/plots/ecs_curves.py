"""Proxies for the effective competitive strength of each modality, epoch by epoch."""

from matplotlib.axes import Axes

from mmpid._validate import choice
from mmpid.plots import style
from mmpid.plots.charts import strength_chart
from mmpid.plots.reading import placed_probes
from mmpid.plots.traces import ecs_proxies, record_of, switch_epoch


def ecs_curves(record, ax: Axes | None = None, *, proxy: str | None = None, title: str | None = None) -> Axes:
    """Draw one recorded proxy for each modality against the epoch.

    Parameters
    ----------
    record
        A `mmpid.RunRecord`, or a trainer.
    ax
        Axes to draw on; new ones by default.
    proxy
        Name of a recorded proxy; the first one by default.
    title
        Heading of the panel; names the proxy by default.

    Returns
    -------
    matplotlib.axes.Axes
        x: epoch; y: the proxy, in its own unit.

    Raises
    ------
    ConfigError
        If `proxy` was not recorded.

    Notes
    -----
    The modality with the higher curve is ahead as far as the proxy goes: `docs/ecs.md` says how far that is.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from mmpid import RunRecord
    >>> record = RunRecord({"modalities": ["audio", "image"]})
    >>> ecs = {"ecs.margin.audio": 0.5, "ecs.margin.image": 1.5}
    >>> _ = record.append("probe", segment=0, stage="unimodal", epoch=3, step=9, **ecs)
    >>> ecs_curves(record, Figure().subplots()).get_ylabel()
    'margin (own unit)'
    """
    record = record_of(record)
    ax = style.axes_or_new(ax)
    probes = placed_probes(record.lineage(), record.metadata)
    recorded = ecs_proxies(probes)
    chosen = (recorded[0] if proxy is None else choice(proxy, "proxy", recorded)) if recorded else None
    switch = switch_epoch(record.lineage("decision"))
    return style.draw_chart(ax, strength_chart(probes, record.metadata["modalities"], chosen, switch), title)

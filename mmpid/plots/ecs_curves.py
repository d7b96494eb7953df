"""Proxies for the effective competitive strength of each modality, epoch by epoch."""

from matplotlib.axes import Axes

from mmpid._validate import choice
from mmpid.plots import style
from mmpid.plots.traces import ecs_proxies, ecs_traces, record_of, switch_epoch

EMPTY = "The strength of each modality (ECS proxies)\nappears here after the first probe"


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
    probes = record.lineage("probe")
    recorded = ecs_proxies(probes)
    if recorded:
        proxy = recorded[0] if proxy is None else choice(proxy, "proxy", recorded)
        style.draw_traces(ax, ecs_traces(probes, record.metadata["modalities"], proxy))
    else:
        style.empty(ax, EMPTY)
    heading = title if title is not None else "Strength of each modality"
    style.draw_switch(ax, switch_epoch(record.lineage("decision")))
    style.dress(ax, title=heading, xlabel="epoch", ylabel=f"{proxy} (own unit)" if recorded else "ECS proxy")
    style.legend_above(ax, columns=4)
    return ax

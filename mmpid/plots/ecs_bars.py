"""The competition, class by class: which modality is stronger."""

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes

from mmpid._validate import choice
from mmpid.plots import style
from mmpid.plots.charts import strength_chart
from mmpid.plots.traces import ecs_proxies, modality_style, record_of, strength_by_class

_HATCHES = ("", "///", "...", "xx", "\\\\\\", "++")


def ecs_bars(record, ax: Axes | None = None, *, proxy: str | None = None, title: str | None = None) -> Axes:
    """Draw the latest probe's strength proxy as bars, one group per class and one bar per modality.

    Parameters
    ----------
    record
        A `mmpid.RunRecord`, or a trainer.
    ax
        Axes to draw on; new ones by default.
    proxy
        Name of a recorded proxy that has values by class; the first such one by default.
    title
        Heading of the panel; names the epoch by default.

    Returns
    -------
    matplotlib.axes.Axes
        x: class; y: the proxy, in its own unit.

    Raises
    ------
    ConfigError
        If `proxy` was not recorded by class.

    Notes
    -----
    The taller bar of a class says which modality a joint training would favor there, as far as the proxy goes:
    `docs/ecs.md` says how far that is.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from mmpid import RunRecord
    >>> record = RunRecord({"modalities": ["audio", "image"], "class_names": ["cat", "dog"]})
    >>> ecs = {f"ecs.mi.{name}.{c}": 0.1 * c for name in ("audio", "image") for c in (0, 1)}
    >>> _ = record.append("probe", segment=0, stage="unimodal", epoch=3, step=9, **ecs)
    >>> len(ecs_bars(record, Figure().subplots()).patches)
    4
    """
    record = record_of(record)
    ax = style.axes_or_new(ax, size=(7.5, 3.4))
    names, probe = record.metadata["modalities"], next(iter(record.lineage("probe")[-1:]), {})
    tables = {name: strength_by_class(probe, names, name) for name in ecs_proxies([probe])}
    tables = {name: table for name, table in tables.items() if table is not None}
    if not tables:
        style.dress(ax, title=title or "Strength by class", xlabel="class", ylabel="ECS proxy")
        style.empty(ax, strength_chart([], names, None).empty)
        return ax
    proxy = choice(next(iter(tables)) if proxy is None else proxy, "proxy", tables)
    table = tables[proxy]
    classes = record.metadata.get("class_names") or [str(c) for c in range(table.shape[1])]
    n_classes = table.shape[1]
    data = {"class": np.tile(np.arange(n_classes), len(names)), "strength": table.ravel()}
    data["modality"] = np.repeat(np.array(names, dtype=object), n_classes)
    colors = [modality_style(i)[0] for i in range(len(names))]
    plain = {"saturation": 1, "linewidth": 0, "legend": False}
    sns.barplot(data, x="class", y="strength", hue="modality", palette=colors, ax=ax, **plain)
    for name, bars, hatch in zip(names, ax.containers, _HATCHES, strict=False):
        bars.set_label(name)
        for bar in bars:
            bar.set(hatch=hatch, edgecolor=style.PAPER)
    ax.set_xticks(range(n_classes), classes[:n_classes])
    ax.axhline(0, color=style.FAINT, linewidth=0.8)
    heading = title if title is not None else f"Strength by class at epoch {probe['epoch']}"
    style.dress(ax, title=heading, xlabel="class", ylabel=f"{proxy} (own unit)")
    style.legend_above(ax, columns=6)
    return ax

"""How strong each modality is in each class: where a competition is won and lost."""

from typing import Any, cast

import numpy as np
from matplotlib.axes import Axes

from mmpid._validate import choice
from mmpid.plots import style
from mmpid.plots.charts import strength_chart
from mmpid.plots.traces import ecs_proxies, record_of, strength_by_class


def class_strength(record, ax: Axes | None = None, *, proxy: str | None = None, title: str | None = None) -> Axes:
    """Draw the latest probe's strength proxy as a heat map, one row per modality and one column per class.

    Parameters
    ----------
    record
        A `mmpid.RunRecord`, or a trainer.
    ax
        Axes to draw on; new ones by default.
    proxy
        Name of a recorded proxy; the first one by default.
    title
        Heading of the panel; names proxy and epoch by default.

    Returns
    -------
    matplotlib.axes.Axes
        x: class; y: modality; color: the proxy, in its own unit.

    Raises
    ------
    ConfigError
        If `proxy` was not recorded.

    Notes
    -----
    Values of one proxy can be compared with each other, not with those of another proxy; how well each follows the
    strength of the theory is in `docs/ecs.md`.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from mmpid import RunRecord
    >>> record = RunRecord({"modalities": ["audio", "image"]})
    >>> ecs = {f"ecs.margin.{name}.{c}": 0.5 + c for name in ("audio", "image") for c in (0, 1)}
    >>> _ = record.append("probe", segment=0, stage="unimodal", epoch=3, step=9, **ecs)
    >>> class_strength(record, Figure().subplots()).images[0].get_array().shape
    (2, 2)
    """
    record = record_of(record)
    ax = style.axes_or_new(ax, size=(7.5, 2.4))
    probes, names = record.lineage("probe"), record.metadata["modalities"]
    recorded = ecs_proxies(probes[-1:])
    proxy = recorded[0] if recorded and proxy is None else proxy
    table = strength_by_class(probes[-1], names, cast(str, choice(proxy, "proxy", recorded))) if recorded else None
    if table is None:
        style.dress(ax, title=title or "Strength by class", xlabel="class", ylabel="modality", grid="")
        style.empty(ax, strength_chart([], names, None).empty)
        return ax
    image = ax.imshow(table, aspect="auto", cmap="viridis", vmin=min(0.0, float(table.min())))
    style.colorbar(image, ax, f"{proxy} (own unit)")
    classes = record.metadata.get("class_names") or [str(c) for c in range(table.shape[1])]
    ax.set_xticks(range(table.shape[1]), classes[: table.shape[1]])
    ax.set_yticks(range(len(names)), names)
    norm = cast(Any, image.norm)  # drawing the color bar has set both ends
    middle = (norm.vmin + norm.vmax) / 2
    for (row, column), value in np.ndenumerate(table):
        color = "white" if value < middle else style.INK
        ax.text(column, row, f"{value:.1f}", ha="center", va="center", fontsize=8.5, color=color)
    heading = title if title is not None else f"Strength by class at epoch {probes[-1]['epoch']}"
    return style.dress(ax, title=heading, xlabel="class", ylabel="modality", grid="")

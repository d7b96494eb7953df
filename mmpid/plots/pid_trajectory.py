"""How the two unique informations move against each other."""

import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from mmpid._validate import choice
from mmpid.errors import ConfigError
from mmpid.plots import style
from mmpid.plots.charts import atoms_chart
from mmpid.plots.traces import Trace, nice_limit, pid_traces, record_of


def pid_trajectory(
    record, ax: Axes | None = None, *, pair: tuple[str, str] | None = None, title: str = "Path of two encoders"
) -> Axes:
    """Draw U1 against U2, one point per probe, colored by redundancy.

    On the diagonal, both modalities have equal unique information. Far along one axis, that modality knows much that
    the other does not, for example because the other one starved. Near the origin, both know the same: a lot if
    redundancy is high.

    Parameters
    ----------
    record
        A `mmpid.RunRecord`, or a trainer.
    ax
        Axes to draw on; new ones by default.
    pair
        Names of the two modalities on the axes; the first two by default.
    title
        Heading of the panel.

    Returns
    -------
    matplotlib.axes.Axes
        x: U1 in bits; y: U2 in bits; color: redundancy in bits. For three or more modalities it is the mean redundancy,
        and each unique information is against all the others.

    Raises
    ------
    ConfigError
        If `pair` does not name two modalities of the record.

    Notes
    -----
    The intervals of the points are not drawn here: see `pid_curves`. Small steps are noise.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from mmpid import RunRecord
    >>> record = RunRecord({"modalities": ["audio", "image"]})
    >>> for epoch in (0, 5):
    ...     atoms = dict(redundancy=0.2 * epoch, unique1=0.3, unique2=0.1, synergy=0.1)
    ...     _ = record.append("probe", segment=0, stage="unimodal", epoch=epoch, step=epoch, **atoms)
    >>> [text.get_text() for text in pid_trajectory(record, Figure().subplots()).texts]
    ['epoch 0', 'epoch 5']
    """
    record = record_of(record)
    names = list(record.metadata["modalities"])
    redundancy, *unique, _ = pid_traces(record.lineage("probe"), names)
    unique1, unique2 = _chosen(names, unique, pair)
    ax = style.axes_or_new(ax, size=(5.6, 4.6))
    style.dress(ax, title=title, xlabel=f"{unique1.label}, bits", ylabel=f"{unique2.label}, bits", grid="both")
    if not len(unique1.epoch):
        style.empty(ax, atoms_chart([], names).empty)
        return ax
    limit = nice_limit(max(unique1.value.max(), unique2.value.max()))
    ax.plot([0, limit], [0, limit], color=style.FAINT, linewidth=1, linestyle=":", zorder=1)
    ax.plot(unique1.value, unique2.value, color=style.FAINT, linewidth=1.2, zorder=2)
    shade = {"hue": redundancy.value, "palette": "viridis", "legend": False}
    sns.scatterplot(x=unique1.value, y=unique2.value, s=46, zorder=3, linewidth=0, ax=ax, **shade)
    scale = ScalarMappable(Normalize(*_range(redundancy.value)), "viridis")
    style.colorbar(scale, ax, "redundant (R), bits")
    style.dress(ax, title=title, xlabel=f"{unique1.label}, bits", ylabel=f"{unique2.label}, bits", grid="both")
    for i in dict.fromkeys((0, len(unique1.epoch) - 1)):
        place = {"xy": (unique1.value[i], unique2.value[i]), "xytext": (6, 5), "textcoords": "offset points"}
        ax.annotate(f"epoch {unique1.epoch[i]:g}", fontsize=8.5, color=style.INK, **place)
    low = min(0.0, float(unique1.value.min()), float(unique2.value.min()))
    ax.set(xlim=(low, limit), ylim=(low, limit), aspect="equal")
    return ax


def _range(values) -> tuple[float, float]:
    """Return the limits of a color scale, kept apart even if all values are equal."""
    low, high = float(values.min()), float(values.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _chosen(names: list[str], unique: list[Trace], pair) -> list[Trace]:
    """Return the traces of the two modalities on the axes."""
    pair = tuple(names[:2]) if pair is None else tuple(pair)
    if len(set(pair)) != 2:
        raise ConfigError(f"`pair` must name two modalities of {', '.join(names)}; it was {pair!r}.")
    return [unique[names.index(choice(name, "pair", names))] for name in pair]

"""One decomposition as four bars."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from mmpid.plots import style
from mmpid.plots.atoms import Atom, atoms_of, names_of
from mmpid.plots.traces import atom_color, atom_labels


def atoms_bar(result, ax: Axes | None = None, *, modalities: Sequence[str] | None = None, title: str = "") -> Axes:
    """Draw the four atoms as bars, with 95 % intervals if they are estimates.

    The hatched part of a bar's background is the range with shuffled labels; an atom that is not identified by the
    sample is drawn pale.

    Parameters
    ----------
    result
        A `PIDResult` of one problem, or a `PIDEstimate`.
    ax
        Axes to draw on; new ones by default.
    modalities
        Names of the two sources for the labels.
    title
        Heading of the panel.

    Returns
    -------
    matplotlib.axes.Axes
        y: information in bits.

    Raises
    ------
    InputError, ShapeError
        If `result` has no atoms, or is a batch.

    Notes
    -----
    The hatched range belongs to sources that know nothing; a synergy above it can still be zero, see `estimate_pid`.

    Examples
    --------
    >>> import mmpid
    >>> from matplotlib.figure import Figure
    >>> ax = atoms_bar(mmpid.decompose(mmpid.joints.xor()), Figure().subplots())
    >>> [abs(round(float(bar.get_height()), 3)) for bar in ax.patches]
    [0.0, 0.0, 0.0, 1.0]
    """
    ax = style.axes_or_new(ax)
    labels = atom_labels(names_of(modalities))
    for place, atom in enumerate(atoms_of(result)):
        _draw(ax, place, atom)
    names = [labels[atom.name].replace("unique to ", "unique to\n").replace(" (", "\n(") for atom in atoms_of(result)]
    ax.set_xticks(range(4), names)
    ax.axhline(0, color=style.FAINT, linewidth=0.8)
    ax.margins(y=0.12)
    return style.dress(ax, title=title, ylabel="information (bits)")


def _draw(ax: Axes, place: int, atom: Atom) -> None:
    if atom.null is not None:
        low, high = atom.null
        outline = {"facecolor": "none", "edgecolor": style.FAINT, "hatch": "////", "linewidth": 0}
        ax.bar(place, high - low, bottom=low, width=0.86, zorder=1, **outline)
    ax.bar(place, atom.value, width=0.62, color=atom_color(atom.name), alpha=1 if atom.identified else 0.35, zorder=2)
    top = atom.value
    if atom.interval is not None:
        low, high = atom.interval
        ax.vlines(place, low, high, color=style.INK, linewidth=1.4, zorder=3)
        ax.hlines([low, high], place - 0.07, place + 0.07, color=style.INK, linewidth=1.4, zorder=3)
        top = max(high, top)
    text = f"{round(atom.value, 2) + 0.0:.2f}" + ("" if atom.identified else "\nnot identified")
    place_text = {"xytext": (0, 3), "textcoords": "offset points", "ha": "center", "va": "bottom"}
    ax.annotate(text, (place, max(top, 0)), fontsize=9, color=style.INK, **place_text)

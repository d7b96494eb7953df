"""One decomposition as the classic diagram of two overlapping circles."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.patches import Circle, Ellipse

from mmpid.pid.names import ATOMS
from mmpid.plots import style
from mmpid.plots.atoms import atoms_of, names_of
from mmpid.plots.traces import atom_color, atom_labels

_R, _U1, _U2, _S = ATOMS
_PLACES = {_U1: (-0.95, 0.0), _U2: (0.95, 0.0), _R: (0.0, 0.0), _S: (0.0, 1.19)}


def information_diagram(
    result, ax: Axes | None = None, *, modalities: Sequence[str] | None = None, title: str = ""
) -> Axes:
    """Draw what each source knows about the target as a circle, and what only both know as the surrounding region.

    The areas are *not* to scale (no two circles can show four numbers); each region is labeled with its value in bits,
    and a larger share of the total makes it more opaque. An atom that the sample does not identify is marked.

    Parameters
    ----------
    result
        A `PIDResult` of one problem, or a `PIDEstimate`.
    ax
        Axes to draw on; new ones by default.
    modalities
        Names of the two sources.
    title
        Heading of the panel.

    Returns
    -------
    matplotlib.axes.Axes
        Without axis lines; every number is in bits.

    Raises
    ------
    InputError, ShapeError
        If `result` has no atoms, or is a batch.

    Notes
    -----
    Estimates stand here without their intervals: `atoms_bar` has them.

    Examples
    --------
    >>> import mmpid
    >>> from matplotlib.figure import Figure
    >>> ax = information_diagram(mmpid.decompose(mmpid.joints.xor()), Figure().subplots())
    >>> ax.texts[-1].get_text().splitlines()
    ['synergistic', '(S)', '1.00 bits']
    """
    ax = style.axes_or_new(ax, size=(6.0, 4.2))
    atoms = {atom.name: atom for atom in atoms_of(result)}
    total = max(sum(max(atom.value, 0) for atom in atoms.values()), 1e-12)
    share = {name: min(max(atom.value, 0) / total, 1) for name, atom in atoms.items()}
    _regions(ax, share)
    labels = atom_labels(names_of(modalities))
    for name, (x, y) in _PLACES.items():
        text = labels[name].replace("unique to ", "unique to\n").replace(" (", "\n(")
        text += f"\n{round(atoms[name].value, 2) + 0.0:.2f} bits" + (
            "" if atoms[name].identified else "\nnot identified"
        )
        ax.text(x, y, text, ha="center", va="center", fontsize=9, color=style.INK, linespacing=1.35)
    style.dress(ax, title=title, grid="")
    ax.set(xlim=(-2.35, 2.35), ylim=(-1.65, 1.65), aspect="equal")
    ax.set_axis_off()
    return ax


def _regions(ax: Axes, share: dict[str, float]) -> None:
    color = {name: atom_color(name) for name in _PLACES}
    around = Ellipse((0, 0), 4.5, 3.2, facecolor=color["synergy"], alpha=_opacity(share["synergy"]), edgecolor="none")
    left, right = (Circle((x, -0.1), 0.98, facecolor="white", edgecolor="none") for x in (-0.55, 0.55))
    for patch in (around, left, right):
        ax.add_patch(patch)
    for x, name in ((-0.55, _U1), (0.55, _U2)):
        ax.add_patch(Circle((x, -0.1), 0.98, facecolor=color[name], alpha=_opacity(share[name]), edgecolor="none"))
    lens = Circle((-0.55, -0.1), 0.98, facecolor="white", edgecolor="none")
    tint = Circle(
        (-0.55, -0.1), 0.98, facecolor=color["redundancy"], alpha=_opacity(share["redundancy"]), edgecolor="none"
    )
    for patch in (lens, tint):
        ax.add_patch(patch)
        patch.set_clip_path(Circle((0.55, -0.1), 0.98, transform=ax.transData))
    for x in (-0.55, 0.55):
        ax.add_patch(Circle((x, -0.1), 0.98, facecolor="none", edgecolor=style.INK, linewidth=1.2))
    ax.add_patch(Ellipse((0, 0), 4.5, 3.2, facecolor="none", edgecolor=style.FAINT, linewidth=1, linestyle="--"))


def _opacity(share: float) -> float:
    return 0.06 + 0.7 * share

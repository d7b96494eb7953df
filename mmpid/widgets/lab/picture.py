"""The static picture of the competition lab: the same four panels, the same numbers."""

import numpy as np
from matplotlib.axes import Axes

from mmpid.plots.style import FAINT, INK, LINE_STYLES, Picture, dress, empty, legend_above
from mmpid.widgets.lab.charts import COLORS, SCHEDULE_STYLE, SIGNS, course_series, sweep_series
from mmpid.widgets.lab.text import seen
from mmpid.widgets.lab.world import SWEEP_CLASSES, Sweep, World, lacking
from mmpid.widgets.parts.xy_chart import Series

_MARKERS = {"circle": "o", "triangle": "^", "square": "s", "cross": "P", "diamond": "D"}


def picture(world: World, sweep: Sweep | None, names: tuple[str, str]) -> Picture:
    """Draw a world, and the sweep over K as far as it is computed."""
    figure = Picture(figsize=(12.5, 8.2), layout="constrained")
    figure.suptitle(seen(world, names), fontsize=10.5, color=INK, x=0.01, ha="left", wrap=True)
    axes = figure.subplots(2, 2)
    _winners(axes[0, 0], world, names)
    _course(axes[0, 1], world, names)
    _strata(axes[1, 0], world, names)
    _sweep(axes[1, 1], sweep)
    return figure


def _winners(ax: Axes, world: World, names: tuple[str, str]) -> None:
    classes, ecs = np.arange(len(world.ecs)), world.ecs
    for i, name in enumerate(names):
        face = COLORS[i] if i == 0 else "none"
        ax.bar(classes + 0.38 * (i - 0.5), ecs[:, i], 0.34, facecolor=face, edgecolor=COLORS[i], lw=1.3, label=name)
    ax.set_ylim(0, 1.3 * ecs.max())
    words = {0: names[0], 1: names[1], 2: "both", -1: "nobody yet"}
    for height, whose, filled in ((1.25, world.predicted, False), (1.15, world.kept, True)):
        for who, (marker, color) in SIGNS.items():
            mine = classes[whose == who]
            face = color if filled else "none"
            label = words[who] if filled and len(mine) else None
            look = {"marker": _MARKERS[marker], "facecolor": face, "edgecolor": color, "s": 36, "label": label}
            ax.scatter(mine, np.full(len(mine), height * ecs.max()), **look)
    ax.set_xticks(classes[:: 1 + len(classes) // 20])
    dress(
        ax,
        title="Who is strong in each class, and who gets it",
        xlabel="class (signs: hollow, ECS predicts; full, has the class at the end)",
        ylabel="ECS at the start (no unit)",
    )
    legend_above(ax, columns=6)


def _course(ax: Axes, world: World, names: tuple[str, str]) -> None:
    for one in course_series(world, names):
        _line(ax, one)
    if world.hand_over is not None:
        ax.axvline(world.hand_over, color=INK, lw=1.2, ls=(0, (3, 3)), label="joint training begins")
    title = "The course of discovery"
    dress(ax, title=title, xlabel="step of gradient descent", ylabel="classes discovered (number)")
    legend_above(ax)


def _strata(ax: Axes, world: World, names: tuple[str, str]) -> None:
    shares = [f"{lacks}\n({100 * w:.3g} %)" for lacks, w in zip(lacking(names), world.strata_weights, strict=True)]
    ax.bar(shares, world.strata, 0.5, color="#0173b2")
    ax.set_ylim(0, 1.05)
    title = "Test error by what a sample lacks"
    dress(ax, title=title, xlabel="insufficient in the sample (share of samples)", ylabel="test error (fraction wrong)")


def _sweep(ax: Axes, sweep: Sweep | None) -> None:
    title, unit = "Error against the number of classes", "test error (fraction wrong)"
    dress(ax, title=title, xlabel="number of classes K", ylabel=unit)
    if sweep is None or not sweep.errors or not any(sweep.errors.values()):
        empty(ax, "The errors over K were not computed yet.")
        return
    ax.set(xscale="log", yscale="log")
    for one in sweep_series(sweep):
        if one.kind == "dots":
            ax.scatter(one.x, one.y, s=22, color=one.color, marker=_MARKERS[SCHEDULE_STYLE[one.label][2]], alpha=0.7)
        else:
            _line(ax, one)
    ax.set_xticks(SWEEP_CLASSES, [str(k) for k in SWEEP_CLASSES])
    ax.minorticks_off()
    legend_above(ax)


def _line(ax: Axes, one: Series) -> None:
    width, color = (1.2, one.color if one.color != "#949494" else FAINT) if one.kind == "thin" else (2, one.color)
    ax.plot(one.x, one.y, color=color, ls=LINE_STYLES[one.dash], lw=width, label=one.label)

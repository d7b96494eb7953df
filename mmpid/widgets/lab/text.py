"""The words and tables of the competition lab: plain functions from a world to small pieces of HTML."""

from html import escape

from mmpid.widgets.lab.world import Sweep, World, lacking
from mmpid.widgets.parts.markup import table


def seen(world: World, names: tuple[str, str]) -> str:
    """Describe the world in one or two sentences."""
    k, kept = len(world.kept), world.kept.tolist()
    counts = [kept.count(who) for who in (0, 1, 2, -1)]
    right, alone = world.hits
    parts = [f"{names[0]} alone learns {counts[0]}", f"{names[1]} alone {counts[1]}", f"both learn {counts[2]}"]
    parts += [f"neither has learned {counts[3]} yet"] if counts[3] else []
    first = f"Of {k} classes {', '.join(parts)}."
    if alone:
        second = f"Where one modality lost, ECS at the start had named the winner in {right} of {alone}."
    else:
        second = "No class has a loser, so there was nothing for ECS to predict."
    return f"{first} {second} {_error(world)}{_caution(world)}"


def _error(world: World) -> str:
    rate = world.knobs.rate()
    of_rate = f", {world.error / rate:.2f} of μ = {100 * rate:.3g} %, the rate of insufficient samples" if rate else ""
    return f"Test error {100 * world.error:.3g} %{of_rate}."


def _caution(world: World) -> str:
    if (world.kept == -1).any():
        return " The run is too short for this initial scale: give it more steps."
    if world.knobs.schedule != "joint" and world.hand_over is None:
        return " Stage 1 has not ended within these steps; no joint training took place."
    return ""


def status(world: World, names: tuple[str, str]) -> str:
    """Return the sentence as a live region for screen readers."""
    words = escape(seen(world, names))
    return f'<div class="mmpid-status" role="status" aria-live="polite">{words}</div>'


def progress(sweep: Sweep) -> str:
    """Say how far the sweep over K has progressed; not read aloud."""
    words = "complete" if sweep.complete else f"{sweep.done} of {sweep.total} worlds simulated"
    return f'<span class="mmpid-progress" aria-live="off">Error against K: {words}</span>'


def tables(world: World, sweep: Sweep | None, names: tuple[str, str]) -> str:
    """Return the data of the four charts as tables."""
    parts = [_classes(world, names), _strata(world, names)]
    parts += [_sweep(sweep)] if sweep is not None and sweep.errors else []
    return f'<div class="mmpid-tables-row">{"".join(parts)}</div>'


def _classes(world: World, names: tuple[str, str]) -> str:
    who = {0: names[0], 1: names[1], 2: "both", -1: "nobody yet"}
    head = ["class", *(f"ECS {n}" for n in names), "predicted", "has it", *(f"steps {n}" for n in names)]
    head += [f"steps {n}, predicted" for n in names]
    ecs, times, expected = world.ecs, world.sim.discovery_time.tolist(), world.sim.predicted_time.tolist()
    rows = [
        [c, *(f"{v:.3g}" for v in ecs[c]), who[int(world.predicted[c])], who[int(world.kept[c])]]
        + [*(_step(t) for t in times[c]), *(_step(t) for t in expected[c])]
        for c in range(len(ecs))
    ]
    return table("By class; steps until discovery", head, rows)


def _step(value: float) -> str:
    return "never" if value == float("inf") else f"{value:.0f}"


def _strata(world: World, names: tuple[str, str]) -> str:
    rows = [
        [lacks, f"{w:.4g}", f"{e:.3f}", f"{w * e:.3g}"]
        for lacks, w, e in zip(lacking(names), world.strata_weights, world.strata, strict=True)
    ]
    rows.append(["all", "1", "", f"{world.error:.3g}"])
    return table("Test error", ["insufficient", "share of samples", "error", "contributes"], rows)


def _sweep(sweep: Sweep) -> str:
    rows = [
        [name, k, f"{sum(values) / len(values):.3g}", ", ".join(f"{value:.3g}" for value in values)]
        for name, by_k in sweep.errors.items()
        for k, values in sorted(by_k.items())
    ]
    return table("Error against K", ["schedule", "K", "mean error", "worlds"], rows)

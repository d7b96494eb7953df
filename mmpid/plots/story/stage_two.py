"""Situations from the start of joint training to the end of the run, and a run that failed."""

import math

from mmpid.plots.reading import known_by, value_of
from mmpid.plots.story import wording as wd
from mmpid.plots.story.view import Headline, View

LOST = 0.05  # bits below which a loss is not worth a sentence


def failed(view: View, failure: str) -> Headline:
    """Say what stopped the training, and where."""
    kind, _, what = failure.partition(": ")
    at = f" at epoch {view.epoch:g}" if view.epoch is not None else ""
    words = wd.clip((what or kind).rstrip("."), 58 - len(f"Training stopped{at}: ."))
    return Headline(
        situation="failed",
        words=((f"Training stopped{at}: {words}" + ("" if words.endswith("…") else "."), "error"),),
        evidence=wd.clip(failure, 60) + ("" if failure.endswith(".") else "."),
        next="the run is kept; Play tries again.",
        epoch=view.epoch,
    )


def switched(view: View) -> Headline | None:
    """Say that joint training starts now."""
    after = next((row for row in reversed(view.path) if row["kind"] in ("decision", "epoch")), {})
    if after.get("action") != "switch":
        return None
    budget = view.settings.get("epochs")
    then = f"stage 2, up to epoch {budget}." if budget else "stage 2."
    if after.get("from_scratch"):
        words, evidence = "Joint training starts from scratch.", "No encoder knows the label alone."
    elif after.get("source") == "user":
        words, evidence = f"Joint training starts from epoch {after['epoch']:g}.", "You started it."
    else:
        words, evidence = "Stage 1 has leveled off: joint training starts.", wd.change_of_both(view)
    return Headline(situation="switch", words=((words, "joint"),), sure="clear", evidence=evidence, next=then)


def joint(view: View) -> Headline | None:
    """Say how joint training is going, and whether an encoder loses what it knew."""
    if view.stage != "joint":
        return None
    lost = _lost(view)
    if lost is not None:
        return lost
    row = view.epochs[-1] if view.epochs else {}
    joint, average = (row.get(f"validation_accuracy.{key}") for key in ("joint", "ens"))
    budget = view.settings.get("epochs")
    then = f"the end at epoch {budget}." if budget else "the end of the budget."
    if joint is None:
        return Headline(situation="joint", words=(("Training together.", "joint"),), next=then)
    noise, clear = wd.noise_of(joint, average, view.metadata.get("data", {}).get("sizes", {}).get("validation"))
    words = (("Training together: ", ""), ("joint", "joint"), (f" {wd.percent(joint)}", ""))
    if average is not None:
        words = (*words, (f", average {wd.percent(average)}.", ""))
    alone = wd.alone(row, "validation_accuracy", view.names)
    under = f"Under {noise} points is noise. " if noise else ""
    return Headline(
        situation="joint",
        words=words,
        sure="clear" if clear else "noise",
        evidence=f"{under}Alone: {alone}.",
        next=then,
    )


def _lost(view: View) -> Headline | None:
    """Find the encoder that knows less than it knew when joint training started, beyond the noise."""
    before = [probe for probe in view.probes if probe["stage"] == "unimodal"]
    if not before or view.probe["stage"] != "joint":
        return None
    worst = None
    for i, name in enumerate(view.names):
        then, now = known_by(before[-1], i, name), known_by(view.probe, i, name)
        if then is None or now is None:
            continue
        noise = math.hypot(then.half_width, now.half_width)
        old, new = value_of(then), value_of(now)
        if old - new > max(noise, LOST) and (worst is None or old - new > worst[0]):
            worst = old - new, i, old, new, noise
    if worst is None:
        return None
    _, i, then, now, noise = worst
    name = wd.capital(wd.shown(view.names)[i])
    return Headline(
        situation="falls behind",
        words=wd.about(view, "In joint training {0} falls behind again.", i),
        sure="clear",
        evidence=f"{name} knew {wd.bits(then)} bits before, {wd.bits(now)} now, noise ±{wd.bits(noise)}.",
        next="the end of the budget; Branch goes back.",
    )


def finished(view: View) -> Headline:
    """Say what the test samples showed."""
    row = view.result or {}
    joint, average, n = row.get("test_accuracy.joint"), row.get("test_accuracy.ens"), row.get("n_test")
    alone = wd.alone(row, "test_accuracy", view.names)
    noise, clear = wd.noise_of(joint, average, n)
    each = wd.points(max((x for x in (joint, average) if x is not None), default=0.5), n)
    evidence = f"{n} test samples, ±{each} points each, one run. Alone: {alone}." if n else f"Alone: {alone}."
    then = "more seeds, mmpid.compare."
    if joint is None or average is None:
        known = joint if joint is not None else average
        name = "Joint" if joint is not None else "Average"
        said = f"Finished. {name} {wd.percent(known)}." if known is not None else "Finished."
        words, sure = ((said, ""),), ""
    elif not clear:
        words = (
            ("Joint", "joint"),
            (f" {wd.percent(joint)}, plain average {wd.percent(average)}: no clear difference.", ""),
        )
        sure = "noise"
    elif joint > average:
        words = (("Joint", "joint"), (f" is right more often than the average, {wd.pair(joint, average)}.", ""))
        sure = "clear"
    else:
        words = ((f"The plain average is right more often, {wd.pair(average, joint)}.", ""),)
        sure = "clear"
    return Headline(situation="finished", words=words, sure=sure, evidence=evidence, next=then, epoch=view.epoch)

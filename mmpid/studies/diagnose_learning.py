"""Encoders that learned nothing, and the likely cause, told from the losses of a run and the scale of its data."""

from itertools import pairwise
from math import isfinite, log
from typing import Any, NamedTuple

from mmpid.runs.record import RunRecord
from mmpid.studies.finding import Finding

NAME = "an encoder learned nothing"
LEARNED = 0.02  # of the loss of the class frequencies: what an encoder that knows something saves on held-out samples
FEWEST = 3  # epochs of training before which nothing is said
EXPLODED = 1.5  # times the loss of a guess: how high a mean training loss rises at too large a rate
STILL = 0.0025  # nats that a training loss changes by chance
APART = 0.004  # nats between a loss and that of the class frequencies, which even a bias closes in a few epochs
STEADY = 0.5  # share of its first speed that a loss must keep to be still on its way
NOT_FINITE = "was not finite"
NOT_CONVERGED = "training has not converged"
NO_PATTERN = "labels that do not belong to the samples, or a modality that tells nothing by itself"


class Course(NamedTuple):
    """How one encoder was trained: its losses by epoch, in nats, and what they are compared with."""

    name: str
    losses: list[float]
    held_out: list[float]
    peak: float
    best: float
    prior: float
    n_classes: int
    rate: float
    scale: str


def find_unlearned(record: RunRecord) -> tuple[list[Finding], set[str]]:
    """Return a finding for each encoder that learned nothing, and the causes that lie in the training.

    Where there are such causes, what a probe says of an encoder says nothing about the data.
    """
    findings, causes = _diverged(record), set()
    for course in _courses(record):
        cause, evidence, advice = _cause(course)
        findings.append(
            Finding(
                NAME,
                f"the best validation loss of {course.name} was {course.best:.3f} nats, and guessing by class "
                f"frequency gives {course.prior:.3f}; {evidence}",
                f"likely cause: {cause}. {advice}",
            )
        )
        if NO_PATTERN not in cause:
            causes.add(cause)
    return findings, causes


def concerns_data(finding: Finding) -> bool:
    """Whether a finding blames the data: labels, or a modality that tells nothing by itself."""
    return finding.name == NAME and NO_PATTERN in finding.advice


def _courses(record: RunRecord) -> list[Course]:
    """Return how those modalities were trained that are no better than the class frequencies."""
    metadata = record.metadata
    data, settings = metadata.get("data", {}), metadata.get("settings", {})
    prior = data.get("prior_loss")
    if not prior:  # a record of an older version
        return []
    found = []
    for name in metadata.get("modalities", ()):
        rows = _trained(record, name, heads=bool(settings.get("aux_weight", 1)))
        best = min((row[f"validation_loss.{name}"] for row in rows), default=0.0)
        path = _longest_path(rows)
        if len(path) < FEWEST or best < (1 - LEARNED) * prior:
            continue
        losses, held_out = ([row[f"{kind}.{name}"] for row in path] for kind in ("loss", "validation_loss"))
        peak = max(row[f"loss.{name}"] for row in rows)
        rate = path[0].get(f"lr.{name}") or settings.get("lr") or 0.0
        k = max(len(metadata.get("class_names", ())), 2)
        scale = data.get("scale", {}).get(name, "")
        found.append(Course(name, losses, held_out, peak, best, prior, k, rate, scale))
    return found


def _trained(record: RunRecord, name: str, heads: bool) -> list[dict[str, Any]]:
    """Return the epochs that trained a modality by itself, those of discarded futures included."""
    rows = [row for row in record.rows if row["kind"] == "epoch" and (heads or row["stage"] == "unimodal")]
    known = [row for row in rows if all(_known(row, f"{kind}.{name}") for kind in ("loss", "validation_loss"))]
    return [row for row in known if row.get(f"active.{name}", True)]


def _longest_path(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the most epochs that follow each other in one stage."""
    paths: dict[tuple, list[dict[str, Any]]] = {}
    for row in rows:
        paths.setdefault((row["segment"], row["stage"]), []).append(row)
    return max(paths.values(), key=len, default=[])


def _known(row: dict[str, Any], key: str) -> bool:
    return row.get(key) is not None and isfinite(row[key])


def _cause(course: Course) -> tuple[str, str, str]:
    """Return the likely cause, its evidence and what to try."""
    first, last, rate = course.losses[0], course.losses[-1], f"the learning rate was {course.rate:g}"
    guess = log(course.n_classes)
    if course.scale:
        advice = f"Pass standardize={{{course.name!r}: True}} to from_arrays, or scale the values yourself."
        return "the scale of the input", course.scale, advice
    if course.peak > EXPLODED * max(guess, course.prior):
        text = f"its training loss rose to {course.peak:.2f} nats, and a guess has {guess:.2f}; {rate}"
        return "too high a learning rate", text, f"Try lr={course.rate / 10:.2g}, or clip_norm=1.0."
    if _memorizes(course):
        text = f"its training loss fell to {min(course.losses):.3f}: it memorizes samples, and generalizes nothing"
        advice = (
            "Look at some samples beside their labels, and check whether the rows of all arrays have the same order."
        )
        return NO_PATTERN, text, advice
    if max(course.losses) - min(course.losses) < STILL and abs(last - course.prior) > APART:
        text = f"its training loss stayed at {last:.3f} nats for {len(course.losses)} epochs; {rate}"
        return "too low a learning rate", text, f"Try lr={10 * course.rate:.2g}."
    if _still_falls(course.losses):
        text = f"its training loss fell from {first:.3f} to {last:.3f} nats and was still falling; {rate}"
        return NOT_CONVERGED, text, f"Try more epochs, or lr={10 * course.rate:.2g}."
    text = f"its training loss stayed near {last:.3f} nats: the same answer for every sample"
    advice = "mmpid.testing.check_encoder(encoder, samples) shows dead units; look at some samples beside their labels."
    return f"dead units, {NO_PATTERN}", text, advice


def _memorizes(course: Course) -> bool:
    """Whether the training loss is below that of the class frequencies, and the held-out one has not followed it."""
    known = course.prior - min(course.losses) > LEARNED / 2 * course.prior
    fell, followed = course.losses[0] - course.losses[-1], course.held_out[0] - course.held_out[-1]
    return known and followed < fell / 3


def _still_falls(losses: list[float]) -> bool:
    """Whether a loss falls at its end nearly as fast as before, and more than by chance."""
    steps = [before - after for before, after in pairwise(losses)]
    half = len(steps) // 2 or 1
    early, late = sum(steps[:half]) / half, sum(steps[-half:]) / half
    return losses[0] - losses[-1] > STILL and late > STEADY * max(early, 0.0) and late > 0


def _diverged(record: RunRecord) -> list[Finding]:
    """Look for a loss that broke, after which the trainer went back."""
    rows = [row for row in record.lineage("decision") if NOT_FINITE in str(row.get("reason", ""))]
    if not rows:
        return []
    scales = record.metadata.get("data", {}).get("scale", {})
    strange = "; ".join(f"{name}: {text}" for name, text in scales.items())
    lr = record.metadata.get("settings", {}).get("lr")
    text = f"{rows[-1]['reason']}; the learning rate was {lr:g}" if lr else rows[-1]["reason"]
    if strange:
        names = ", ".join(f"{name!r}: True" for name in scales)
        advice = f"likely cause: the scale of the input ({strange}). Pass standardize={{{names}}} to from_arrays."
    else:
        advice = (
            f"likely cause: too high a learning rate. Try lr={lr / 10:.2g}, or clip_norm=1.0." if lr else "lower lr"
        )
    return [Finding("training broke off", text, advice)]

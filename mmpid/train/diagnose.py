"""Look through a record for the ways in which the method is known to fail, and name the evidence."""

from collections.abc import Callable
from itertools import groupby
from math import inf, isfinite, log

from mmpid.errors import InputError
from mmpid.estimate.diagnostics import prevails
from mmpid.estimate.inputs import FEW_GROUPS
from mmpid.train.decision import (
    CERTIFIED,
    half_width,
    is_known,
    knows_nothing,
    noise_of_difference,
    one_an_epoch,
    unique_values,
)
from mmpid.train.finding import Finding, Findings
from mmpid.train.record import RunRecord
from mmpid.train.replay import stage_one

RISING_PROBES = 3  # probes before the hand-over over which redundancy must have stopped rising
THIN = 20  # samples per cell of predicted and true classes below which near-equal heads seem to differ
OVERFIT = 0.1  # nats that the validation loss may rise above its lowest value
ANSWERED = 2  # probes within which an imbalance should be answered
NO_UNIMODAL_STAGE = (
    "if the target needs the modalities together, no unimodal stage can learn it: compare with joint training from "
    'scratch (unimodal_epochs=0, fusion="film"), see docs/two-stage.md; if not, stage 1 has not learned yet'
)
FROM_SCRATCH = (
    "joint training was started from scratch; if it stays at chance, too, give it a fusion with an interaction "
    '(fusion="film"), see docs/two-stage.md'
)


def diagnose(run) -> Findings:
    """Look for the method's failure signatures in a run.

    Parameters
    ----------
    run : RunRecord or Trainer
        The run; only its record is read.

    Returns
    -------
    Findings
        Those of the following that were seen, each with its evidence: stage 1 ended while redundancy was still
        rising; synergy is not identified by the probe sample; unique information of both modalities may be counting
        error, since their predictions have much in common and samples are few; intervals rest on fewer than 20
        groups; a decomposition is not certified; the controller lags behind: a lead above its ratio and beyond the
        noise went on for more than two probes, or a modality stayed paused that had long become the weakest; an
        encoder memorizes the training samples; no modality knows the label alone; no more than one has unique
        information, so two stages cannot help much; a modality spent most of stage 1 paused.

    Raises
    ------
    InputError
        `run` has no record.

    Notes
    -----
    A finding is a reason to look, not a verdict; nothing found is no proof that all is well. In particular a shortcut
    looks like knowledge: color that gives the label away in "cg-mnist" is unique information wherever training,
    probe and validation share it, and no row of a record tells. Only data without the shortcut do: give probe and
    validation splits that lack it (`held_out="random"` for "cg-mnist"), and compare with the test accuracy.

    Examples
    --------
    >>> record = RunRecord({"modalities": ["audio", "image"]})
    >>> for epoch in range(4):
    ...     _ = record.append("probe", segment=0, stage="unimodal", epoch=epoch, step=0, redundancy=0.3 * epoch,
    ...                       unique1=0.5, unique2=0.5, synergy=0.0, synergy_identified=True, gap=0.0)
    >>> _ = record.append("decision", segment=0, stage="joint", epoch=3, step=0, action="switch")
    >>> [finding.name for finding in diagnose(record)]
    ['stage 1 was short']
    """
    record = getattr(run, "record", run)
    if not isinstance(record, RunRecord):
        raise InputError(f"`run` must be a Trainer or a RunRecord; it was {type(run).__name__}.")
    found = [check(record) for check in CHECKS]
    return Findings(finding for finding in found if finding)


def _short_stage_one(record: RunRecord) -> Finding | None:
    stage = stage_one(record)  # to its end, wherever it was rewound to
    probes = [row for row in one_an_epoch(r for r in stage if r["kind"] == "probe") if is_known(row, "redundancy")]
    if record.rows[-1:] and record.rows[-1]["stage"] != "joint" or len(probes) <= RISING_PROBES:
        return None
    last, before = probes[-1], probes[-1 - RISING_PROBES]
    gain, noise = last["redundancy"] - before["redundancy"], half_width(last, "redundancy")
    if gain <= max(noise, 0.05):
        return None
    return Finding(
        "stage 1 was short",
        f"redundancy rose by {gain:.2f} bit over the last {RISING_PROBES} probes before joint training, more than its "
        f"noise of {noise:.2f}",
        "give stage 1 more epochs, or use RedundancyPlateau",
    )


def _not_identified(record: RunRecord) -> Finding | None:
    probes = record.lineage("probe")
    blurred = [p for p in probes if not p.get("synergy_identified", True)]
    if not blurred:
        return None
    return Finding(
        "synergy is not identified",
        f"in {len(blurred)} of {len(probes)} probes {blurred[-1].get('n_samples', '?')} samples are too few "
        "for the cells",
        "do not read its curve; enlarge the probe split or use fewer clusters",
    )


def _like_heads(record: RunRecord) -> Finding | None:
    last = next(reversed(record.lineage("probe")), {})
    n_cells = len(record.card.get("class_names", ())) ** 2
    counted = last.get("observable") == "prediction" and not {"n_groups", "unique3"} & set(last)
    if not counted or last["n_samples"] >= THIN * n_cells or not _both_own_something(last):
        return None
    own = [f"{last[u]:.2f} ({last[f'{u}_low']:.2f} to {last[f'{u}_high']:.2f})" for u in ("unique1", "unique2")]
    return Finding(
        "unique information may be counting error",
        f"{last['n_samples']} samples on {n_cells} pairs of predicted and true class gave {' and '.join(own)} bit of "
        f"unique information beside {last['redundancy']:.2f} bit of redundancy",
        "heads that know nearly the same seem to differ in so small a sample, and the intervals are too narrow; probe "
        "more samples before you believe either, see docs/estimation.md",
    )


def _both_own_something(probe: dict) -> bool:
    """Whether the intervals of both unique parts lie above zero, and redundancy prevails."""
    if "unique1_low" not in probe or not all(is_known(probe, x) for x in ("redundancy", "unique1", "unique2")):
        return False
    apart = probe["unique1_low"] > 0 < probe["unique2_low"]
    return apart and prevails(probe["redundancy"], *unique_values(probe))


def _few_groups(record: RunRecord) -> Finding | None:
    last = next(reversed(record.lineage("probe")), {})
    n_groups = last.get("n_groups", FEW_GROUPS)
    if n_groups >= FEW_GROUPS or "redundancy_low" not in last:
        return None
    units = f"{n_groups} groups, which are resampled whole" if n_groups > 1 else "one group, so samples are resampled"
    return Finding(
        "the probe has few groups",
        f"the {last.get('n_samples', '?')} samples of a probe are {units}",
        "the intervals are no better than so few units: put 20 groups or more into the probe split, or name finer ones",
    )


def _not_certified(record: RunRecord) -> Finding | None:
    gaps = [p.get("gap", 0.0) for p in record.lineage("probe")]
    worst = max((gap if gap == gap else inf for gap in gaps), default=0.0)  # a gap that is no number certifies nothing
    if worst <= CERTIFIED:
        return None
    return Finding(
        "a decomposition is not certified",
        f"the largest certified gap is {worst:.1e} bit, above {CERTIFIED:.0e}",
        "atoms of that probe are off by up to the gap; use pid_method='exact'",
    )


def _controller_lags(record: RunRecord) -> Finding | None:
    settings = record.card.get("controller", {})
    ratio, floor = settings.get("uniqueness_ratio", 3.0), settings.get("floor", 0.05)
    balanced = record.card.get("settings", {}).get("stage2") == "balance"
    probes = one_an_epoch(record.lineage("probe", stage=None if balanced else "unimodal"))[settings.get("warmup", 2) :]
    probes = [probe for probe in probes if all(map(isfinite, unique_values(probe)))]
    for i, name in enumerate(record.card.get("modalities", ())):
        ahead = _longest([p.get(f"active.{name}", True) and _runs_ahead(p, i, ratio, floor) for p in probes])
        if ahead > ANSWERED:
            return _lag(f"{name} ran ahead by more than {ratio:g} times for {ahead} probes in a row and was not paused")
        behind = _longest([not p.get(f"active.{name}", True) and _falls_behind(p, i) for p in probes])
        if behind > ANSWERED:
            return _lag(f"{name} was kept paused for {behind} probes in which it was already the weakest")
    return None


def _lag(evidence: str) -> Finding:
    return Finding("the controller lags behind", evidence, "probe more often (probe_every), or lower dwell and warmup")


def _runs_ahead(probe: dict, i: int, ratio: float, floor: float) -> bool:
    """Whether modality i has more unique information than the weakest by more than the ratio and the noise."""
    values = unique_values(probe)
    weakest = min(range(len(values)), key=values.__getitem__)
    noise = noise_of_difference(probe, f"unique{i + 1}", probe, f"unique{weakest + 1}")
    return values[i] - values[weakest] > noise and values[i] / max(values[weakest], floor) > ratio


def _falls_behind(probe: dict, i: int) -> bool:
    """Whether modality i has the least unique information, by more than the noise against the next one."""
    values = unique_values(probe)
    following = min((j for j in range(len(values)) if j != i), key=values.__getitem__)
    noise = noise_of_difference(probe, f"unique{i + 1}", probe, f"unique{following + 1}")
    return values[following] - values[i] > max(noise, 0.05)


def _longest(flags: list[bool]) -> int:
    """Return the length of the longest run of true flags."""
    return max((len(list(run)) for flag, run in groupby(flags) if flag), default=0)


def _memorizing(record: RunRecord) -> Finding | None:
    epochs = record.lineage("epoch")
    for name in (*record.card.get("modalities", ()), "joint"):
        rows = [row for row in epochs if f"validation_loss.{name}" in row]
        if not rows:
            continue
        best, last = min(rows, key=lambda row: row[f"validation_loss.{name}"]), rows[-1]
        held_out, lowest = last[f"validation_loss.{name}"], best[f"validation_loss.{name}"]
        if held_out - lowest > OVERFIT:
            gap = (held_out - last.get(f"loss.{name}", held_out)) / log(2)
            apart = f"; training and held-out information part ways by {gap:.2f} bit" if gap > 0 else ""
            if f"train_accuracy.{name}" in last:
                known, seen = last[f"train_accuracy.{name}"], last[f"validation_accuracy.{name}"]
                apart += f"; {known:.0%} of the training samples are right, {seen:.0%} of the held-out ones"
            return Finding(
                "training samples are memorized",
                f"the validation loss of {name} is {held_out:.2f} nats, {held_out - lowest:.2f} above its lowest "
                f"at epoch {best['epoch']}{apart}",
                "fewer epochs, more weight_decay, or more data; never probe on the training split",
            )
    return None


def _nothing_to_save(record: RunRecord) -> Finding | None:
    probes = record.lineage("probe", stage="unimodal")
    names = record.card.get("modalities", ())
    if len(probes) < 2 or len(names) < 2:
        return None
    last, idle = probes[-1], []
    for i, name in enumerate(names, start=1):
        if last[f"unique{i}"] <= max(last.get(f"unique{i}_null_high", 0.0), 0.05):
            idle.append(f"{name} had {last[f'unique{i}']:.2f} bit")
    if len(idle) < len(names) - 1 or _nothing_alone(record):
        return None
    return Finding(
        "two stages cannot help much",
        f"{', '.join(idle)} of unique information at the end of stage 1, within what shuffled labels give",
        "expect joint training and its controls to be equal; see docs/two-stage.md",
    )


def _nothing_alone(record: RunRecord) -> Finding | None:
    """Look for a stage 1 whose last probe found no more than shuffled labels give; if not measured, nothing at all."""
    probes = [row for row in stage_one(record) if row["kind"] == "probe"]
    names = record.card.get("modalities", ())
    last = probes[-1] if len(probes) > 1 else {}
    if not knows_nothing(last, len(names)):
        return None
    given_up = any(row.get("from_scratch") for row in record.lineage("decision"))
    own = ", ".join(f"{name} {x:z.2f}" for name, x in zip(names, unique_values(last), strict=False))
    return Finding(
        "no modality knows the label alone",
        f"after epoch {last['epoch']} of stage 1 redundancy was {last['redundancy']:z.2f} bit and unique information "
        f"{own}, within what shuffled labels give",
        FROM_SCRATCH if given_up else NO_UNIMODAL_STAGE,
    )


def _mostly_paused(record: RunRecord) -> Finding | None:
    epochs = record.lineage("epoch", stage="unimodal")
    for name in record.card.get("modalities", ()):
        paused = sum(not e.get(f"active.{name}", True) for e in epochs)
        if len(epochs) >= 4 and paused > len(epochs) / 2:
            return Finding(
                "a modality was mostly paused",
                f"{name} did not train in {paused} of {len(epochs)} epochs of stage 1",
                "it may really know more: lower max_pause, or raise uniqueness_ratio",
            )
    return None


CHECKS: tuple[Callable[[RunRecord], Finding | None], ...] = (
    _short_stage_one,
    _not_identified,
    _like_heads,
    _few_groups,
    _not_certified,
    _controller_lags,
    _memorizing,
    _nothing_alone,
    _nothing_to_save,
    _mostly_paused,
)

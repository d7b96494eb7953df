"""Look through a record for the ways in which the method is known to fail, and name the evidence."""

from collections.abc import Callable
from itertools import groupby
from math import inf, isfinite, log

from mmpid.estimate.inputs import FEW_GROUPS
from mmpid.rules.give_up import a_loss_tells
from mmpid.rules.lead_pause import LeadPause
from mmpid.rules.registry import built_in_part
from mmpid.rules.replay import stage_one
from mmpid.runs.probe import CERTIFIED, Atom, Probe, one_per_epoch
from mmpid.runs.record import RunRecord, as_record
from mmpid.studies.diagnose_learning import NOT_CONVERGED, concerns_data, find_unlearned
from mmpid.studies.finding import Finding, Findings

RISING_PROBES = 3  # probes before the hand-over over which redundancy must have stopped rising
OVERFIT = 0.1  # nats that the validation loss may rise above its lowest value
NEGLIGIBLE = 0.05  # bits of unique information that count as none
ANSWERED = 2  # probes within which an imbalance should be answered
NOTHING_ALONE, NOTHING_TO_SAVE = "no modality knows the label alone", "two stages cannot help much"
NO_UNIMODAL_STAGE = (
    "if the target needs the modalities together, no unimodal stage can learn it: compare with joint training from "
    'scratch (unimodal_epochs=0, fusion="film"), see docs/two-stage.md; if not, stage 1 has not learned yet, '
    "or labels do not belong to the samples"
)
FROM_SCRATCH = (
    "joint training was started from scratch; if it stays at chance, too, give it a fusion with an interaction "
    '(fusion="film"), see docs/two-stage.md'
)


def diagnose(run) -> Findings:
    """Look for the method's failure signatures in a run.

    Parameters
    ----------
    run : RunRecord, Trainer or path
        The run: its record, its trainer, or its folder or file on disk. Only the record is read.

    Returns
    -------
    Findings
        Those of the following that were seen, each with its evidence: stage 1 ended while redundancy was still
        rising; synergy is not identified by the probe sample; intervals rest on fewer than 20 groups; a decomposition
        is not certified; the controller lags behind: a lead above its ratio and beyond the noise went on for more than
        two probes, or a modality stayed paused that had long become the weakest; an encoder memorizes the training
        samples; an encoder learned nothing, with the likely cause (scale of the input, learning rate, training too
        short, labels); no modality knows the label alone; no more than one has unique information, so two stages cannot
        help much; a modality spent most of stage 1 paused.

    Raises
    ------
    InputError
        `run` is none of these.

    Notes
    -----
    A finding is a reason to look, not a verdict; finding nothing does not prove that all is well. In particular, a
    shortcut looks like knowledge: color that gives the label away in "cg-mnist" is unique information wherever
    training, probe and validation share it, and no row of a record tells. Only data without the shortcut do: give probe
    and validation splits that lack it (`held_out="random"` for "cg-mnist"), and compare with the test accuracy.

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
    record = as_record(run, "run")
    unlearned, causes = find_unlearned(record)
    found = [finding for check in CHECKS if (finding := check(record))]
    # what a probe says of an encoder that training failed is not about the data
    hidden = {NOTHING_TO_SAVE} if causes else set()
    hidden |= {NOTHING_ALONE} if causes - {NOT_CONVERGED} else set()
    found = [finding for finding in found if finding.name not in hidden]
    if any(finding.name == NOTHING_ALONE for finding in found):  # which says it of all of them
        unlearned = [finding for finding in unlearned if not concerns_data(finding)]
    return Findings((*unlearned, *found))


def _short_stage_one(record: RunRecord) -> Finding | None:
    probes = one_per_epoch(stage_one(record).probes())  # to its end, wherever it was rewound to
    atoms = [atom for probe in probes if (atom := probe.redundancy).is_known]
    if record.rows[-1:] and record.rows[-1]["stage"] != "joint" or len(atoms) <= RISING_PROBES:
        return None
    last, before = atoms[-1], atoms[-1 - RISING_PROBES]
    gain, noise = (last.value or 0.0) - (before.value or 0.0), last.half_width
    if gain <= max(noise, 0.05):
        return None
    return Finding(
        "stage 1 was short",
        f"redundancy rose by {gain:.2f} bit over the last {RISING_PROBES} probes before joint training, more than its "
        f"noise of {noise:.2f}",
        "give stage 1 more epochs, or use RedundancyPlateau",
    )


def _not_identified(record: RunRecord) -> Finding | None:
    probes = record.probes()
    blurred = [probe for probe in probes if not probe.synergy.identified]
    if not blurred:
        return None
    proven = sum(probe.synergy.proven for probe in blurred)
    known = f", though it is proven in {proven} of them" if proven and blurred[-1].is_held_out else ""
    return Finding(
        "synergy is not identified",
        f"in {len(blurred)} of {len(probes)} probes {_samples(blurred[-1])} samples are too few for the cells{known}",
        ("read the lower end of its interval, not its curve" if known else "do not read its curve")
        + "; enlarge the probe split or use fewer clusters",
    )


def _few_groups(record: RunRecord) -> Finding | None:
    probes = record.probes()
    n_groups = probes[-1].n_groups if probes else None
    if n_groups is None or n_groups >= FEW_GROUPS or probes[-1].redundancy.low is None:
        return None
    done = "held out" if probes[-1].is_held_out else "resampled"
    units = f"{n_groups} groups, which are {done} whole" if n_groups > 1 else f"one group, so samples are {done}"
    return Finding(
        "the probe has few groups",
        f"the {_samples(probes[-1])} samples of a probe are {units}",
        "so few units limit the intervals: put 20 groups or more into the probe split, or use finer groups",
    )


def _not_certified(record: RunRecord) -> Finding | None:
    gaps = [gap for probe in record.probes() if (gap := probe.gap) is not None]
    worst = max((inf if gap != gap else gap for gap in gaps), default=0.0)  # NaN certifies nothing
    if worst <= CERTIFIED:
        return None
    return Finding(
        "a decomposition is not certified",
        f"the largest certified gap is {worst:.1e} bit, above {CERTIFIED:.0e}",
        "atoms of that probe are off by up to the gap; use pid_method='exact'",
    )


def _controller_lags(record: RunRecord) -> Finding | None:
    policy = _lead_pause(record)
    balanced = record.metadata.get("settings", {}).get("stage2") == "balance"
    probes = one_per_epoch(record.probes(None if balanced else "unimodal"))[policy.warmup if policy else 0 :]
    probes = [probe for probe in probes if all(atom.is_known for atom in probe.unique.values())]
    for name in record.metadata.get("modalities", ()):
        ahead = _longest([probe.active[name] and _runs_ahead(probe, name, policy) for probe in probes])
        if policy and ahead > ANSWERED:
            return _lag(
                f"{name} ran ahead by more than {policy.ratio:g} times for {ahead} probes in a row and was not paused"
            )
        behind = _longest([not probe.active[name] and _falls_behind(probe, name) for probe in probes])
        if behind > ANSWERED:
            return _lag(f"{name} was kept paused for {behind} probes in which it was already the weakest")
    return None


def _lead_pause(record: RunRecord) -> LeadPause | None:
    """Return the pause policy of a run, or None where nobody was to be paused, or by a policy of the user's own."""
    saved = record.metadata.get("controller")
    if saved is None:
        return LeadPause()
    part = built_in_part(saved, "pause")
    return part if isinstance(part, LeadPause) else None


def _lag(evidence: str) -> Finding:
    return Finding("the controller lags behind", evidence, "probe more often (probe_every), or lower dwell and warmup")


def _runs_ahead(probe: Probe, name: str, policy: LeadPause | None) -> bool:
    """Whether a modality is so far ahead of the weakest that the policy would pause it."""
    lead = policy.leads(probe).get(name) if policy else None
    return policy is not None and lead is not None and policy.is_ahead(probe, name, lead)


def _falls_behind(probe: Probe, name: str) -> bool:
    """Whether a modality has the least unique information, by more than the noise against the next one."""
    own, others = probe.unique[name], [atom for other, atom in probe.unique.items() if other != name]
    following = min(others, key=lambda atom: atom.value or 0.0, default=own)
    return (following.value or 0.0) - (own.value or 0.0) > max(own.noise_of_difference(following), 0.05)


def _samples(probe: Probe) -> int | str:
    return "?" if probe.n_samples is None else probe.n_samples


def _longest(flags: list[bool]) -> int:
    """Return the length of the longest run of true flags."""
    return max((len(list(run)) for flag, run in groupby(flags) if flag), default=0)


def _memorizing(record: RunRecord) -> Finding | None:
    epochs = record.lineage("epoch")
    for name in (*record.metadata.get("modalities", ()), "joint"):
        rows = [row for row in epochs if _is_finite(row.get(f"validation_loss.{name}"))]
        if not rows:
            continue
        best, last = min(rows, key=lambda row: row[f"validation_loss.{name}"]), rows[-1]
        held_out, lowest = last[f"validation_loss.{name}"], best[f"validation_loss.{name}"]
        if held_out - lowest > OVERFIT:
            trained = last.get(f"loss.{name}")
            gap = (held_out - trained) / log(2) if _is_finite(trained) else 0.0
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


def _is_finite(value: float | None) -> bool:
    return value is not None and isfinite(value)


def _nothing_to_save(record: RunRecord) -> Finding | None:
    probes = record.probes("unimodal")
    names = record.metadata.get("modalities", ())
    if len(probes) < 2 or len(names) < 2:
        return None
    last = probes[-1]
    idle = [f"{name} had {atom.value:.2f} bit" for name, atom in last.unique.items() if _is_idle(atom, last)]
    if len(idle) < len(names) - 1 or _nothing_alone(record):
        return None
    bar = f"no more than {NEGLIGIBLE:g}" if last.is_held_out else _bar(last)
    return Finding(
        NOTHING_TO_SAVE,
        f"{', '.join(idle)} of unique information at the end of stage 1, {bar}",
        "expect joint training and its controls to be equal; see docs/two-stage.md",
    )


def _is_idle(atom: Atom, probe: Probe) -> bool:
    """Whether unique information is too little to matter, or counted and no more than shuffled labels give."""
    bar = NEGLIGIBLE if probe.is_held_out else max(atom.null_high or 0.0, NEGLIGIBLE)
    return atom.is_known and (atom.value or 0.0) <= bar


def _bar(probe: Probe) -> str:
    """Return the bar below which an atom counts as nothing."""
    return "none of it proven" if probe.is_held_out else "within what shuffled labels give"


def _nothing_alone(record: RunRecord) -> Finding | None:
    """Look for a stage 1 whose last probe proved nothing, or counted no more than shuffled labels give."""
    probes = stage_one(record).probes()
    if len(probes) < 2 or not probes[-1].knows_nothing or (probes[-1].is_held_out and a_loss_tells(record)):
        return None
    last = probes[-1]
    given_up = any(row.get("from_scratch") for row in record.lineage("decision"))
    own = ", ".join(f"{name} {atom.value:z.2f}" for name, atom in last.unique.items())
    return Finding(
        NOTHING_ALONE,
        f"after epoch {last.epoch} of stage 1 redundancy was {last.redundancy.value:z.2f} bit and unique information "
        f"{own}, {_bar(last)}",
        FROM_SCRATCH if given_up else NO_UNIMODAL_STAGE,
    )


def _mostly_paused(record: RunRecord) -> Finding | None:
    epochs = record.lineage("epoch", stage="unimodal")
    for name in record.metadata.get("modalities", ()):
        paused = sum(not e.get(f"active.{name}", True) for e in epochs)
        if len(epochs) >= 4 and paused > len(epochs) / 2:
            return Finding(
                "a modality was mostly paused",
                f"{name} did not train in {paused} of {len(epochs)} epochs of stage 1",
                "it may really know more: lower max_pause, or raise ratio, of LeadPause",
            )
    return None


CHECKS: tuple[Callable[[RunRecord], Finding | None], ...] = (
    _short_stage_one, _not_identified, _few_groups, _not_certified, _controller_lags, _memorizing,
    _nothing_alone, _nothing_to_save, _mostly_paused,
)  # fmt: skip

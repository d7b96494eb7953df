"""Look at a data set as training will use it, and say in plain words what would break or mislead."""

import warnings
from collections.abc import Mapping

import torch
from torch import Tensor

from mmpid import _validate
from mmpid.datasets import MultimodalData
from mmpid.datasets.cuts import SPLITS
from mmpid.datasets.scale import evenly
from mmpid.datasets.streamed import StreamedInputs
from mmpid.errors import MMPIDError, MMPIDWarning
from mmpid.testing.leakage import check_copies, check_giveaway, check_neighbors
from mmpid.testing.report import BREAKS, FINE, WARNING, CheckReport, Finding
from mmpid.testing.samples import check_modality, check_repeats

MOST_MODALITIES = 6
FEW_GROUPS = 20
SMALL = 100  # held-out samples; with fewer, an accuracy has an error of ten points
IMBALANCE = 10
SEEN = 512  # samples of each split that are read of streamed data


def check_data(data, target=None, **options) -> CheckReport:
    """Check a data set before training: a table of what was looked at and what would break.

    Parameters
    ----------
    data : MultimodalData, or mapping of str to array
        The data. Arrays are opened with :meth:`mmpid.MultimodalData.from_arrays`, and what it refuses is a finding.
    target, **options
        Labels and options of `from_arrays` where `data` is a mapping of arrays.

    Returns
    -------
    CheckReport
        `ok` tells whether nothing breaks.

    Notes
    -----
    Of streamed data at most 512 samples of each split are read. Leakage is looked for in three ways: copies of
    training samples, a modality whose few different values name the class, and test samples whose nearest training
    sample is their neighbor in the data. Leakage of other kinds goes unnoticed, and a neighbor may be alike for honest
    reasons.

    Examples
    --------
    >>> import mmpid
    >>> report = check_data(mmpid.datasets.load("av-digits"))
    >>> report.ok, [finding.check for finding in report][:2]
    (True, ['modalities', 'classes'])
    """
    opened = []
    if not isinstance(data, MultimodalData):
        _validate.instance(
            data, "data", Mapping, "MultimodalData, or a mapping of arrays with `target`", "See from_arrays."
        )
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", MMPIDWarning)
            try:
                data = MultimodalData.from_arrays(data, target, **options)
            except MMPIDError as problem:
                return CheckReport(
                    "data", (Finding("opening", BREAKS, str(problem), "Fix what the message describes."),)
                )
        opened = [Finding("opening", WARNING, str(w.message)) for w in said if issubclass(w.category, MMPIDWarning)]
    findings = [*opened, *_check_whole(data)]
    try:
        seen = _read(data)
    except MMPIDError as problem:
        findings.append(Finding("reading", BREAKS, str(problem), "Remove or repair what the message describes."))
        return CheckReport(data.name, tuple(findings))
    for name in data.modalities:
        findings += check_modality(name, {key: split.inputs[name] for key, split in seen.items()})
    findings += [check_copies(data, seen), *check_giveaway(seen), *check_neighbors(data, seen)]
    if isinstance(data.inputs, StreamedInputs):
        findings.append(check_repeats(data))
    findings += [Finding("note", FINE, note) for note in data.notes]
    return CheckReport(data.name, tuple(findings))


def _read(data: MultimodalData) -> dict:
    """Return the splits in memory; of streamed data, some samples of each."""
    if not isinstance(data.inputs, StreamedInputs):
        return {name: data.split(name) for name in SPLITS}
    return {name: data.split(name).subset(evenly(len(data.splits[name]), SEEN)).in_memory() for name in SPLITS}


def _check_whole(data: MultimodalData) -> list[Finding]:
    """Check what needs no samples: modalities, classes, sizes, groups."""
    return [_check_modalities(data), *_check_classes(data), *_check_sizes(data), *_check_groups(data)]


def _check_modalities(data: MultimodalData) -> Finding:
    shown = ", ".join(f"{name} {shape}" for name, shape in data.shapes.items())
    if len(data.modalities) > MOST_MODALITIES:
        advice = f"A Trainer takes {MOST_MODALITIES}: choose some, or combine some into one."
        return Finding("modalities", BREAKS, f"{len(data.modalities)} modalities: {shown}", advice)
    return Finding("modalities", FINE, shown)


def _counts(data: MultimodalData) -> dict[str, Tensor]:
    return {
        name: torch.bincount(data.target[index].cpu(), minlength=data.n_classes) for name, index in data.splits.items()
    }


def _check_classes(data: MultimodalData) -> list[Finding]:
    counts = _counts(data)
    train = counts["train"]
    rare, often = int(train.argmin()), int(train.argmax())
    text = (
        f"{data.n_classes} classes; in training {int(train.min()):,} ({data.class_names[rare]}) to "
        f"{int(train.max()):,} ({data.class_names[often]}) samples each"
    )
    uneven = int(train.max()) > IMBALANCE * max(int(train.min()), 1)
    advice = 'Try class_weight="balanced", and look at the balanced accuracy.' if uneven else ""
    found = [Finding("classes", WARNING if uneven else FINE, text, advice)]
    for name in SPLITS:
        absent = [data.class_names[i] for i in (counts[name] == 0).nonzero()[:, 0].tolist()]
        if absent:
            shown = ", ".join(absent[:8]) + (", ..." if len(absent) > 8 else "")
            verdict = BREAKS if name == "train" or len(absent) == data.n_classes - 1 else WARNING
            found.append(
                Finding(f"classes, {name}", verdict, f"no sample of {shown}", "Cut the splits class by class.")
            )
    return found


def _check_sizes(data: MultimodalData) -> list[Finding]:
    sizes = {name: len(index) for name, index in data.splits.items()}
    small = [name for name in ("validation", "test") if sizes[name] < SMALL]
    error = 98 / max(sizes["test"], 1) ** 0.5  # points, at an accuracy of one half
    text = (
        " / ".join(f"{sizes[name]:,} {name}" for name in SPLITS) + f"; a test accuracy is known to ±{error:.1f} points"
    )
    advice = "Show intervals, and several seeds: small differences are noise." if small else ""
    k, probe = data.n_classes, sizes["probe"]
    lacking = [atoms for atoms, needed in (("R, U1 and U2", 2 * k * k), ("S", 2 * k**3)) if probe < needed]
    observed = f"{probe:,} probe samples; R, U1 and U2 need {2 * k * k:,}, S needs {2 * k**3:,} to be identified"
    more = (
        f"{' and '.join(lacking)} may come out as not identified; a larger probe split would help." if lacking else ""
    )
    unusable = probe < 2 * k * k
    return [
        Finding("sizes", WARNING if small else FINE, text, advice),
        Finding("probe", WARNING if unusable else FINE, observed, more if unusable else ""),
    ]


def _check_groups(data: MultimodalData) -> list[Finding]:
    if data.groups is None:
        advice = "If samples share a speaker, subject or recording, pass groups=."
        return [Finding("groups", FINE, "none: samples are taken as independent", advice)]
    parts = {name: set(data.groups[index.cpu()].tolist()) for name, index in data.splits.items()}
    shared = {g for a in SPLITS for b in SPLITS if a < b for g in parts[a] & parts[b]}
    found = []
    if shared:
        text = f"{len(shared)} of {len(set.union(*parts.values()))} groups have samples in more than one split"
        found.append(
            Finding("groups", BREAKS, text, "Let from_arrays cut by groups=, or give whole groups to `split`.")
        )
    few = len(parts["probe"]) < FEW_GROUPS
    text = " / ".join(f"{len(parts[name])} {name}" for name in SPLITS)
    advice = "Intervals of a probe from so few independent units are too narrow." if few else ""
    return [*found, Finding("groups, number", WARNING if few else FINE, text, advice)]

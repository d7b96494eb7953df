"""Checks at the door of the estimators: sources, target, groups, and samples shared with the reference split."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mmpid import _validate
from mmpid.errors import InputError, LeakageWarning, ShapeError
from mmpid.estimate.labels import contiguous_groups, contiguous_labels, mapped_like, read_labels
from mmpid.estimate.notes import Notes
from mmpid.estimate.resampling import label_of_group
from mmpid.estimate.typed import is_text, sequence_of
from mmpid.pid.typed import as_tensor

MIN_SAMPLES = 8
FEW_GROUPS = 20


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Checked inputs on one device: sources (N, d) or (N,), target int64 (N,) from 0, groups int64 (N,) from 0.

    ``words`` and ``classes`` hold the user's own labels of the classes 0, 1, ...: text, or integers that were mapped.
    """

    sources: tuple[Tensor, ...]
    target: Tensor
    n_classes: int
    groups: Tensor | None
    words: tuple[str, ...] = ()
    classes: Tensor | None = None

    @property
    def n_groups(self) -> int:
        """Independent units: groups where given, samples otherwise."""
        return len(self.target) if self.groups is None else int(self.groups.max()) + 1


def check_inputs(
    given: dict[str, object],
    target: object,
    n_classes: int | None,
    groups: object,
    discretizer: object,
    notes: Notes,
) -> Inputs:
    """Turn what the user gave into tensors, or say which argument is wrong."""
    tensors = [check_source(value, name) for name, value in given.items()]
    names = list(given)
    n_samples = len(tensors[0])
    for name, tensor in zip(names[1:], tensors[1:], strict=True):
        if len(tensor) != n_samples:
            raise ShapeError(
                f"`{name}` must have as many samples as `{names[0]}`, {n_samples}; it had {len(tensor)}. "
                "Row i of every source must belong to sample i."
            )
    if n_samples < MIN_SAMPLES:
        raise InputError(
            f"`{names[0]}` must have at least {MIN_SAMPLES} samples; it had {n_samples}. Give more samples."
        )
    device = tensors[0].device
    labels, words = read_labels(target, "target", n_samples, notes)
    labels = labels.to(device).contiguous()
    if n_classes is None and discretizer in ("prediction", "soft", "posterior"):
        n_classes = _classes_of_scores(tensors, labels)
    labels, n_classes, classes = contiguous_labels(labels, n_classes, notes)
    units = None if groups is None else contiguous_groups(groups, n_samples)
    if units is not None:
        note_groups(units, labels, notes)
    sources = tuple(t.to(device) for t in tensors)
    return Inputs(sources=sources, target=labels, n_classes=n_classes, groups=units, words=words, classes=classes)


def _classes_of_scores(sources: list[Tensor], target: Tensor) -> int | None:
    """Count classes if every source has one column per class 0..max(target); a class may then be absent."""
    largest = int(target.max()) + 1
    fits = all(s.ndim == 2 and s.shape[1] == largest for s in sources)
    return largest if fits and int(target.min()) >= 0 else None


def note_groups(groups: Tensor, target: Tensor, notes: Notes) -> None:
    """Say what groups change, and where they are too few or hold several labels."""
    n_groups = int(groups.max()) + 1
    notes.add(
        f"{n_groups:,} groups are held out or resampled whole; `identified` still counts samples, which is generous "
        "where samples of a group are much alike."
    )
    if n_groups < FEW_GROUPS:
        notes.add(f"{n_groups} groups are few: an interval from so few independent units is too narrow on average.")
    if label_of_group(target.cpu(), groups) is None:
        notes.add(
            "labels differ within groups, so they are shuffled sample by sample: the null band takes samples as "
            "independent, and is too narrow where samples of a group are alike."
        )


def check_source(value: object, name: str) -> Tensor:
    """Check a source: a finite tensor with one or two axes."""
    if is_text(value):
        raise InputError(
            f"`{name}` must hold numbers; it holds text. For categories try numpy.unique({name}, "
            'return_inverse=True)[1] with discretizer="codes"; for a table leave the columns of text out.'
        )
    tensor = as_tensor(value, name)
    if tensor.ndim not in (1, 2) or 0 in tensor.shape:
        raise ShapeError(
            f"`{name}` must have shape (N, d), or (N,) for codes or one dimension; its shape was "
            f"{tuple(tensor.shape)}. Flatten a sample's axes first, or pass embeddings."
        )
    return _validate.finite(tensor.detach(), name)


def check_reference(reference: object, inputs: Inputs) -> tuple[tuple[Tensor, ...], Tensor | None]:
    """Check another split: its sources, and its target if given, on the device of the sample and with its classes."""
    n_sources = len(inputs.sources)
    parts = sequence_of(reference)
    if parts is None or len(parts) not in (n_sources, n_sources + 1):
        got = type(reference).__name__ if parts is None else f"{len(parts)} arrays"
        raise InputError(
            f"`reference` must be a tuple of the {n_sources} sources of another split, and perhaps its target; it was "
            f"{got}. Try reference=(source1, source2, target)."
        )
    device = inputs.target.device
    sources = tuple(check_source(part, f"reference[{i}]").to(device) for i, part in enumerate(parts[:n_sources]))
    for i, (own, other) in enumerate(zip(inputs.sources, sources, strict=True)):
        wanted = (len(sources[0]), *(own.shape[1:] or (1,)))
        if (len(other), *(other.shape[1:] or (1,))) != wanted:
            raise ShapeError(
                f"`reference[{i}]` must have the columns of source {i + 1} and as many samples as `reference[0]`, "
                f"{wanted}; its shape was {tuple(other.shape)}."
            )
    if len(parts) == n_sources:
        return sources, None
    name, n_samples = f"reference[{n_sources}]", len(sources[0])
    return sources, mapped_like(parts[-1], name, n_samples, inputs.words, inputs.classes).to(device)


def check_duplicates(inputs: Inputs, reference: tuple[Tensor, ...], notes: Notes) -> None:
    """Warn if samples are, in every source, also rows of the reference that the discretizers were fitted on."""
    known = _row_bytes(reference)
    shared = sum(row in known for row in _row_list(inputs.sources))
    if shared:
        notes.add(
            f"{shared:,} of {len(inputs.target):,} samples are also in `reference`: what is counted was then partly "
            "seen in fitting. Make the splits disjoint.",
            LeakageWarning,
        )


def _row_list(sources: tuple[Tensor, ...]) -> list[bytes]:
    """Each sample's values in all sources as bytes."""
    table = torch.cat([s.reshape(len(s), -1).double().cpu() for s in sources], dim=1).numpy()
    return [row.tobytes() for row in table]


def _row_bytes(sources: tuple[Tensor, ...]) -> set[bytes]:
    return set(_row_list(sources))

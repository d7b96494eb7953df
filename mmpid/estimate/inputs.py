"""Checks at the door of the estimators: sources, target, groups, and samples shared with the reference split."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mmpid import _validate
from mmpid.errors import InputError, LabelWarning, LeakageWarning, ShapeError
from mmpid.estimate.notes import Notes

MIN_SAMPLES = 8


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Checked inputs on one device: sources (N, d) or (N,), target int64 (N,) from 0, groups int64 (N,) from 0."""

    sources: tuple[Tensor, ...]
    target: Tensor
    n_classes: int
    groups: Tensor | None

    @property
    def n_groups(self) -> int:
        """Independent units: groups where given, samples otherwise."""
        return len(self.target) if self.groups is None else int(self.groups.max()) + 1


def check_inputs(
    sources: dict[str, object], target, n_classes: int | None, groups, discretizer, notes: Notes
) -> Inputs:
    """Turn what the user gave into tensors, or say which argument is wrong."""
    tensors = [check_source(value, name) for name, value in sources.items()]
    names = list(sources)
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
    target = _validate.labels(target, "target", n_samples).to(device).contiguous()
    if n_classes is None and discretizer in ("prediction", "soft"):
        n_classes = _classes_of_scores(tensors, target)
    target, n_classes = contiguous_labels(target, n_classes, notes)
    groups = None if groups is None else _contiguous_groups(groups, n_samples)
    if groups is not None:
        notes.add(
            f"{int(groups.max()) + 1:,} groups are resampled whole; `identified` still counts samples, which is "
            "generous where samples of a group are much alike."
        )
    return Inputs(sources=tuple(t.to(device) for t in tensors), target=target, n_classes=n_classes, groups=groups)


def _classes_of_scores(sources: list[Tensor], target: Tensor) -> int | None:
    """Count classes if every source has one column per class 0..max(target); a class may then be absent."""
    largest = int(target.max()) + 1
    fits = all(s.ndim == 2 and s.shape[1] == largest for s in sources)
    return largest if fits and int(target.min()) >= 0 else None


def check_source(value, name: str) -> Tensor:
    """Check a source: a finite tensor with one or two axes."""
    tensor = _validate.as_tensor(value, name)
    if tensor.ndim not in (1, 2) or 0 in tensor.shape:
        raise ShapeError(
            f"`{name}` must have shape (N, d), or (N,) for codes or one dimension; its shape was "
            f"{tuple(tensor.shape)}. Flatten a sample's axes first, or pass embeddings."
        )
    return _validate.finite(tensor.detach(), name)


def contiguous_labels(target: Tensor, n_classes: int | None, notes: Notes) -> tuple[Tensor, int]:
    """Labels as 0..k-1; mapped, with a warning, unless they are that already or `n_classes` says what k is."""
    present = torch.unique(target)
    if len(present) < 2:
        raise InputError(
            f"`target` must hold at least two classes; every label was {int(present[0])}. "
            "With one class there is no information to decompose."
        )
    if n_classes is not None:
        return _declared_labels(target, present, n_classes, notes), n_classes
    if int(present[0]) == 0 and int(present[-1]) == len(present) - 1:
        return target, len(present)
    listed = ", ".join(str(int(v)) for v in present[:8]) + (", ..." if len(present) > 8 else "")
    notes.add(
        f"labels of `target` were {listed}; mapped to 0..{len(present) - 1} in ascending order. "
        "Pass `n_classes` if classes are absent on purpose.",
        LabelWarning,
    )
    return torch.searchsorted(present, target), len(present)


def _declared_labels(target: Tensor, present: Tensor, n_classes: int, notes: Notes) -> Tensor:
    """Labels checked against a given number of classes; absent classes are noted."""
    _validate.number(n_classes, "n_classes", low=2, integer=True)
    if int(present[0]) < 0 or int(present[-1]) >= n_classes:
        raise InputError(
            f"`target` must hold labels from 0 to {n_classes - 1} for n_classes={n_classes}; it ranged from "
            f"{int(present[0])} to {int(present[-1])}. Leave `n_classes` out to have labels mapped."
        )
    if len(present) < n_classes:
        notes.add(f"{n_classes - len(present)} of {n_classes} classes have no sample here; they carry no information.")
    return target


def _contiguous_groups(groups, n_samples: int) -> Tensor:
    """Renumber groups 0..G-1 on the CPU, where resampling is drawn."""
    groups = _validate.labels(groups, "groups", n_samples).cpu()
    unique, index = torch.unique(groups, return_inverse=True)
    if len(unique) < 2:
        raise InputError("`groups` must hold at least two groups to resample; all samples were in one. Leave it out?")
    return index


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

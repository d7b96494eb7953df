"""Class labels and groups as users give them: any integers, or text; inside they are counted from 0."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mmpid import _validate
from mmpid.errors import InputError, LabelWarning
from mmpid.estimate.notes import Notes
from mmpid.estimate.typed import integer_labels, text_labels, unique, unique_inverse
from mmpid.pid.typed import integer, integers_of


def read_labels(value: object, name: str, n_samples: int, notes: Notes) -> tuple[Tensor, tuple[str, ...]]:
    """Return labels as int64 (N,) and, where they were text, the text of 0, 1, ...: alphabetical, and noted."""
    text = text_labels(value, name, n_samples)
    if text is None:
        return integer_labels(value, name, n_samples), ()
    words = text[1]
    order = "alphabetical order" if list(words) == sorted(words) else "the order of their categories"
    notes.add(f"labels of `{name}` are text: {_listed(words)} were mapped to 0..{len(words) - 1} in {order}.")
    return text


def contiguous_labels(target: Tensor, n_classes: int | None, notes: Notes) -> tuple[Tensor, int, Tensor | None]:
    """Labels as 0..k-1, k, and the label of each class where they were mapped.

    They are mapped, with a warning, unless they are 0..k-1 already or `n_classes` says what k is.
    """
    present = unique(target)
    if len(present) < 2:
        raise InputError(
            f"`target` must hold at least two classes; every label was {int(present[0])}. "
            "With one class there is no information to decompose."
        )
    _validate.refuse_unlabeled(present, "target")
    if n_classes is not None:
        return _declared_labels(target, present, n_classes, notes), n_classes, None
    if int(present[0]) == 0 and int(present[-1]) == len(present) - 1:
        return target, len(present), None
    notes.add(
        f"labels of `target` were {_listed(integers_of(present))}; mapped to 0..{len(present) - 1} in ascending order. "
        "Pass `n_classes` if classes are absent on purpose.",
        LabelWarning,
    )
    return torch.searchsorted(present, target), len(present), present


def _declared_labels(target: Tensor, present: Tensor, n_classes: int, notes: Notes) -> Tensor:
    """Labels checked against a given number of classes; absent classes are noted."""
    integer(n_classes, "n_classes", 2)
    if int(present[0]) < 0 or int(present[-1]) >= n_classes:
        raise InputError(
            f"`target` must hold labels from 0 to {n_classes - 1} for n_classes={n_classes}; it ranged from "
            f"{int(present[0])} to {int(present[-1])}. Leave `n_classes` out to have labels mapped."
        )
    if len(present) < n_classes:
        notes.add(f"{n_classes - len(present)} of {n_classes} classes have no sample here; they carry no information.")
    return target


def mapped_like(value: object, name: str, n_samples: int, words: tuple[str, ...], classes: Tensor | None) -> Tensor:
    """Labels of another split, (N,), mapped as those of the sample were: ``words`` for text, ``classes`` for integers.

    A class that the sample does not have gets a number after those that it has.
    """
    labels, own_words = read_labels(value, name, n_samples, Notes())
    if bool(words) != bool(own_words):
        raise InputError(f"`{name}` must hold labels of the same kind as `target`: both text, or both integers.")
    if own_words:
        known = {word: i for i, word in enumerate(words)}
        new_words = (word for word in own_words if word not in known)
        known |= {word: len(words) + i for i, word in enumerate(new_words)}
        return torch.tensor([known[word] for word in own_words])[labels]
    if classes is not None:
        classes = classes.cpu()
        fresh = unique(labels[~torch.isin(labels.cpu(), classes)])
        values, order = torch.cat([classes, fresh]).sort()
        return order[torch.searchsorted(values, labels)]
    if int(labels.min()) < 0:
        raise InputError(f"`{name}` must hold class indices from 0, as `target` does; the lowest was {labels.min()}.")
    return labels


def contiguous_groups(groups: object, n_samples: int) -> Tensor:
    """Renumber groups, integers or text, as 0..G-1 on the CPU, where resampling is drawn."""
    distinct, index = unique_inverse(read_labels(groups, "groups", n_samples, Notes())[0].cpu())
    if len(distinct) < 2:
        raise InputError("`groups` must hold at least two groups to resample; all samples were in one. Leave it out?")
    return index


def _listed(labels: Sequence[object], most: int = 8) -> str:
    """Join the first few labels."""
    return ", ".join(str(label) for label in labels[:most]) + (", ..." if len(labels) > most else "")

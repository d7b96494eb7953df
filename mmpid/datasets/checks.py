"""Checks of samples and labels at the doors of a data set."""

from collections.abc import Iterable, Mapping, Sequence, Set

import torch
from torch import Tensor

from mmpid import _validate
from mmpid.errors import ConfigError, InputError, LabelWarning, ShapeError, warn

RESERVED = {"joint": "the joint head", "ens": "the average of the unimodal heads"}
LOSES_DIGITS = 2**24  # from here on float32 holds no longer every whole number


def check_names(inputs, argument: str, what: str) -> None:
    """Refuse what is not a mapping from two or more modality names."""
    if not isinstance(inputs, Mapping) or len(inputs) < 2:
        got = f"{len(inputs)} entries" if isinstance(inputs, Mapping) else type(inputs).__name__
        raise InputError(
            f"`{argument}` must map two or more modality names to {what}, as {{'audio': a, 'image': v}}; it was {got}."
        )
    for name in inputs:
        if not isinstance(name, str) or not name or "." in name:
            raise InputError(f"a modality name must be a non-empty string without dots; it was {name!r}. Rename it.")
        if _is_broken(name):
            raise InputError(f"a modality name must be printable text; {name!r} is not. Rename it.")
        if name in RESERVED:
            raise InputError(
                f"a modality must not be named {name!r}: rows of a record use that name for {RESERVED[name]}. "
                f"Rename it."
            )


def _is_broken(name: str) -> bool:
    """Return whether a text holds half of a character, as file names with another encoding do."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return True
    return False


def check_shapes(shapes: Mapping[str, Sequence]) -> None:
    """Refuse samples that are single numbers, without an axis, and samples that hold nothing."""
    for name, shape in shapes.items():
        if len(shape) < 2 or 0 in shape:
            was = str(tuple(shape)).replace("'", "")
            raise ShapeError(
                f"`inputs[{name!r}]` must have shape (N, ...), two axes or more, none of them empty; it was {was}. "
                f"For one number per sample try `{name}[:, None]`."
            )


def check_inputs(inputs) -> dict[str, Tensor]:
    """Return tensors with one common length, in the dtype that they came in."""
    check_names(inputs, "inputs", "arrays")
    tensors = {}
    for name, value in inputs.items():
        tensor = _validate.as_tensor(value, f"inputs[{name!r}]")
        if tensor.ndim == 0 or len(tensor) == 0:
            raise ShapeError(
                f"`inputs[{name!r}]` must have samples on its first axis; its shape was {tuple(tensor.shape)}."
            )
        tensors[name] = tensor.detach()
    check_shapes({name: x.shape for name, x in tensors.items()})
    lengths = {name: len(x) for name, x in tensors.items()}
    if len(set(lengths.values())) > 1:
        raise ShapeError(f"all modalities must have the same number of samples; they had {lengths}. Align them first.")
    return tensors


def check_about(*, seed, options, **texts) -> int:
    """Return the seed; refuse what is not one, options that are not a mapping, and descriptions that are not text."""
    for argument, text in texts.items():
        _validate.instance(text, argument, str, "text", f'For example {argument}="..."; it is shown with the data.')
    if options is not None:
        _validate.instance(options, "options", Mapping, "a mapping or None", 'For example options={"noise": 0.1}.')
    return _validate.number(seed, "seed", low=0, integer=True)


def read_class_names(class_names) -> tuple[str, ...] | None:
    """Return the names of the classes as text, each once; None if there are none."""
    if class_names is None:
        return None
    if isinstance(class_names, str | bytes | Mapping | Set) or not isinstance(class_names, Iterable):
        raise ConfigError(
            f"`class_names` must be a list of names in the order of the classes; it was {class_names!r} "
            f"({type(class_names).__name__}). For example class_names=['cat', 'dog']."
        )
    class_names = tuple(class_names)
    if any(name is None or name != name for name in class_names):
        raise ConfigError(f"`class_names` must name every class; it held None or NaN: {list(class_names)}.")
    names = tuple(map(str, class_names))
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(
            f"`class_names` must differ, or two classes cannot be told apart; it held {', '.join(map(repr, twice))} "
            f"more than once. If they are one class, give them one label."
        )
    return names


def note_categories(target) -> list[str]:
    """Return a note on pandas categories that no sample has: they are not classes."""
    absent = _validate.absent_categories(target)
    return [f"{len(absent)} categories of `target` have no sample and are left out: {', '.join(absent[:8])}"] * bool(
        absent
    )


def read_target(target, length: int, class_names) -> tuple[Tensor, Sequence[str] | None]:
    """Return labels as int64 (N,), and the names of the classes as given or, where labels are text, as they read."""
    text = _validate.text_labels(target, "target", length)
    if text is None:
        return _validate.labels(target, "target", length), class_names
    labels, words = text
    if class_names is None:
        if len(set(words)) < len(words):
            raise InputError(f"categories of `target` must differ as text; they read {list(words)}. Rename them.")
        return labels, words
    places = {str(name): i for i, name in enumerate(class_names)}
    unknown = [word for word in words if word not in places]
    if unknown:
        raise ConfigError(
            f"`class_names` must hold every label of `target`; it had {list(places)} and lacked {unknown[:8]}."
        )
    return torch.tensor([places[word] for word in words])[labels], class_names


def check_target(target: Tensor, class_names) -> tuple[Tensor, tuple[str, ...]]:
    """Map labels to 0..k-1 and name the classes."""
    values, mapped = torch.unique(target, return_inverse=True)
    _validate.refuse_unlabeled(values, "target")
    if len(values) < 2:
        raise InputError(
            f"`target` must have at least two classes; every label was {values.tolist()}. Is it the right column?"
        )
    if class_names is not None and len(class_names) > int(values[-1]) >= 0 and int(values[0]) >= 0:
        return target, tuple(map(str, class_names))
    if class_names is not None:
        raise ConfigError(
            f"`class_names` must name every label 0..{int(values[-1])}; it had {len(class_names)} names "
            f"and labels ran from {int(values[0])} to {int(values[-1])}."
        )
    if not torch.equal(values, torch.arange(len(values), device=values.device)):
        shown = ", ".join(f"{int(v)}->{i}" for i, v in enumerate(values[:8])) + (", ..." if len(values) > 8 else "")
        warn(f"`target` was not labeled 0..{len(values) - 1}; labels are mapped: {shown}.", LabelWarning)
    return mapped, tuple(str(int(v)) for v in values)


def check_classes(target: Tensor, splits, class_names) -> list[str]:
    """Refuse training data in which a class is absent; return notes on classes that another split lacks."""
    lacking = {key: sorted(set(range(len(class_names))) - set(target[index].tolist())) for key, index in splits.items()}
    if lacking["train"]:
        names = ", ".join(class_names[i] for i in lacking["train"])
        raise InputError(
            f"the training split must hold every class; class {names} has no sample in it. "
            f"Give it more samples, or drop the class."
        )
    return [
        f"the {key} split has no sample of {len(absent)} of {len(class_names)} classes: "
        + ", ".join(class_names[i] for i in absent[:8])
        + (", ..." if len(absent) > 8 else "")
        for key, absent in lacking.items()
        if absent
    ]


def check_variance(tensors, splits) -> None:
    """Refuse a modality that never varies in training."""
    train = splits["train"]
    for name, x in tensors.items():
        rows = x[train].flatten(1)
        if len(train) < 2 or bool((rows == rows[:1]).all()):
            large = float(rows[:1].abs().max()) >= LOSES_DIGITS
            advice = (
                "Subtract a constant before: numbers this large lose their last digits."
                if large
                else ("Check how it was loaded, or leave the modality out.")
            )
            raise InputError(
                f"`inputs[{name!r}]` must vary between samples; all {len(train)} training samples are identical"
                f"{' as float32' if large else ''}. {advice}"
            )

"""Transformers that are fitted on the training samples once the split is known: standardization and imputation."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from mmpid import _validate
from mmpid.errors import ConfigError, InputError

CHUNK = 64  # samples per batch of the pass over streamed data
STRATEGIES = ("mean", "median", "most_frequent")


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """Fitted scikit-learn transformers by modality, applied one after the other.

    A transformer sees a table with one column for each entry of the second axis: the features of samples (N, d), the
    channels of samples (N, c, ...).

    Attributes
    ----------
    steps : dict of str to tuple
        Modality name to fitted transformers.
    """

    steps: dict[str, tuple] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.steps)

    def apply(self, inputs: Mapping) -> dict[str, Tensor]:
        """Return new samples as the transformers make them, float32; other modalities stay as they are."""
        out = {}
        for name, x in inputs.items():
            x = _validate.as_tensor(x, f"inputs[{name!r}]").detach()
            for step in self.steps.get(name, ()):
                x = transform(step, x, name)
            out[name] = x.to(torch.float32)
        return out

    @property
    def numbers(self) -> dict[str, np.ndarray]:
        """What the transformers learned, as arrays: `image.StandardScaler.mean_`. Nothing of it needs pickle."""
        found = {}
        for name, steps in self.steps.items():
            for step in steps:
                for key, part in _parts(step):
                    prefix = f"{name}.{key}"
                    found |= {f"{prefix}.{attribute}": value for attribute, value in _fitted(part).items()}
        return found

    def describe(self) -> dict[str, str]:
        """Return a text for each modality: the transformers, and six digits that change with their numbers."""
        digests = {name: hashlib.sha256() for name in self.steps}
        for key, value in self.numbers.items():
            digests[key.partition(".")[0]].update(key.encode() + value.tobytes())
        return {
            name: " -> ".join(" ".join(repr(step).split()) for step in steps) + f" #{digests[name].hexdigest()[:6]}"
            for name, steps in self.steps.items()
        }


def _parts(step) -> list[tuple[str, object]]:
    """Return a transformer with its name, or the transformers of a pipeline."""
    steps = getattr(step, "steps", None)
    if isinstance(steps, list):
        return [(f"{name}.{key}", part) for name, inner in steps for key, part in _parts(inner)]
    return [(type(step).__name__, step)]


def _fitted(step) -> dict[str, np.ndarray]:
    """Return the fitted attributes of a transformer that are numbers."""
    found = {}
    for attribute, value in sorted(vars(step).items()):
        if attribute.endswith("_") and not attribute.startswith("_") and not isinstance(value, str):
            array = np.asarray(value) if np.ndim(value) == 0 or hasattr(value, "dtype") else None
            if array is not None and array.dtype.kind in "fiub":
                found[attribute] = array
    return found


def wanted_steps(standardize, impute, names: Sequence[str]) -> tuple[dict[str, list], list[str]]:
    """Return unfitted transformers by modality, imputation first, and the names of the modalities that are imputed."""
    scalers = _of_each(standardize, "standardize", names, _scaler)
    imputers = _of_each(impute, "impute", names, _imputer)
    steps = {name: imputers[name] + scalers[name] for name in names if imputers[name] or scalers[name]}
    return steps, [name for name in names if imputers[name]]


def _of_each(given, argument: str, names: Sequence[str], make) -> dict[str, list]:
    """Return the transformers that an argument asks for: one value for all modalities, or a mapping from names."""
    if not isinstance(given, Mapping):
        given = dict.fromkeys(names, given)
    for name in given:
        _validate.choice(name, argument, names)
    return {name: make(given.get(name), f"{argument}[{name!r}]") for name in names}


def _scaler(value, argument: str) -> list:
    from sklearn.preprocessing import StandardScaler

    if value is None or isinstance(value, bool | np.bool_):
        return [StandardScaler()] if value else []
    return [
        _transformer(value, argument, 'True, or a scikit-learn transformer, for example standardize={"image": True}')
    ]


def _imputer(value, argument: str) -> list:
    from sklearn.impute import SimpleImputer

    if value is None or isinstance(value, bool | np.bool_):
        return [SimpleImputer(strategy="mean", keep_empty_features=True)] if value else []
    if isinstance(value, str):
        return [SimpleImputer(strategy=_validate.choice(value, argument, STRATEGIES), keep_empty_features=True)]
    return [_transformer(value, argument, 'True, "median" or a scikit-learn transformer, for example impute="median"')]


def _transformer(value, argument: str, must: str):
    """Return an unfitted copy of a transformer."""
    from sklearn.base import clone

    if isinstance(value, type) or not all(hasattr(value, method) for method in ("fit", "transform", "get_params")):
        raise ConfigError(f"`{argument}` must be {must}; it was {value!r:.80} ({type(value).__name__}).")
    return clone(value)


def fit_steps(wanted: Mapping[str, list], tensors: Mapping[str, Tensor], train, target: Tensor, seed: int):
    """Fit transformers on the training samples and apply them to all; return the samples and the fitted ones."""
    out, steps = dict(tensors), {}
    for name, transformers in wanted.items():
        fitted = []
        for step in transformers:
            x = out[name]
            _check_observed(x[train], name)
            _seed(step, seed)
            table, labels = _table(x[train]), _labels_of_rows(target[train], x)
            _call(lambda step=step, table=table, labels=labels: step.fit(table, labels), step, name)
            out[name] = transform(step, x, name)
            fitted.append(step)
        steps[name] = tuple(fitted)
        _validate.finite(out[name], f"inputs[{name!r}] after {type(fitted[-1]).__name__}")
    return out, Preprocessing(steps=steps)


def fit_streamed(standardize, split, seed: int) -> Preprocessing:
    """Fit transformers on a streamed split in one pass over its samples, by `partial_fit`."""
    wanted, _ = wanted_steps(standardize, None, list(split.source.shapes))
    for name, steps in wanted.items():
        for step in steps:
            _seed(step, seed)
            if not hasattr(step, "partial_fit"):
                raise ConfigError(
                    f"`standardize[{name!r}]` must have `partial_fit` for streamed data; {type(step).__name__} has "
                    f"none. Try standardize={{{name!r}: True}}, or in_memory=True."
                )
    if wanted:
        for inputs, _ in split.batches(torch.arange(len(split)).split(CHUNK)):
            for name, steps in wanted.items():
                _call(lambda: steps[0].partial_fit(_table(inputs[name])), steps[0], name)  # noqa: B023 (called at once)
    made = Preprocessing(steps={name: tuple(steps) for name, steps in wanted.items()})
    first = split.subset([0]).in_memory().inputs if wanted else {}
    for name, x in made.apply(first).items():
        if x.shape != first[name].shape:
            raise ConfigError(
                f"`standardize[{name!r}]` must keep the shape of streamed samples, {tuple(first[name].shape[1:])}; it "
                f"makes {tuple(x.shape[1:])}. Try in_memory=True."
            )
    return made


def _check_observed(x: Tensor, name: str) -> None:
    """Refuse a column without a single value: an imputer would invent one, or drop it."""
    if not x.is_floating_point():
        return
    empty = torch.isnan(x.movedim(1, -1).reshape(-1, x.shape[1])).all(0).nonzero()[:, 0].tolist()
    if empty:
        raise InputError(
            f"`inputs[{name!r}]` must have a value in every column of at least one training sample to impute from; "
            f"{len(empty)} columns have none, the first is {empty[0]}. Leave those columns out."
        )


def _seed(step, seed: int) -> None:
    """Give transformers that draw random numbers the seed of the data."""
    open_seeds = {
        key: seed for key, value in step.get_params().items() if key.endswith("random_state") and value is None
    }
    if open_seeds:
        step.set_params(**open_seeds)


def _table(x: Tensor) -> np.ndarray:
    """Return samples (n, d, ...) as a table (n * ..., d) of float64."""
    return x.to(torch.float64).cpu().movedim(1, -1).reshape(-1, x.shape[1]).numpy()


def _labels_of_rows(target: Tensor, x: Tensor) -> np.ndarray:
    return np.repeat(target.cpu().numpy(), int(np.prod(x.shape[2:])))


def transform(step, x: Tensor, name: str) -> Tensor:
    """Return samples (n, d, ...) as a fitted transformer makes them, (n, d', ...)."""
    table = _call(lambda: step.transform(_table(x)), step, name)
    table = _validate.as_tensor(table, f"inputs[{name!r}]").numpy()
    rest = tuple(x.shape[2:])
    if table.ndim != 2 or len(table) != len(x) * int(np.prod(rest)):
        raise InputError(
            f"the transformer {type(step).__name__} of modality {name!r} must return one row for each row that it is "
            f"given, {len(x) * int(np.prod(rest))}; its table had the shape {table.shape}."
        )
    return (
        torch.as_tensor(table.astype(np.float64))
        .reshape(len(x), *rest, table.shape[1])
        .movedim(-1, 1)
        .contiguous()
        .to(x.device)
    )


def _call(action, step, name: str):
    try:
        return action()
    except InputError:
        raise
    except Exception as problem:
        raise InputError(
            f"the transformer {type(step).__name__} of modality {name!r} failed: {type(problem).__name__}: "
            f"{str(problem).splitlines()[0] if str(problem) else ''}. For missing values give impute= as well."
        ) from problem

"""Values of a batch that callbacks meet: logits that are computed when they are asked for, and named loss terms."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

from mmpid.errors import ConfigError, InputError, ShapeError


class LazyLogits(Mapping[str, Tensor]):
    """Logits by classifier, computed from the features when they are first asked for."""

    def __init__(self, model: Any, features: Mapping[str, Tensor], computed: Mapping[str, Tensor]):
        self._model, self._features, self._known = model, features, dict(computed)

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._known:
            if name == "joint" and set(self._features) == set(self._model.modalities):
                self._known[name] = self._model.fuse(self._features)
            elif name in self._features:
                self._known[name] = self._model.heads[name](self._model.pool(self._features)[name])
            else:
                raise KeyError(
                    f"{name!r}: the batch has logits of {', '.join(self)}, since other modalities are paused"
                )
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        yield from self._features
        if "joint" in self._known or set(self._features) == set(self._model.modalities):
            yield "joint"

    def __len__(self) -> int:
        return sum(1 for _ in self)


def check_terms(terms: object, taken: Sequence[str]) -> dict[str, Tensor]:
    """Return named loss terms, each one number, with names that no classifier has."""
    if terms is None:
        return {}
    if not isinstance(terms, Mapping):
        raise InputError(f"it must return a dict of named loss terms, or None; it returned {type(terms).__name__}.")
    for name, term in terms.items():
        if not isinstance(name, str) or name in taken:
            raise ConfigError(f"a loss term must have an unused name; {name!r} is taken. Rename it.")
        if not isinstance(term, Tensor) or term.ndim != 0:
            was = f"a tensor of shape {tuple(term.shape)}" if isinstance(term, Tensor) else type(term).__name__
            raise ShapeError(f"the loss term {name!r} must be one number, a tensor without axes; it was {was}.")
    return dict(terms)

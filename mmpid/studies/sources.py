"""Where the data of a study come from, by name and seed, and a few of them kept in memory."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from mmpid import _validate
from mmpid.datasets import MultimodalData
from mmpid.errors import ConfigError
from mmpid.studies.inputs import draw

MOST_KEPT, MOST_VALUES = 32, 1 << 25  # data sets in memory at a time, and numbers in all of them (128 MiB)
_drawn: "OrderedDict[tuple[str, int], MultimodalData]" = OrderedDict()


@dataclass(frozen=True)
class Source:
    """Data by seed: a built-in name, a function, or one data set for all seeds.

    Attributes
    ----------
    name : str
        Name in tables.
    data : str, callable or MultimodalData
        What the user passed.
    options : dict, optional
        Of a built-in name.
    """

    name: str
    data: str | Callable[[int], MultimodalData] | MultimodalData
    options: dict[str, Any] | None = None
    key: str = field(default_factory=lambda: uuid4().hex, compare=False)

    @property
    def fixed(self) -> bool:
        """Whether all seeds share samples and splits."""
        return isinstance(self.data, MultimodalData)

    def draw(self, seed: int) -> MultimodalData:
        """Return the data of a seed; small ones are kept, since several methods use them."""
        if isinstance(self.data, MultimodalData):
            return self.data
        key = (self.key, seed)
        if key in _drawn:
            _drawn.move_to_end(key)
            return _drawn[key]
        found = draw(self.data, seed, self.options)
        _drawn[key] = found
        while len(_drawn) > MOST_KEPT or (len(_drawn) > 1 and sum(map(_size, _drawn.values())) > MOST_VALUES):
            _drawn.popitem(last=False)
        return found


def _size(data: MultimodalData) -> int:
    per_sample = 0
    for shape in data.shapes.values():
        count = 1
        for length in shape:
            count *= length
        per_sample += count
    return per_sample * len(data.target)


def make_sources(data: Any, options: Mapping[str, Any] | None) -> dict[str, Source]:
    """Return the sources of a study by name; a mapping names several."""
    if isinstance(data, Mapping):
        if not data:
            raise ConfigError("`data` must hold at least one data set; it was empty. Try {'digits': 'av-digits'}.")
        wrong = [name for name in data if not isinstance(name, str) or not name]
        if wrong:
            raise ConfigError(f"`data` must have text as names; one was {wrong[0]!r}. Try {str(wrong[0])!r}.")
        own = {name: dict(options) if options and isinstance(one, str) else None for name, one in data.items()}
        return {name: Source(name, _checked(one, f"data[{name!r}]"), own[name]) for name, one in data.items()}
    data = _checked(data, "data")
    if options and not isinstance(data, str):
        raise ConfigError(f"`data_options` need a built-in name; they were {dict(options)}. Put them into `data`.")
    name = data if isinstance(data, str) else data.name if isinstance(data, MultimodalData) else "data"
    return {name: Source(name, data, dict(options) if options else None)}


def _checked(data: Any, name: str) -> Any:
    if isinstance(data, str | MultimodalData) or callable(data):
        return data
    raise ConfigError(
        f"`{name}` must be a built-in name, MultimodalData, a function from a seed to MultimodalData, or a dict of "
        f"these by name; it was {type(data).__name__}. Try lambda seed: MultimodalData.from_arrays(inputs, target, "
        "seed=seed), which cuts new splits for every seed; one MultimodalData keeps the same ones."
    )


def fingerprint(source: Source, seed: int) -> str:
    """Return the fingerprint of the data of a seed."""
    hint = "Return MultimodalData.from_arrays(..., seed=seed)."
    return _validate.instance(source.draw(seed), "data(seed)", MultimodalData, "MultimodalData", hint).fingerprint

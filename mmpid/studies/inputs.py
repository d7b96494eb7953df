"""Data and models of the runs of a study."""

from collections.abc import Callable, Mapping

from mmpid import _validate
from mmpid.datasets import MultimodalData, load
from mmpid.errors import ConfigError
from mmpid.models import LateFusion


def draw(data, seed: int, options: Mapping | None, *, shared: bool = False) -> MultimodalData:
    """Return the data of a seed: a built-in set, what a function gives, or, if `shared`, the same for all seeds."""
    if isinstance(data, str):
        return load(data, seed=seed, **(options or {}))
    if options:
        raise ConfigError(f"`data_options` need a built-in name; they were {dict(options)}. Put them into `data`.")
    if shared and isinstance(data, MultimodalData):
        return data
    if not callable(data):
        raise ConfigError(
            f"`data` must be a built-in name{', MultimodalData' if shared else ''} or a function from a seed to "
            f"MultimodalData; it was {type(data).__name__}. Try lambda seed: MultimodalData.from_arrays(inputs, "
            "target, seed=seed), which cuts new splits for every seed; lambda seed: data keeps the same ones."
        )
    hint = "Return MultimodalData.from_arrays(..., seed=seed)."
    return _validate.instance(data(seed), "data(seed)", MultimodalData, "MultimodalData", hint)


def build(model: Callable | None, data: MultimodalData, seed: int) -> LateFusion:
    """Return a fresh model for data and seed."""
    if model is None:
        return LateFusion.from_data(data, seed=seed)
    if isinstance(model, LateFusion) or not callable(model):
        raise ConfigError(
            f"`model` must be a function from data and seed to a fresh LateFusion, since every run starts from "
            f"scratch; it was {type(model).__name__}. Try def model(data, seed): return LateFusion(...)."
        )
    made = _validate.instance(model(data, seed), "model(data, seed)", LateFusion, "a LateFusion", "Return the model.")
    return made if made.dims else made.find_sizes(data.sample(2), seed=seed)

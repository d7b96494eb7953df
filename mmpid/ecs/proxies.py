"""Proxies of Effective Competitive Strength for real networks: which there are, and one call that measures them.

ECS itself can be computed only in the solvable model (`mmpid.theory`). In a network, proxies stand in for it; how
well each follows ECS there is measured in `notebooks/03_ecs_and_the_error_laws.ipynb` and told in `docs/ecs.md`.
"""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache, wraps
from typing import cast

import torch
from torch import Tensor

from mmpid._validate import choice, instance
from mmpid.ecs import gradients, logits, readouts
from mmpid.ecs.evidence import ProxyEvidence, ProxySettings
from mmpid.ecs.means import ClassMeans
from mmpid.ecs.results import ByModality, ProxyInfo, ProxyResult, ProxyTable, weighted_sums
from mmpid.errors import ConfigError, InputError, ShapeError

#: The proxies that a trainer records unless told otherwise: they cost no forward pass.
DEFAULT_PROXIES = ("class_logit", "mi")
_DEFAULTS = ProxySettings()


@dataclass(frozen=True)
class _Proxy:
    compute: Callable
    unit: str
    needs: str
    fields: tuple[str, ...]
    rows: tuple[str, ...] = ()
    passes: Callable[[ProxySettings], float] = lambda settings: 0.0
    wide: bool = False  # gives a column over the whole batch beside those by class
    overall: str = "mean"  # by modality: mean over the classes, mean by their "share", or the "last" column

    @property
    def formula(self) -> str:
        return (inspect.getdoc(self.compute) or "not documented").splitlines()[0].rstrip(".")


def _of_logits(compute: Callable, unit: str, *rows: str, overall: str = "mean") -> _Proxy:
    return _Proxy(compute, unit, "logits", ("unimodal_logits",), rows, wide=True, overall=overall)


def _of_model(compute: Callable, unit: str, passes: Callable[[ProxySettings], float], *others: str, **more) -> _Proxy:
    return _Proxy(compute, unit, "model", ("model", "inputs", *others), passes=passes, **more)


_PROXIES = {
    "class_logit": _of_logits(logits.class_logit, "logit", "own"),
    "mi": _of_logits(logits.mi, "bit", "log_likelihood"),
    "gradient_share": _of_model(gradients.gradient_share, "share", lambda s: 3.0, wide=True, overall="last"),
    "look_ahead": _of_model(gradients.look_ahead, "logit", lambda s: 3.0 * s.look_ahead_steps + 1, "unimodal_logits"),
    "logit_velocity": _of_model(gradients.logit_velocity, "logit per step size", lambda s: 5.0, "unimodal_logits"),
    "ogm": _of_logits(logits.ogm, "ratio", "confidence", overall="last"),
    "margin": _of_logits(logits.margin, "logit", "own", "rival"),
    "shapley": _of_logits(logits.shapley, "bit", "log_likelihood", "coalitions"),
    "ntk_alignment": _of_model(gradients.ntk_alignment, "cosine", lambda s: 3.0, "unimodal_logits"),
    "prediction_mi": _of_logits(logits.prediction_mi, "bit", "predictions", overall="share"),
    "cluster_mi": _of_logits(logits.cluster_mi, "bit", "clusters", overall="share"),
    "linear_probe": _Proxy(readouts.linear_probe, "recall", "embeddings", ("embeddings",)),
}


class _Plan:
    """What follows from the names of proxies alone."""

    def __init__(self, names: tuple[str, ...]):
        self.names = [name if name in _PROXIES else choice(name, "names", _PROXIES) for name in names]
        self.proxies = [_PROXIES[name] for name in self.names]
        self.kinds = {proxy.needs for proxy in self.proxies}
        self.rows = {row for proxy in self.proxies for row in proxy.rows}
        self.tables = [places for wide in (True, False) if (places := self._places(wide))]

    def _places(self, wide: bool) -> tuple[int, ...]:
        return tuple(place for place, proxy in enumerate(self.proxies) if proxy.wide is wide)

    def weights(self, places: tuple[int, ...], evidence: ProxyEvidence, table: Tensor) -> Tensor:
        """Weights, for rows of a table, of the sums over columns that are the numbers by modality."""
        key = (self, places, table.shape, table.dtype)
        return evidence.once(key, lambda: self._weights(places, evidence, table))

    def _weights(self, places: tuple[int, ...], evidence: ProxyEvidence, table: Tensor) -> Tensor:
        k, rows = cast(int, evidence.n_classes), torch.zeros(len(places), table.shape[1], dtype=table.dtype)
        for row, place in zip(rows, places, strict=True):
            if self.proxies[place].overall == "last":
                row[-1] = 1
            else:
                row[:k] = 1 / k if self.proxies[place].overall == "mean" else evidence.classes.share
        return rows.repeat_interleave(len(evidence.modalities), 0)


_plan = lru_cache(_Plan)
_BUILT_IN = frozenset(_PROXIES)


def available() -> ProxyTable:
    """List the proxies on offer with formula, unit, needs and cost.

    Returns
    -------
    ProxyTable
        Iterating gives the names; `table["mi"]` gives one row; a notebook shows a table. The cost is in forward
        passes over the gradient batch, a backward pass counting as two, at the default `ProxySettings`, for one proxy
        by itself: where gradients have a closed form, those measured together share their first passes.

    Examples
    --------
    >>> [name for name in available() if available()[name].needs == "model"]
    ['gradient_share', 'look_ahead', 'logit_velocity', 'ntk_alignment']
    """
    return ProxyTable(
        tuple(
            ProxyInfo(name=name, formula=p.formula, unit=p.unit, needs=p.needs, cost=p.passes(_DEFAULTS))
            for name, p in _PROXIES.items()
        )
    )


def register(
    name: str, compute: Callable[[ProxyEvidence], Tensor], *, unit: str, needs: Iterable[str] = ("unimodal_logits",)
) -> None:
    """Add your own proxy; `measure` and the setting `ecs` of a trainer then know its name.

    Parameters
    ----------
    name : str
        A name that is not built in; it replaces one that you registered before.
    compute : callable
        From `ProxyEvidence` to a tensor (M, K): the strength of each modality, in the order of
        `evidence.modalities`, on each class. The first line of its docstring is shown as the formula.
    unit : str
        Unit of the numbers.
    needs : iterable of str
        Fields of the evidence that it reads: "unimodal_logits", "embeddings", "inputs" or "model".

    Raises
    ------
    ConfigError
        A built-in name, or an unknown field.

    Notes
    -----
    It is called without gradients. A run that records it can be loaded only where it has been registered.

    Examples
    --------
    >>> def spread(evidence):
    ...     return torch.stack([z.std(0) for z in evidence.unimodal_logits.values()])
    >>> register("spread", spread, unit="logit")
    >>> available()["spread"].unit
    'logit'
    """
    instance(name, "name", str, "text", 'For example "spread".')
    if name in _BUILT_IN or not name.isidentifier():
        raise ConfigError(f"`name` must be an identifier that no built-in proxy uses; it was {name!r}. Rename it.")
    instance(compute, "compute", cast(type, Callable), "a function of ProxyEvidence", "See the example of `register`.")
    fields = tuple(choice(field, "needs", tuple(_REMEDY)) for field in ((needs,) if isinstance(needs, str) else needs))

    @wraps(compute)
    def checked(evidence: ProxyEvidence, settings: ProxySettings) -> Tensor:
        table, shape = compute(evidence), (len(evidence.modalities), evidence.n_classes)
        if not isinstance(table, Tensor) or tuple(table.shape) != shape:
            was = tuple(table.shape) if isinstance(table, Tensor) else type(table).__name__
            raise ShapeError(f"the proxy {name!r} must return a tensor of shape {shape}, (M, K); it returned {was}.")
        return table.to(torch.get_default_dtype())

    _PROXIES[name] = _Proxy(checked, unit, "embeddings", fields)
    _plan.cache_clear()


def measure(
    names: str | Iterable[str], evidence: ProxyEvidence, *, settings: ProxySettings | None = None
) -> list[ProxyResult]:
    """Measure proxies of competitive strength on one probe batch.

    Parameters
    ----------
    names : str or iterable of str
        Names from `available`; `"all"` measures every proxy for which the evidence suffices.
    evidence : ProxyEvidence
        Labels and logits, embeddings or the model, as the proxies need.
    settings : ProxySettings, optional
        Settings of the proxies that have any.

    Returns
    -------
    list of ProxyResult
        In the order of `names`. Numbers by modality are means over the classes present, unless the formula of the
        proxy says otherwise.

    Raises
    ------
    ConfigError
        If a name is not known.
    InputError
        If the evidence lacks what a proxy needs, for example unimodal logits when the model has no scorers.

    Notes
    -----
    The model is read, or, where its gradients have no closed form, copied and the copy put in evaluation mode: its
    parameters, gradients, buffers and training flag, and the global random state, stay as they were. A proxy says
    only what its formula says: `mi` and `ogm` say nothing of ECS at a cold start, and `linear_probe` and `cluster_mi`
    follow it poorly.

    Examples
    --------
    >>> import torch
    >>> evidence = ProxyEvidence(
    ...     target=torch.tensor([0, 1]), unimodal_logits={"image": 9 * torch.eye(2), "audio": torch.zeros(2, 2)}
    ... )
    >>> [result] = measure("mi", evidence)
    >>> round(result.by_modality["image"], 2), round(result.by_modality["audio"], 2)
    (1.0, 0.0)
    """
    settings = settings or _DEFAULTS
    instance(evidence, "evidence", ProxyEvidence, "ProxyEvidence", "See ProxyEvidence.from_model.")
    instance(settings, "settings", ProxySettings, "ProxySettings", "For example ProxySettings(seed=1).")
    absent = _absent(evidence)
    if isinstance(names, str):
        names = _usable(absent) if names == "all" else (names,)
    plan = _plan(tuple(instance(names, "names", Iterable, "a name or several", 'Try "all", or see `available()`.')))
    _need(plan, absent)
    sources: dict[str, object] = {"embeddings": evidence}
    of_model = "model" in plan.kinds
    layers = gradients.find_layers(evidence) if of_model else None
    with torch.inference_mode(not of_model or layers is not None):  # autograd fails in it
        if of_model:
            sources["model"] = gradients.make_bench(evidence, settings, layers)
        if "logits" in plan.kinds:
            sources["logits"] = ClassMeans(evidence, settings, plan.rows)
        strengths = [proxy.compute(sources[proxy.needs], settings) for proxy in plan.proxies]
    return _results(plan, strengths, evidence, settings)


def _results(
    plan: _Plan, strengths: list[Tensor], evidence: ProxyEvidence, settings: ProxySettings
) -> list[ProxyResult]:
    """Bring all numbers over in one piece for each width that they come in."""
    modalities, n_classes = evidence.modalities, cast(int, evidence.n_classes)
    results = cast("list[ProxyResult]", [None] * len(strengths))  # each place is filled below
    for places in plan.tables:
        # made outside inference mode, so that the numbers by class are ordinary tensors
        table = torch.cat([strengths[place] for place in places]).cpu()
        numbers, first = iter(weighted_sums(table, plan.weights(places, evidence, table))), 0
        for place in places:
            proxy = plan.proxies[place]
            results[place] = ProxyResult.of(
                name=plan.names[place],
                by_modality=dict(zip(modalities, numbers, strict=False)),
                by_class=ByModality(modalities, table, first, n_classes),
                unit=proxy.unit,
                cost=proxy.passes(settings),
            )
            first += len(modalities)
    return results


def _absent(evidence: ProxyEvidence) -> set[str]:
    """Names of the fields that the evidence does not have, or that are empty."""
    found = {name for name in ("unimodal_logits", "embeddings", "inputs") if not getattr(evidence, name)}
    return found if evidence.model is not None else found | {"model"}


def _lacks(proxy: _Proxy, absent: set[str]) -> str:
    """Name of the field that the proxy needs and the evidence does not have, or an empty string."""
    return next((name for name in proxy.fields if name in absent), "")


def _usable(absent: set[str]) -> list[str]:
    """Names of the proxies for which the evidence suffices."""
    return [name for name, proxy in _PROXIES.items() if not _lacks(proxy, absent)]


def _need(plan: _Plan, absent: set[str]) -> None:
    """Raise if the evidence lacks what a proxy needs."""
    for name, proxy in zip(plan.names, plan.proxies, strict=True) if absent else ():
        missing = _lacks(proxy, absent)
        if missing:
            usable = _usable(absent)
            instead = f", or measure one of {', '.join(map(repr, usable))} instead" if usable else ""
            raise InputError(
                f"`evidence` must have `{missing}` for the proxy {name!r}; it was None or empty. "
                f"{_REMEDY[missing]}{instead}."
            )


_REMEDY = {
    "unimodal_logits": "Give the model a scorer for each modality, as LateFusion has in `heads`",
    "embeddings": "Pass the outputs of the encoders",
    "model": "Pass the model and a batch of inputs",
    "inputs": "Pass a batch of inputs beside the model",
}

"""Proxies of Effective Competitive Strength for real networks: which there are, and one call that measures them.

ECS itself can be computed only in the solvable model (`mmpid.theory`). In a network, proxies stand in for it; how
well each follows ECS there is measured in `notebooks/03_ecs_and_the_error_laws.ipynb` and told in `docs/ecs.md`.
"""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch

from mmpid._validate import choice
from mmpid.ecs import gradients, logits, readouts
from mmpid.ecs.evidence import ProxyEvidence, ProxySettings
from mmpid.ecs.means import ClassMeans
from mmpid.ecs.results import ByModality, ProxyInfo, ProxyResult, ProxyTable
from mmpid.errors import InputError

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

    @property
    def formula(self) -> str:
        return inspect.getdoc(self.compute).splitlines()[0].rstrip(".")


def _of_logits(compute: Callable, unit: str, *rows: str) -> _Proxy:
    return _Proxy(compute, unit, "logits", ("unimodal_logits",), rows)


def _of_model(compute: Callable, unit: str, passes: Callable[[ProxySettings], float], *others: str) -> _Proxy:
    return _Proxy(compute, unit, "model", ("model", "inputs", *others), passes=passes)


_PROXIES = {
    "class_logit": _of_logits(logits.class_logit, "logit", "own"),
    "mi": _of_logits(logits.mi, "bit", "log_likelihood"),
    "gradient_share": _of_model(gradients.gradient_share, "share", lambda s: 3.0),
    "look_ahead": _of_model(gradients.look_ahead, "logit", lambda s: 3.0 * s.look_ahead_steps + 1, "unimodal_logits"),
    "logit_velocity": _of_model(gradients.logit_velocity, "logit per step size", lambda s: 5.0, "unimodal_logits"),
    "ogm": _of_logits(logits.ogm, "ratio", "confidence"),
    "margin": _of_logits(logits.margin, "logit", "own", "rival"),
    "shapley": _of_logits(logits.shapley, "bit", "log_likelihood", "coalitions"),
    "ntk_alignment": _of_model(gradients.ntk_alignment, "cosine", lambda s: 3.0, "unimodal_logits"),
    "prediction_mi": _of_logits(logits.prediction_mi, "bit", "predictions"),
    "cluster_mi": _of_logits(logits.cluster_mi, "bit", "clusters"),
    "linear_probe": _Proxy(readouts.linear_probe, "recall", "embeddings", ("embeddings",)),
}
_NAMES = tuple(_PROXIES)


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
    parameters, gradients, buffers and training flag, and the global random state, stay as they were. A proxy is no
    more than its formula: `mi` and `ogm` say nothing of ECS at a cold start, and `linear_probe` and `cluster_mi`
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
    asked = (names,) if isinstance(names, str) and names != "all" else names
    absent = _absent(evidence)
    if asked == "all":
        asked = [name for name, proxy in _PROXIES.items() if not _lacks(proxy, absent)]
    asked = [name if name in _NAMES else choice(name, "names", _PROXIES) for name in asked]
    _need(asked, absent)
    kinds = {_PROXIES[name].needs for name in asked}
    sources: dict[str, object] = {"embeddings": evidence}
    if "model" in kinds:
        sources["model"] = gradients.make_bench(evidence, settings)
    with torch.inference_mode(not isinstance(sources.get("model"), gradients.ModelBench)):  # autograd fails in it
        if "logits" in kinds:
            rows = (row for name in asked for row in _PROXIES[name].rows)
            sources["logits"] = ClassMeans(evidence, settings, rows)
        strengths = [_PROXIES[name].compute(sources[_PROXIES[name].needs], settings) for name in asked]
    return _results(asked, strengths, evidence, settings)


def _results(
    asked: list[str], strengths: list[logits.Strength], evidence: ProxyEvidence, settings: ProxySettings
) -> list[ProxyResult]:
    """Bring all numbers over in one piece; by modality a mean over classes where the proxy gives nothing else."""
    if not asked:
        return []
    # made outside inference mode, so that the numbers by class are ordinary tensors
    table = torch.cat([by_class for by_class, _ in strengths])
    own = [by_modality for _, by_modality in strengths if by_modality is not None]
    own = iter(torch.cat(own).tolist() if own else ())
    table, modalities, results, first = table.cpu(), evidence.modalities, [], 0
    means = [total / table.shape[1] for total in table.sum(1).tolist()]  # half the time of a mean
    if any(mean != mean for mean in means):  # a class has no samples
        means = table.nanmean(1).tolist()
    for name, (_, by_modality) in zip(asked, strengths, strict=True):
        proxy, numbers = _PROXIES[name], means[first : first + len(modalities)] if by_modality is None else own
        results.append(
            ProxyResult(
                name=name,
                by_modality=dict(zip(modalities, numbers, strict=False)),
                by_class=ByModality(modalities, table, first),
                unit=proxy.unit,
                cost=proxy.passes(settings),
            )
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


def _need(asked: list[str], absent: set[str]) -> None:
    """Raise if the evidence lacks what a proxy needs."""
    for name in asked if absent else ():
        missing = _lacks(_PROXIES[name], absent)
        if missing:
            usable = [other for other, p in _PROXIES.items() if not _lacks(p, absent)]
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

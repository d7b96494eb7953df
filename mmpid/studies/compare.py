"""Controls: all the training that a claim of gain must be shown beside, over seeds, in paired differences."""

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from mmpid import _validate
from mmpid._progress import progress_bar
from mmpid.datasets import MultimodalData
from mmpid.errors import ConfigError
from mmpid.models import LateFusion
from mmpid.rules import BalanceController, FixedEpoch, LeadPause, Manual
from mmpid.rules.controller import check_controller
from mmpid.studies.budget import share_budget
from mmpid.studies.comparison import Comparison
from mmpid.studies.inputs import build, draw
from mmpid.train.config import TrainConfig
from mmpid.train.trainer import Trainer

METHODS = {
    "unimodal": "each modality alone, for the whole budget; `ens` averages their logits",
    "joint": "joint cross-entropy from scratch",
    "joint+aux": "joint from scratch with the unimodal losses added",
    "frozen": "unimodal stage of fixed length, then only the joint head is trained",
    "fixed": "unimodal stage of fixed length, then joint training, no controller",
    "two-stage": "the controller decides",
    "random": "as fixed, at an epoch drawn at random for each seed",
    "mi": "as two-stage, pausing by all that a modality knows, I(Y; X_m), instead of what only it knows",
}
CONTROLS = ("unimodal", "joint", "joint+aux", "frozen", "fixed")
USUAL = (*CONTROLS, "two-stage")
TWO_STAGE = {"stage2": "off"}  # probes of stage 2 would only watch


def baselines(
    data: MultimodalData,
    *,
    seed: int = 0,
    methods: str | Iterable[str] = CONTROLS,
    model: Callable[[MultimodalData, int], LateFusion] | None = None,
    device: str = "auto",
    **settings,
):
    """Train the controls on one data set and return their test accuracies.

    Parameters
    ----------
    data : MultimodalData
        Every method gets the same splits, the same initial weights and the same order of samples.
    seed : int
        Seed of weights and order.
    methods : iterable of str, or "all"
        Some of "unimodal", "joint", "joint+aux", "frozen", "fixed", "two-stage", "random" and "mi".
    model : callable, optional
        Function from data and seed to a fresh model; by default ``LateFusion.from_data(data, seed=seed)``. A method
        that is trained with the same seed must get the same weights.
    device : str
        See :class:`Trainer`.
    **settings
        Fields of :class:`TrainConfig` that all methods share, such as `epochs=30, unimodal_epochs=15`; not
        `joint_epochs`, since every method spends the same budget.

    Returns
    -------
    pandas.DataFrame
        One row per method ("unimodal" gives one per modality and "ens"), with `test_accuracy` at the epoch selected on
        the validation split, and `selected_epoch`.

    Notes
    -----
    One seed says little: test sets of a few hundred samples move by several points. See :func:`compare`.

    Examples
    --------
    >>> import mmpid
    >>> data = mmpid.datasets.load("av-digits", seed=0)
    >>> frame = mmpid.baselines(data, methods=["unimodal"], epochs=1, unimodal_epochs=1, device="cpu")
    >>> frame.index.tolist()
    ['audio', 'image', 'ens']
    """
    import pandas as pd

    _validate.instance(data, "data", MultimodalData, "MultimodalData", "Try mmpid.datasets.load(name).")
    rows, methods = [], _listed(methods)
    if not methods:
        raise ConfigError(f"`methods` must name at least one of {', '.join(METHODS)}; it was empty.")
    for method in methods:
        rows += run_method(method, data, seed=seed, model=model, device=device, **settings)
    return pd.DataFrame(rows).set_index("method")


def run_method(
    method: str,
    data: MultimodalData,
    *,
    seed: int,
    controller: BalanceController | None = None,
    model: Callable[[MultimodalData, int], LateFusion] | None = None,
    device: str = "auto",
    **settings,
) -> list[dict]:
    """Train one method and return a row {method, test_accuracy, selected_epoch} for each classifier that it gives.

    With a `controller` it is a two-stage run of that controller, whatever the method is called.
    """
    settings = share_budget(settings)
    config = TrainConfig.make(**settings)
    if controller is None:
        method = _validate.choice(method, "method", METHODS)
        controller, own = _recipe(method, config, seed)
    else:
        own = TWO_STAGE
    net = build(model, data, seed)
    trainer = Trainer(net, data, controller=controller, seed=seed, device=device, **{**settings, **own})
    result = trainer.fit(progress=False).lineage("result")[-1]
    if method != "unimodal" and trainer.stage == "unimodal":
        raise ConfigError(
            f"method {method!r} never started joint training: `unimodal_epochs` = {config.unimodal_epochs} must leave "
            f"some of the {config.epochs} `epochs`, or the rule must switch before. Lower `unimodal_epochs`."
        )
    if method != "unimodal":
        return [_row(method, result, "joint")]
    return [_row(name, result, name) for name in (*data.modalities, "ens")]


def _listed(methods: str | Iterable[str]) -> tuple[str, ...]:
    """Return the names of methods; "all" names every one, any other string itself."""
    if isinstance(methods, str):
        return tuple(METHODS) if methods == "all" else (methods,)
    hint = f'Try "all", or some of {", ".join(METHODS)}.'
    return tuple(_validate.instance(methods, "methods", Iterable, "a name or several", hint))


def _recipe(method: str, config: TrainConfig, seed: int) -> tuple[BalanceController, dict]:
    """Return the controller and the settings by which a method differs from the two-stage run."""
    quiet = {"n_boot": 0, "n_null": 0, "correction": "none", "ecs": ()}
    if method == "two-stage":
        return BalanceController(), TWO_STAGE
    if method == "mi":
        return BalanceController(pause=LeadPause(measure="information")), TWO_STAGE
    if method == "unimodal":
        never = config.epochs + 1
        manual = BalanceController(rule=Manual(), pause=None)
        return manual, {**quiet, "unimodal_epochs": never, "probe_every": never}
    if method in ("joint", "joint+aux"):
        aux = {} if method == "joint+aux" else {"aux_weight": 0.0}
        return BalanceController(), {**quiet, **aux, "unimodal_epochs": 0, "stage2": "off"}
    epoch = config.unimodal_epochs or 0
    if not 0 < epoch < config.epochs:
        raise ConfigError(
            f"`unimodal_epochs` must lie between 1 and `epochs` - 1 = {config.epochs - 1} for method {method!r}; "
            f"it was {epoch}. It is the epoch at which joint training starts."
        )
    if method == "random":
        epoch = int(np.random.default_rng((seed, epoch)).integers(1, epoch + 1))
    fixed = BalanceController(rule=FixedEpoch(epoch=epoch), pause=None)
    own = {**quiet, "probe_every": epoch, "stage2": "off", "rewind": False}
    if method == "frozen":
        own |= {"freeze_encoders": True, "joint_lr_scale": 1.0}
    return fixed, own


def _row(method: str, result: dict, head: str) -> dict:
    epoch = result.get(f"selected_epoch.{head}")
    return {"method": method, "test_accuracy": result[f"test_accuracy.{head}"], "selected_epoch": epoch}


def compare(
    data: str | Callable[[int], MultimodalData],
    *,
    seeds: Iterable[int] = range(5),
    methods: str | Iterable[str] = USUAL,
    controllers: Mapping[str, BalanceController] | None = None,
    data_options: Mapping | None = None,
    model: Callable[[MultimodalData, int], LateFusion] | None = None,
    device: str = "auto",
    progress: bool = True,
    **settings,
) -> Comparison:
    """Train every method with every seed and return paired differences with 95 % intervals.

    Parameters
    ----------
    data : str or callable
        A built-in name, or a function from a seed to :class:`MultimodalData`: each seed has its own splits.
    seeds : iterable of int
        Seeds of data, weights and order; two or more for an interval.
    methods : iterable of str, or "all"
        See :func:`baselines`; "random" and "mi" only where they are asked for.
    controllers : mapping of str to BalanceController, optional
        Further two-stage runs, by name: rules and thresholds of your own.
    data_options : mapping, optional
        Options of :func:`mmpid.datasets.load`, for example `{"image_noise": 0}`.
    model : callable, optional
        See :func:`baselines`: encoders of your own, for data of your own.
    device, progress
        See :class:`Trainer` and :meth:`Trainer.fit`.
    **settings
        Fields of :class:`TrainConfig` that all methods share; as in :func:`baselines`, not `joint_epochs`.

    Examples
    --------
    >>> import mmpid
    >>> c = mmpid.compare("av-digits", seeds=[0, 1], methods=["unimodal"], epochs=1, unimodal_epochs=1, device="cpu")
    >>> c.to_frame().columns.tolist()
    ['seed', 'method', 'test_accuracy', 'selected_epoch']
    """
    seeds = _validate.seeds(seeds)
    _refuse_single(settings)
    runs = {**dict.fromkeys(_listed(methods)), **_named_controllers(controllers)}
    if not runs:
        raise ConfigError(f"`methods` must name at least one of {', '.join(METHODS)}, or `controllers` hold one.")
    rows = []
    with progress_bar(total=len(seeds) * len(runs), unit="run", show=progress) as bar:
        for seed in seeds:
            drawn = draw(data, seed, data_options)
            for method, controller in runs.items():
                bar.set_description(f"seed {seed}, {method}")
                own = run_method(
                    method, drawn, seed=seed, controller=controller, model=model, device=device, **settings
                )
                rows += [{"seed": seed, **row} for row in own]
                bar.update()
    return Comparison(tuple(rows))


def _refuse_single(settings: Mapping) -> None:
    """Refuse the singular of what a comparison takes several of."""
    for one, several in {"seed": "seeds=[0, 1, 2]", "controller": "controllers={'mine': controller}"}.items():
        if one in settings:
            raise ConfigError(f"`{one}` must be left out of a comparison; it was {settings[one]!r}. Try {several}.")


def _named_controllers(controllers: Mapping[str, BalanceController] | None) -> dict[str, BalanceController]:
    hint = "For example {'mine': BalanceController(rule=PeakSynergy())}."
    _validate.instance(controllers or {}, "controllers", Mapping, "a mapping of names to controllers", hint)
    for name, controller in (controllers or {}).items():
        check_controller(controller, f"controllers[{name!r}]")
    return dict(controllers or {})

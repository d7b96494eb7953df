"""What a method trains: names, callbacks, settings and controllers as recipes of one kind, and their registry."""

import copy
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from dataclasses import replace as with_changes
from functools import partial
from typing import Any

import numpy as np

from mmpid import _validate, methods
from mmpid.errors import ConfigError
from mmpid.rules import BalanceController, FixedEpoch, LeadPause, Manual
from mmpid.rules.controller import check_controller
from mmpid.train.callbacks import Callback, Callbacks
from mmpid.train.config import TrainConfig, describe

Plan = Callable[[TrainConfig, int], dict[str, Any]]
TWO_STAGE = {"stage2": "off"}  # probes of stage 2 would only watch
QUIET = {"n_boot": 0, "n_null": 0, "correction": "none", "ecs": ()}


@dataclass(frozen=True)
class Recipe:
    """One method of a study.

    Attributes
    ----------
    name : str
        Name in tables.
    plan : callable
        From the shared settings and the seed to what else the :class:`~mmpid.Trainer` gets: settings, `controller`,
        `callbacks`, and `model` (a function from data and seed).
    reads : {"joint", "unimodal", "ens"}
        Which classifiers of the run make rows: the joint head, each modality and their average, or the average alone.
    trains : str
        Name of the training; recipes that read one training differently share it.
    words : str
        What it is, in one line.
    """

    name: str
    plan: Plan
    reads: str = "joint"
    trains: str = ""
    words: str = ""

    @property
    def training(self) -> str:
        """Name under which the runs are kept."""
        return self.trains or self.name

    def describe(self, config: TrainConfig) -> dict[str, Any]:
        """Return what makes this training different, as plain JSON values."""
        own = dict(self.plan(config, 0))
        controller, callbacks = own.pop("controller", None), own.pop("callbacks", ())
        plain = {name: describe(value) for name, value in own.items()}
        if controller is not None:
            plain["controller"] = controller.to_dict()
        if callbacks:
            plain["callbacks"] = Callbacks(callbacks).specs
        return plain


RECIPES: dict[str, Recipe] = {}


def register(recipe: Recipe) -> Recipe:
    """Make a recipe known by its name to :func:`mmpid.compare`; return it.

    Examples
    --------
    >>> from mmpid.studies import Recipe, register
    >>> long = Recipe("long", lambda config, seed: {"unimodal_epochs": 0, "aux_weight": 1.0}, words="heavy heads")
    >>> register(long).name
    'long'
    >>> _ = RECIPES.pop("long")
    """
    _validate.instance(recipe, "recipe", Recipe, "a Recipe", "Try Recipe('mine', lambda config, seed: {...}).")
    if recipe.name in BUILT_IN:
        raise ConfigError(f"`recipe` must have a new name; {recipe.name!r} is built in. Choose another.")
    RECIPES[recipe.name] = recipe
    return recipe


# ---- the built-in recipes ------------------------------------------------------------------------------------------


def _unimodal(config: TrainConfig, seed: int) -> dict[str, Any]:
    never = config.epochs + 1
    manual = BalanceController(rule=Manual(), pause=None)
    return {"controller": manual, **QUIET, "unimodal_epochs": never, "probe_every": never}


def _joint(config: TrainConfig, seed: int, **own: Any) -> dict[str, Any]:
    return {"controller": BalanceController(), **QUIET, "unimodal_epochs": 0, "stage2": "off", **own}


def _switch(config: TrainConfig, seed: int, *, name: str, drawn: bool = False, **own: Any) -> dict[str, Any]:
    epoch = config.unimodal_epochs or 0
    if not 0 < epoch < config.epochs:
        raise ConfigError(
            f"`unimodal_epochs` must lie between 1 and `epochs` - 1 = {config.epochs - 1} for method {name!r}; "
            f"it was {epoch}. It is the epoch at which joint training starts."
        )
    if drawn:
        epoch = int(np.random.default_rng((seed, epoch)).integers(1, epoch + 1))
    fixed = BalanceController(rule=FixedEpoch(epoch=epoch), pause=None)
    return {"controller": fixed, **QUIET, "probe_every": epoch, "stage2": "off", "rewind": False, **own}


def _two_stage(config: TrainConfig, seed: int, *, measure: str = "") -> dict[str, Any]:
    controller = BalanceController(pause=LeadPause(measure=measure)) if measure else BalanceController()
    return {"controller": controller, **TWO_STAGE}


for _recipe in (
    Recipe("unimodal", _unimodal, "unimodal", words="each modality alone, whole budget; `ens` averages their logits"),
    Recipe("ens", _unimodal, "ens", "unimodal", words="the average of the logits of modalities trained alone"),
    Recipe("joint", partial(_joint, aux_weight=0.0), words="joint cross-entropy from scratch"),
    Recipe("joint+aux", partial(_joint), words="joint from scratch with the unimodal losses added"),
    Recipe(
        "frozen", partial(_switch, name="frozen", freeze_encoders=True, joint_lr_scale=1.0),
        words="unimodal stage of fixed length, then only the joint head is trained",
    ),
    Recipe("fixed", partial(_switch, name="fixed"), words="unimodal stage of fixed length, then joint training"),
    Recipe("two-stage", _two_stage, words="the controller decides"),
    Recipe("random", partial(_switch, name="random", drawn=True), words="as fixed, at an epoch drawn for each seed"),
    Recipe(
        "mi", partial(_two_stage, measure="information"),
        words="as two-stage, pausing by all that a modality knows, I(Y; X_m), instead of what only it knows",
    ),
):  # fmt: skip
    RECIPES[_recipe.name] = _recipe

BUILT_IN = frozenset(RECIPES)
METHODS = {name: recipe.words for name, recipe in RECIPES.items() if name != "ens"}


# ---- what a user passes ----------------------------------------------------------------------------------------------


def resolve(wanted: Any, controllers: Mapping[str, BalanceController] | None = None) -> dict[str, Recipe]:
    """Return recipes by name, in order; "all" means every built-in control."""
    if wanted == "all" and isinstance(wanted, str):
        wanted = list(METHODS)
    elif isinstance(wanted, Mapping):
        wanted = [with_changes(_one(spec, name), name=name) for name, spec in wanted.items()]
    elif isinstance(wanted, str | Callback | Recipe):
        wanted = [wanted]
    hint = f'Try "all", or some of {", ".join(METHODS)}.'
    found: dict[str, Recipe] = {}
    for spec in _validate.instance(wanted, "methods", Iterable, "a name or several", hint):
        recipe = spec if isinstance(spec, Recipe) else _one(spec)
        if found.get(recipe.name, recipe) != recipe:
            raise ConfigError(
                f"`methods` must have different names; two were {recipe.name!r}. Name them: methods={{'first': ...}}."
            )
        found[recipe.name] = recipe
    for name, controller in _named_controllers(controllers).items():
        found[name] = Recipe(name, partial(_with_controller, controller=controller))
    if not found:
        raise ConfigError(f"`methods` must name at least one of {', '.join(METHODS)}, or `controllers` must.")
    return found


def _with_controller(config: TrainConfig, seed: int, *, controller: BalanceController) -> dict[str, Any]:
    return {"controller": controller, **TWO_STAGE}


def _one(spec: Any, name: str = "") -> Recipe:
    """Return the recipe of a name, a callback, a list of callbacks, or a dict of settings."""
    if isinstance(spec, Recipe):
        return spec
    if isinstance(spec, str):
        return _named(spec)
    if isinstance(spec, BalanceController):
        return Recipe(name or "controller", partial(_with_controller, controller=spec))
    if isinstance(spec, Mapping):
        return _from_settings(dict(spec), name)
    if isinstance(spec, Callback) or (isinstance(spec, list | tuple) and spec):
        callbacks = Callbacks([spec] if isinstance(spec, Callback) else spec).all
        return _from_callbacks(callbacks, name)
    if isinstance(spec, type) and issubclass(spec, Callback):
        raise ConfigError(f"`methods` must hold objects; {spec.__name__} is a class. Try {spec.__name__}().")
    raise ConfigError(
        f"`methods` must hold names, callbacks, lists of callbacks, dicts of Trainer settings or Recipes; one was "
        f"{type(spec).__name__}. Try methods=['joint', mmpid.methods.OGMGE(alpha=0.8)]."
    )


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name).lower()


def _named(name: str) -> Recipe:
    """Return a registered recipe, or one of the field's methods with its own settings, also as "ogm-ge"."""
    if name in RECIPES:
        return RECIPES[name]
    field = {_plain(each): each for each in methods.available()}
    if _plain(name) in field and name not in ("",):
        return _from_callbacks((getattr(methods, field[_plain(name)])(),), name)
    return RECIPES[_validate.choice(name, "method", [*RECIPES, *field.values()])]


def _from_callbacks(callbacks: tuple[Callback, ...], name: str = "") -> Recipe:
    name = name or "+".join(each.label for each in callbacks)
    words = "; ".join((type(each).__doc__ or "").partition("\n")[0] for each in callbacks)
    return Recipe(name, partial(_hooked, callbacks=copy.deepcopy(callbacks)), words=words)


def _hooked(config: TrainConfig, seed: int, *, callbacks: tuple[Callback, ...]) -> dict[str, Any]:
    """Return joint training from scratch with callbacks; each may ask for settings of its own by `recipe`."""
    own: dict[str, Any] = {}
    for callback in callbacks:
        own |= getattr(callback, "recipe", {})
    return {**_joint(config, seed, aux_weight=0.0), "callbacks": copy.deepcopy(callbacks), **own}


def _from_settings(settings: dict[str, Any], name: str) -> Recipe:
    """Return a recipe from Trainer settings; "base" names a recipe that they change, "name" the method."""
    name = settings.pop("name", name)
    if not name:
        raise ConfigError(
            "`methods` must give a dict of settings a name; this had none: "
            f"{settings}. Try methods={{'slow': {settings}}}, or add 'name' to it."
        )
    base = _one(settings.pop("base")) if "base" in settings else None
    if "controller" in settings:
        check_controller(settings["controller"])
    settings["callbacks"] = Callbacks(settings.get("callbacks", ())).all
    known = ["controller", "callbacks", "model", "preset", *TrainConfig.__dataclass_fields__]
    for key in settings:
        _validate.choice(key, f"setting of method {name!r}", known)
    reads = base.reads if base else "joint"
    return Recipe(name, partial(_changed, base=base, settings=settings), reads)


def _changed(config: TrainConfig, seed: int, *, base: Recipe | None, settings: dict[str, Any]) -> dict[str, Any]:
    own = {key: value for key, value in settings.items() if key != "callbacks" or value}
    own = copy.deepcopy(own) if "callbacks" in own else dict(own)
    if base is None:
        return {**TWO_STAGE, **own}
    changed = {key: own[key] for key in own if key in TrainConfig.__dataclass_fields__}
    return {**base.plan(with_changes(config, **changed), seed), **own}


def _named_controllers(controllers: Mapping[str, BalanceController] | None) -> dict[str, BalanceController]:
    hint = "For example {'mine': BalanceController(rule=PeakSynergy())}."
    _validate.instance(controllers or {}, "controllers", Mapping, "a mapping of names to controllers", hint)
    for name, controller in (controllers or {}).items():
        check_controller(controller, f"controllers[{name!r}]")
    return dict(controllers or {})

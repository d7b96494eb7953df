"""Callbacks: a method of the field, or a user's own, hooks into a run without touching the trainer."""

import copy
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from mmpid.errors import CheckpointError, ConfigError, InputError, TrainingError
from mmpid.runs.state import State

if TYPE_CHECKING:
    from mmpid.train.context import Context

MOMENTS = (
    "setup", "on_fit_start", "on_epoch_start", "on_batch_start", "on_features", "compute_loss", "backward",
    "on_after_backward", "step_plan", "on_after_step", "on_epoch_end", "on_probe", "predict",
)  # fmt: skip
EXCLUSIVE = ("backward", "step_plan", "predict")  # only one callback can do these
BUILT_IN = "mmpid.methods."


class Callback:
    """Base of callbacks: override what you need; every method is optional.

    Moments, in the order in which they come. `ctx` is a :class:`~mmpid.train.context.Context`.

    * ``setup(ctx)``: the callback meets a trainer: a new, a loaded or a branched one. Add modules here.
    * ``on_fit_start(ctx)``: once per run, before its first epoch.
    * ``on_epoch_start(ctx)``: before the batches of an epoch.
    * ``on_batch_start(ctx)``: `ctx.inputs`, `ctx.target` and `ctx.index` may be replaced.
    * ``on_features(ctx)``: `ctx.features` may be replaced, rows removed with `ctx.keep_rows(mask)`.
    * ``compute_loss(ctx)``: return named terms that are added to the objective; `ctx.losses` holds the others and
      `ctx.loss_weights` their weights; both may be changed, as by a method with a joint loss of its own.
    * ``backward(ctx)``: compute the gradients yourself and return True. One callback at most.
    * ``on_after_backward(ctx)``: change `ctx.gradients(group)` in place, before clipping and the step.
    * ``step_plan(ctx)``: yield `(groups, terms)` for each of several optimizer steps; the loss terms of a step are
      computed after the step before it. None leaves the batch its usual step. One callback at most.
    * ``on_after_step(ctx)``: after the weights moved.
    * ``on_epoch_end(ctx)``: after validation; `ctx.validation` holds its scores.
    * ``on_probe(ctx)``: after a probe; `ctx.probe` is its row.
    * ``predict(ctx)``: return the joint logits (B, k) that evaluation should use, and the training accuracy of stage 2.
      One callback at most.

    A callback runs in the order in which it was given. Its state goes into every checkpoint, so that a run that was
    killed goes on bit for bit: keep everything that later batches depend on in :meth:`state_dict`. Its settings go
    into the metadata of the run.

    Notes
    -----
    Draw random numbers from `ctx.generator` only; others are not repeated when a run resumes.

    Examples
    --------
    >>> class Slow(Callback):
    ...     def __init__(self, modality, factor=0.5):
    ...         self.modality, self.factor = modality, factor
    ...     def on_after_backward(self, ctx):
    ...         for gradient in ctx.gradients(self.modality):
    ...             gradient.mul_(self.factor)
    ...         ctx.log("factor", self.factor)
    >>> Slow("audio").settings()
    {'modality': 'audio', 'factor': 0.5}
    """

    @property
    def label(self) -> str:
        """Name in rows of the record."""
        return type(self).__name__

    def setup(self, ctx: "Context") -> None:
        """Meet a trainer."""

    def on_fit_start(self, ctx: "Context") -> None:
        """Prepare the run."""

    def on_epoch_start(self, ctx: "Context") -> None:
        """Prepare an epoch."""

    def on_batch_start(self, ctx: "Context") -> None:
        """Change a batch."""

    def on_features(self, ctx: "Context") -> None:
        """Change the features."""

    def compute_loss(self, ctx: "Context") -> Mapping[str, Tensor] | None:
        """Return named loss terms."""

    def backward(self, ctx: "Context") -> bool:
        """Compute the gradients and return True, or leave it to the engine."""
        return False

    def on_after_backward(self, ctx: "Context") -> None:
        """Change the gradients."""

    def step_plan(self, ctx: "Context") -> Iterable[tuple[Sequence[str], Mapping[str, Tensor]]] | None:
        """Yield the optimizer steps of a batch, or return None for the usual one."""
        return None

    def on_after_step(self, ctx: "Context") -> None:
        """Look at the weights after a step."""

    def on_epoch_end(self, ctx: "Context") -> None:
        """Act between two epochs."""

    def on_probe(self, ctx: "Context") -> None:
        """Act on a probe."""

    def predict(self, ctx: "Context") -> Tensor:
        """Return joint logits; by default those of the fusion head."""
        return ctx.logits["joint"]

    def settings(self) -> dict[str, Any]:
        """Return the settings as plain values: public attributes that are numbers, text, None, or lists of these."""
        return {key: value for key, value in vars(self).items() if not key.startswith("_") and _is_plain(value)}

    def state_dict(self) -> dict[str, Any]:
        """Return what later batches depend on: tensors and plain values, in dicts with text as keys."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what :meth:`state_dict` returned."""


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


def qualified_name(thing: Any) -> str:
    """Return module and qualified name of a class, a function, or of an object's class."""
    named = thing if hasattr(thing, "__qualname__") else type(thing)
    return f"{named.__module__}.{named.__qualname__}"


class Callbacks:
    """The callbacks of a run, in order: calls those that override a moment, and names the one that fails."""

    def __init__(self, callbacks: Iterable[Callback] = ()):
        self.all = tuple(_checked(callbacks))
        self.specs = {
            callback.label: {"class": qualified_name(callback), **callback.settings()} for callback in self.all
        }
        self.hooks: dict[str, list[tuple[Callback, Callable[..., Any]]]] = {
            moment: [(one, getattr(one, moment)) for one in self.all if _overrides(one, moment)] for moment in MOMENTS
        }
        for moment in EXCLUSIVE:
            if len(self.hooks[moment]) > 1:
                names = " and ".join(one.label for one, _ in self.hooks[moment])
                raise ConfigError(
                    f"`callbacks` must hold at most one callback that defines `{moment}`; {names} do. Leave one out."
                )

    def __bool__(self) -> bool:
        return bool(self.all)

    def has(self, *moments: str) -> bool:
        """Whether some callback overrides one of the moments."""
        return any(self.hooks[moment] for moment in moments)

    def call(self, moment: str, ctx: "Context") -> list[tuple[Callback, Any]]:
        """Call a moment on every callback that has it, in order; return what each gave."""
        answers = []
        for callback, hook in self.hooks[moment]:
            ctx.caller = callback.label
            try:
                answers.append((callback, hook(ctx)))
            except Exception as problem:
                raise blame(callback, moment, problem) from problem
        return answers

    def copies(self) -> list[Callback]:
        """Return independent copies, for a branch or another run."""
        return copy.deepcopy(list(self.all))

    def state_dict(self) -> dict[str, Any]:
        """Return the state of every callback, by label."""
        state: dict[str, Any] = {}
        for callback in self.all:
            try:
                own = callback.state_dict()
                state[callback.label] = State.pack(own, f"{callback.label}.state_dict()").unpack()
            except Exception as problem:
                raise blame(callback, "state_dict", problem) from problem
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Give every callback its state."""
        for callback in self.all:
            try:
                callback.load_state_dict(copy.deepcopy(dict(state[callback.label])))
            except Exception as problem:
                raise blame(callback, "load_state_dict", problem) from problem


def blame(callback: Callback, moment: str, problem: Exception) -> TrainingError:
    """Return an error that names a callback and the moment in which it failed."""
    return TrainingError(
        f"callback {callback.label!r} failed in `{moment}`: {type(problem).__name__}: {problem} The run has stopped "
        f"between two batches and keeps its state; fix the callback and go on, or load the run without it."
    )


def _overrides(callback: Callback, moment: str) -> bool:
    return getattr(type(callback), moment) is not getattr(Callback, moment) or moment in vars(callback)


def _checked(callbacks: Iterable[Callback]) -> list[Callback]:
    """Return callbacks as a list, each an object of its own with a name of its own."""
    if isinstance(callbacks, Callback) or not isinstance(callbacks, Iterable):
        raise InputError(f"`callbacks` must be a list; it was {callbacks!r}. Try callbacks=[{callbacks!r}].")
    found = list(callbacks)
    for callback in found:
        if isinstance(callback, type) and issubclass(callback, Callback):
            name = callback.__name__
            raise InputError(f"`callbacks` must hold objects; {name} is a class. Try {name}().")
        if not isinstance(callback, Callback):
            raise InputError(
                f"`callbacks` must hold objects of mmpid.Callback; one was {type(callback).__name__}. Derive its class "
                "from mmpid.Callback."
            )
    labels = [callback.label for callback in found]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise ConfigError(
            f"`callbacks` must have different labels; {', '.join(twice)} came twice. Give one of them another "
            "`label` (a property of its class)."
        )
    return found


def rebuild_callbacks(specs: Mapping[str, Mapping[str, Any]], given: Iterable[Callback] | None) -> list[Callback]:
    """Return the callbacks of a saved run: those given, which must be the same, or our own methods made again."""
    if given is not None:
        found = Callbacks(given)
        if found.specs != specs:
            raise CheckpointError(
                f"`callbacks` must be those of the run, made the same way and in the same order: {_shown(specs)}; they "
                f"were {_shown(found.specs)}."
            )
        return list(found.all)
    missing = [label for label, spec in specs.items() if not spec["class"].startswith(BUILT_IN)]
    if missing:
        raise CheckpointError(
            f"the run used custom callbacks, {', '.join(missing)}; pass `callbacks=` made the same way: "
            f"{_shown(specs)}."
        )
    return [_rebuild(spec) for spec in specs.values()]


def _rebuild(spec: Mapping[str, Any]) -> Callback:
    """Make one of our own methods again from its settings."""
    import importlib

    module, _, name = spec["class"].rpartition(".")
    made = getattr(importlib.import_module(module), name)
    accepted = inspect.signature(made).parameters
    return made(**{key: value for key, value in spec.items() if key in accepted})


def _shown(specs: Mapping[str, Mapping[str, Any]]) -> str:
    calls = []
    for label, spec in specs.items():
        calls.append(f"{label}({', '.join(f'{k}={v!r}' for k, v in spec.items() if k != 'class')})")
    return f"[{', '.join(calls)}]"

"""One batch with callbacks: the engine's step, with a hook at every moment."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from mmpid.errors import InputError, ShapeError
from mmpid.train.batch_values import LazyLogits, check_terms
from mmpid.train.callbacks import Callback, Callbacks, blame
from mmpid.train.context import Context
from mmpid.train.engine import Answer, Engine, detached
from mmpid.train.evaluation import autocast

Step = tuple[Sequence[str], Mapping[str, Tensor]]  # the groups that move, and the terms of the loss

IN_BATCH = (
    "on_batch_start", "on_features", "compute_loss", "backward", "on_after_backward", "step_plan", "on_after_step",
    "predict",
)  # fmt: skip  # `predict` gives the training accuracy


class HookedStep:
    """Takes the step of a batch and calls the callbacks on the way.

    Attributes
    ----------
    watched : bool
        Whether a callback has a hook within a batch; without one the engine takes the step alone.
    moved : bool
        Whether the weights have moved since the batch was taken up: a callback that fails later cannot undo it.
    """

    def __init__(self, engine: Engine, callbacks: Callbacks, ctx: Context):
        self.engine, self.callbacks, self.ctx = engine, callbacks, ctx
        self.moved = False
        self.watched = callbacks.has(*IN_BATCH)

    def take(
        self, inputs: Mapping[str, Tensor], target: Tensor, index: Tensor, muted: Mapping[str, Tensor],
        active: Sequence[str], stage: str,
    ) -> Answer:  # fmt: skip
        """Train on a batch; return losses, named terms included, and logits, of the weights before the step."""
        ctx, engine, self.moved = self.ctx, self.engine, False
        ctx.start_batch(inputs, target, index)
        if not muted and not self.watched:
            answer = engine.update(inputs, target, active, stage)
            self.moved = True
            return answer
        ctx.muted = dict(muted)
        self.callbacks.call("on_batch_start", ctx)
        with autocast(engine.device, engine.config.precision):
            self._embed(active, stage)
            if (plan := self._planned()) is not None:
                return self._follow_plan(*plan)
            logits = engine.logits(ctx.features, stage)
            ctx.logits = LazyLogits(engine.model, ctx.features, logits)
            ctx.losses = {name: engine.loss(z, ctx.target) for name, z in logits.items()}
            total, terms = self._objective(active, stage)
            if stage == "joint" and self.callbacks.has("predict"):  # training accuracy by the rule of evaluation
                with torch.no_grad():
                    logits["joint"] = self.callbacks.call("predict", ctx)[0][1]
        engine.clear_gradients()
        if not any(answer is True for _, answer in self.callbacks.call("backward", ctx)):
            engine.backward(total)
        self._move()
        answer = detached({**ctx.losses, **terms}), detached(logits)
        ctx.release_graph()
        return answer

    def _embed(self, active: Sequence[str], stage: str) -> None:
        """Fill the features of the batch, and let callbacks change them within their shapes."""
        ctx = self.ctx
        ctx.features = self.engine.embed(ctx.inputs, active, stage)
        made, target = dict(ctx.features), ctx.target
        answers = self.callbacks.call("on_features", ctx)
        if ctx.target is not target or not _same_objects(ctx.features, made):
            shapes = {name: x.shape[1:] for name, x in made.items()}
            for callback, _ in answers:
                try:
                    _check_features(ctx.features, shapes, len(ctx.target))
                except InputError as problem:
                    raise blame(callback, "on_features", problem) from problem
        for name, rows in ctx.muted.items():
            if name in ctx.features:
                shape = (-1, *[1] * (ctx.features[name].ndim - 1))
                ctx.features[name] = ctx.features[name].masked_fill(rows.to(ctx.target.device).view(shape), 0.0)

    def _objective(self, active: Sequence[str], stage: str) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the sum to minimize and the terms that callbacks added to it."""
        ctx, engine = self.ctx, self.engine
        usual = default_weights(ctx.losses, active, stage, engine.config.aux_weight)
        ctx.loss_weights = dict(usual)
        terms: dict[str, Tensor] = {}
        answers = self.callbacks.call("compute_loss", ctx)
        taken = [*engine.model.modalities, "joint", "ens"] if answers else []
        for callback, answer in answers:
            try:
                terms |= check_terms(answer, [*taken, *terms])
            except InputError as problem:
                raise blame(callback, "compute_loss", problem) from problem
        if ctx.loss_weights == usual:
            total = engine.objective(ctx.losses, active, stage)
        else:
            total = torch.stack([weight * ctx.losses[name] for name, weight in ctx.loss_weights.items()]).sum()
        for term in terms.values():
            total = total + term
        return total, terms

    def _move(self) -> None:
        """Give the gradients to the callbacks and take the step."""
        self.engine.finish_gradients()
        self.callbacks.call("on_after_backward", self.ctx)
        self.engine.move()
        self.moved = True
        self.callbacks.call("on_after_step", self.ctx)

    def _planned(self) -> tuple[Callback, Iterator[Step]] | None:
        """Return the callback that plans the steps of this batch, and its plan; None leaves the batch its one step."""
        for callback, hook in self.callbacks.hooks["step_plan"]:
            self.ctx.caller = callback.label
            try:
                plan = hook(self.ctx)
                return None if plan is None else (callback, iter(plan))
            except Exception as problem:
                raise blame(callback, "step_plan", problem) from problem
        return None

    def _follow_plan(self, callback: Callback, steps: Iterator[Step]) -> Answer:
        """Take the optimizer steps that a callback plans; the loss of each is computed after the step before it."""
        ctx, engine, losses = self.ctx, self.engine, {}
        while (step := self._next_step(callback, steps)) is not None:
            groups, terms = step
            losses |= terms
            total = torch.stack(list(terms.values())).sum()
            engine.clear_gradients()
            engine.backward(total)
            wanted = {id(p) for group in groups for p in ctx.parameters(group)}
            for group in engine.optimizer.param_groups:
                for parameter in group["params"]:
                    parameter.grad = parameter.grad if id(parameter) in wanted else None
            self._move()
            ctx.caller = callback.label
        ctx.release_graph()
        return detached(losses), {}

    def _next_step(self, callback: Callback, steps: Iterator[Step]) -> tuple[Sequence[str], dict[str, Tensor]] | None:
        """Return groups and loss terms of the next step of a plan, or None at its end."""
        try:
            for groups, terms in steps:
                for group in groups:
                    self.ctx.parameters(group)
                return groups, check_terms(terms, ())
        except Exception as problem:
            raise blame(callback, "step_plan", problem) from problem
        return None


def default_weights(losses: Mapping[str, Tensor], active: Sequence[str], stage: str, aux: float) -> dict[str, float]:
    """Return the weight of each loss in the objective of a stage."""
    if stage == "unimodal":
        return dict.fromkeys(losses, 1.0)
    return {name: 1.0 if name == "joint" else aux if name in active else 0.0 for name in losses}


def _same_objects(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(one[name] is x for name, x in other.items())


def _check_features(features: Mapping[str, Tensor], shapes: Mapping[str, torch.Size], n_rows: int) -> None:
    """Refuse features of other modalities, sizes or rows than the batch has."""
    found = {name: tuple(x.shape) for name, x in features.items()}
    wanted = {name: (n_rows, *shape) for name, shape in shapes.items()}
    if found != wanted:
        raise ShapeError(
            f"`ctx.features` must keep its modalities and shapes, {wanted}; they were {found}. Remove rows with "
            "ctx.keep_rows(mask)."
        )

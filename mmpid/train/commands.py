"""Commands: what the user or the controller decides is carried out and written down; all of it can be undone."""

from dataclasses import replace
from typing import Any

import numpy as np

from mmpid import _validate
from mmpid.errors import CheckpointError, ConfigError, InputError
from mmpid.rules.base import SwitchRule, what_changed
from mmpid.rules.decision import Decision
from mmpid.train.checkpoints import Checkpoints
from mmpid.train.dry_pass import check_batch_size
from mmpid.train.run import Run


class Commands:
    """Carries decisions out on a run; the only way in which training is steered."""

    def __init__(self, run: Run, checkpoints: Checkpoints):
        self.run, self.checkpoints = run, checkpoints

    # ---- by hand -------------------------------------------------------------------------------------------------

    def pause(self, modality: str) -> None:
        """Stop training one modality's encoder until :meth:`resume`; at least one other must stay active."""
        at = self._check_modality(modality)
        if at.active == (modality,):
            raise ConfigError(f"{modality!r} is the only active modality; resume another one before pausing it.")
        if modality in at.active:
            self.apply(Decision(action="pause", reason="by hand", epoch=at.epoch, modality=modality), "user")

    def resume(self, modality: str) -> None:
        """Train a paused modality's encoder again."""
        at = self._check_modality(modality)
        if modality not in at.active:
            self.apply(Decision(action="resume", reason="by hand", epoch=at.epoch, modality=modality), "user")

    def _check_modality(self, modality: str):
        _validate.choice(modality, "modality", self.run.data.modalities, InputError)
        return self.run.position

    def set_learning_rate(self, lr: float, modality: str | None = None) -> None:
        """Train with another learning rate from the next batch on.

        Parameters
        ----------
        lr : float
            The rate itself, not a factor.
        modality : str, optional
            A modality, or "joint" for the fusion head in stage 2; by default all of them.

        Notes
        -----
        The rate belongs to the state: a rewind and a resumed run restore what was in force then, and a schedule goes
        on from it. Stage 2 starts with the rates of the settings.
        """
        lr = _validate.number(lr, "lr", low=0, open_low=True, finite=True)
        rates = self.run.engine.learning_rates
        if modality == "joint" and "joint" not in rates:
            raise ConfigError('stage 1 has no joint head to train; set the rate of "joint" after the switch.')
        if modality is not None:
            rates = {modality: rates[_validate.choice(modality, "modality", rates, InputError)]}
        before = list(dict.fromkeys(rates.values()))
        self.run.engine.set_learning_rate(lr, tuple(rates))
        self.note(
            "learning_rate", f"by hand: {' / '.join(f'{x:g}' for x in before)} -> {lr:g}", "user",
            modality=modality or "", old=before[0] if len(before) == 1 else None, new=lr,
        )  # fmt: skip

    def set_batch_size(self, n: int) -> None:
        """Train with batches of `n` samples from the next batch on, for example when memory ran out.

        What is left of an epoch that is under way is cut again. The size belongs to the state: a rewind and a resumed
        run restore what was in force then. Smaller batches mean more updates per epoch at the same learning rate.
        """
        n, run = _validate.number(n, "n", low=1, integer=True), self.run
        check_batch_size(n, "n", run.epoch.joins_single)
        before = run.batch_size
        if n == before:
            return
        run.position.batch_size = n
        if run.position.batch:
            run.epoch.cut_rest(run.position, n)
        self.note("batch_size", f"by hand: {before} -> {n}", "user", old=before, new=n)

    def set_rule(self, rule: SwitchRule) -> None:
        """Let the controller decide by another switch rule, such as ``FixedEpoch(epoch=12)``, from the next probe on.

        What earlier probes made of the old rule stays. A resumed run goes on with the new one; a rewind keeps it.
        """
        if not isinstance(rule, SwitchRule):
            raise ConfigError(f"`rule` must be a SwitchRule, such as FixedEpoch(epoch=12); it was {rule!r}.")
        before = self.run.controller.rule
        if rule != before:
            self.run.controller = replace(self.run.controller, rule=rule)
            self.note("rule", f"by hand: {what_changed(before, rule)}", "user", rule=rule.name)

    def switch_to_joint(self, rewind: bool | int = True, *, from_scratch: bool = False) -> None:
        """Start stage 2.

        Parameters
        ----------
        rewind : bool or int
            True starts from the probe that the controller's rule names best (for :class:`PeakSynergy` the peak),
            False from the present state, a number from the probe at that epoch.
        from_scratch : bool
            Hand nothing over: the fusion head starts as it was initialized, at the full learning rate, and unless
            `rewind` is False or a number, from the untrained encoders. From epoch 0 it is what `unimodal_epochs=0`
            does, with the epochs that are left.
        """
        run = self.run
        if run.position.stage == "joint":
            raise ConfigError("joint training has already started; `rewind(to=epoch)` or `branch(at=epoch)` go back.")
        if run.position.epochs_run >= run.config.epochs:
            raise ConfigError(
                f"the budget of {run.config.epochs} epochs is spent, so nothing is left to train jointly; "
                f"`branch(at=epoch)` can still spend the budget from there."
            )
        from_scratch = _validate.flag(from_scratch, "from_scratch")
        target = self._start_of_stage_two(rewind, from_scratch)
        reason = "by hand, from scratch" if from_scratch else "by hand"
        epoch = run.position.epoch
        decision = Decision(action="switch", reason=reason, epoch=epoch, rewind_to=target, from_scratch=from_scratch)
        self.apply(decision, "user")

    def _start_of_stage_two(self, rewind: bool | int, from_scratch: bool) -> int | None:
        """Return the epoch whose probe stage 2 starts from; None for the present state."""
        rewind = bool(rewind) if isinstance(rewind, np.bool_) else rewind
        if rewind is False:
            return None
        if rewind is True and from_scratch:
            rewind = 0
        elif rewind is True:
            best = self.run.controller.best(self.run.record)
            if best is None:
                raise ConfigError("there is no probe to rewind to yet; train an epoch first, or use rewind=False.")
            rewind = best.epoch
        target = _validate.number(rewind, "rewind", low=0, integer=True)
        self.checkpoints.find(target, self.run.record)
        return target

    def rewind(self, to: int) -> None:
        """Go back to the probe at epoch `to`; what came after stays in the record as a discarded future.

        The epochs spent there stay spent: the budget counts them. Where it is used up, what goes on from here is only
        the result of that state; :meth:`Trainer.branch` can still spend the budget from there.
        """
        self.go_back(_validate.number(to, "to", low=0, integer=True), "by hand", "user")

    # ---- carrying out ----------------------------------------------------------------------------------------------

    def apply(self, decision: Decision, source: str) -> None:
        """Carry out a decision and write it down."""
        at, names = self.run.position, self.run.data.modalities
        if decision.action == "pause":
            if at.active == (decision.modality,):
                return
            self._set_active(tuple(name for name in at.active if name != decision.modality))
        elif decision.action == "resume":
            self._set_active(tuple(m for m in names if m in at.active or m == decision.modality))
        elif decision.action == "switch":
            if decision.rewind_to is not None and (decision.rewind_to != at.epoch or at.batch):
                self.go_back(decision.rewind_to, f"joint training starts from epoch {decision.rewind_to}", source)
            self._start_joint(decision.from_scratch)
        self.run.append("decision", **decision.to_row(source))

    def note(self, action: str, reason: str, source: str, *, modality: str = "", rule: str = "", **values: Any) -> None:
        """Write a decision down."""
        self.run.append("decision", action=action, modality=modality, reason=reason, rule=rule, source=source, **values)

    def _set_active(self, active: tuple[str, ...]) -> None:
        self.run.position.active = active
        self.run.engine.set_trainable(self.run.position.stage, active)

    def _start_joint(self, from_scratch: bool) -> None:
        """Begin stage 2 from the present weights, every modality active; from scratch nothing is handed over."""
        run = self.run
        at = run.position
        at.stage, at.active, at.batch, at.joint_epochs = "joint", run.data.modalities, 0, 0
        if run.config.fusion_init == "heads" and not from_scratch:
            run.model.start_joint_from_heads()
        run.selector.forget()
        run.enter_stage(from_scratch)

    def go_back(self, epoch: int, reason: str, source: str) -> None:
        """Restore the probe of an epoch as the start of a new segment; the budget that was spent stays spent."""
        state = self.checkpoints.find(epoch, self.run.record).unpack()
        self.restore(state, self.run.position.segment, reason, source)

    def restore(self, state: dict[str, Any], parent: int, reason: str, source: str) -> None:
        """Stand where a state was taken, in a new segment whose past is that of the segment `parent`."""
        run, now, auto = self.run, replace(self.run.position), self.run.auto
        run.load_state_dict(state)
        run.auto = auto  # who decides is the user's choice of today, not of then
        at = run.position
        at.segment = 1 + max(row["segment"] for row in run.record.rows)
        at.step, at.epochs_run = now.step, now.epochs_run
        at.decided, at.finished = True, False
        why = f"{reason} (was at epoch {now.epoch})"
        self.note("rewind", why, source, parent=parent, from_row=state["n_rows"])

    def recover(self, reason: str) -> int | None:
        """Return to the latest readable checkpoint of the present path after a broken loss; return its epoch."""
        for epoch in reversed(self.checkpoints.epochs(self.run.record)):
            try:
                self.go_back(epoch, reason, "trainer")
            except CheckpointError:
                continue
            return epoch
        return None

"""Steering: what the user or the controller decides is carried out and written down, and the past can be taken up."""

from dataclasses import replace

from mmpid import _validate
from mmpid.errors import CheckpointError, ConfigError, InputError
from mmpid.rules.controller import BalanceController
from mmpid.rules.decision import Decision
from mmpid.rules.switch import SwitchRule, what_changed
from mmpid.runs.checkpoint import CheckpointStore, State
from mmpid.runs.folder import RunFolder
from mmpid.train.loop import Loop


class Steering(Loop):
    """A loop that keeps a checkpoint at every probe and obeys its user and a controller; all undoable."""

    controller: BalanceController
    checkpoints: CheckpointStore
    folder: RunFolder | None
    auto: bool

    # ---- by hand -----------------------------------------------------------------------------------------------

    def probe(self) -> dict:
        """Decompose the present embeddings now, append the row to the record and return it.

        Between two epochs it also keeps a checkpoint, as every probe there does.
        """
        with self._own_threads_and_random_numbers():
            row = self._measure()
        if not self._at.batch:
            self._keep_checkpoint()
        return row

    def pause(self, modality: str) -> None:
        """Stop training one modality's encoder until :meth:`resume`; at least one other must stay active."""
        self._check_modality(modality)
        if self.active == (modality,):
            raise ConfigError(f"{modality!r} is the only active modality; resume another one before pausing it.")
        if modality in self.active:
            self._apply(Decision(action="pause", reason="by hand", epoch=self.epoch, modality=modality), "user")

    def resume(self, modality: str) -> None:
        """Train a paused modality's encoder again."""
        self._check_modality(modality)
        if modality not in self.active:
            self._apply(Decision(action="resume", reason="by hand", epoch=self.epoch, modality=modality), "user")

    def set_learning_rate(self, lr: float, modality: str | None = None) -> None:
        """Train with another learning rate from the next batch on.

        Parameters
        ----------
        lr : float
            The rate itself, not a factor.
        modality : str, optional
            A modality, or "joint" for the joint head in stage 2; by default all of them.

        Notes
        -----
        The rate belongs to the state: a rewind and a resumed run restore what was in force then, and a schedule goes
        on from it. Stage 2 starts with the rates of the settings.
        """
        lr = _validate.number(lr, "lr", low=0, open_low=True, finite=True)
        groups = {group["name"]: group for group in self._optimizer.param_groups}
        if modality == "joint" and "joint" not in groups:
            raise ConfigError('there is no joint head to train in stage 1; set the rate of "joint" after the switch.')
        if modality is not None:
            groups = {modality: groups[_validate.choice(modality, "modality", groups, InputError)]}
        before = " / ".join(dict.fromkeys(f"{group['lr']:g}" for group in groups.values()))
        for group in groups.values():
            group["lr"] = lr
        self._note("learning_rate", f"by hand: {before} -> {lr:g}", "user", modality=modality or "")

    def set_batch_size(self, n: int) -> None:
        """Train with batches of `n` samples from the next batch on, for example when memory ran out.

        Parameters
        ----------
        n : int
            Samples of a batch. What is left of an epoch that is under way is cut anew.

        Notes
        -----
        The size belongs to the state: a rewind and a resumed run restore what was in force then. Smaller batches mean
        more updates an epoch at the same learning rate; see :meth:`set_learning_rate`.
        """
        n, before = _validate.number(n, "n", low=1, integer=True), self.batch_size
        if n == before:
            return
        self._at.batch_size = n
        if self._at.batch:
            self._cut_rest()
        self._note("batch_size", f"by hand: {before} -> {n}", "user")

    def follow(self, rule: SwitchRule) -> None:
        """Let the controller decide by another switch rule from the next probe on.

        Parameters
        ----------
        rule : SwitchRule
            The rule that says when joint training starts, such as ``FixedEpoch(epoch=12)``.

        Notes
        -----
        What earlier probes made of the old rule stays. A resumed run goes on with the new one; a rewind keeps it.
        """
        if not isinstance(rule, SwitchRule):
            raise ConfigError(f"`rule` must be a SwitchRule, such as FixedEpoch(epoch=12); it was {rule!r}.")
        before = self.controller.rule
        if rule != before:
            self.controller = replace(self.controller, rule=rule)
            self._note("rule", f"by hand: {what_changed(before, rule)}", "user", rule=rule.name)

    def switch_to_joint(self, rewind: bool | int = True, *, from_scratch: bool = False) -> None:
        """Start stage 2.

        Parameters
        ----------
        rewind : bool or int
            True starts from the probe that the controller's rule names best (for :class:`PeakSynergy` the peak),
            False from the present state, a number from the probe at that epoch.
        from_scratch : bool
            Hand nothing over: the joint head starts as it was initialized, at the full learning rate, and unless
            `rewind` is False or a number, from the untrained encoders. From epoch 0 it is what `unimodal_epochs=0`
            does, with the epochs that are left.
        """
        if self.stage == "joint":
            raise ConfigError("joint training has already started; `rewind(to=epoch)` or `branch(at=epoch)` go back.")
        if self._at.epochs_run >= self.config.epochs:
            raise ConfigError(
                f"the budget of {self.config.epochs} epochs is spent, so nothing is left to train jointly; "
                f"`branch(at=epoch)` has the rest of the budget from there."
            )
        from_scratch = _validate.flag(from_scratch, "from_scratch")
        if rewind is True and from_scratch:
            rewind = 0
        elif rewind is True:
            best = self.controller.rule.best(self.record)
            if best is None:
                raise ConfigError("there is no probe to rewind to yet; train an epoch first, or use rewind=False.")
            rewind = best["epoch"]
        target = None if rewind is False else _validate.number(rewind, "rewind", low=0, integer=True)
        if target is not None:
            self._find_checkpoint(target)
        reason = "by hand, from scratch" if from_scratch else "by hand"
        decision = Decision(
            action="switch", reason=reason, epoch=self.epoch, rewind_to=target, from_scratch=from_scratch
        )
        self._apply(decision, "user")

    def rewind(self, to: int) -> None:
        """Go back to the probe at epoch `to`; what came after stays in the record as a discarded future.

        The epochs spent there stay spent: the budget counts them. Where it is used up, what goes on from here is only
        the result of that state; :meth:`branch` has the rest of the budget from there.
        """
        self._rewind(_validate.number(to, "to", low=0, integer=True), "by hand", "user")

    def _check_modality(self, modality: str) -> None:
        _validate.choice(modality, "modality", self.modalities, InputError)

    # ---- deciding --------------------------------------------------------------------------------------------

    def _probe_and_decide(self) -> None:
        """Probe, keep a checkpoint of this moment, and let the controller act on it."""
        self._measure()
        self._at.decided = False
        self._keep_checkpoint()
        self._before_epoch()

    def _measure(self) -> dict:
        """Append a probe of the present embeddings to the record."""
        return self._append("probe", **self._active_flags(), **self._prober.measure(self.model))

    def _before_epoch(self) -> None:
        """Ask the controller about the latest probe, once, if it is in charge."""
        if self._at.decided or not self.auto or self._is_spent:
            return
        self._at.decided = True
        if self.stage == "joint" and self.config.stage2 != "balance":
            return
        for decision in self.controller.decide(self.record):
            self._apply(self._within_reach(decision), "controller")

    def _within_reach(self, decision: Decision) -> Decision:
        """Let a switch start from a state that there is: the one it names, or else the nearest that is kept.

        A probe that was asked for within an epoch has no checkpoint, and the budget of checkpoints drops some.
        """
        wanted = decision.rewind_to if self.config.rewind else None
        if wanted in (None, self.epoch):
            return replace(decision, rewind_to=wanted)
        for epoch in sorted(dict(self._path_checkpoints()), key=lambda epoch: (abs(epoch - wanted), -epoch)):
            try:
                self._find_checkpoint(epoch)
            except CheckpointError:
                continue
            lost = "" if epoch == wanted else f" (the state of epoch {wanted} is not kept; the nearest is {epoch})"
            return replace(decision, rewind_to=epoch, reason=decision.reason + lost)
        return replace(decision, rewind_to=None, reason=f"{decision.reason} (no earlier state is kept)")

    def _apply(self, decision: Decision, source: str) -> None:
        """Carry out a decision and write it down; the only way in which training is steered."""
        if decision.action == "pause":
            if self.active == (decision.modality,):
                return
            self._set_active(tuple(name for name in self.active if name != decision.modality))
        elif decision.action == "resume":
            self._set_active(tuple(m for m in self.modalities if m in self.active or m == decision.modality))
        elif decision.action == "switch":
            if decision.rewind_to is not None and (decision.rewind_to != self.epoch or self._at.batch):
                self._rewind(decision.rewind_to, f"joint training starts from epoch {decision.rewind_to}", source)
            self._start_joint(decision.from_scratch)
        scratch = {"from_scratch": True} if decision.from_scratch else {}
        self._note(decision.action, decision.reason, source, modality=decision.modality, rule=decision.rule, **scratch)

    def _note(self, action: str, reason: str, source: str, *, modality: str = "", rule: str = "", **more) -> None:
        """Write a decision down."""
        self._append("decision", action=action, modality=modality, reason=reason, rule=rule, source=source, **more)

    def _rewind(self, epoch: int, reason: str, source: str) -> None:
        """Restore the probe of an epoch as the start of a new segment."""
        state, parent, now = self._find_checkpoint(epoch), self._at.segment, self._at
        self._restore(state)
        self._at.segment = 1 + max(row["segment"] for row in self.record.rows)
        self._at.step, self._at.epochs_run = now.step, now.epochs_run
        self._at.decided, self._at.finished = True, False
        reason = f"{reason} (was at epoch {now.epoch})"
        self._note("rewind", reason, source, parent=parent, from_row=state.meta["n_rows"])

    def _recover(self, reason: str) -> int | None:
        """Return to the latest readable checkpoint of the present path after a broken loss; return its epoch."""
        for epoch in sorted({epoch for epoch, _ in self._path_checkpoints()}, reverse=True):
            try:
                self._rewind(epoch, reason, "trainer")
            except CheckpointError:
                continue
            return epoch
        return None

    # ---- checkpoints -----------------------------------------------------------------------------------------

    def _state(self) -> State:
        state = super()._state()
        return State(state.tensors, {**state.meta, "auto": self.auto, "controller": self.controller.to_dict()})

    def _keep_checkpoint(self) -> None:
        """Keep the present state as the checkpoint of this epoch; never drop the one that a rewind would want."""
        best = self.controller.rule.best(self.record)
        keep = [key for epoch, key in self._path_checkpoints() if best and epoch == best["epoch"]]
        self.checkpoints.add((self._at.segment, self.epoch), self._state(), keep=keep)

    def _take_checkpoints(self, parent: "Steering") -> None:
        """Hold what a run that this one continues keeps of their common path, so that a switch can go back there."""
        for _, key in self._path_checkpoints_in(parent.checkpoints):
            try:
                self.checkpoints.add(key, parent.checkpoints.get(key))
            except CheckpointError:
                continue

    def _path_checkpoints(self) -> list[tuple[int, tuple[int, int]]]:
        """Return (epoch, key) of the checkpoints on the present path."""
        return self._path_checkpoints_in(self.checkpoints)

    def _path_checkpoints_in(self, store: CheckpointStore) -> list[tuple[int, tuple[int, int]]]:
        keys = [(row["segment"], row["epoch"]) for row in self.record.lineage("probe")]
        return [(key[1], key) for key in dict.fromkeys(keys) if key in store]

    def _find_checkpoint(self, epoch: int) -> State:
        """Return the state at the probe of an epoch on the present path."""
        found = dict(self._path_checkpoints())
        if epoch not in found:
            raise CheckpointError(
                f"there is no checkpoint of epoch {epoch} on the present path; there are those of epochs "
                f"{', '.join(map(str, sorted(found))) or 'none'}. Checkpoints are made at probes."
            )
        return self.checkpoints.get(found[epoch])

    def _end_epoch(self) -> None:
        super()._end_epoch()
        if not self.finished:
            self._keep_on_disk()

    def _finish(self) -> None:
        super()._finish()
        self._keep_on_disk()

    def _keep_on_disk(self) -> None:
        if self.folder:
            self.folder.keep(self.record, self._state())

"""Steering: probes become checkpoints, the controller's decisions are carried out, and the past can be taken up."""

from dataclasses import replace

from mmpid.errors import CheckpointError
from mmpid.train.checkpoint import CheckpointStore, State
from mmpid.train.controller import BalanceController
from mmpid.train.decision import Decision
from mmpid.train.folder import RunFolder
from mmpid.train.loop import Loop


class Steering(Loop):
    """A loop that keeps a checkpoint at every probe and obeys a controller; all undoable."""

    controller: BalanceController
    checkpoints: CheckpointStore
    folder: RunFolder | None
    auto: bool

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
        if self._at.decided or not self.auto or self._at.epochs_run >= self.config.epochs:
            return
        self._at.decided = True
        if self.stage == "joint" and self.config.stage2 != "balance":
            return
        for decision in self.controller.decide(self.record):
            if decision.action == "switch" and not self.config.rewind:
                decision = replace(decision, rewind_to=None)
            self._obey(decision, "controller")

    def _obey(self, decision: Decision, source: str) -> None:
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
            self._start_joint()
        self._note(decision.action, decision.reason, source, modality=decision.modality, rule=decision.rule)

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
        return State(state.tensors, {**state.meta, "auto": self.auto})

    def _keep_checkpoint(self) -> None:
        """Keep the present state as the checkpoint of this epoch; never drop the one that a rewind would want."""
        best = self.controller.rule.best(self.record)
        keep = [key for epoch, key in self._path_checkpoints() if best and epoch == best["epoch"]]
        self.checkpoints.add((self._at.segment, self.epoch), self._state(), keep=keep)

    def _path_checkpoints(self) -> list[tuple[int, tuple[int, int]]]:
        """Return (epoch, key) of the checkpoints on the present path."""
        keys = [(row["segment"], row["epoch"]) for row in self.record.lineage("probe")]
        return [(key[1], key) for key in keys if key in self.checkpoints]

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
        if self.folder:
            self.folder.keep(self.record, self._state())

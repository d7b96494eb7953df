"""The director: probes, keeps a checkpoint of each probe, and lets the controller act on it."""

from dataclasses import replace
from typing import Any

from mmpid.rules.decision import Decision
from mmpid.train.checkpoints import Checkpoints
from mmpid.train.commands import Commands
from mmpid.train.run import Run
from mmpid.train.start_trial import StartTrial


class Director:
    """Asks the controller after each probe, once, and has its decisions carried out."""

    def __init__(self, run: Run, checkpoints: Checkpoints, commands: Commands):
        self.run, self.checkpoints, self.commands = run, checkpoints, commands
        self.trial = StartTrial(run, checkpoints, commands)

    def probe(self) -> dict[str, Any]:
        """Append a probe of the present embeddings to the record and show it to the callbacks."""
        run = self.run
        row = run.append("probe", **run.active_flags(), **run.prober.measure(run.model))
        run.context.probe = row
        return row

    def keep_checkpoint(self) -> None:
        """Keep the present state as the checkpoint of this epoch."""
        run, at = self.run, self.run.position
        self.checkpoints.keep((at.segment, at.epoch), run.snapshot(), run.record, run.controller)

    def probe_and_decide(self) -> None:
        """Probe, keep a checkpoint of this moment, and let the controller act on it."""
        self.probe()
        self.run.position.decided = False
        try:
            if self.run.callbacks:
                self.run.callbacks.call("on_probe", self.run.context)
        finally:  # a callback that fails must not cost the run its probe
            self.keep_checkpoint()
            self.decide()

    def decide(self) -> None:
        """Ask the controller about the latest probe, if it is in charge and has not been asked yet."""
        run = self.run
        if run.position.decided or not run.auto or run.is_spent:
            return
        run.position.decided = True
        if run.position.stage == "joint" and run.config.stage2 != "balance":
            return
        for decision in run.controller.decide(run.record):
            self.commands.apply(self._within_reach(decision), "controller")
            tried = run.config.start == "best" and decision.action == "switch" and not decision.from_scratch
            if tried and not run.trial.phase:
                self.trial.begin()

    def _within_reach(self, decision: Decision) -> Decision:
        """Let a switch start from a state that there is: the one it names, or else the nearest that is kept.

        A probe that was asked for within an epoch has no checkpoint, and the budget of checkpoints drops some.
        """
        wanted = decision.rewind_to if self.run.config.rewind else None
        if wanted in (None, self.run.position.epoch):
            return replace(decision, rewind_to=wanted)
        epoch = self.checkpoints.nearest(wanted, self.run.record)
        if epoch is None:
            return replace(decision, rewind_to=None, reason=f"{decision.reason} (no earlier state is kept)")
        lost = "" if epoch == wanted else f" (the state of epoch {wanted} is not kept; the nearest is {epoch})"
        return replace(decision, rewind_to=epoch, reason=decision.reason + lost)

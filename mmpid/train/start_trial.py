"""Which start is better for joint training: the one that stage 1 shaped, or none? Both are tried, and one is kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from mmpid.rules.decision import Decision
from mmpid.train.checkpoints import Checkpoints
from mmpid.train.commands import Commands
from mmpid.train.evaluation import Evaluation
from mmpid.train.run import Run
from mmpid.train.trial_state import TrialState


@dataclass
class Candidate:
    """How a start validates: the selection metric, and the cross-entropy (nats) of each validation sample."""

    score: float
    losses: Tensor

    @classmethod
    def judge(cls, run: Run) -> "Candidate":
        """Return what the present model makes of the validation split."""
        seen: Evaluation = run.evaluate(run.model, "validation")
        losses = functional.cross_entropy(seen.logits["joint"].double(), seen.target, reduction="none")
        return cls(seen.metric(run.config.selection_metric, "joint"), losses.cpu())


def gain(shaped: Tensor, fresh: Tensor, groups: Tensor | None = None) -> tuple[float, float]:
    """Return by how much the loss of the fresh start is lower, and the standard error of that; samples are paired.

    With groups the error is that of whole groups. A single one has no error that could be known: it is infinite.

    Examples
    --------
    >>> gain(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.5, 1.5, 2.5]))
    (0.5, 0.0)
    """
    lower = shaped - fresh
    mean, n = float(lower.mean()), len(lower)
    place = torch.arange(n) if groups is None else groups.unique(return_inverse=True)[1].cpu()
    parts = torch.zeros(int(place.max()) + 1, dtype=lower.dtype).index_add(0, place, lower - mean)
    k = len(parts)
    return mean, float((k / (k - 1) * parts.square().sum()).sqrt() / n) if k > 1 else float("inf")


class StartTrial:
    """Trains from both starts, one after the other, and goes on from the better one.

    Both have then been trained for the same number of epochs: the fresh start makes up for those of stage 1.
    """

    def __init__(self, run: Run, checkpoints: Checkpoints, commands: Commands):
        self.run, self.checkpoints, self.commands = run, checkpoints, commands

    def begin(self) -> None:
        """Let joint training, which has just started, be the first half of a trial, if the budget has room for both."""
        run, alone, n = self.run, self.run.position.epoch, self.run.config.trial_epochs
        wanted = 2 * n + alone + 1
        if run.epochs_left < wanted:
            why = f"the shaped start is kept untried: a trial takes {wanted} epochs, and {run.epochs_left} are left"
            self._note(why, {"wanted": wanted, "left": run.epochs_left})
        elif 0 not in self.checkpoints.epochs(run.record):
            self._note("the shaped start is kept untried: the untrained state is not kept", {})
        else:
            run.trial = TrialState("shaped", n)

    def advance(self) -> None:
        """Go on to the fresh start, or decide, if it is time."""
        run, trial = self.run, self.run.trial
        if trial.phase in ("", "done") or run.position.stage != "joint":
            return
        if run.position.joint_epochs < trial.length and not run.is_spent:
            return
        candidate = Candidate.judge(run)
        if trial.phase == "shaped":
            self._try_fresh(candidate)
        else:
            self._decide(candidate)

    def _try_fresh(self, shaped: Candidate) -> None:
        """Keep the state of the shaped start, and train from none."""
        run = self.run
        kept, epoch = run.snapshot().unpack(), run.position.epoch
        why = f"trying a fresh start for {epoch} epochs; the shaped one validates at {shaped.score:.3f} after as many"
        self.commands.apply(
            Decision(action="switch", reason=why, epoch=epoch, rule="start", rewind_to=0, from_scratch=True), "trainer"
        )
        run.trial = TrialState("fresh", epoch, kept, shaped.score, shaped.losses)

    def _decide(self, fresh: Candidate) -> None:
        """Go on from the start that validates better: the higher metric, and the lower loss among equals."""
        run, trial = self.run, self.run.trial
        losses = fresh.losses if trial.losses is None else trial.losses
        lower, noise = gain(losses, fresh.losses, run.splits["validation"].groups)
        better = (fresh.score, lower) > (trial.score, 0.0)
        kept = "fresh" if better else "shaped"
        if not better:
            parent = trial.kept["position"]["segment"]
            self.commands.restore(trial.kept, parent, "back to the shaped start", "trainer")
        run.trial = TrialState("done")
        self._note(
            f"{kept} start: the fresh one validates at {fresh.score:.3f}, the shaped one at {trial.score:.3f}; the "
            f"loss of the fresh one is lower by {lower:.3f} nats (standard error {noise:.3f})",
            {"kept": kept, "fresh": fresh.score, "shaped": trial.score, "gain": lower, "noise": noise,
             "epochs": trial.length},
        )  # fmt: skip

    def _note(self, reason: str, values: Mapping[str, Any]) -> None:
        """Write the decision down."""
        epoch = self.run.position.epoch
        self.commands.apply(
            Decision(action="start", reason=reason, epoch=epoch, rule="start", values=values), "controller"
        )

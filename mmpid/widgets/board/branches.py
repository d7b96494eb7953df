"""The run of a board and its branches: their names, which one the buttons drive, and how they compare."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mmpid.errors import ConfigError
from mmpid.live.notifier import Notifier
from mmpid.live.session import Session
from mmpid.plots.traces import switch_epoch
from mmpid.widgets.board.history import History
from mmpid.widgets.board.pace import Pace

MAIN = "main"
DASHES = ("dashed", "dotted", "dashdot", "solid")


@dataclass
class Run:
    """One trainer with the thread that trains it, and how its curves are drawn while another run is in front."""

    name: str
    trainer: Any
    session: Session
    dash: str
    shown: bool = True

    def __post_init__(self):
        self.history = History(self.record)

    @property
    def record(self):
        """The trainer's record."""
        return self.trainer.record


class Runs(Notifier):
    """The runs of one board. A publisher sees them as one session that changes whenever any of them does.

    Parameters
    ----------
    trainer
        The run that the board was made for.
    name, origin
        Name and origin of its session.
    """

    def __init__(self, trainer, *, name=None, origin=None):
        super().__init__()
        self._origin = origin
        self.pace = Pace(self.notify)
        self.all: list[Run] = []
        self.chosen = self.adopt(trainer, trainer.record.metadata.get("name") or MAIN, session_name=name)

    @property
    def main(self) -> Run:
        """The run that the board was made for."""
        return self.all[0]

    @property
    def session(self) -> Session:
        """The session of the run that the buttons drive."""
        return self.chosen.session

    @property
    def others(self) -> list[Run]:
        """The runs to draw with thin lines beside the chosen one."""
        return [run for run in self.all if run.shown and run is not self.chosen]

    @property
    def state(self) -> str:
        """The state for the publisher: "closed" with the main run, "playing" while any of them plays."""
        if self.main.session.state == "closed":
            return "closed"
        return "playing" if any(self.state_of(run) == "playing" for run in self.all) else self.session.state

    def state_of(self, run: Run) -> str:
        """Return the state of a run; in slow motion it also counts as playing while it waits for its next epoch."""
        state = run.session.state
        waits = state == "paused" and self.pace.plays(run.session)
        return "playing" if waits else state

    def adopt(self, trainer, name: str = "", session_name=None) -> Run:
        """Give a trainer its thread and a unique name: the given one if it is free."""
        name = self._free(name.strip() or f"branch {len(self.all)}")
        session = Session(trainer, session_name, origin=self._origin, on_change=self.notify)
        if self.all:  # the record of the main run is that of a headless run, its metadata too
            trainer.record.metadata["name"] = name
        run = Run(name, trainer, session, DASHES[(len(self.all) - 1) % len(DASHES)])
        self.all.append(run)
        self.notify()
        return run

    def rename(self, run: Run, name: str) -> None:
        """Name a run; two runs of a board cannot have the same name."""
        name = name.strip()
        if not name or any(other.name == name for other in self.all if other is not run):
            raise ConfigError(f"a run's name must be new and not empty; it was {name!r}. It is still {run.name!r}.")
        run.name = run.record.metadata["name"] = name
        self.notify()

    def choose(self, name: str) -> None:
        """Let the buttons drive the run of that name; slow motion ends with the run that was driven before."""
        self.pace.stop()
        self.chosen = next(run for run in self.all if run.name == name)
        self.notify()

    def close(self) -> None:
        """End all threads."""
        self.pace.stop()
        for run in self.all:
            run.session.close()

    def close_branches(self) -> None:
        """End the threads of the branches, because another board has taken over the main run."""
        for run in self.all[1:]:
            run.session.close()

    def _free(self, name: str) -> str:
        taken, wanted, number = {run.name for run in self.all}, name, 1
        while name in taken:
            number += 1
            name = f"{wanted} ({number})"
        return name


def summary(run: Run, chosen: bool, state: str) -> dict:
    """Return what the table says about a run: plain values, or None for those that do not exist yet."""
    record = run.record
    epochs, results, decisions = (record.lineage(kind) for kind in ("epoch", "result", "decision"))
    scores, judged_on = _scores(epochs, results)
    return {
        "name": run.name,
        "dash": run.dash,
        "chosen": chosen,
        "state": state,
        "branched_at": record.metadata.get("branched_at"),
        "parent": record.metadata.get("parent"),
        "switch": switch_epoch(decisions),
        "epoch": run.trainer.epoch,
        "judged_on": judged_on,
        "scores": scores,
        "decisions": sum(decision["action"] != "hold" for decision in decisions),
        "by_user": sum(decision["source"] == "user" for decision in decisions),
    }


def _scores(epochs: Sequence[dict], results: Sequence[dict]) -> tuple[dict[str, float], str]:
    """Return the accuracy of each head, on the test samples once the run is finished, and the name of those samples."""
    rows, start = (results, "test_accuracy.") if results else (epochs, "validation_accuracy.")
    found = {key[len(start) :]: value for key, value in rows[-1].items() if key.startswith(start)} if rows else {}
    return found, "" if not rows else "test" if results else f"validation, epoch {rows[-1]['epoch']:g}"

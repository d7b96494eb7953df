"""Rules that start joint training when they were told to, whatever is measured."""

from dataclasses import dataclass
from typing import ClassVar

from mmpid import _validate
from mmpid.rules.base import SwitchRule
from mmpid.rules.decision import Decision
from mmpid.runs.probe import Probe
from mmpid.runs.record import RunRecord


@dataclass(frozen=True, kw_only=True)
class Manual(SwitchRule):
    """Never switch: the user presses the button."""

    adaptive: ClassVar[bool] = False


@dataclass(frozen=True, kw_only=True)
class FixedEpoch(SwitchRule):
    """Switch at a fixed epoch: the control that every adaptive rule has to beat."""

    adaptive: ClassVar[bool] = False

    epoch: int = 10

    def __post_init__(self):
        super().__post_init__()
        _validate.number(self.epoch, "epoch", low=0, integer=True)

    def decide(self, record: RunRecord) -> Decision:
        """Switch at the first probe at or after `epoch`."""
        now = self.latest(record)
        values = {"epoch": None if now is None else now.epoch, "target_epoch": self.epoch}
        if now is not None and now.epoch >= self.epoch:
            return self.switch(now, f"epoch {self.epoch} is reached", values=values)
        return self.hold(now, f"waiting for epoch {self.epoch}", values)

    def best(self, record: RunRecord) -> Probe | None:
        """Return the latest probe: this rule never looks back."""
        return self.latest(record)

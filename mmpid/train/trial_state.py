"""Where a trial of two starts stands, as part of the state of a run."""

from dataclasses import dataclass, field, fields
from typing import Any

from torch import Tensor


@dataclass
class TrialState:
    """Where a trial stands.

    Attributes
    ----------
    phase : {"", "shaped", "fresh", "done"}
        What is trained now.
    length : int
        Epochs of joint training after which the phase ends.
    kept : dict
        State of the run at the end of the shaped phase.
    score, losses
        How it validated then.
    """

    phase: str = ""
    length: int = 0
    kept: dict[str, Any] = field(default_factory=dict)
    score: float = 0.0
    losses: Tensor | None = None

    def state_dict(self) -> dict[str, Any]:
        """Return the values; nothing while there is no trial."""
        return {each.name: getattr(self, each.name) for each in fields(self)} if self.phase else {}

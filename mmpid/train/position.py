"""Where a run stands, as plain values."""

from dataclasses import asdict, dataclass, fields


@dataclass
class Position:
    """Stage, epoch and batch of a run, and what its budget has spent.

    Attributes
    ----------
    segment : int
        Number of the path; a rewind starts a new one.
    epochs_run, joint_epochs : int
        Epochs spent, those of discarded futures included; epochs of the present stage 2.
    decided : bool
        Whether the controller has been asked about the latest probe.
    started : bool
        Whether callbacks have seen the start of the run.
    batch_size : int, optional
        Set where it differs from the settings.
    cut : tuple of int
        Batches and samples of this epoch that were done when its batch size changed.
    """

    stage: str
    active: tuple[str, ...]
    segment: int = 0
    epoch: int = 0
    batch: int = 0
    step: int = 0
    epochs_run: int = 0
    joint_epochs: int = 0
    decided: bool = True
    finished: bool = False
    started: bool = False
    batch_size: int | None = None
    cut: tuple[int, int] = (0, 0)

    def state_dict(self) -> dict:
        """Return the values."""
        return asdict(self)

    def load_state_dict(self, state: dict) -> None:
        """Stand where :meth:`state_dict` was called."""
        for field in fields(self):
            value = state[field.name]
            setattr(self, field.name, tuple(value) if isinstance(value, list) else value)

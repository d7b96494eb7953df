"""The goal of a session, the size of its requests, and what it keeps of a failure."""

import traceback
from dataclasses import dataclass

import torch

CALL_SECONDS, MOST_BATCHES = 0.008, 16  # one call of `step` while playing: what a click may have to wait for

MEMORY_ADVICE = (
    "The device ran out of memory. Make the batch smaller (`trainer.set_batch_size(32)`), use fewer clusters for the "
    'probe, or train on the CPU (`device="cpu"`); then press Play to try again.'
)


@dataclass(frozen=True, kw_only=True)
class Failure:
    """What stopped a training step: kept as text, because a live traceback would keep its tensors alive."""

    error: BaseException
    text: str
    advice: str = ""

    @classmethod
    def of(cls, error: BaseException) -> "Failure":
        """Describe an error as text, and release the memory that its frames and the device hold."""
        text = "".join(traceback.format_exception(error))
        traceback.clear_frames(error.__traceback__)
        out_of_memory = isinstance(error, (MemoryError, torch.OutOfMemoryError))
        if out_of_memory and torch.cuda.is_available():
            torch.cuda.empty_cache()
        return cls(error=error, text=text, advice=MEMORY_ADVICE if out_of_memory else "")

    @property
    def summary(self) -> str:
        """One line: the kind of error and its message."""
        return f"{type(self.error).__name__}: {self.error}".strip().rstrip(":")


@dataclass
class Goal:
    """How far to train: a number of further batches, epochs or probes; "end" has no count."""

    kind: str
    remaining: int = 0
    seen: int = 0  # rows of the record that have been counted

    def reached(self, rows: list[dict]) -> bool:
        """Count the rows that the last micro-step added. A rewind lowers epoch numbers, so they cannot serve here."""
        if self.kind == "end":
            return False
        if self.kind == "batch":
            self.remaining -= 1
        else:
            self.remaining -= sum(row["kind"] == self.kind for row in rows[self.seen :])
            self.seen = len(rows)
        return self.remaining <= 0


def stride(seconds_a_batch: float) -> int:
    """Return how many batches to request at once while nobody waits for a single one."""
    return max(1, min(MOST_BATCHES, int(CALL_SECONDS / max(seconds_a_batch, 1e-9))))

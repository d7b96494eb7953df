"""What a run leaves behind: its record, checkpoints and folder, and how runs are compared and exported."""

from mmpid.runs.diff import diff
from mmpid.runs.export import to_mlflow, to_tensorboard
from mmpid.runs.record import RunRecord

__all__ = ["RunRecord", "diff", "to_mlflow", "to_tensorboard"]

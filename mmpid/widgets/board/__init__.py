"""The board of a training run: buttons, live charts, branches, and the picture that outlives them."""

from mmpid.widgets.board.dashboard import Dashboard, TrainingNotFinished

__all__ = ["Dashboard", "TrainingNotFinished"]

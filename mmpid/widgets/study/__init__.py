"""The board of a study: which runs are waiting, running, finished, or failed."""

from mmpid.widgets.study.board import StudyBoard

__all__ = ["StudyBoard"]

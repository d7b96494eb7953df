"""The board of a study: which runs wait, run, are finished, or failed."""

from mmpid.widgets.study.board import StudyBoard

__all__ = ["StudyBoard"]

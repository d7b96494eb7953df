"""The lab of the solvable model: who competes, who wins each class, and what two stages change."""

from mmpid.widgets.lab.competition_lab import CompetitionLab

__all__ = ["CompetitionLab"]

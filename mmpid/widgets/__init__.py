"""Boards for the notebook: watch a run live and steer it.

`import mmpid` does not load this package; it needs ipywidgets, anywidget and matplotlib.
"""

from mmpid.errors import MissingDependencyError

try:
    import anywidget  # noqa: F401
    import ipywidgets  # noqa: F401
except ImportError as problem:
    raise MissingDependencyError(
        f'`mmpid.widgets` needs {problem.name}, which is not installed. Try `pip install "mmpid[notebook]"`.'
    ) from problem

from mmpid.widgets.board import Dashboard, TrainingNotFinished
from mmpid.widgets.browser import RunBrowser
from mmpid.widgets.explorer import PIDExplorer
from mmpid.widgets.lab import CompetitionLab
from mmpid.widgets.race import Race
from mmpid.widgets.study import StudyBoard

__all__ = ["CompetitionLab", "Dashboard", "PIDExplorer", "Race", "RunBrowser", "StudyBoard", "TrainingNotFinished"]

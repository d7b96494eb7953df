"""Pictures: each takes a record or a result and axes, and returns the axes.

`import mmpid` does not load this package; it needs matplotlib. Colors are safe for the color-blind, and no two curves
of a panel have the same dash. Information is in bits on every axis.
"""

from mmpid.errors import MissingDependencyError

try:
    import matplotlib  # noqa: F401
except ImportError as problem:
    raise MissingDependencyError(
        '`mmpid.plots` needs matplotlib, which is not installed. Try `pip install "mmpid[notebook]"`.'
    ) from problem

from mmpid.plots.accuracy_curves import accuracy_curves
from mmpid.plots.atoms_bar import atoms_bar
from mmpid.plots.class_strength import class_strength
from mmpid.plots.critical_difference import critical_difference
from mmpid.plots.ecs_bars import ecs_bars
from mmpid.plots.ecs_curves import ecs_curves
from mmpid.plots.information_diagram import information_diagram
from mmpid.plots.knowledge_areas import knowledge_areas
from mmpid.plots.learning_curves import learning_curves
from mmpid.plots.loss_curves import loss_curves
from mmpid.plots.overview import overview
from mmpid.plots.paired_gain import paired_gain
from mmpid.plots.pid_curves import pid_curves
from mmpid.plots.pid_trajectory import pid_trajectory
from mmpid.plots.sensitivity import sensitivity
from mmpid.plots.stacked_atoms import stacked_atoms
from mmpid.plots.switch_curve import switch_curve

__all__ = [
    "accuracy_curves",
    "atoms_bar",
    "class_strength",
    "critical_difference",
    "ecs_bars",
    "ecs_curves",
    "information_diagram",
    "knowledge_areas",
    "learning_curves",
    "loss_curves",
    "overview",
    "paired_gain",
    "pid_curves",
    "pid_trajectory",
    "sensitivity",
    "stacked_atoms",
    "switch_curve",
]

"""The explorer of small joints: edit the weights of cells, see the atoms."""

from mmpid.widgets.explorer.pid_explorer import PIDExplorer

__all__ = ["PIDExplorer"]

"""Notebooks as regression tests: run them headless and compare what they publish."""

from mmpid.check.exercises import with_solutions
from mmpid.check.notebook import NotebookError, run_notebook
from mmpid.check.suite import check, find_root

__all__ = ["NotebookError", "check", "find_root", "run_notebook", "with_solutions"]

"""See, teach and prevent modality competition in multimodal learning.

Numbers: :func:`decompose` splits the information of two sources about a target into redundant, unique and synergistic
parts, exactly and with a certificate; :func:`estimate_pid` does it from samples, with bias correction and intervals.
Training: :class:`Trainer` trains each modality alone, watches that decomposition, and starts joint training from the
right moment. Pictures (`mmpid.plots`) and the notebook board (`mmpid.widgets`) are loaded when they are first used.
"""

import importlib

from mmpid import datasets, ecs, errors, methods, protocols, theory
from mmpid._version import __version__ as __version__
from mmpid.datasets import MultimodalData
from mmpid.estimate import compare_discretizers, estimate_marginals, estimate_pid, estimate_pid_multi, soft_pid
from mmpid.live import pause_all, sessions
from mmpid.models import LateFusion, linear_probe
from mmpid.pid import PIDResult, decompose, decompose_marginals, estimate_cost, joints
from mmpid.report import publish
from mmpid.rules import BalanceController, FixedEpoch, Manual, PeakSynergy, RedundancyPlateau, replay
from mmpid.runs import RunRecord, diff, to_mlflow, to_tensorboard
from mmpid.studies import baselines, compare, diagnose, sweep_switch, train_seeds
from mmpid.train import Callback, Trainer

__all__ = [
    "BalanceController",
    "Callback",
    "FixedEpoch",
    "LateFusion",
    "Manual",
    "MultimodalData",
    "PIDResult",
    "PeakSynergy",
    "RedundancyPlateau",
    "RunRecord",
    "Trainer",
    "baselines",
    "compare",
    "compare_discretizers",
    "datasets",
    "decompose",
    "decompose_marginals",
    "diagnose",
    "diff",
    "ecs",
    "errors",
    "estimate_cost",
    "estimate_marginals",
    "estimate_pid",
    "estimate_pid_multi",
    "joints",
    "linear_probe",
    "methods",
    "pause_all",
    "protocols",
    "publish",
    "replay",
    "sessions",
    "soft_pid",
    "sweep_switch",
    "theory",
    "to_mlflow",
    "to_tensorboard",
    "train_seeds",
]

_ON_FIRST_USE = ("plots", "testing", "widgets")


def __getattr__(name: str):
    """Import the parts that need the notebook extra only when they are used."""
    if name not in _ON_FIRST_USE:
        raise AttributeError(f"module 'mmpid' has no attribute {name!r}")
    try:
        return importlib.import_module(f"mmpid.{name}")
    except ModuleNotFoundError as missing:
        if missing.name and missing.name.startswith("mmpid"):
            raise
        raise errors.MissingDependencyError(
            f"mmpid.{name} needs {missing.name!r}, which is not installed. Try: pip install 'mmpid[notebook]'"
        ) from missing


def __dir__() -> list[str]:
    return sorted([*globals(), *_ON_FIRST_USE])
